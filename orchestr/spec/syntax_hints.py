"""What to change in a line that is not YAML. Pure: from the line and the place to a hint."""

from __future__ import annotations

import re

from orchestr.spec.field_types import escape_unprintable
from orchestr.spec.split_texts import quote_text

_STRUCTURE = re.compile(r"[ \t]*(?:[-?][ \t]+)*")  # of a line, before its first key or text
_VALUE = re.compile(r"\s*((?:-\s+)+|[A-Za-z_-]+:\s+)$")  # what stands before the text of a line
_CLOSING = {"[": "]", "{": "}"}
_COMMENT = re.compile(r"\s(#\S*)")
_OPENS = re.compile(
    r"(?:^|(?<=[\s\[{,]))[\[{]"
)  # a bracket that begins a collection, not one in a text
NEEDS_QUOTES = (
    "text with `: `, or starting with one of `@ * & ! % [ { \" ' | > #` or a backtick, "
    "needs quotes:"
)


def explain_syntax_error(written: str, column: int, context: str, *, ends_later: bool) -> str:
    """What to change in the line ``written``, whose ``column`` (from 1) is not YAML."""
    if "\t" in written[:column] and not written[:column].strip():
        return "indent with spaces: YAML does not allow tabs"
    quote = _find_open_quote(written)
    tab = "\t" in _STRUCTURE.match(written)[0]  # type: ignore[index]
    if tab or written[column - 1 : column] == "\t":
        return "write spaces instead of the tab: YAML does not allow tabs there"
    if quote is not None or "quoted scalar" in context:
        found = column - 1 if quote is None else quote
        mark = written[found : found + 1]
        if mark in ("'", '"') and not _VALUE.match(written[:found]):
            return f"close the quote {mark} of column {found + 1}, or leave it out"
    bracket = written[column - 1 : column]
    comment = _COMMENT.search(written, column) if ends_later and bracket in _CLOSING else None
    if comment is not None:
        return (
            f"`{comment[1]}` starts a comment there: {_quote_flow_item(written, comment.start(1))}"
        )
    if ends_later and bracket in _CLOSING:
        return f"close the bracket {bracket} of column {column} with {_CLOSING[bracket]}"
    if _is_in_flow(written, column - 1):
        return f"inside of [...] and {{...}} {_quote_flow_item(written, column - 1)}"
    return _quote_hint(written)


def _find_open_quote(written: str) -> int | None:
    """Where a quoted text begins that has no end in its line, or None."""
    opened: int | None = None
    index = 0
    while index < len(written):
        char = written[index]
        if opened is None:
            if char in "\"'" and (index == 0 or written[index - 1] in " \t[{,"):
                opened = index
            elif char == "#" and (index == 0 or written[index - 1] in " \t"):
                break
        elif char == "\\" and written[opened] == '"':
            index += 1
        elif char == written[opened]:
            if char == "'" and written[index + 1 : index + 2] == "'":
                index += 1
            else:
                opened = None
        index += 1
    return opened


def _quote_hint(written: str) -> str:
    """Advise quotes, with the very line where there is one."""
    match = re.match(r"\s*((?:-\s+)+|[A-Za-z_-]+:\s+)(.+?)\s*$", written)
    if match is None:
        return f'{NEEDS_QUOTES} - "..."'
    prefix, text = match[1], match[2]
    if text[0] in "\"'" and text.find(text[0], 1) in (-1, len(text) - 1):
        text = text.strip(text[0])
    quoted = "'" + text.replace("'", "''") + "'" if '"' in text else f'"{text}"'
    return f"{NEEDS_QUOTES} {escape_unprintable(prefix + quoted)}"


def _is_in_flow(written: str, place: int) -> bool:
    """Whether a collection in brackets is open before ``place`` (from 0) of the line."""
    before = written[:place]
    return len(_OPENS.findall(before)) > before.count("]") + before.count("}")


def _quote_flow_item(written: str, place: int) -> str:
    """The text around ``place`` (from 0) between two commas or brackets, in quotes."""
    starts = [m.end() for m in _OPENS.finditer(written, 0, place)]
    starts += [m.end() for m in re.finditer(r",(?=\s|$)", written[:place])]
    start, end = max(starts, default=0), place
    depth = 0
    while end < len(written):
        char = written[end]
        if char in "[{":
            depth += 1
        elif char in "]}":
            depth -= 1
            if depth < 0:
                break
        elif char == "," and depth == 0:
            break
        end += 1
    text = written[start:end].strip()
    key = re.match(r"[A-Za-z_-]+:\s+(?=\S)", text)
    text = text[key.end() :] if key is not None else text
    if not text:
        return "there is nothing between two commas: remove one"
    return f"this text needs quotes: {escape_unprintable(quote_text(text))}"
