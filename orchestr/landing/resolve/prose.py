"""Read Markdown, reStructuredText and YAML as trees of lines.

Prose nests by headings, and below them by indentation; its items are paragraphs, list entries,
table rows and fenced blocks. YAML nests by indentation alone; an item is a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from orchestr.landing.resolve.languages import MARKDOWN, Kind, Language
from orchestr.landing.resolve.tree import Block, Item, Refused, Token, move_item

_ENTRY = re.compile(r"[ \t]*(?:[-*+]|\d+[.)]|#\.)(?:[ \t]+|$)")
_HEADING = re.compile(r"(#{1,6})(?:[ \t]+|$)")
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_UNDERLINE = re.compile(r"([=\-~^\"'`#*+.:_<>])\1{2,}[ \t]*$")
_DEFINITION = re.compile(r"(?:\[[^\]]+\]:|\.\. _[^:]+:|\.\. \[[^\]]+\]|\.\. \|[^|]+\|)")
_YAML_KEY = re.compile(
    r"(\"[^\"]*\"|'[^']*'|[^\s#\"'\[\]{},&*!|>%@`-][^#]*?|-[^\s#][^#]*?):(?:\s|$)"
)
_PUNCTUATION = "=-~^\"'`#*+.:_<>"


@dataclass(frozen=True)
class _Piece:
    """Lines that belong together. ``level``: of a heading, 0 for anything else."""

    lines: tuple[str, ...]
    kind: str
    level: int = 0


def parse_lines(text: str, language: Language) -> Block:
    """The tree of a text that ends with a newline or is empty. Raises Refused."""
    lines = text.split("\n")[:-1]
    cut = _cut_yaml if language.kind is Kind.YAML else _cut_prose
    items: list[tuple[int, Item]] = []
    pending = ""
    for piece in cut(lines, language):
        if piece.kind == "blank":
            pending += piece.lines[0] + "\n"
            continue
        first = piece.lines[0]
        indentation = first[: len(first) - len(first.lstrip(" \t"))]
        content = "\n".join(piece.lines)[len(indentation) :]
        item = Item((Token(content, piece.kind, pending + indentation),))
        items.append((piece.level, item))
        pending = ""
    block = Block(_nest_below_headings(items), pending)
    if block.source != text:
        raise Refused("the tree is not the text")
    return block


def find_line_name(token: Token) -> str | None:
    """The name of an item of prose or YAML: a heading's words, a key, a link's label."""
    if token.kind == "heading":
        words = [line for line in token.text.split("\n") if line.strip(_PUNCTUATION + " \t")]
        return words[0].strip("# \t") if words else None
    if token.kind == "definition":
        found = _DEFINITION.match(token.text)
        return found[0] if found else None
    if token.kind == "key":
        found = _YAML_KEY.match(token.text)
        return found[1] if found else None
    return token.text if token.kind == "dash" else None


# --- YAML ---------------------------------------------------------------------------------------


def _cut_yaml(lines: list[str], _: Language) -> Iterator[_Piece]:
    for line in lines:
        content = line.strip()
        if not content or content.startswith("#"):
            yield _Piece((line,), "blank")
        elif content == "-" or content.startswith("- "):
            yield _Piece((line,), "dash")
        else:
            yield _Piece((line,), "key" if _YAML_KEY.match(content) else "line")


# --- prose --------------------------------------------------------------------------------------


def _cut_prose(lines: list[str], language: Language) -> Iterator[_Piece]:
    levels: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            yield _Piece((line,), "blank")
            at += 1
            continue
        size, kind, level = _measure_piece(lines, at, language, levels)
        yield _Piece(tuple(lines[at : at + size]), kind, level)
        at += size


def _measure_piece(
    lines: list[str], at: int, language: Language, levels: list[str]
) -> tuple[int, str, int]:
    """How many lines belong together, what they are, and a heading's level."""
    line = lines[at]
    fence = _FENCE.match(line) if language is MARKDOWN else None
    if fence:
        return _find_fence_end(lines, at, fence[1]) - at, "fence", 0
    mark = _HEADING.match(line) if language is MARKDOWN else None
    if mark:
        return 1, "heading", len(mark[1])
    underlined = _measure_underlined(lines, at, language, levels)
    if underlined:
        return underlined[0], "heading", underlined[1]
    if line.lstrip().startswith("|"):
        return 1, "row", 0
    if _DEFINITION.match(line):
        return 1, "definition", 0
    end = at + 1
    while end < len(lines) and lines[end].strip() and not _begins_piece(lines, end, language):
        end += 1
    return end - at, "entry" if _ENTRY.match(line) else "line", 0


