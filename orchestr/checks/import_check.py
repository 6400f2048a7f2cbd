"""Kind `import_check`: the project's Python can import a module, in the right version (row E91)."""

from __future__ import annotations

import json
import os
from itertools import zip_longest

from orchestr.checks import find_program
from orchestr.checks.base import Failed, Failure, Verdict, shown
from orchestr.checks.room import Room
from orchestr.checks.runner import Runner
from orchestr.spec.check_field_types import bounds
from orchestr.spec.checks import ImportCheck

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


class Import(Runner[ImportCheck]):
    """One import in a process of its own."""

    def judge(self, room: Room) -> Verdict:
        wanted = self._definition
        python = find_program.find_python(room.worktree, room.cwd, room.env)
        if python is None:
            where = find_program.searched(room.worktree, room.cwd, room.env)
            raise Failed(f"there is no Python: looked in {where}")
        path = os.pathsep.join(filter(None, [str(room.cwd), room.env.get("PYTHONPATH", "")]))
        done = room.run(
            [python, "-c", _PROGRAM, wanted.module], env={**room.env, "PYTHONPATH": path}
        )
        again = shown(["python3", "-c", f"import {wanted.module}"])
        failure = Failure(wanted.name, message=room.tail(), command=again)
        if done.code != 0:
            detail = f"{wanted.module} cannot be imported"
            raise Failed(detail, failure, exit=done.code)
        try:
            version = json.loads(done.text.splitlines()[-1])["version"]
        except (ValueError, KeyError, IndexError, TypeError):
            detail = f"importing {wanted.module} gave no answer"
            raise Failed(detail, failure, exit=done.code) from None
        if wanted.version is None:
            return Verdict(True, f"{wanted.module} {version or ''}".rstrip(), exit=0)
        if version is None:
            raise Failed(f"{wanted.module} has no version, {wanted.version} is wanted", failure)
        good = satisfies(version, wanted.version)
        detail = f"{wanted.module} {version}" + ("" if good else f", not {wanted.version}")
        return Verdict(good, detail, () if good else (failure,), exit=0)


def satisfies(version: str, wanted: str) -> bool:
    """Whether a version lies within the bounds; its leading numbers count (``1.2rc1``: 1.2)."""
    have = _numbers(version)
    for operator, bound in bounds(wanted):
        pairs = list(zip_longest(have, bound, fillvalue=0))
        ours, theirs = [a for a, _ in pairs], [b for _, b in pairs]
        good = {
            "==": ours == theirs, "!=": ours != theirs, ">=": ours >= theirs,
            "<=": ours <= theirs, ">": ours > theirs, "<": ours < theirs,
        }[operator]  # fmt: skip
        if not good:
            return False
    return True


def _numbers(version: str) -> list[int]:
    found = []
    for part in version.partition("+")[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
        if digits != part:
            break
    return found
