"""Kind `type_check`: mypy, pyright or basedpyright finds nothing (row E91).

The exit code decides; the lines of the output only name the failures. A tool that is not
installed fails the check.
"""

from __future__ import annotations

import os
import re

from orchestr.checks import find_program
from orchestr.checks.base import CheckFailed, CheckVerdict, Failure, describe_exit, quote_command
from orchestr.checks.room import CheckContext
from orchestr.checks.runner import CheckRunner
from orchestr.spec.checks import TypeCheck

_LINE = re.compile(
    r"^\s*(?P<file>[^:\n]+\.pyi?):(?P<line>\d+)(?::\d+)?(?::| -) error: (?P<message>.+)$",
    re.MULTILINE,
)


class TypeCheckRunner(CheckRunner[TypeCheck]):
    """One run of a type checker."""

    def run_and_judge(self, room: CheckContext) -> CheckVerdict:
        wanted = self._definition
        program = find_program.find_program(wanted.tool, room.worktree, room.cwd, room.env)
        if program is None:
            where = find_program.describe_search_path(room.worktree, room.cwd, room.env)
            raise CheckFailed(f"{wanted.tool} is not installed: looked in {where}")
        options: list[str] = []
        if wanted.tool == "mypy":
            options = ["--cache-dir", os.devnull, "--no-pretty", "--no-color-output"]
        done = room.run_program([program, *options, *wanted.paths])
        again = quote_command([wanted.tool, *wanted.paths])
        if done.code == 0:
            return CheckVerdict(True, f"{wanted.tool} finds nothing", exit=0)
        failures = tuple(
            Failure(f"{path}:{m['line']}", path, m["message"].strip(), again)
            for m in _LINE.finditer(done.text)
            for path in [_path_in_worktree(m["file"], room)]
        )
        count = len(failures)
        detail = f"{wanted.tool}: {count} error{'s' * (count != 1)}"
        if not failures:
            detail = f"{wanted.tool}: {describe_exit(done)}"
            failures = (Failure(wanted.name, message=room.read_log_tail(), command=again),)
        return CheckVerdict(False, detail, failures, exit=done.code)


def _path_in_worktree(name: str, room: CheckContext) -> str:
    return name.strip().removeprefix(f"{room.worktree}/")