def _begins_piece(lines: list[str], at: int, language: Language) -> bool:
    line = lines[at]
    if _ENTRY.match(line) or line.lstrip().startswith("|") or _DEFINITION.match(line):
        return True
    if language is MARKDOWN:
        return bool(_FENCE.match(line) or _HEADING.match(line))
    return line.startswith(".. ")


def _find_fence_end(lines: list[str], at: int, fence: str) -> int:
    for end in range(at + 1, len(lines)):
        content = lines[end].strip()
        if content.startswith(fence) and not content.strip(fence[0]):
            return end + 1
    raise Refused("a fence that is not closed")


def _measure_underlined(
    lines: list[str], at: int, language: Language, levels: list[str]
) -> tuple[int, int] | None:
    over = _UNDERLINE.match(lines[at]) if language is not MARKDOWN else None
    start = at + 1 if over else at
    if (
        start + 1 >= len(lines)
        or not lines[start].strip()
        or (lines[start][0] in " \t" and not over)
    ):
        return None
    under = _UNDERLINE.match(lines[start + 1])
    if under is None or _ENTRY.match(lines[start]) or (over and over[1] != under[1]):
        return None
    if language is MARKDOWN:
        level = {"=": 1, "-": 2}.get(under[1])
        return (2, level) if level and not lines[start].startswith("|") else None
    if len(lines[start + 1].rstrip()) < len(lines[start].rstrip()):
        return None
    style = ("o" if over else "u") + under[1]
    if style not in levels:
        levels.append(style)
    return (3 if over else 2), levels.index(style) + 1


# --- nesting ------------------------------------------------------------------------------------


def _nest_below_headings(items: list[tuple[int, Item]]) -> tuple[Item, ...]:
    """Give every heading what stands below it, up to the next one that is not deeper."""
    found: list[Item] = []
    at = 0
    while at < len(items):
        level, item = items[at]
        end = at + 1
        if level:
            while end < len(items) and not 0 < items[end][0] <= level:
                end += 1
            item = replace(item, body=Block(_nest_below_headings(items[at + 1 : end])))
            found.append(item)
        else:
            while end < len(items) and not items[end][0]:
                end += 1
            found += _nest_by_column(tuple(item for _, item in items[at:end]))
        at = end
    return tuple(found)


def _find_column(item: Item) -> int:
    """Where an item begins; a dash may stand below the key that it belongs to."""
    column = len(item.lead.rpartition("\n")[2].expandtabs(4))
    token = item.head[0]
    return 2 * column + (isinstance(token, Token) and token.kind == "dash")


def _nest_by_column(items: tuple[Item, ...]) -> list[Item]:
    """Give every item the deeper ones behind it."""
    found: list[Item] = []
    at = 0
    while at < len(items):
        end = at + 1
        column = _find_column(items[at])
        while end < len(items) and _find_column(items[end]) > column:
            end += 1
        body = Block(tuple(_nest_by_column(items[at + 1 : end]))) if end > at + 1 else None
        found.append(replace(items[at], body=body))
        at = end
    return found


def join_prose(ours: list[Item], theirs: list[Item]) -> list[Item]:
    """What both added at one place; what goes on with the list before it comes first."""
    if "\n" in ours[0].lead and "\n" not in theirs[0].lead:
        ours, theirs = theirs, ours
    token = theirs[0].head[0]
    if isinstance(token, Token) and token.kind == "heading" and "\n" not in theirs[0].lead:
        theirs = [move_item(theirs[0], "\n" + theirs[0].lead), *theirs[1:]]
    return [*ours, *theirs]


def check_shared_prose(items: list[Item]) -> None:
    """Refuse a paragraph or a fenced block that both sides added among others: it says something
    about what stands beside it (as "Example:" does), and both need their own."""
    for item in items:
        token = item.head[0]
        if isinstance(token, Token) and token.kind in ("line", "fence"):
            raise Refused("both sides added the same paragraph beside others")


def tighten_entries(items: list[Item], versions: Sequence[Block]) -> list[Item]:
    """The merged items, without blank lines between entries where no version has any there: each
    side's entry was the first of its list, below the blank line that stands above a list."""
    if any(_list_gaps(block.items) for block in versions):
        return items
    gaps = set(_list_gaps(items))
    return [
        move_item(item, item.lead.rpartition("\n")[2]) if at in gaps else item
        for at, item in enumerate(items)
    ]


def _list_gaps(items: Sequence[Item]) -> list[int]:
    """The places of entries that follow an entry after a blank line."""
    return [
        at
        for at in range(1, len(items))
        if _is_entry(items[at - 1]) and _is_entry(items[at])
        and "\n" in items[at].lead and not items[at].lead.strip()
    ]  # fmt: skip


def _is_entry(item: Item) -> bool:
    token = item.head[0]
    return isinstance(token, Token) and token.kind == "entry"
