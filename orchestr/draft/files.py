"""The files of a draft, below `.orchestr/drafts/NAME/`, and the record of what it was made from.

`spec.yaml` is the draft, `draft.toml` says from what; the second is written last and counts only
with the first as it names it. `findings.md` is what a revision has to answer (`--from`),
`answers.json` what a person answered. Deleting the folder forgets the draft and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec

from orchestr.codec import (
    ExtensibleRecord,
    Record,
    read_json_record,
    read_toml_record,
    write_toml_record,
)
from orchestr.errors import CorruptState
from orchestr.files import read_file, write_if_changed
from orchestr.settings.records import Settings


def digest_bytes(data: bytes | None) -> str:
    """The SHA-256 of a file's bytes; empty for a file that is not there."""
    return "" if data is None else sha256(data).hexdigest()


def read_if_there(path: Path) -> bytes | None:
    """The bytes of a file, or None."""
    try:
        return read_file(path)
    except FileNotFoundError:
        return None


@dataclass(frozen=True, slots=True)
class DraftPlaces:
    """Where a draft lies. ``target`` is the spec that an approval writes."""

    name: str
    intent: Path
    target: Path
    folder: Path

    @classmethod
    def find(cls, settings: Settings, name: str, target: Path | None = None) -> DraftPlaces:
        """The places of a draft of the feature ``name``; ``target``: where its spec is already."""
        specs, state = settings.workspace.specs, settings.workspace.state
        return cls(name, specs / f"{name}.md", target or specs / f"{name}.yaml",
                   state / "drafts" / name)  # fmt: skip

    @property
    def spec(self) -> Path:
        return self.folder / "spec.yaml"

    @property
    def record(self) -> Path:
        return self.folder / "draft.toml"

    @property
    def findings(self) -> Path:
        return self.folder / "findings.md"

    @property
    def answers(self) -> Path:
        return self.folder / "answers.json"

    @property
    def refused(self) -> Path:
        return self.folder / "refused.md"


class DraftRecord(ExtensibleRecord, frozen=True):
    """`draft.toml`: SHA-256 digests of the ``intent`` (with its template), the ``findings``, the
    drafted ``spec`` and the spec that was there ``before``; empty for none. ``heads`` are the
    commits of the repositories that were read, ``rounds`` how often the draft was sent back.
    ``author`` is the program that handed it in, where no agent of ours and no template made it.
    """

    intent: str
    spec: str
    findings: str = ""
    before: str = ""
    template: str = ""
    agent: str = ""
    model: str = ""
    rounds: int = 0
    attempt: int = 0
    heads: dict[str, str] = msgspec.field(default_factory=dict)
    drafted_at: str = ""
    approved_at: str = ""
    approved_by: str = ""
    author: str = ""


class AnswersRecord(Record, frozen=True):
    """`answers.json`: what a person answered to the one question, for one state of the intent."""

    key: str
    answers: dict[str, str]


def read_draft(places: DraftPlaces) -> DraftRecord | None:
    """The record of a whole draft; None where there is none, or its spec is missing or empty."""
    record = read_toml_record(places.record, DraftRecord)
    return record if record is not None and read_if_there(places.spec) else None


def read_answers(places: DraftPlaces, key: str) -> dict[str, str]:
    """The answers that count for the inputs ``key``."""
    try:
        found = read_json_record(places.answers, AnswersRecord)
    except CorruptState:
        return {}
    return dict(found.answers) if found is not None and found.key == key else {}


def write_draft(places: DraftPlaces, text: str, record: DraftRecord) -> Path | None:
    """Write a draft: the spec first, its record last, which makes it count.

    A former draft that a person edited is kept beside it; where that is, else None.
    """
    kept = _keep_edited(places, text)
    write_if_changed(places.spec, text.encode())
    write_toml_record(places.record, record)
    places.refused.unlink(missing_ok=True)
    return kept


def _keep_edited(places: DraftPlaces, text: str) -> Path | None:
    former, data = read_draft(places), read_if_there(places.spec)
    if (
        former is None
        or data is None
        or digest_bytes(data) in (former.spec, digest_bytes(text.encode()))
    ):
        return None
    kept = places.spec.with_name(f"spec.edited-{digest_bytes(data)[:8]}.yaml")
    write_if_changed(kept, data)
    return kept
