"""Values that differ from those that a result was made with, for `explain`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestr.views.terminal.text import clean_line, clip

VALUE = 90  # columns of an old or new value


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that makes a cell run again: where it stands (`specs/a.yaml:7`), old and new.

    ``more`` is what lies behind it: the paths that differ between two trees.
    """

    field: str
    old: str | None
    new: str | None
    where: str = ""
    more: tuple[str, ...] = ()


def difference_lines(differences: Sequence[Difference]) -> list[str]:
    """The values that differ, each with its place, its old and its new value."""
    lines = []
    for found in differences:
        place = f"  ({found.where})" if found.where else ""
        lines.append(f"    {found.field}{place}")
        old, new = clean_line(found.old or ""), clean_line(found.new or "")
        start = max(_common_prefix_length(old, new) - VALUE // 2, 0) if old and new else 0
        for mark, value, shown in (("-", found.old, old), ("+", found.new, new)):
            if value is not None:
                cut = f"…{shown[start:]}" if start else shown or '""'
                lines.append(f"      {mark} {clip(cut, VALUE)}")
        lines += [f"        {path}" for path in found.more]
    return lines


def _common_prefix_length(one: str, two: str) -> int:
    """How many letters both begin with."""
    return next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b),
                min(len(one), len(two)))  # fmt: skip
