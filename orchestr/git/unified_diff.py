"""A unified diff of git as records: files, their changed lines, and where they stand. Pure.

Make the diff with `DIFF_OPTIONS`; hunks are read by the counts in their heads, so that a line of
code that looks like a diff's own is nothing but a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

DIFF_OPTIONS = (
    "--no-color", "--no-ext-diff", "--no-textconv", "-M", "-U3", "--src-prefix=a/",
    "--dst-prefix=b/",
)  # fmt: skip

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_OCTAL = re.compile(rb"\\([0-7]{3}|.)")
_PLAIN = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


@dataclass(frozen=True, slots=True)
class Line:
    """A changed line; ``number`` counts from 1, on the old side for removed ones."""

    number: int
    text: str


@dataclass(slots=True)
class Block:
    """Neighbouring changed lines: what was taken away, and what stands there now."""

    removed: list[Line] = field(default_factory=list)
    added: list[Line] = field(default_factory=list)


@dataclass(slots=True)
class FileDiff:
    """One file. ``old`` or ``new`` is empty when it was not there, or is no more."""

    old: str
    new: str
    blocks: list[Block] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Where it is now, else where it was."""
        return self.new or self.old

    def removed(self) -> Iterator[Line]:
        for block in self.blocks:
            yield from block.removed

    def added(self) -> Iterator[Line]:
        for block in self.blocks:
            yield from block.added


def parse(diff: str) -> list[FileDiff]:
    """The files of a diff. What is not understood (binary files, modes) has no lines."""
    files: list[FileDiff] = []
    lines = diff.split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.startswith("diff --git "):
            old, new = _both(line.removeprefix("diff --git "))
            files.append(FileDiff(old, new))
        elif not files:
            continue
        elif line.startswith("deleted file mode"):
            files[-1].new = ""
        elif line.startswith("new file mode"):
            files[-1].old = ""
        elif line.startswith("rename from "):
            files[-1].old = _unquote(line.removeprefix("rename from "))
        elif line.startswith("rename to "):
            files[-1].new = _unquote(line.removeprefix("rename to "))
        elif line.startswith("--- ") and line != "--- /dev/null":
            files[-1].old = _side(line[4:], "a/")
        elif line.startswith("+++ ") and line != "+++ /dev/null":
            files[-1].new = _side(line[4:], "b/")
        else:
            hunk = _HUNK.match(line)
            if hunk is not None:
                at = _hunk(files[-1], hunk, lines, at)
    return files


def _hunk(file: FileDiff, head: re.Match[str], lines: list[str], at: int) -> int:
    old, new = int(head[1]), int(head[3])
    old_left = int(head[2]) if head[2] is not None else 1
    new_left = int(head[4]) if head[4] is not None else 1
    block: Block | None = None
    while at < len(lines) and (old_left > 0 or new_left > 0):
        line = lines[at]
        at += 1
        mark, text = line[:1], line[1:].removesuffix("\r")
        if mark in ("-", "+"):
            if block is None:
                block = Block()
                file.blocks.append(block)
            if mark == "-":
                block.removed.append(Line(old, text))
                old, old_left = old + 1, old_left - 1
            else:
                block.added.append(Line(new, text))
                new, new_left = new + 1, new_left - 1
        elif mark != "\\":  # "\ No newline at end of file" counts for nothing
            block = None
            old, new = old + 1, new + 1
            old_left, new_left = old_left - 1, new_left - 1
    return at


def _both(text: str) -> tuple[str, str]:
    """The two names of a ``diff --git`` line; they only differ for renames, said elsewhere."""
    if text.startswith('"'):
        end = re.match(r'"(?:[^"\\]|\\.)*"', text)
        first = end[0] if end else text
        return _side(first, "a/"), _side(text[len(first) + 1 :], "b/")
    half = len(text) // 2
    return text[:half].removeprefix("a/"), text[half + 1 :].removeprefix("b/")


def _side(text: str, prefix: str) -> str:
    return _unquote(text.removesuffix("\t")).removeprefix(prefix)


def _unquote(text: str) -> str:
    """A name as git quotes it: ``"a/\\303\\244.py"``."""
    if not (len(text) > 1 and text[0] == text[-1] == '"'):
        return text

    def plain(match: re.Match[bytes]) -> bytes:
        word = match[1]
        return bytes([int(word, 8) & 255]) if len(word) == 3 else _PLAIN.get(word, word)

    raw = _OCTAL.sub(plain, text[1:-1].encode("utf-8", "surrogateescape"))
    return raw.decode("utf-8", "replace")
