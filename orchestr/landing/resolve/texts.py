"""Three versions of a file as text, and the merged text as bytes of the same kind.

All rules work on lines that end with ``\\n``; what a file's own line endings are, and whether its
last line has one, is merged here, once for all kinds of files.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from orchestr.landing.resolve.conflict import FileConflict

LARGEST = 512 << 10  # bytes of one version: more takes many seconds, and is data most often


@dataclass(frozen=True, slots=True)
class ThreeTexts:
    """The versions with ``\\n`` as line ending and a final one each, unless empty. ``path`` says
    what kind of file it is; ``newline``, ``ends`` and ``mark`` are how the merged file is written.
    """

    path: str
    base: str
    ours: str
    theirs: str
    newline: str = "\n"
    ends: bool = True  # the last line ends with a newline
    mark: bool = False  # it begins with a byte order mark

    @property
    def versions(self) -> tuple[str, str, str]:
        """The texts of base, ours and theirs."""
        return self.base, self.ours, self.theirs

    def encode(self, merged: str) -> bytes:
        """The merged text as the file's bytes."""
        text = merged if self.ends else merged.removesuffix("\n")
        return (codecs.BOM_UTF8 if self.mark else b"") + text.replace("\n", self.newline).encode()


def read_three_texts(conflict: FileConflict) -> ThreeTexts | None:
    """The texts of a conflict; None for what is binary, not UTF-8, too large, of mixed line
    endings, or of another kind of line endings on each side.
    """
    versions = (conflict.base or b"", conflict.ours, conflict.theirs)
    if any(b"\0" in data or len(data) > LARGEST for data in versions):
        return None
    try:
        texts = [data.decode() for data in versions]
    except UnicodeDecodeError:
        return None
    marks = [text.startswith("\ufeff") for text in texts]
    texts = [text.removeprefix("\ufeff") for text in texts]
    newlines = [_find_newline(text) for text in texts]
    if None in newlines:
        return None
    kinds = {newline for newline in newlines if newline}
    if len(kinds) > 1:
        return None
    newline = kinds.pop() if kinds else "\n"
    plain = [text.replace("\r\n", "\n") for text in texts]
    ends = [text.endswith("\n") or not text for text in plain]
    whole = [text if end else text + "\n" for text, end in zip(plain, ends, strict=True)]
    return ThreeTexts(
        conflict.path,
        base=whole[0],
        ours=whole[1],
        theirs=whole[2],
        newline=newline,
        ends=merge_flag(*ends),
        mark=merge_flag(*marks),
    )


def merge_flag(base: bool, ours: bool, theirs: bool) -> bool:
    """The three-way merge of a yes or no: of two sides that differ, one has changed it."""
    return ours if ours != base else theirs


def _find_newline(text: str) -> str | None:
    """The line ending of a text; "" without any line, None when it has several kinds."""
    pairs, ends = text.count("\r\n"), text.count("\n")
    if text.count("\r") != pairs or pairs not in (0, ends):
        return None
    return "\r\n" if pairs else "\n" if ends else ""
