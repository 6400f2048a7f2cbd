"""The states of a cell and of a feature: their words, their looks, and which may follow which.

Pure. Each state has a symbol, words and a style (a rich style as text; rich is not imported here),
and `may_follow` is the one table of legal changes: `orchestr.state.replay`
checks every change against it and reports what does not fit, instead of refusing to read a journal.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import assert_never


class CellState(StrEnum):
    """Where a cell is: the words of ``status --json`` (docs/json.md)."""

    PENDING = "pending"
    RUNNING = "running"
    FAILED = "failed"
    BLOCKED = "blocked"
    WAITING = "waiting"
    APPROVAL = "approval"
    IGNORED = "ignored"
    ABORTED = "aborted"
    DONE = "done"
    MERGE_CONFLICT = "merge_conflict"
    NEEDS_PERSON = "needs_person"
    LANDED = "landed"
    ROLLED_BACK = "rolled_back"

    @property
    def symbol(self) -> str:
        """One column wide, so that tables align."""
        return _display_attributes(self)[0]

    @property
    def label(self) -> str:
        """What a person reads."""
        return _display_attributes(self)[1]

    @property
    def style(self) -> str:
        """A rich style."""
        return _display_attributes(self)[2]

    @property
    def is_bad(self) -> bool:
        """True when the run that ended so has exit code 1."""
        return self in _BAD

    @property
    def is_good(self) -> bool:
        """True when nothing is left to be built."""
        return self is CellState.ROLLED_BACK or self.counts_as_done

    @property
    def counts_as_done(self) -> bool:
        """True when nothing is left to be done; what was rolled back is built, and not there."""
        return self in (CellState.DONE, CellState.LANDED, CellState.IGNORED)

    @property
    def is_moving(self) -> bool:
        """True for states that only a living run can hold."""
        return self in (CellState.RUNNING, CellState.WAITING)


class FeatureState(StrEnum):
    """What the states of the cells come to."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    FAILED = "failed"
    ABORTED = "aborted"
    PARTIAL = "partial"
    DONE = "done"
    LANDED = "landed"
    ROLLED_BACK = "rolled_back"

    @property
    def label(self) -> str:
        """What a person reads."""
        return self.value.replace("_", " ")


_BAD = frozenset(
    {
        CellState.FAILED,
        CellState.BLOCKED,
        CellState.ABORTED,
        CellState.MERGE_CONFLICT,
        CellState.NEEDS_PERSON,
    }
)


def _display_attributes(state: CellState) -> tuple[str, str, str]:
    """Symbol, words, style. A new state makes mypy stop here."""
    match state:
        case CellState.PENDING:
            return "·", "pending", "dim"
        case CellState.RUNNING:
            return "▶", "running", "cyan"
        case CellState.FAILED:
            return "✗", "failed", "bold red"
        case CellState.BLOCKED:
            return "⊘", "blocked", "red"
        case CellState.WAITING:
            return "…", "waiting", "yellow"
        case CellState.APPROVAL:
            return "?", "needs approval", "yellow"
        case CellState.IGNORED:
            return "-", "ignored", "dim"
        case CellState.ABORTED:
            return "■", "aborted", "magenta"
        case CellState.DONE:
            return "✓", "done", "green"
        case CellState.MERGE_CONFLICT:
            return "≠", "merge conflict", "bold red"
        case CellState.NEEDS_PERSON:
            return "!", "needs a person", "bold yellow"
        case CellState.LANDED:
            return "★", "landed", "bold green"
        case CellState.ROLLED_BACK:
            return "↺", "rolled back", "bold yellow"
        case _:
            assert_never(state)


def may_follow(old: CellState, new: CellState) -> bool:
    """True when ``new`` may come after ``old``. To stay is always allowed."""
    return old is new or new in _successor_states(old)


def _successor_states(state: CellState) -> frozenset[CellState]:
    # A new run, `forget` and `ignore` can pick a cell up from every state of rest; a cell is only
    # finished, limited or stopped while it runs.
    rest = {
        CellState.PENDING,
        CellState.RUNNING,
        CellState.BLOCKED,
        CellState.APPROVAL,  # itself, or an upstream
        CellState.IGNORED,
        CellState.DONE,  # adopted from a pull request
        CellState.LANDED,  # as before: built again, or not ignored any more, at the same head
        CellState.ROLLED_BACK,
    }
    match state:
        case CellState.RUNNING:
            return frozenset(CellState)
        case CellState.WAITING:
            return frozenset(rest | {CellState.FAILED, CellState.ABORTED})
        case CellState.PENDING | CellState.BLOCKED | CellState.IGNORED:
            return frozenset(rest | {CellState.FAILED})
        case CellState.FAILED | CellState.ABORTED:
            return frozenset(rest | {CellState.FAILED, CellState.ABORTED})
        case CellState.APPROVAL | CellState.NEEDS_PERSON | CellState.MERGE_CONFLICT:
            return frozenset(rest | {CellState.FAILED, CellState.ABORTED})
        case CellState.DONE | CellState.ROLLED_BACK:
            return frozenset(
                rest
                | {
                    CellState.APPROVAL,
                    CellState.MERGE_CONFLICT,
                    CellState.NEEDS_PERSON,
                }
            )
        case CellState.LANDED:
            return frozenset(rest)
        case _:
            assert_never(state)


def summarize_states(states: Iterable[CellState]) -> FeatureState:
    """What moves comes first, then what is broken, then how much is done."""
    cells = list(states)
    if CellState.RUNNING in cells:
        return FeatureState.RUNNING
    if CellState.WAITING in cells or CellState.APPROVAL in cells:
        return FeatureState.WAITING
    if CellState.ABORTED in cells and not any(
        s.is_bad for s in cells if s not in (CellState.ABORTED, CellState.BLOCKED)
    ):
        return FeatureState.ABORTED
    if any(s.is_bad for s in cells):
        return FeatureState.FAILED
    wanted = [s for s in cells if s is not CellState.IGNORED]
    if cells and all(s is CellState.LANDED for s in wanted):
        return FeatureState.LANDED if wanted else FeatureState.DONE
    back = CellState.ROLLED_BACK in wanted
    if back and all(s.is_good for s in wanted) and CellState.LANDED not in wanted:
        return FeatureState.ROLLED_BACK
    if cells and all(s.is_good for s in wanted) and not back:
        return FeatureState.DONE
    if any(s.is_good for s in wanted):
        return FeatureState.PARTIAL
    return FeatureState.PENDING
