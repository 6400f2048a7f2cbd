"""What a hand-off writes down: the choices, the texts, and every call with its result.

One JSON file a hand-off, `.orchestr/handoffs/<feature>/<time>.json`, written before the first call
and after each. A file without `finished_at` is a hand-off that was cut off: the same command reads
it and goes on, so a text is sent as the person saw it, also after a kill.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from orchestr.codec import Record, encode_json_record, read_json_record
from orchestr.files import write_atomic
from orchestr.state.layout import WorkspaceLayout


class Choice(StrEnum):
    """What happens to the pull requests."""

    LEAVE = "leave"  # they stay as they are, drafts stay drafts
    READY = "ready"  # they are marked ready for review
    LAND = "land"  # they are marked ready, then the feature lands


class ActionKind(StrEnum):
    """One call, or the landing."""

    EDIT = "edit"  # title, body or base
    READY = "ready"
    LAND = "land"


class PullRequestText(Record, frozen=True):
    """The text of one pull request. ``seen`` are the digests of title, body and base as they were
    when the person read them, ``head`` is the commit that the text is about."""

    cell: str
    repo: str
    number: int
    url: str
    head: str
    base: str
    title: str
    body: str
    draft: bool
    seen: tuple[str, str, str]
    own_base: str = ""  # the base of the cell's records, where a person chose another

    @property
    def changes_base(self) -> bool:
        """Whether a person chose another base."""
        return bool(self.own_base) and self.own_base != self.base


class HandoffAction(Record, frozen=True):
    """One call. ``result`` is None until it has answered."""

    kind: ActionKind
    cell: str = ""
    url: str = ""
    fields: tuple[str, ...] = ()  # of an edit: what differs
    result: str | None = None
    at: str | None = None

    @property
    def label(self) -> str:
        """For people."""
        match self.kind:
            case ActionKind.EDIT:
                return f"edit {', '.join(self.fields)} of {self.url}"
            case ActionKind.READY:
                return f"mark {self.url} ready for review"
            case _:
                return "land the feature"


class HandoffRecord(Record, frozen=True):
    """The whole hand-off. ``landing`` holds the journal's events of the landing, verbatim: they
    name each push and merge."""

    feature: str
    started_at: str
    choice: Choice
    texts: tuple[PullRequestText, ...]
    actions: tuple[HandoffAction, ...]
    summary: str = ""
    skipped: tuple[str, ...] = ()
    bases: Mapping[str, str] = {}
    edited: tuple[str, ...] = ()  # cells whose text the person edited
    by: str = ""
    command: str = ""
    landing: tuple[Any, ...] = ()
    finished_at: str | None = None
    outcome: str | None = None

    @property
    def choices(self) -> tuple[Choice, tuple[str, ...], dict[str, str]]:
        """What the person chose: two hand-offs with the same choices are one command."""
        return self.choice, tuple(sorted(self.skipped)), dict(self.bases)

    def write(self, path: Path) -> None:
        """Write it, whole or not at all. Raises OSError."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(path, encode_json_record(self))


def handoffs_dir(layout: WorkspaceLayout, feature: str) -> Path:
    """Where the hand-offs of a feature are kept."""
    return layout.state / "handoffs" / feature


def read_newest(layout: WorkspaceLayout, feature: str) -> tuple[Path, HandoffRecord] | None:
    """The newest hand-off of a feature and its file; it was cut off where it is not finished."""
    for path in sorted(handoffs_dir(layout, feature).glob("*.json"), reverse=True):
        found = read_json_record(path, HandoffRecord)
        if found is not None:
            return path, found
    return None
