"""Kind `pytest`: the project's pytest, judged by its JUnit XML and its exit code.

pytest is that of the project's virtual environment, else of PATH; without one the check is not
evaluated.
Report and cache lie outside the worktree, and Python writes no bytecode, so that a run leaves
nothing behind.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from orchestr.checks import find_program
from orchestr.checks.base import CheckFailed, CheckUnavailable, CheckVerdict, describe_exit
from orchestr.checks.definition import CheckDefinition
from orchestr.checks.kinds import junit
from orchestr.spec.check_field_types import check_selector
from orchestr.spec.fields import Argument, Doc, Rule

if TYPE_CHECKING:
    from orchestr.checks.junit_xml import JunitCase
    from orchestr.checks.room import CheckContext

_EXPRESSION = re.compile(r"(^|[\s(])(and|or|not)[\s(]")
_MEANING = {
    2: "it was interrupted, or tests cannot be collected",
    3: "pytest itself failed",
    4: "pytest does not understand its command line",
    5: "no tests were collected: nothing was proved",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PytestCheck(CheckDefinition):
    """pytest of the project, judged by its JUnit XML."""

    kind: ClassVar[str] = "pytest"
    usual_timeout: ClassVar[float] = 300.0

    selector: Annotated[
        Annotated[str, Rule(check_selector)] | None,
        Doc("a path, a node id, or an expression for `-k`", "tests/unit"),
    ] = None
    args: Annotated[tuple[Argument, ...], Doc("further words of pytest", ["-x"])] = ()

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        return (("pytest",),)

    def run_and_judge(self, room: CheckContext) -> CheckVerdict:
        from orchestr.checks import junit_xml

        program = find_program.find_command("pytest", room.worktree, room.cwd, room.env)
        if program is None:
            where = find_program.describe_search_path(room.worktree, room.cwd, room.env)
            raise CheckUnavailable(f"pytest is not installed: looked in {where}")
        report = room.artefacts / "junit.xml"
        chosen = [*selection_args(self.selector, room.cwd), *self.args]
        argv = [
            *program, f"--junitxml={report}", "-o", "junit_family=xunit1",
            "-o", f"cache_dir={room.artefacts / '.pytest_cache'}", *chosen,
        ]  # fmt: skip
        paths = [str(room.cwd), room.env.get("PYTHONPATH", "")]
        env = {**room.env, "PYTHONPATH": ":".join(filter(None, paths))}
        done = room.run_program(argv, env=env)
        find_program.refuse_uv_fault(program, done.code, done.err.decode("utf-8", "replace"))
        whole = junit.whole_run_failure(room, self.name, ["pytest", *chosen])
        if done.code in _MEANING and done.code != 2:
            raise CheckFailed(
                f"{describe_exit(done)}: {_MEANING[done.code]}", whole, exit=done.code
            )
        try:
            cases = junit_xml.read_reports([report])
        except junit_xml.BadReport as error:
            why = _MEANING.get(done.code, f"the report {error}")
            raise CheckFailed(f"{describe_exit(done)}: {why}", whole, exit=done.code) from None
        kept = ("junit.xml",)
        return junit.judge_cases(room, done, cases, kept, ["pytest", *chosen], build_rerun_command)


def selection_args(selector: str | None, cwd: Path) -> list[str]:
    """The words of pytest's command line: paths and node ids, or ``-k`` and an expression."""
    if selector is None:
        return []
    named = "::" in selector or "/" in selector or selector.endswith(".py")
    if _EXPRESSION.search(f" {selector}") and not (cwd / selector.partition("::")[0]).exists():
        return ["-k", selector]
    if named or (cwd / selector).exists():
        whole = "::" in selector or (cwd / selector).exists()
        return [selector] if whole else selector.split()
    return ["-k", selector]


def build_rerun_command(case: JunitCase) -> str:
    """The command that runs just this test."""
    if not case.file:
        return shlex.join(["pytest", "-k", case.name]) if case.name else "pytest"
    module = case.file.removesuffix(".py").replace("/", ".")
    inner = case.classname.removeprefix(module).strip(".")
    steps: Sequence[str] = [case.file, *filter(None, inner.split(".")), case.name]
    return shlex.join(["pytest", "::".join(steps)])
