"""A unified diff of git as records: files, their changed lines, and where they stand. Pure.

Make the diff with `DIFF_OPTIONS`; hunks are read by the counts in their heads, so that a line of
code that looks like a diff's own is nothing but a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

DIFF_OPTIONS = ("-M", "-U3")

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_OCTAL = re.compile(rb"\\([0-7]{3}|.)")
_PLAIN = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


@dataclass(frozen=True, slots=True)
class ChangedLine:
    """A changed line; ``number`` counts from 1, on the old side for removed ones."""

    number: int
    text: str


@dataclass(slots=True)
class ChangedBlock:
    """Neighbouring changed lines: what was taken away, and what stands there now."""

    removed: list[ChangedLine] = field(default_factory=list)
    added: list[ChangedLine] = field(default_factory=list)


@dataclass(slots=True)
class FileChanges:
    """One file. ``old`` or ``new`` is empty when it was not there, or is no more."""

    old: str
    new: str
    blocks: list[ChangedBlock] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Where it is now, else where it was."""
        return self.new or self.old

    def removed_lines(self) -> Iterator[ChangedLine]:
        for block in self.blocks:
            yield from block.removed

    def added_lines(self) -> Iterator[ChangedLine]:
        for block in self.blocks:
            yield from block.added


def parse_diff(diff: str) -> list[FileChanges]:
    """The files of a diff. What is not understood (binary files, modes) has no lines."""
    files: list[FileChanges] = []
    lines = diff.split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.startswith("diff --git "):
            old, new = _split_header_paths(line.removeprefix("diff --git "))
            files.append(FileChanges(old, new))
        elif not files:
            continue
        elif line.startswith("deleted file mode"):
            files[-1].new = ""
        elif line.startswith("new file mode"):
            files[-1].old = ""
        elif line.startswith("rename from "):
            files[-1].old = _unquote_path(line.removeprefix("rename from "))
        elif line.startswith("rename to "):
            files[-1].new = _unquote_path(line.removeprefix("rename to "))
        elif line.startswith("--- ") and line != "--- /dev/null":
            files[-1].old = _parse_path(line[4:], "a/")
        elif line.startswith("+++ ") and line != "+++ /dev/null":
            files[-1].new = _parse_path(line[4:], "b/")
        else:
            hunk = _HUNK.match(line)
            if hunk is not None:
                at = _read_hunk(files[-1], hunk, lines, at)
    return files


def _read_hunk(file: FileChanges, head: re.Match[str], lines: list[str], at: int) -> int:
    old, new = int(head[1]), int(head[3])
    old_left = int(head[2]) if head[2] is not None else 1
    new_left = int(head[4]) if head[4] is not None else 1
    block: ChangedBlock | None = None
    while at < len(lines) and (old_left > 0 or new_left > 0):
        line = lines[at]
        at += 1
        mark, text = line[:1], line[1:].removesuffix("\r")
        if mark in ("-", "+"):
            if block is None:
                block = ChangedBlock()
                file.blocks.append(block)
            if mark == "-":
                block.removed.append(ChangedLine(old, text))
                old, old_left = old + 1, old_left - 1
            else:
                block.added.append(ChangedLine(new, text))
                new, new_left = new + 1, new_left - 1
        elif mark != "\\":  # "\ No newline at end of file" counts for nothing
            block = None
            old, new = old + 1, new + 1
            old_left, new_left = old_left - 1, new_left - 1
    return at


def _split_header_paths(text: str) -> tuple[str, str]:
    """The two names of a ``diff --git`` line; they only differ for renames, said elsewhere."""
    if text.startswith('"'):
        end = re.match(r'"(?:[^"\\]|\\.)*"', text)
        first = end[0] if end else text
        return _parse_path(first, "a/"), _parse_path(text[len(first) + 1 :], "b/")
    half = len(text) // 2
    return text[:half].removeprefix("a/"), text[half + 1 :].removeprefix("b/")


def _parse_path(text: str, prefix: str) -> str:
    return _unquote_path(text.removesuffix("\t")).removeprefix(prefix)


def _unquote_path(text: str) -> str:
    """A name as git quotes it: ``"a/\\303\\244.py"``."""
    if not (len(text) > 1 and text[0] == text[-1] == '"'):
        return text

    def decode_escape(match: re.Match[bytes]) -> bytes:
        word = match[1]
        return bytes([int(word, 8) & 255]) if len(word) == 3 else _PLAIN.get(word, word)

    raw = _OCTAL.sub(decode_escape, text[1:-1].encode("utf-8", "surrogateescape"))
    return raw.decode("utf-8", "replace")
