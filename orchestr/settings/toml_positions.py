"""Where a key stands in a TOML text, and which variable sets it. tomllib keeps no positions.

A scan of lines, not a parser: the text is known to be TOML already. What it cannot find (inline
tables, dotted keys, keys inside long strings) falls back to the section's line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from orchestr.settings.sections import KEYS

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*(=\s*)?")
_PARTS = re.compile(_PART)
_AT = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)$", re.DOTALL)


def find_place(text: str, path: tuple[str, ...], *, at_key: bool = False) -> tuple[int, int]:
    """Line and column from 1 of the value at ``path`` (or of its key), else of the nearest
    table around it; (0, 0) when nothing of it is in the text."""
    best: tuple[int, int, int] = (0, 0, 0)  # steps found, line, column
    table: tuple[str, ...] = ()
    tables: dict[tuple[str, ...], int] = {}  # how many [[...]] of a name there were
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.lstrip()
        header = stripped.startswith("[")
        inner = stripped.lstrip("[") if header else line
        match = _DOTTED.match(inner)
        if match is None or (match[2] is None) != header:
            continue
        names = tuple(_unquote_key(part) for part in _PARTS.findall(match[1]))
        if header:
            if stripped.startswith("[["):
                index = tables[names] = tables.get(names, -1) + 1
                names = (*names, str(index))
            table = names
            full, column = names, len(line) - len(stripped) + 1
        else:
            full = (*table, *names)
            column = (match.start(1) if at_key or full != path else match.end()) + 1
        depth = len(full)
        if path[:depth] == full and depth > best[0]:
            best = (depth, number, column)
        elif header and not best[0] and full[: len(path)] == path:
            best = (1, number, column)  # [agents.x] is where `agents` begins
    return best[1], best[2]


def parse_toml_error(message: str, text: str) -> tuple[str, int, int]:
    """Message, line and column of tomllib's error."""
    match = _AT.match(message)
    if match is None:
        return message, 0, 0
    if match[2] is None:
        return match[1], text.rstrip("\n").count("\n") + 1, 0
    return match[1], int(match[2]), int(match[3])


def environment_variables(raw: Mapping[str, Any], prefix: str) -> dict[str, tuple[str, ...]]:
    """Every environment variable that can set something, with the path that it sets.

    ``repos``, ``agents`` and ``mcp`` hold tables by name, so only declared names have variables.
    """
    known: dict[str, tuple[str, ...]] = {}
    for section, keys in KEYS.items():
        if section in ("repos", "agents", "mcp"):
            tables = raw.get(section)
            for name in tables if isinstance(tables, dict) else ():
                for key in keys:
                    known[_variable_name(prefix, section, name, key)] = (section, name, key)
        else:
            for key in keys:
                known[_variable_name(prefix, section, key)] = (section, key)
    known[_variable_name(prefix, "agents", "default")] = ("agents", "default")
    return known


def _variable_name(prefix: str, *parts: str) -> str:
    return prefix + re.sub(r"[^A-Z0-9]", "_", "_".join(parts).upper())


def _unquote_key(part: str) -> str:
    if part.startswith("'"):
        return part[1:-1]
    return re.sub(r"\\(.)", r"\1", part[1:-1]) if part.startswith('"') else part
