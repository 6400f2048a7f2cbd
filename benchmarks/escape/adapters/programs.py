"""Tools that run a program directly: no sandbox at all, a naive bubblewrap, srt as it comes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from benchmarks.escape.adapters.base import OneByOne, Output
from benchmarks.escape.scene import Scene
from orchestr.sandbox.choose import SandboxKind, probe_program

PATIENCE = 30.0  # s


def run_words(words: list[str], worktree: Path, scene: Scene) -> Output:
    """A command with the user's environment, as a tool without care would start it."""
    with subprocess.Popen(
        words, cwd=worktree, env=scene.environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            out, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            out, _ = process.communicate()
    return Output(out.decode(errors="replace"))


class Plain(OneByOne):
    """No sandbox: the program runs as the user."""

    name = "plain"

    def run_program(self, program: Path, worktree: Path, scene: Scene) -> Output:
        return run_words(["sh", str(program)], worktree, scene)


class BwrapBare(OneByOne):
    """What a first attempt with bubblewrap looks like: all read-only but the worktree."""

    name = "bwrap-bare"

    def explain_unusable(self, wall: str) -> str | None:
        return explain_bwrap()

    def run_program(self, program: Path, worktree: Path, scene: Scene) -> Output:
        wall = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--bind", str(worktree),
                str(worktree), "--chdir", str(worktree), "--die-with-parent"]  # fmt: skip
        return run_words([*wall, "sh", str(program)], worktree, scene)


class Srt(OneByOne):
    """The sandbox runtime of a coding agent's vendor, with the worktree writable, no network."""

    name = "srt"

    def explain_unusable(self, wall: str) -> str | None:
        return None if shutil.which("srt") else "srt is not on PATH"

    def run_program(self, program: Path, worktree: Path, scene: Scene) -> Output:
        config = scene.root / "srt.json"
        config.write_text(json.dumps({
            "network": {"allowedDomains": [], "deniedDomains": []},
            "filesystem": {"denyRead": [], "allowWrite": [str(worktree)], "denyWrite": []},
        }))  # fmt: skip
        words = ["srt", "--settings", str(config), "sh", str(program)]
        return run_words(words, worktree, scene)


def explain_bwrap() -> str | None:
    """Why bubblewrap does not work here; None: it does."""
    program = shutil.which("bwrap")
    if program is None:
        return "bwrap is not on PATH"
    why = probe_program(SandboxKind.BWRAP, program)
    return None if why is None else f"bwrap does not work here: {why}"
