"""What was done about a cell's pull request: `follow.json` in the cell's folder.

Written before anything starts, so that a kill at any point repeats nothing: a round that was begun
is known, a comment that was answered is not answered twice (the forge is asked, too), a check that
was started again is not started a second time for the same commit.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from orchestr.codec import ExtensibleRecord, Record, read_json_record, write_json_record
from orchestr.state import repairs

FILE = "follow.json"
ASKED, ANSWERED = "asked", "answered"
REPAIR, MERGE = "repair", "merge"  # kinds of rounds


class AnsweredThread(Record, frozen=True):
    """A conversation that a round is about. ``comment`` is its newest one then, the key of the
    answer."""

    thread: str
    comment: str


class Rerun(Record, frozen=True):
    """A check that was started again: of which commit, its name, the signature of its failure, and
    the forge's id of the run that was red."""

    sha: str
    check: str
    signature: str
    id: str


class FollowRound(Record, frozen=True):
    """One round of work because of what happened at the pull request.

    ``kind`` is `repair` (a round of the session of the cell ``owner``, ``number`` its number in
    ``attempt``) or `merge` (a new attempt that takes the base in). ``red`` is the digest of what it
    was for, ``pr`` the node id of the pull request, ``before`` the owner's head.
    """

    kind: str
    owner: str
    attempt: int
    number: int
    red: str
    before: str
    pr: str
    threads: tuple[AnsweredThread, ...] = ()
    stage: str = ASKED
    outcome: str = ""


class FollowMemory(ExtensibleRecord, frozen=True):
    """All of it, for one cell.

    ``flaky`` are signatures of failures that were gone when the check ran again, ``real`` of those
    that were not. ``noted`` is what was last said about the cell, so that an unchanged pull request
    is not journalled again. ``statuses`` maps commits to the commit status that they have,
    ``parked`` is why a person is needed, ``failed`` the failure of a run because of which that is
    so. ``builds`` are the newest reasons, each with its head, for which a run was started.
    """

    rounds: tuple[FollowRound, ...] = ()
    reruns: tuple[Rerun, ...] = ()
    flaky: tuple[str, ...] = ()
    real: tuple[str, ...] = ()
    noted: str = ""
    parked: str = ""
    failed: str = ""
    builds: tuple[str, ...] = ()
    statuses: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def open_rounds(self) -> tuple[FollowRound, ...]:
        """Rounds whose result is not dealt with yet."""
        return tuple(one for one in self.rounds if one.stage == ASKED)

    @property
    def answered(self) -> frozenset[str]:
        """The comments that a round is about, or has dealt with. A round that failed or was void
        has answered nothing: its comments wait for another one."""
        return frozenset(
            one.comment
            for round_ in self.rounds
            if round_.stage == ASKED or round_.outcome in (repairs.CHANGED, repairs.UNCHANGED)
            for one in round_.threads
        )

    def write(self, folder: Path) -> None:
        """Write it durably, if it changed."""
        write_json_record(folder / FILE, self)

    @classmethod
    def read(cls, folder: Path) -> FollowMemory:
        """What is known; an empty one where nothing is."""
        return read_json_record(folder / FILE, cls) or cls()
