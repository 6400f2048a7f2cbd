"""Kind `exports`: names that other code relies on are in the files that are to offer them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from orchestr.checks.base import CheckFailed, CheckVerdict, Failure
from orchestr.checks.definition import CheckDefinition
from orchestr.files import read_file
from orchestr.spec.fields import Doc, Line, NotEmpty, Pattern
from orchestr.spec.path_patterns import match_paths

if TYPE_CHECKING:
    from orchestr.checks.room import CheckContext


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportsCheck(CheckDefinition):
    """Each of ``names`` stands, as a whole word, in a file that ``paths`` (gitignore patterns from
    the top of the worktree) matches. It reads text and starts no program."""

    kind: ClassVar[str] = "exports"
    usual_timeout: ClassVar[float] = 60.0

    paths: Annotated[tuple[Pattern, ...], NotEmpty(), Doc("where they must be", ["api/**"])]
    names: Annotated[tuple[Line, ...], NotEmpty(), Doc("what must be there", ["Search"])]

    def run_and_judge(self, room: CheckContext) -> CheckVerdict:
        files = sorted(list_matching_files(room.worktree, self.paths))
        where = ", ".join(self.paths)
        if not files:
            raise CheckFailed(f"no file matches {where}", Failure(self.name))
        left = {name: compile_name(name) for name in self.names}
        for path in files:
            with suppress(OSError):  # a link that leads nowhere offers nothing
                place = (room.worktree / path).resolve(strict=True)
                if not place.is_relative_to(room.worktree.resolve()):
                    continue  # nor does one that leads out of what is built
                text = read_file(place).decode("utf-8", "replace")
                left = {name: word for name, word in left.items() if not word.search(text)}
            if not left:
                return CheckVerdict(True, f"{len(self.names)} in {where}")
        failures = tuple(
            Failure(name, files[0], f"{name} is in no file that {where} matches") for name in left
        )
        return CheckVerdict(False, f"missing in {where}: {', '.join(left)}", failures)


def compile_name(name: str) -> re.Pattern[str]:
    """The whole word or words, wherever letters, digits and ``_`` end on both sides."""
    return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")


def list_matching_files(root: Path, patterns: Sequence[str]) -> Iterator[str]:
    """The files below ``root`` that gitignore patterns match, without git's own."""
    matches = match_paths(patterns)
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name != ".git"]
        for name in files:
            path = Path(folder, name).relative_to(root).as_posix()
            if matches(path):
                yield path
