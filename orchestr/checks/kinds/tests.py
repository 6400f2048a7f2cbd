"""Kind `tests`: any program that prints a JSON array of test results.

Each item: ``test_name``, ``passed``, and where they are known ``test_file``, ``error``,
``execution_command`` (runs just that test) and ``purpose``. stdout holds the array and nothing
else; anything that cannot be read fails the check.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from orchestr.checks.base import CheckFailed, CheckVerdict, Failure, describe_exit, quote_command
from orchestr.checks.definition import CheckDefinition
from orchestr.checks.kinds import junit
from orchestr.spec.fields import Argv, Doc

if TYPE_CHECKING:
    from orchestr.checks.room import CheckContext


@dataclass(frozen=True, slots=True, kw_only=True)
class TestsCheck(CheckDefinition):
    """Any program that prints a JSON array of tests."""

    __test__: ClassVar[bool] = False  # pytest takes a class of this name for a class of tests
    kind: ClassVar[str] = "tests"
    usual_timeout: ClassVar[float] = 300.0

    run: Annotated[Argv, Doc("what prints the results as JSON lines", ["./run-tests.sh", "--json"])]

    def run_and_judge(self, room: CheckContext) -> CheckVerdict:
        done = room.run_program(self.run)
        whole = junit.whole_run_failure(room, self.name, self.run)
        try:
            items = parse_items(done.out)
        except ValueError as error:
            detail = f"{describe_exit(done)}; the output is no list of tests: {error}"
            raise CheckFailed(detail, whole, exit=done.code) from None
        failures = tuple(
            _make_failure(item, quote_command(self.run)) for item in items if not item["passed"]
        )
        passed = len(items) - len(failures)
        detail = f"{passed} passed" + (f", {len(failures)} failed" if failures else "")
        if not failures and done.code != 0:
            raise CheckFailed(f"{describe_exit(done)}, although {detail}", whole, exit=done.code)
        if not items:
            raise CheckFailed("no tests were run: nothing was proved", whole, exit=done.code)
        return CheckVerdict(not failures, detail, failures, exit=done.code, tests=len(items))


def parse_items(data: bytes) -> list[dict[str, Any]]:
    """The items. Raises ValueError with what is wrong."""
    try:
        items = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from None
    if not isinstance(items, list):
        raise ValueError("not a list")
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise ValueError(f"item {index} is not an object")
        if not isinstance(item.get("test_name"), str) or not item["test_name"]:
            raise ValueError(f"item {index} has no test_name")
        if not isinstance(item.get("passed"), bool):
            raise ValueError(f"item {index} does not say passed: true or false")
        for key in ("test_file", "error", "execution_command", "purpose"):
            if not isinstance(item.get(key), str | None):
                raise ValueError(f"{key} of item {index} is not a text")
    return items


def _make_failure(item: dict[str, Any], command: str) -> Failure:
    message = item.get("error") or "failed, and gave no reason"
    if item.get("purpose"):
        message = f"{message}\n(what it is for: {item['purpose']})"
    again = item.get("execution_command") or command
    return Failure(item["test_name"], item.get("test_file") or "", message, again)
