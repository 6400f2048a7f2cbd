"""From a draft to `specs/NAME.yaml`: what a person's yes writes, and when it may not.

`decide_acceptance` is pure. The spec is written whole; its lock, where there is none yet, after it.
A second yes after a kill finds the spec written and finishes the rest.
"""

from __future__ import annotations

import difflib
from contextlib import suppress
from enum import StrEnum

from orchestr.codec import read_toml_record, replace, write_toml_record
from orchestr.draft.files import DraftPlaces, DraftRecord, digest_bytes
from orchestr.files import write_atomic
from orchestr.settings.records import Settings
from orchestr.spec.lock import SpecLock, build_spec_lock, lock_path
from orchestr.spec.records import Feature

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
    settings: Settings,
    places: DraftPlaces,
    record: DraftRecord,
    feature: Feature,
    drafted: bytes,
    *,
    at: str,
    who: str,
) -> list[str]:
    """Write the spec and its first lock; returns the paths that were written, below the workspace.

    ``at`` is ISO-8601 UTC, ``who`` a git identity. Safe to repeat.
    """
    root = settings.workspace.root
    written = []
    places.target.parent.mkdir(parents=True, exist_ok=True)
    if not places.target.is_file() or places.target.read_bytes() != drafted:
        write_atomic(places.target, drafted)
        written.append(places.target)
    lock = root / lock_path(str(places.target))
    if read_toml_record(lock, SpecLock) is None and not lock.exists():
        write_toml_record(lock, build_spec_lock(feature, at=at, who=who))
        written.append(lock)
    if not record.approved_at:
        write_toml_record(places.record, replace(record, approved_at=at, approved_by=who))
    with suppress(FileNotFoundError):
        places.findings.unlink()
    return [str(p.relative_to(root)) if p.is_relative_to(root) else str(p) for p in written]
