"""Our part of a pull request's body: what is between two marker comments, and only that.

A marker is a whole line that is one of ours exactly, outside fenced code; a quoted, indented
or embedded one is text. What a person wrote outside our part stays byte for
byte, line ends included (editing on a forge's page makes them CRLF).

Pure. The invariant, for every body ``b`` and blocks ``x``, ``y``: ``splice(splice(b, x), y) ==
splice(b, y)``. So a body may be brought up to date any number of times, and one that needs nothing
comes back equal and is not edited.

Broken bodies: of several blocks the first is replaced and the rest removed; a begin without an
end is replaced where it stands, and what follows it is kept, because its author is unknown;
other single markers are removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

END = "<!-- orchestr:end -->"
_BEGIN = re.compile(r"<!-- orchestr:begin(?: [a-z]+=[A-Za-z0-9_.-]+)* -->[ \t]*")
_END = re.compile(re.escape(END) + r"[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)", re.DOTALL)
_NAMED = re.compile(r" ([a-z]+)=([A-Za-z0-9_.-]+)")
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]")


def begin_marker(feature: str, cell: str) -> str:
    """The first line of a cell's part."""
    names = (_UNFIT.sub("_", name) or "_" for name in (feature, cell))
    return "<!-- orchestr:begin feature={} cell={} -->".format(*names)


def read_owner(body: str) -> tuple[str, str] | None:
    """Feature and cell that the first of our parts in a body names; None when there is none."""
    lines = body.split("\n")
    for span in _find_spans(lines):
        if _is_begin_marker(lines[span.first]):
            named = dict(_NAMED.findall(lines[span.first]))
            if "feature" in named and "cell" in named:
                return named["feature"], named["cell"]
    return None


def read_block(body: str) -> str | None:
    """Our part of a body with its markers, as `wrap_block` makes it; None when there is none."""
    lines = body.replace("\r\n", "\n").split("\n")
    whole = next((span for span in _find_spans(lines) if span.whole), None)
    return None if whole is None else "\n".join(lines[whole.first : whole.last + 1])


def is_owned_by_other(body: str, feature: str, cell: str, former: Iterable[str] = ()) -> bool:
    """Whether the markers in a body name another cell than this one; ``former`` are names that it
    had before, as ``feature/cell``."""
    owner = read_owner(body)
    own = [(feature, cell), *(tuple(key.split("/", 1)) for key in former)]
    return owner is not None and begin_marker(*owner) not in {begin_marker(*one) for one in own}


def wrap_block(feature: str, cell: str, text: str) -> str:
    """Text between the two markers; no line end after the last."""
    return f"{begin_marker(feature, cell)}\n{text.strip()}\n{END}"


@dataclass(frozen=True, slots=True)
class _Span:
    """Lines ``first`` to ``last`` (inclusive) are ours; ``whole`` with both markers."""

    first: int
    last: int
    whole: bool


def splice_block(body: str, block: str) -> str:
    """``body`` with our part replaced by ``block``, appended when there is none.

    ``block`` comes from `wrap_block`. Raises ValueError for anything else, because a block with
    other markers inside could not be found again.
    """
    _require_valid_block(block)
    lines = body.split("\n")
    spans = _find_spans(lines)
    place = next((s for s in spans if s.whole), None) or next(
        (s for s in spans if _is_begin_marker(lines[s.first])), None
    )
    ours = {n for span in spans for n in range(span.first, span.last + 1)}
    if place is None:
        outside = "\n".join(line for n, line in enumerate(lines) if n not in ours)
        newline = _detect_newline(outside, "")
        return outside + _blank_line_before(outside, newline) + block.replace("\n", newline)
    before = [line for n, line in enumerate(lines[: place.first]) if n not in ours]
    after = [line for n, line in enumerate(lines) if n > place.last and n not in ours]
    old_last = lines[place.last]
    rest = "\r" if old_last.endswith("\r") else ""  # half of the line end after our part
    head = "".join(f"{line}\n" for line in before)
    tail = rest + "".join(f"\n{line}" for line in after)
    newline = _detect_newline(head + tail, lines[place.first] if place.whole else "")
    return head + block.replace("\n", newline) + tail


def _find_spans(lines: list[str]) -> list[_Span]:
    """Our parts and our single markers, in order. A begin belongs to the nearest end below."""
    fenced = _fenced_lines(lines)
    spans: list[_Span] = []
    opened: int | None = None
    for n, line in enumerate(lines):
        if n in fenced:
            continue
        if _is_begin_marker(line):
            if opened is not None:
                spans.append(_Span(opened, opened, False))
            opened = n
        elif _END.fullmatch(line.removesuffix("\r")):
            spans.append(_Span(n if opened is None else opened, n, opened is not None))
            opened = None
    if opened is not None:
        spans.append(_Span(opened, opened, False))
    return spans


def _is_begin_marker(line: str) -> bool:
    return _BEGIN.fullmatch(line.removesuffix("\r")) is not None


def _fenced_lines(lines: list[str]) -> set[int]:
    """The lines in closed code fences. One that is never closed hides nothing of ours."""
    found: set[int] = set()
    n = 0
    while n < len(lines):
        opening = _FENCE.fullmatch(lines[n])
        last = (
            _find_closing_fence(lines, n, opening[1]) if opening and _opens_fence(opening) else None
        )
        if last is None:
            n += 1
            continue
        found.update(range(n, last + 1))
        n = last + 1
    return found


def _opens_fence(match: re.Match[str]) -> bool:
    return match[1][0] == "~" or "`" not in match[2]


def _find_closing_fence(lines: list[str], first: int, fence: str) -> int | None:
    for n in range(first + 1, len(lines)):
        match = _FENCE.fullmatch(lines[n])
        if match and match[1].startswith(fence) and not match[2].strip():
            return n
    return None


def _detect_newline(outside: str, old_marker: str) -> str:
    """The line end that most of the text outside has, so that our part is like the rest."""
    crlf = outside.count("\r\n")
    alone = outside.count("\n") - crlf
    if crlf == alone == 0:
        return "\r\n" if old_marker.endswith("\r") else "\n"
    return "\r\n" if crlf > alone else "\n"


def _blank_line_before(outside: str, newline: str) -> str:
    """What makes an empty line between a person's text and ours."""
    if not outside:
        return ""
    last = outside.replace("\r\n", "\n")
    if last.endswith("\n\n"):
        return ""
    return newline if last.endswith("\n") else newline * 2


def _require_valid_block(block: str) -> None:
    lines = block.split("\n")
    if (
        not _is_begin_marker(lines[0])
        or "\r" in block
        or _find_spans(lines) != [_Span(0, len(lines) - 1, True)]
    ):
        raise ValueError("not a block between two markers of ours")
    if any((match := _FENCE.fullmatch(line)) and _opens_fence(match) for line in lines):
        raise ValueError("a code fence in the block could hide its end")
