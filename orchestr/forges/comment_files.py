"""What was said about a local pull request: ``<n>.comments.json``, one row a comment.

Owns the format. Rows are only ever added, so the place of a row is its name (`c1`, `c2`, ...).
Earlier versions kept the texts of our own comments only: such a row is one that we said.

What survives a crash: the file is replaced as a whole. The repository's lock is held around every
call that writes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestr.codec import SCHEMA, ExtensibleRecord, InvalidRecord, decode, encode
from orchestr.files import read_json, set_aside, write_json
from orchestr.forges.base import ForgeError

OURS = "orchestr"  # the author of what this program says
LONGEST = 65_536  # characters of a comment; GitHub's own limit
_UNFIT = re.compile("\x1b\\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class CommentRow(ExtensibleRecord, frozen=True, kw_only=True, omit_defaults=True):
    """One comment or review. ``thread`` is the row that it replies to, ``verdict`` that of a
    review (`followed.Verdict`), ``commit`` the head at that time. ``is_resolved`` counts for the
    whole thread that a row begins."""

    author: str
    body: str
    created_at: str = ""
    path: str = ""
    line: int = 0
    thread: str = ""
    verdict: str = ""
    commit: str = ""
    is_bot: bool = False
    is_ours: bool = False
    is_resolved: bool = False


def row_name(place: int) -> str:
    """The name of the row at a place, which counts from 0."""
    return f"c{place + 1}"


def clean_body(text: str) -> str:
    """A text as forges keep it: without control characters and what is no character at all."""
    return _UNFIT.sub("", text)


def check_length(body: str) -> None:
    """Raise ForgeError for a comment that no forge takes."""
    if len(body) > LONGEST:
        raise ForgeError(f"a comment has at most {LONGEST:,} characters, not {len(body):,}")


def read_comments(folder: Path, number: int) -> tuple[CommentRow, ...]:
    """Every row, the oldest first; none when nothing was said.

    Raises CorruptState after setting a broken file aside, ForgeError for a newer schema.
    """
    path = _file(folder, number)
    table = read_json(path)
    if table is None:
        return ()
    schema = table.get("schema") if isinstance(table, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise ForgeError(
            f"{path} was written by a newer orchestr: schema {schema}, we know {SCHEMA}",
            hint="use that version in this workspace",
        )
    try:
        rows = decode(table, dict[str, Any]).get("comments", [])
        return tuple(_read_row(row) for row in decode(rows, list[Any]))
    except InvalidRecord as error:
        raise set_aside(path, f"no comments: {error}") from error


def write_comments(folder: Path, number: int, rows: Sequence[CommentRow]) -> None:
    """Replace the file. Raises OSError; the old one then stays."""
    value = {"schema": SCHEMA, "comments": [encode(row) for row in rows]}
    write_json(_file(folder, number), value)


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number}.comments.json"


def _read_row(row: Any) -> CommentRow:
    if isinstance(row, str):
        return CommentRow(author=OURS, body=row, is_ours=True)
    return decode(row, CommentRow)
