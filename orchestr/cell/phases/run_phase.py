"""One phase of a cell, run and journalled: as a task of a run, and by the landing.

Owns what is told of a phase's beginning and end, whatever it raises, and that the cell's ports are
free again when it has come to its end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol, TypeVar, cast

from orchestr.cell import input_changes
from orchestr.cell.context import CellContext
from orchestr.errors import (
    CellBlocked,
    Interrupted,
    NeedsApproval,
    OrchestrError,
    Unavailable,
    explain_os_error,
)
from orchestr.process.back_off import try_until_available
from orchestr.spec.phases import Phase
from orchestr.state.events import EventKind

T = TypeVar("T")


class PhaseModule(Protocol):
    """What the module of a phase offers."""

    def reason_to_run(self, ctx: CellContext) -> str | None:
        """Why the phase would run, None when its result is up to date. Asks no network."""
        ...

    def run(self, ctx: CellContext) -> PhaseResult:
        """Make the result, or find that it is there."""
        ...


def phase_module(phase: str) -> PhaseModule:
    """The module of a phase; imported when it is asked for the first time. All of one's own share
    one."""
    if phase not in set(Phase):
        own = import_module("orchestr.cell.phases.own")
        return cast(PhaseModule, own.OwnPhaseModule(phase))
    return cast(PhaseModule, import_module(f"orchestr.cell.phases.{phase}"))


def run_phase(ctx: CellContext, phase: str) -> None:
    """Run one phase and journal what came of it. Raises what the phase raises."""
    ctx.check_cancelled()
    begun = time.monotonic()
    place: dict[str, Any] = {} if phase in set(Phase) else {"following": find_following(ctx, phase)}
    try:
        why = run_until_available(ctx, phase, lambda: phase_module(phase).reason_to_run(ctx))
        if why is not None:
            ctx.emit(
                EventKind.PHASE_STARTED,
                phase=phase,
                why=why,
                **place,
                **input_changes.changes_for_journal(ctx, phase),
            )
        with ctx.run.count_as_working():
            result = run_until_available(ctx, phase, lambda: phase_module(phase).run(ctx))
        input_changes.save_inputs(ctx, phase)
    except Exception as raised:
        seconds = round(time.monotonic() - begun, 3)
        error = explain_os_error(raised) or raised
        stopped = isinstance(error, Interrupted)
        known = isinstance(error, OrchestrError)
        text = f"{type(error).__name__}: {error}"
        hint: str | None = "orchestr doctor"
        if isinstance(error, OrchestrError):
            # An error of this cell alone needs no name: every view of the journal shows the cell.
            text = error.reason if error.cell in ("", ctx.name) else error.message
            hint = error.hint
        if not known:
            _keep_traceback(ctx, error)
        if isinstance(error, CellBlocked):
            ctx.emit(EventKind.CELL_BLOCKED, phase=phase, upstream=error.upstream, reason=text,
                     hint=hint)  # fmt: skip
            give_ports_back(ctx)
            raise
        gate = error.journal_data if isinstance(error, NeedsApproval) else {}
        ctx.emit(EventKind.PHASE_FAILED, phase=phase, reason=text, hint=hint, seconds=seconds,
                 aborted=stopped, **gate)  # fmt: skip
        give_ports_back(ctx)
        if error is not raised:
            raise error from raised
        raise
    if phase == Phase.PUBLISH:
        give_ports_back(ctx)
    seconds = round(time.monotonic() - begun, 3)
    if result.made or why is not None:
        data = {k: v for k, v in result.data.items() if k != "attempt"}
        ctx.run.emit(EventKind.PHASE_DONE, cell=ctx.cell.name, phase=phase, seconds=seconds,
                     attempt=result.data.get("attempt", 0), made=result.made,
                     **place, **data)  # fmt: skip


def find_following(ctx: CellContext, phase: str) -> str:
    """The next of orchestr's phases after one of one's own: replaying the journal needs no spec."""
    steps = ctx.cell.task_phases
    later = steps[steps.index(phase) + 1 :]
    return next(str(step) for step in later if step in set(Phase))


def run_until_available(ctx: CellContext, phase: str, work: Callable[[], T]) -> T:
    """Do ``work``, which finds for itself what is done already; again while the machine or the
    network is in the way, up to `limits.retries` times, or for `forge.patience` where the origin
    is only out of order. Raises what ``work`` raises, Interrupted.
    """

    def pause(error: Unavailable, seconds: float) -> None:
        ctx.emit(EventKind.CELL_WARNED, phase=phase,
                 reason=f"{error.reason}; tried again in {seconds:g} s")  # fmt: skip
        ctx.run.stop.wait(seconds)
        ctx.check_cancelled()

    settings = ctx.run.settings
    return try_until_available(
        work, retries=settings.limits.retries, pause=pause, patience=settings.forge.patience
    )


def give_ports_back(ctx: CellContext) -> None:
    """The cell has come to its end, well or badly: others may have its ports."""
    if ctx.cell.proof.ports:
        with suppress(OrchestrError, OSError):
            from orchestr.cell.worktree.ports import release_ports

            release_ports(ctx)


def _keep_traceback(ctx: CellContext, error: Exception) -> None:
    """A fault of ours: the traceback goes to a file of the cell, the message names it."""
    import traceback

    log = ctx.dir / "fault.log"
    with suppress(OSError):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    error.add_note(f"see {log}")


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """``made`` is False when the phase returned at once or only restored a file."""

    made: bool
    why: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def up_to_date(cls) -> PhaseResult:
        return cls(False)

    @classmethod
    def built(cls, why: str, **data: Any) -> PhaseResult:
        return cls(True, why, data)
