"""Engines that land the branches of a scene, behind one protocol; two of them are here.

`merge-loop` is `git merge` of one branch after the other without any check; `serial` is a queue
of one, as bors is: each candidate is checked on the target that it will be landed on. Neither can
resolve anything; with the ladder `union-tests` git's own union driver keeps both sides' lines.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.common import environment, git
from benchmarks.cooperbench.scene import TARGET, Scene

LADDERS = ("none", "union-tests", "default", "full", "wide")
LANDED = "Cooperbench-Landed"  # trailer of a commit that lands a branch without merging it


class EngineBroke(Exception):
    """The engine ended as it must not; the message has the end of its output."""


@dataclass(slots=True)
class Outcome:
    """``landed``: patches, in order, with the rung that resolved what conflicted ("" for git's own
    merge); ``left``: the others, why. ``built``: those whose own checks were green, None when
    nothing was built. ``candidates`` None: the engine does not say. ``wall``: seconds of landing,
    ``checks``: how many were run in it.
    """

    landed: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    candidates: int | None = None
    built: int | None = None
    wall: float = 0.0
    checks: int = 0


# Lands what it can onto `main` of the scene's origin by a ladder.
Engine = Callable[[Scene, str], Outcome]


def find_engine(name: str) -> Engine:
    """The engine of a name; `shell:CMD` is any command (README.md). Raises ValueError."""
    if name.startswith("shell:"):
        return make_shell_engine(name.removeprefix("shell:"))
    if name == "orchestr":
        from benchmarks.cooperbench.with_orchestr import land_with_orchestr

        return land_with_orchestr
    if name in ("serial", "merge-loop"):
        script = Path(__file__).with_name("peer.py")
        return make_shell_engine(f"exec {sys.executable} {script} {name}")
    raise ValueError(f"unknown engine {name!r}: orchestr, serial, merge-loop, shell:CMD")


def make_shell_engine(command: str) -> Engine:
    """An engine that is a shell command. Its landing raises EngineBroke for an exit code over 1."""

    def land(scene: Scene, ladder: str) -> Outcome:
        work = scene.folder / "work"
        work.mkdir()
        env = {
            **environment(),
            "COOPERBENCH_ORIGIN": str(scene.origin),
            "COOPERBENCH_TARGET": TARGET,
            "COOPERBENCH_BRANCHES": " ".join(map(scene.branch_of, scene.names)),
            "COOPERBENCH_CHECK": str(scene.check),
            "COOPERBENCH_LADDER": ladder,
            "COOPERBENCH_UNION": "\n".join(list_union(scene, ladder)),
        }
        begin = time.monotonic()
        done = subprocess.run(
            ["sh", "-c", command], cwd=work, env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        wall = time.monotonic() - begin
        if done.returncode not in (0, 1):
            raise EngineBroke(f"exit {done.returncode}: {done.stdout.strip()[-500:]}")
        reasons = dict(
            line.removeprefix("left ").partition(": ")[::2]
            for line in done.stdout.splitlines() if line.startswith("left ")
        )  # fmt: skip
        landed = find_landed(scene)
        left = {
            name: reasons.get(scene.branch_of(name), "left by the engine")
            for name in scene.names if name not in landed
        }  # fmt: skip
        return Outcome(dict.fromkeys(landed, ""), left, wall=wall, checks=scene.count_checks())

    return land


def list_union(scene: Scene, ladder: str) -> tuple[str, ...]:
    """The patterns of files that may keep both sides' lines with a ladder."""
    return {"none": (), "default": (), "wide": ("*",)}.get(ladder, scene.union)


def find_landed(scene: Scene) -> list[str]:
    """The patches that `main` contains, by their branch's head or by trailer."""
    form = f"%(trailers:key={LANDED},valueonly)"
    named = git("log", f"--format={form}", TARGET, cwd=scene.origin).split()
    merged = git(
        "for-each-ref", f"--merged={TARGET}", "--format=%(refname:lstrip=2)", "refs/heads/patch",
        cwd=scene.origin,
    ).split()  # fmt: skip
    inside = {*named, *merged}
    return [name for name in scene.names if scene.branch_of(name) in inside]
