"""The record of harm: what agents, checks or reviewers changed that is not theirs to change.

Written before anything is put back, so that a kill in between does not make a harmless attempt of
it. Who puts something back adds to the record first; a second look finds all of it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestr.errors import OrchestrError
from orchestr.files import read_json, write_json

HARM = "harm.json"  # in an attempt's folder: what its agent did outside of its worktree
GUARD_HARM = "checking-harm.json"  # in a cell's folder: the same of its checks and reviewers


@dataclass(slots=True)
class CloneReport:
    """``harm`` is shown to be the agents' doing; ``restored`` are files that were put back."""

    harm: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)


def read_harm(file: Path) -> CloneReport:
    """What is recorded; nothing where there is no record, or none that can be read."""
    with suppress(OrchestrError, KeyError, TypeError):
        raw = read_json(file)
        if raw is not None:
            return CloneReport([str(t) for t in raw["harm"]], [str(t) for t in raw["restored"]])
    return CloneReport()


def write_harm(file: Path, known: CloneReport, found: CloneReport) -> CloneReport:
    """Write down what was found, with what an earlier look had found; nothing where all is well."""
    both = CloneReport(
        list(dict.fromkeys((*known.harm, *found.harm))),
        list(dict.fromkeys((*known.restored, *found.restored))),
    )
    if both.harm or both.restored:
        write_json(file, {"schema": 1, "harm": both.harm, "restored": both.restored})
    return both


def note_harm(file: Path, texts: list[str]) -> None:
    """Add further harm before it is put back."""
    write_harm(file, read_harm(file), CloneReport(texts))


def add_harm(reason: str, texts: Sequence[str]) -> str:
    """Why something failed, with what was found beside it and is not in it yet."""
    return "; ".join([reason, *(text for text in texts if text not in reason)])
