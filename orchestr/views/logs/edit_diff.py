"""The diff of the edits that an agent's tool was asked for, for `logs`. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from orchestr.agents.events import TextEdit
from orchestr.views.terminal.text import printable_line

_BIG = 64 * 1024  # letters of an edit that are compared


def printable_lines(text: str) -> list[str]:
    """The lines of a text with their indentation, safe for a terminal."""
    return [printable_line(line) for line in text.splitlines()]


def diff_of_edits(edits: Iterable[TextEdit]) -> list[str]:
    """The changed lines with their neighbours, without headings."""
    lines: list[str] = []
    for edit in edits:
        before, after = printable_lines(edit.before[:_BIG]), printable_lines(edit.after[:_BIG])
        found = difflib.unified_diff(before, after, lineterm="", n=2)
        lines += [line for line in list(found)[2:] if not line.startswith("@@ ")]
    return lines


def diff_style(line: str) -> str:
    """The style of a line of a diff, by its first character."""
    match line[:1]:
        case "+":
            return "green"
        case "-":
            return "red"
        case "@":
            return "cyan"
        case _:
            return "dim"
