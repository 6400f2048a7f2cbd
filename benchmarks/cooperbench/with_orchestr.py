"""orchestr as an engine: a workspace, `orchestr run`, `orchestr land`, all from the command line.

Each patch is a feature of its own with one cell, because their authors did not know of each other:
nothing but the queue connects them. The cell's agent is a command that replays the patch; its check
is the scene's. `landing.repairs = 0`: a candidate that no rung resolves is left, no agent is asked.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from benchmarks.common import git, orchestr
from benchmarks.cooperbench.engines import EngineBroke, Outcome, list_union
from benchmarks.cooperbench.scene import Scene
from orchestr.landing.events import Checked, Conflicted, Event, Landed, Made
from orchestr.landing.journal import LandingJournal

AGENT = """\
git apply --index --binary "{folder}/patches/$ORCHESTR_FEATURE.patch" || exit 1
git commit --quiet --message "$ORCHESTR_FEATURE"
"""
SPEC = """\
apiVersion: orchestr/v1
kind: Feature
metadata: {{name: {name}, title: {name}}}
cells:
  patch:
    repo: app
    todo: [Replay {name}]
    allow_skipped_tests: true  # some authors' tests skip on other systems, or replace older ones
    checks: [{{kind: command, run: [{check}]}}]
"""
RUNGS = {"none": [], "union-tests": ["union"]}  # the others: all, as by default


def land_with_orchestr(scene: Scene, ladder: str) -> Outcome:
    """Build every patch as a cell, then land them all. Raises EngineBroke."""
    root = scene.folder / "work"
    _make_workspace(scene, root, ladder)
    output, built = "", []
    for name in scene.names:  # one after the other: they land in the order in which they were done
        run = orchestr("run", name, "--yes", cwd=root)
        output += run.stdout + run.stderr
        if run.returncode not in (0, 1):
            raise EngineBroke(f"run {name}: exit {run.returncode}: {output[-500:]}")
        if run.returncode == 0:
            built.append(name)
    (scene.folder / "run.log").write_text(output)
    if not built:
        raise EngineBroke(f"nothing was built: {output[-500:]}")
    before, begin = scene.count_checks(), time.monotonic()
    land = orchestr("land", *built, "--yes", cwd=root)
    wall = time.monotonic() - begin
    (scene.folder / "land.log").write_text(land.stdout + land.stderr)
    if land.returncode not in (0, 1):
        raise EngineBroke(f"land: exit {land.returncode}: {(land.stdout + land.stderr)[-500:]}")
    outcome = read_outcome(list(LandingJournal(root / ".orchestr/landing/queue.jsonl").read()))
    outcome.left |= {name: "not built" for name in scene.names if name not in built}
    for name in built:
        if name not in outcome.landed:
            outcome.left.setdefault(name, "not tried")
    outcome.built = len(built)
    outcome.wall, outcome.checks = wall, scene.count_checks() - before
    return outcome


def _make_workspace(scene: Scene, root: Path, ladder: str) -> None:
    root.mkdir()
    git("clone", "--quiet", str(scene.origin), str(root / "app"), cwd=scene.folder)
    (root / "replay.sh").write_text(AGENT.format(folder=scene.folder))
    union = list(list_union(scene, ladder))
    lines = [
        '[workspace]\nrepos = "."',
        f"[repos.app]\nunion = {json.dumps(union)}",
        f'[agents.replay]\nkind = "command"\nrun = ["sh", {json.dumps(str(root / "replay.sh"))}]',
        "[landing]\nrepairs = 0\njobs = 2",
    ]
    if ladder in RUNGS:
        lines.append(f"rungs = {json.dumps(RUNGS[ladder])}")
    (root / "orchestr.toml").write_text("\n".join(lines) + "\n")
    (root / "specs").mkdir()
    for name in scene.names:
        text = SPEC.format(name=name, check=json.dumps(str(scene.check)))
        (root / "specs" / f"{name}.yaml").write_text(text)


def read_outcome(events: list[Event]) -> Outcome:
    """What the queue's journal says: what landed by which rung, and what the last word on the
    others was. ``candidates``: those made, with those that conflicted.
    """
    out, rungs = Outcome(candidates=0), dict[str, str]()
    for event in events:
        match event:
            case Made():
                out.candidates = (out.candidates or 0) + 1
                rungs[event.commit] = event.rung.value
            case Conflicted():
                out.candidates = (out.candidates or 0) + 1
                out.left[_patch_of(event.key)] = "conflict: " + ", ".join(event.paths)
            case Checked() if not event.green:
                for key in event.spec.keys:
                    rung = rungs.get(event.commit, "")
                    out.left[_patch_of(key)] = (
                        f"red{f' by {rung}' if rung else ''}: {event.detail[-200:]}"
                    )
            case Landed():
                for key in event.spec.keys:
                    out.landed[_patch_of(key)] = rungs.get(event.commit, "")
                    out.left.pop(_patch_of(key), None)
    return out


def _patch_of(key: str) -> str:
    """The patch of a change's key, `FEATURE/CELL`: each is a feature of its own."""
    return key.partition("/")[0]
