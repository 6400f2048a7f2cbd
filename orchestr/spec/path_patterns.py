"""The patterns of ``owned_paths``, ``shared_paths`` and contracts, as git reads a ``.gitignore``.

The one place that knows their syntax. `check_path_pattern` is the door; behind it `match_paths`
judges changed paths, and `parse_glob` gives the segments that `plan.path_overlap` compares.

``web/`` is a folder of that name at any depth, ``/web/`` and ``web/**`` are the one at the top, a
pattern with a slash inside is anchored there, ``*.md`` holds at every depth, ``*``, ``?`` and
classes stay inside a segment, ``**`` crosses segments. What git would read as something that
matches nothing (``./web``, an open ``[``) and ``!``, which would only narrow what stands before it,
are errors: an agent must not fail in the night for a pattern that owns nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from orchestr.spec.field_types import BadValue, check_line, quote_value

HINT = "patterns are relative to the repository, like src/api/** or docs/*.md"
_WILD = "*?["


def check_path_pattern(value: str) -> str:
    """A pattern that can match a path of the repository. Raises BadValue."""
    text = check_line(value)
    shown = quote_value(value)
    if text != text.strip():
        raise BadValue(f"{shown} starts or ends with a space", f"write {quote_value(text.strip())}")
    if text.startswith("!"):
        raise BadValue(
            f"{shown} takes paths out: that is not read here",
            "name the paths that are meant; a part that only another cell may change is a contract",
        )
    if text.startswith("~") or re.match(r"[A-Za-z]:", text):
        raise BadValue(f"{shown} is not relative", HINT)
    parts = text.removeprefix("/").split("/")
    if ".." in parts:
        raise BadValue(f"{shown} leaves the repository", HINT)
    if text == "/" or text in (".", "./"):
        raise BadValue(f"{shown} matches nothing, as git reads it", "for every path write **")
    if "." in parts or "" in parts[:-1]:
        plain = "/".join(p for p in text.split("/")[:-1] if p not in ("", ".")) or ""
        last = "" if parts[-1] == "." else parts[-1]
        plain = f"{plain}/{last}" if plain else last
        raise BadValue(f"{shown} matches nothing, as git reads it", f"write {quote_value(plain)}")
    if "\\" in text or text.startswith("#") or _has_open_class(text):
        raise BadValue(f"{shown} is not a plain pattern", HINT)
    if ".git" in parts:
        raise BadValue(f"{shown} is git's own folder", HINT)
    return value


def _has_open_class(text: str) -> bool:
    """Whether a ``[`` is never closed: git takes such a pattern for one that matches nothing."""
    at = text.find("[")
    while at >= 0:
        end = text.find("]", at + 3 if text[at + 1 : at + 2] in "!^" else at + 2)
        if end < 0:
            return True
        at = text.find("[", end)
    return False


def match_paths(patterns: Sequence[str]) -> Callable[[str], bool]:
    """The judge of these patterns together: whether a path is one of theirs."""
    import pathspec

    spec = pathspec.GitIgnoreSpec.from_lines(patterns)
    return lambda path: bool(spec.match_file(path))


class GlobPattern(NamedTuple):
    """A pattern cut into segments; ``literal`` is how many of the first are plain names.

    ``leaf`` is the last segment when it looks like a file (then nothing below it is meant).
    ``floating`` is the one plain name of a pattern like ``web/``, which holds at every depth.
    """

    segments: tuple[str, ...]
    literal: int
    leaf: str = ""
    floating: str = ""

    @property
    def literal_prefix(self) -> tuple[str, ...]:
        """The folders and names every matching path starts with."""
        return self.segments[: self.literal]


@lru_cache(maxsize=65536)
def parse_glob(pattern: str) -> GlobPattern | None:
    """The segments of a pattern, or None for one that matches nothing (empty, ``!x``)."""
    if pattern.startswith("!"):
        return None
    body = pattern[:-1] if pattern.endswith("/") else pattern
    anchored = "/" in body
    segments = [s for s in body.split("/") if s not in ("", ".")]
    if not segments:
        # "/" and "." mean the whole repository.
        return GlobPattern(("**",), 0) if pattern.strip() else None
    floating = ""
    if not anchored and segments[0] != "**":
        floating = "" if is_wild(segments[0]) else unescape_segment(segments[0])
        segments.insert(0, "**")
    leaf = segments[-1] if body == pattern and "." in segments[-1][1:] else ""
    if not leaf and segments[-1] != "**":
        segments.append("**")
    literal = next((i for i, s in enumerate(segments) if is_wild(s)), len(segments))
    return GlobPattern(tuple(map(unescape_segment, segments)), literal, leaf, floating)


def is_wild(segment: str) -> bool:
    """Whether a segment stands for more than one name."""
    return any(mark in segment for mark in _WILD)


def unescape_segment(segment: str) -> str:
    """A plain name without its backslashes; a segment with wildcards as it is."""
    return segment if is_wild(segment) else segment.replace("\\", "")
