"""Rounds: the repairs of an attempt, each a record `attempts/<n>/rounds/<k>.toml` and its words.

A record is written before the author's session goes on, and closed after the new head is known,
so that whoever finds an open one goes on with it: no round is paid twice. Rounds belong to a
series; a series ends when the phase gives up, and the next run begins another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from orchestr.codec import ExtensibleRecord, read_toml_record, replace, write_toml_record
from orchestr.files import write_atomic
from orchestr.state import attempts

FOLLOW, AUDIT = "follow", "audit"
OUTSIDE = (FOLLOW, AUDIT)  # who asks for rounds that no phase has to want
OPEN, CHANGED, UNCHANGED, REFUSED = "open", "changed", "unchanged", "refused"
FAILED, ABORTED, VOID = "failed", "aborted", "void"
COUNTED = (CHANGED, UNCHANGED, REFUSED)


class RepairRound(ExtensibleRecord, frozen=True):
    """One repair. ``red`` says what it was for (a digest of what failed, or of the blockers).

    ``origin`` is the head of `implement.toml`, ``before`` and ``after`` are heads around it.
    ``starts`` is how many starts of the agent there were when this one had been asked for.
    ``last`` closes the series: the phase gave up, or was done, after it. ``asked_by`` is `follow`
    for one that came from the open pull request, `audit` for one that came from the audit: no phase
    has to want it.
    """

    number: int
    phase: str
    origin: str
    before: str
    red: str
    why: str
    starts: int
    outcome: str = OPEN
    after: str = ""
    detail: str = ""
    last: bool = False
    asked_by: str = ""


def _rounds_folder(cell_dir: Path, attempt: int) -> Path:
    return attempts.attempt_folder(cell_dir, attempt) / "rounds"


def words_path(cell_dir: Path, attempt: int, number: int) -> Path:
    """Where the words of a round are kept: the prompt that its agent got."""
    return _rounds_folder(cell_dir, attempt) / f"{number}.md"


def list_round_files(cell_dir: Path, attempt: int) -> list[Path]:
    """The records of an attempt's rounds, sorted by name."""
    with suppress(FileNotFoundError):
        found = sorted(_rounds_folder(cell_dir, attempt).iterdir())
        return [path for path in found if path.suffix == ".toml" and path.stem.isdecimal()]
    return []


def read_rounds(cell_dir: Path, attempt: int) -> list[RepairRound]:
    """All rounds of an attempt, oldest first. A record that cannot be read is no round."""
    records = (read_toml_record(path, RepairRound) for path in list_round_files(cell_dir, attempt))
    return sorted((one for one in records if one is not None), key=lambda r: r.number)


def current_series(rounds: Sequence[RepairRound], phase: str, origin: str) -> list[RepairRound]:
    """The rounds of the series that goes on now, for this phase and this result."""
    mine: list[RepairRound] = []
    for one in rounds:
        if one.phase == phase and one.origin == origin:
            mine.append(one)
            if one.last:
                mine = []
    return mine


def find_open_round(rounds: Sequence[RepairRound]) -> RepairRound | None:
    """The round that was begun and not closed, None when there is none."""
    return next((one for one in reversed(rounds) if one.outcome == OPEN), None)


def last_repaired_head(rounds: Sequence[RepairRound], phase: str, origin: str) -> str | None:
    """The head that the repairs of a phase have made of a result; None when there is none."""
    done = [one.after for one in rounds if (one.phase, one.origin) == (phase, origin) and one.after]
    return done[-1] if done and done[-1] != origin else None


def begin_round(cell_dir: Path, attempt: int, record: RepairRound, words: str) -> RepairRound:
    """Record a round before anything of it starts; the words first."""
    write_atomic(words_path(cell_dir, attempt, record.number), words.encode())
    write_round(cell_dir, attempt, record)
    return record


def close_round(cell_dir: Path, attempt: int, record: RepairRound, outcome: str, *, after: str = "",
          detail: str = "") -> RepairRound:  # fmt: skip
    """Record how a round ended."""
    closed = replace(record, outcome=outcome, after=after or record.before, detail=detail)
    write_round(cell_dir, attempt, closed)
    return closed


def end_series(cell_dir: Path, attempt: int, phase: str, origin: str) -> None:
    """Note that the series is over: the next red begins another one."""
    going = current_series(read_rounds(cell_dir, attempt), phase, origin)
    if going:
        write_round(cell_dir, attempt, replace(going[-1], last=True))


def write_round(cell_dir: Path, attempt: int, record: RepairRound) -> None:
    """Write a round's record, durably."""
    write_toml_record(_rounds_folder(cell_dir, attempt) / f"{record.number}.toml", record)


def repair_stop_reason(going: Sequence[RepairRound], red: str, most: int) -> str | None:
    """Why no further round is tried, None to try one. Pure.

    ``going`` are the closed rounds of the series, ``red`` what is red now. Rounds that a person
    stopped do not count. A round that changed nothing while the same things fail ends it early.
    """
    counted = [one for one in going if one.outcome in COUNTED]
    if len(counted) >= most:
        return f"{len(counted)} of {most} repairs made" if most else "no repairs are allowed"
    if counted and counted[-1].red == red and counted[-1].outcome == UNCHANGED:
        return f"repair {len(counted)} changed nothing and the same is red"
    refused = [one.outcome == REFUSED for one in counted[-2:]]
    if refused == [True, True]:
        return counted[-1].detail
    return None
