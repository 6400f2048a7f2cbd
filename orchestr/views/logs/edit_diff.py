"""The diff of an edit that an agent's tool was asked for, for `logs`. Pure."""

from __future__ import annotations

import difflib
from typing import Any

from orchestr.views.terminal.text import printable_line

_BIG = 64 * 1024  # letters of an edit that are compared


def printable_lines(text: Any) -> list[str]:
    """The lines of a text with their indentation, safe for a terminal."""
    return [printable_line(line) for line in text.splitlines()] if isinstance(text, str) else []


def diff_of_edit(given: dict[str, Any]) -> list[str]:
    """The diff of an edit that a tool was asked for, by the names that the agents use."""
    edits = given.get("edits")
    pairs = [e for e in edits if isinstance(e, dict)] if isinstance(edits, list) else [given]
    lines: list[str] = []
    for pair in pairs:
        old = pair.get("old_string", pair.get("oldString"))
        new = pair.get("new_string", pair.get("newString", pair.get("content")))
        if not isinstance(new, str) or (old is None and "command" in pair):
            continue
        old = old if isinstance(old, str) else ""
        before, after = printable_lines(old[:_BIG]), printable_lines(new[:_BIG])
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
