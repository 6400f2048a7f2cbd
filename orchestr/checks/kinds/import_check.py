"""Kind `import_check`: the project's Python can import a module, in the right version."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, ClassVar

from orchestr.checks import find_program
from orchestr.checks.base import CheckFailed, CheckUnavailable, CheckVerdict, Failure, quote_command
from orchestr.checks.definition import CheckDefinition
from orchestr.spec.check_field_types import check_module, check_version, parse_version_bounds
from orchestr.spec.fields import Doc, Rule

if TYPE_CHECKING:
    from orchestr.checks.room import CheckContext

# Prints one JSON line last: what the module prints itself while it is imported does not matter.
_PROGRAM = """\
import importlib, json, sys
from importlib import metadata
name = sys.argv[1]
module = importlib.import_module(name)
version = getattr(module, "__version__", None)
if not isinstance(version, str):
    top = name.partition(".")[0]
    version = None
    for dist in metadata.packages_distributions().get(top, [top]):
        try:
            version = metadata.version(dist)
            break
        except metadata.PackageNotFoundError:
            pass
print()
print(json.dumps({"version": version, "file": getattr(module, "__file__", None)}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportCheck(CheckDefinition):
    """A Python module can be imported; ``version`` is exact (``1.2``) or bounds (``>=1.2,<2``)."""

    kind: ClassVar[str] = "import_check"
    usual_timeout: ClassVar[float] = 60.0

    module: Annotated[str, Rule(check_module), Doc("the module that must import", "my_package")]
    version: Annotated[
        Annotated[str, Rule(check_version)] | None, Doc("exact, or bounds", ">=1.2,<2")
    ] = None

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        return (("python3",),)

    def run_and_judge(self, room: CheckContext) -> CheckVerdict:
        python = find_program.find_python(room.worktree, room.cwd, room.env)
        if python is None:
            where = find_program.describe_search_path(room.worktree, room.cwd, room.env)
            raise CheckUnavailable(f"there is no Python: looked in {where}")
        path = os.pathsep.join(filter(None, [str(room.cwd), room.env.get("PYTHONPATH", "")]))
        done = room.run_program(
            [*python, "-c", _PROGRAM, self.module], env={**room.env, "PYTHONPATH": path}
        )
        find_program.refuse_uv_fault(python, done.code, done.err.decode("utf-8", "replace"))
        again = quote_command(["python3", "-c", f"import {self.module}"])
        failure = Failure(self.name, message=room.read_log_tail(), command=again)
        if done.code != 0:
            detail = f"{self.module} cannot be imported"
            raise CheckFailed(detail, failure, exit=done.code)
        try:
            version = json.loads(done.text.splitlines()[-1])["version"]
        except (ValueError, KeyError, IndexError, TypeError):
            detail = f"importing {self.module} gave no answer"
            raise CheckFailed(detail, failure, exit=done.code) from None
        if self.version is None:
            return CheckVerdict(True, f"{self.module} {version or ''}".rstrip(), exit=0)
        if version is None:
            raise CheckFailed(f"{self.module} has no version, {self.version} is wanted", failure)
        good = version_satisfies(version, self.version)
        detail = f"{self.module} {version}" + ("" if good else f", not {self.version}")
        return CheckVerdict(good, detail, () if good else (failure,), exit=0)


def version_satisfies(version: str, wanted: str) -> bool:
    """Whether a version lies within the bounds; its leading numbers count (``1.2rc1``: 1.2)."""
    have = _leading_numbers(version)
    for operator, bound in parse_version_bounds(wanted):
        pairs = list(zip_longest(have, bound, fillvalue=0))
        ours, theirs = [a for a, _ in pairs], [b for _, b in pairs]
        good = {
            "==": ours == theirs, "!=": ours != theirs, ">=": ours >= theirs,
            "<=": ours <= theirs, ">": ours > theirs, "<": ours < theirs,
        }[operator]  # fmt: skip
        if not good:
            return False
    return True


def _leading_numbers(version: str) -> list[int]:
    found = []
    for part in version.partition("+")[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
        if digits != part:
            break
    return found
