"""From a draft to `specs/NAME.yaml`: what a person's yes writes, and when it may not.

`decide_acceptance` is pure. The spec is written whole; a second yes after a kill finds it written
and finishes the rest.
"""

from __future__ import annotations

import difflib
from contextlib import suppress
from enum import StrEnum

from orchestr.codec import replace, write_toml_record
from orchestr.draft.files import DraftPlaces, DraftRecord, digest_bytes
from orchestr.files import write_if_changed

SCHEMA_LINE = b"# yaml-language-server: $schema=orchestr.schema.json\n"


class Acceptance(StrEnum):
    """What a yes to a draft would do."""

    WRITE = "write"
    WRITTEN = "written"  # it is what the spec says
    STALE = "stale"  # the spec was edited since the draft


def add_schema_line(data: bytes) -> bytes:
    """The spec with the line by which editors find its schema; one that is there stays."""
    head = data[:4096].splitlines()[:5]
    if any(b"yaml-language-server:" in line for line in head):
        return data
    return SCHEMA_LINE + data


def decide_acceptance(current: bytes | None, drafted: bytes, before: str) -> Acceptance:
    """``current`` is the spec as it is, ``before`` the digest of what the draft was made on."""
    if current == drafted:
        return Acceptance.WRITTEN
    return Acceptance.WRITE if digest_bytes(current) == before else Acceptance.STALE


def render_diff(current: bytes | None, drafted: bytes, name: str) -> str:
    """The unified diff from the spec as it is to the draft."""
    old, new = ((one or b"").decode("utf-8", "replace").splitlines() for one in (current, drafted))
    lines = difflib.unified_diff(
        old, new, name if current is not None else "/dev/null", f"{name} (draft)", lineterm=""
    )
    return "".join(f"{line}\n" for line in lines)


def accept_draft(
    places: DraftPlaces, record: DraftRecord, drafted: bytes, *, at: str, who: str
) -> bool:
    """Write the spec; whether it was not there already. ``at`` is ISO-8601 UTC, ``who`` a git
    identity. Safe to repeat.
    """
    places.target.parent.mkdir(parents=True, exist_ok=True)
    written = write_if_changed(places.target, drafted)
    if not record.approved_at:
        write_toml_record(places.record, replace(record, approved_at=at, approved_by=who))
    with suppress(FileNotFoundError):
        places.findings.unlink()
    return written
