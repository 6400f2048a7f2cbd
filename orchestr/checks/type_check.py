"""Kind `type_check`: mypy, pyright or basedpyright finds nothing (row E91).

The exit code decides; the lines of the output only name the failures. A tool that is not
installed fails the check.
"""

from __future__ import annotations

import os
import re

from orchestr.checks import find_program
from orchestr.checks.base import Failed, Failure, Verdict, decide, shown
from orchestr.checks.room import Room
from orchestr.checks.runner import Runner
from orchestr.spec.checks import TypeCheck

_LINE = re.compile(
    r"^\s*(?P<file>[^:\n]+\.pyi?):(?P<line>\d+)(?::\d+)?(?::| -) error: (?P<message>.+)$",
    re.MULTILINE,
)


class Types(Runner[TypeCheck]):
    """One run of a type checker."""

    def judge(self, room: Room) -> Verdict:
        wanted = self._definition
        program = find_program.find(wanted.tool, room.worktree, room.cwd, room.env)
        if program is None:
            where = find_program.searched(room.worktree, room.cwd, room.env)
            raise Failed(f"{wanted.tool} is not installed: looked in {where}")
        options: list[str] = []
        if wanted.tool == "mypy":
            options = ["--cache-dir", os.devnull, "--no-pretty", "--no-color-output"]
        done = room.run([program, *options, *wanted.paths])
        again = shown([wanted.tool, *wanted.paths])
        if done.code == 0:
            return Verdict(True, f"{wanted.tool} finds nothing", exit=0)
        failures = tuple(
            Failure(f"{_inside(m['file'], room)}:{m['line']}", _inside(m["file"], room),
                    m["message"].strip(), again)
            for m in _LINE.finditer(done.text)
        )  # fmt: skip
        count = len(failures)
        detail = f"{wanted.tool}: {count} error{'s' * (count != 1)}"
        if not failures:
            detail = f"{wanted.tool}: {decide(done)}"
            failures = (Failure(wanted.name, message=room.tail(), command=again),)
        return Verdict(False, detail, failures, exit=done.code)


def _inside(name: str, room: Room) -> str:
    return name.strip().removeprefix(f"{room.worktree}/")
