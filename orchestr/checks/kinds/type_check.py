"""Kind `type_check`: mypy, pyright or basedpyright finds nothing.

The exit code decides; the lines of the output only name the failures. A tool that is not
installed leaves the check not evaluated.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from orchestr.checks import find_program
from orchestr.checks.base import (
    CheckUnavailable,
    CheckVerdict,
    Failure,
    describe_exit,
    quote_command,
)
from orchestr.checks.definition import CheckDefinition
from orchestr.spec.fields import Doc, Place

if TYPE_CHECKING:
    from orchestr.checks.room import CheckContext

_LINE = re.compile(
    r"^\s*(?P<file>[^:\n]+\.pyi?):(?P<line>\d+)(?::\d+)?(?::| -) error: (?P<message>.+)$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeCheck(CheckDefinition):
    """A type checker for Python finds nothing in ``paths`` (none: by its own settings)."""

    kind: ClassVar[str] = "type_check"
    usual_timeout: ClassVar[float] = 300.0

    tool: Annotated[Literal["mypy", "pyright", "basedpyright"], Doc("the program", "mypy")]
    paths: Annotated[
        tuple[Place, ...], Doc("what it looks at; default: as it is set up", ["src"])
    ] = ()

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        return ((self.tool,),)

    def run_and_judge(self, room: CheckContext) -> CheckVerdict:
        program = find_program.find_command(self.tool, room.worktree, room.cwd, room.env)
        if program is None:
            where = find_program.describe_search_path(room.worktree, room.cwd, room.env)
            raise CheckUnavailable(f"{self.tool} is not installed: looked in {where}")
        options: list[str] = []
        if self.tool == "mypy":
            options = ["--cache-dir", os.devnull, "--no-pretty", "--no-color-output"]
        done = room.run_program([*program, *options, *self.paths])
        find_program.refuse_uv_fault(program, done.code, done.err.decode("utf-8", "replace"))
        again = quote_command([self.tool, *self.paths])
        if done.code == 0:
            return CheckVerdict(True, f"{self.tool} finds nothing", exit=0)
        failures = tuple(
            Failure(f"{path}:{m['line']}", path, m["message"].strip(), again)
            for m in _LINE.finditer(done.text)
            for path in [_path_in_worktree(m["file"], room)]
        )
        count = len(failures)
        detail = f"{self.tool}: {count} error{'s' * (count != 1)}"
        if not failures:
            detail = f"{self.tool}: {describe_exit(done)}"
            failures = (Failure(self.name, message=room.read_log_tail(), command=again),)
        return CheckVerdict(False, detail, failures, exit=done.code)


def _path_in_worktree(name: str, room: CheckContext) -> str:
    return name.strip().removeprefix(f"{room.worktree}/")
