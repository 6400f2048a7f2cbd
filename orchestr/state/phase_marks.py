"""The marks of a cell's phases: which phases come before and after one, where the cell rests."""

from __future__ import annotations

from collections.abc import Mapping

from orchestr.spec.phases import LISTED, Phase
from orchestr.state.states import CellState

PHASES = tuple(p.value for p in LISTED)  # `plan` has a mark only where it is a step


def is_own_phase(phase: str) -> bool:
    """Whether an event is of a phase of one's own."""
    return phase not in ("", Phase.PLAN, *PHASES)


def resting_state(phases: Mapping[str, str]) -> CellState:
    """The state of a cell that no run works on."""
    values = [phases.get(p) for p in PHASES]
    if "failed" in values:
        return CellState.FAILED
    return CellState.DONE if all(v == "done" for v in values) else CellState.PENDING


def running_phases(phases: Mapping[str, str]) -> list[str]:
    """The phases that are at work."""
    return [p for p, value in phases.items() if value == "running"]


def phases_before(phase: str, following: str | None = None) -> tuple[str, ...]:
    """The phases that are done when this one begins; of one's own, ``following`` is the next of
    orchestr's."""
    if phase == Phase.PLAN:
        return (Phase.WORKTREE.value,)
    if following in PHASES:
        return PHASES[: PHASES.index(following)]
    return PHASES[: PHASES.index(phase)] if phase in PHASES else ()


def phases_after(phase: str, following: str | None = None) -> tuple[str, ...]:
    """The phases that a new result of this one makes void; ``following`` as in `phases_before`."""
    if phase == Phase.PLAN:
        return PHASES[1:]
    if following in PHASES:
        return PHASES[PHASES.index(following) :]
    return PHASES[PHASES.index(phase) + 1 :] if phase in PHASES else ()


def merge_marks(phases: Mapping[str, str], marks: Mapping[str, str]) -> Mapping[str, str]:
    """The marks with some of them replaced."""
    return {**phases, **marks} if marks else phases
