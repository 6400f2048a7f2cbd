"""Where the parts of a spec stand, also when some of them come from other files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from orchestr.errors import Problem
from orchestr.spec.field_types import quote_value

Path_ = tuple[str | int, ...]  # the steps from the whole document to a value


class Place(NamedTuple):
    """Where something stands. Line and column count from 1."""

    file: str
    line: int
    column: int


class OtherMark(NamedTuple):
    """The mark of a node from another file than the document's own."""

    file: str
    line: int
    column: int


def place_of(mark: Any, file: str) -> Place:
    """The place of a node's mark; ``file`` is the one whose marks are YAML's own."""
    return Place(getattr(mark, "file", file), mark.line + 1, mark.column + 1)


def make_problem_at(
    place: Place,
    spec: str,
    path: Sequence[str | int],
    message: str,
    hint: str | None = None,
    severity: str = "error",
) -> Problem:
    """A problem of ``spec`` at a place that may be in a file which the spec takes in."""
    reader = spec if spec != place.file else ""
    return Problem(*place, field_name(path), message, hint, severity, reader)


def make_problem_of_node(
    node: Any, spec: str, path: Sequence[str | int], message: str, hint: str | None = None
) -> Problem:
    """A problem of ``spec`` at the start of a node, of its own file or of one that it takes in."""
    return make_problem_at(place_of(node.start_mark, spec), spec, path, message, hint)


def field_name(path: Sequence[str | int]) -> str:
    """``cells.java-sdk.depends_on[0]``, with odd characters escaped."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + quote_value(step)[1:-1]
    return text
