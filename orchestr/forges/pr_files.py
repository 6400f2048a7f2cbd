"""Pull requests as files: ``<folder>/<n>.toml``, one a pull request, and their numbers.

Owns the format and how a file comes to be; leaves what a pull request means to
`orchestr.forges.local`, which holds the repository's lock around every call here.

What survives a crash: a file is whole or not there. A number that was ever seen (as a file,
as one set aside, as a ref at the origin) is never given out again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestr.codec import SCHEMA, InvalidRecord, decode, encode
from orchestr.errors import CorruptState
from orchestr.files import read_toml, set_aside, sync_folder, write_toml
from orchestr.forges.base import ForgeError, PullRequest

_FILE = re.compile(r"([1-9]\d*)\.toml")
_EVER = re.compile(r"(?:refs/pull/)?([1-9]\d*)(?:\.toml.*|/head)")
_ASKED = ("checks", "review", "merged_as")  # only known for the answer that they came with


@dataclass(frozen=True, slots=True)
class StoredPullRequest:
    """A pull request and what stands beside it in its file.

    ``base_sha`` is where its base was when we last looked (`orchestr.forges.local_repos`),
    ``closed_by`` who closed it without a merge.
    """

    pr: PullRequest
    base_sha: str = ""
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    milestone: str = ""
    closed_by: str = ""


_LISTS = ("labels", "reviewers", "assignees")
_TEXTS = ("milestone", "closed_by")
_KNOWN = {*PullRequest.__slots__, "base_sha", *_LISTS, *_TEXTS}


def read_pull_requests(folder: Path) -> dict[int, StoredPullRequest]:
    """Every pull request of a repository by its number, the newest first.

    Raises CorruptState after setting a broken file aside, ForgeError for a newer schema.
    """
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return {}
    numbers = sorted((int(m[1]) for m in map(_FILE.fullmatch, names) if m), reverse=True)
    found = ((number, _read_pull_request(folder / f"{number}.toml", number)) for number in numbers)
    return {number: kept for number, kept in found if kept}


def write_pull_request(folder: Path, kept: StoredPullRequest) -> None:
    """Replace the file of a pull request; fields of a newer version stay in it.

    Raises OSError; the old file then stays.
    """
    path = folder / f"{kept.pr.number}.toml"
    unknown = {k: v for k, v in (read_toml(path) or {}).items() if k not in _KNOWN}
    write_toml(path, {**unknown, **_as_table(kept)})


def create_pull_request(folder: Path, kept: StoredPullRequest) -> bool:
    """Make the file of a new pull request; False when the number is taken.

    The link is what makes it exclusive, also where a lock does not reach (a shared disk).
    """
    target = folder / f"{kept.pr.number}.toml"
    draft = folder / f".{target.name}.{os.getpid()}.new"
    write_toml(draft, _as_table(kept))
    try:
        os.link(draft, target)
    except FileExistsError:
        return False
    finally:
        with suppress(OSError):
            draft.unlink()
    sync_folder(folder)
    return True


def next_number(folder: Path, refs: Iterable[str]) -> int:
    """One more than every number that a file or a ref at the origin has ever had."""
    names = [*refs, *(path.name for path in folder.iterdir())]
    return max((int(m[1]) for m in map(_EVER.fullmatch, names) if m), default=0) + 1


def _as_table(kept: StoredPullRequest) -> dict[str, Any]:
    """What the file holds; what is empty beside the pull request itself is left out."""
    lists = {name: list(getattr(kept, name)) for name in _LISTS}
    texts = {name: getattr(kept, name) for name in _TEXTS}
    more = {name: value for name, value in {**lists, **texts}.items() if value}
    return {"schema": SCHEMA, **encode(kept.pr), "base_sha": kept.base_sha, **more}


def _read_pull_request(path: Path, number: int) -> StoredPullRequest | None:
    """One file; None when it went away meanwhile."""
    try:
        table = read_toml(path)
        if table is None:
            return None
        schema = table.get("schema")
        if isinstance(schema, int) and schema > SCHEMA:
            raise ForgeError(
                f"{path} was written by a newer orchestr: schema {schema}, we know {SCHEMA}",
                hint="use that version in this workspace",
            )
        try:
            return _parse_table(table, number)
        except InvalidRecord as error:
            raise set_aside(path, f"not a pull request: {error}") from error
    except CorruptState as error:
        raise CorruptState(
            f"pull request {number} of {path.parent.name}: {error.message}",
            hint=f"repair the file and name it {path.name} again; "
            "without that the same command opens a new pull request",
        ) from error


def _parse_table(table: dict[str, Any], number: int) -> StoredPullRequest:
    """The record in a table. Raises InvalidRecord naming the field."""
    pr = decode({k: v for k, v in table.items() if k not in _ASKED}, PullRequest)
    if pr.number != number:
        raise InvalidRecord(f"field 'number' is {pr.number}")
    lists = {name: decode(table.get(name, []), tuple[str, ...]) for name in _LISTS}
    texts = {name: decode(table.get(name, ""), str) for name in ("base_sha", *_TEXTS)}
    beside: dict[str, Any] = {**lists, **texts}
    return StoredPullRequest(pr, **beside)
