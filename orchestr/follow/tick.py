"""One look at a feature and what is done about it: settle, decide, prepare, say.

Under the feature's lease. What is prepared is carried out by a `run` of the cells that are named
in the answer. What survives a crash: see `orchestr.follow.prepare` and `orchestr.follow.settle`; a
look that was cut off is made again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import assert_never

from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.phases.cross_checks import red_cross_checks
from orchestr.cell.pull_request.observe import pull_request_changed
from orchestr.codec import replace as replace_record
from orchestr.errors import Interrupted, OrchestrError, Unavailable
from orchestr.follow.decide import (
    GOOD,
    PARK,
    WAIT,
    Build,
    Repair,
    Rerun,
    Rest,
    Step,
    TakeBase,
    decide,
)
from orchestr.follow.facts import FollowedCell, Rules
from orchestr.follow.memory import FollowMemory
from orchestr.follow.prepare import prepare_merge, prepare_round, resume_round, start_rerun
from orchestr.follow.settle import note_reruns, settle_rounds
from orchestr.follow.status import judge_feature, show_status
from orchestr.forges.base import ForgeAway, ForgeError, PRState
from orchestr.forges.followed import FollowingForge, PullRequestFacts
from orchestr.state.events import EventKind
from orchestr.state.results import HeadRecord, ImplementOutcome
from orchestr.tasks.stale import red_audit

Warn = Callable[[str], None]
KEPT = 12  # reasons of builds that are remembered


@dataclass(slots=True)
class FeatureLook:
    """What came of one look: each cell's step, the cells to build now, and whether a pull request
    is still open. ``changed``: something was done, or is different from the last look."""

    steps: dict[str, Step] = field(default_factory=dict)
    facts: dict[str, PullRequestFacts | None] = field(default_factory=dict)
    build: list[str] = field(default_factory=list)
    is_open: bool = False
    changed: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether nothing is left to do at its open pull requests but to merge them."""
        steps = self.steps.values()
        return self.is_open and all(isinstance(s, Rest) and s.state == GOOD for s in steps)


def make_rules(run: FeatureRun) -> Rules:
    """The rules of the settings."""
    said = run.settings.follow
    return Rules(frozenset(said.trusted), frozenset(said.bots), said.bundle, said.hands_off)


def act_on_feature(
    run: FeatureRun, cells: Sequence[FollowedCell], forge: FollowingForge, warn: Warn, *,
    begins: bool = True,
) -> FeatureLook:  # fmt: skip
    """Do what comes next for every cell. ``begins`` False: nothing new is begun, only what has
    ended is settled. Raises ForgeAway, Interrupted, Unavailable.
    """
    look, rules, now = FeatureLook(), make_rules(run), datetime.now(UTC)
    busy: set[str] = set()  # owners that get a round in this look
    for cell in cells:
        ctx = run.cell_context(cell.name)
        _note_pull_request(ctx, cell.facts)
        before = cell.memory
        look.facts[cell.name] = cell.facts
        try:  # what cannot be done for one cell keeps no other one from its turn
            cell = replace(cell, memory=note_reruns(ctx, cell))
            cell = replace(cell, memory=settle_rounds(ctx, cell, forge))
            step = decide(cell, rules, now)
            if begins:
                step = _carry_out(ctx, cell, step, forge, busy, look, warn)
        except (ForgeAway, Interrupted, Unavailable):
            raise
        except OrchestrError as error:
            step = Rest(PARK, error.reason, error.hint or "")
        look.steps[cell.name] = step
        look.is_open |= cell.facts is not None and cell.facts.pr.state is PRState.OPEN
        look.changed |= _say_step(ctx, step, cell.failed) or FollowMemory.read(ctx.dir) != before
    look.build = _add_dependents(run, look.build, look.steps)
    _show_feature_status(run, look, cells, forge, warn)
    return look


def _carry_out(
    ctx: CellContext, cell: FollowedCell, step: Step, forge: FollowingForge, busy: set[str],
    look: FeatureLook, warn: Warn,
) -> Step:  # fmt: skip
    """Prepare a step; what became of it."""
    facts = cell.facts
    if isinstance(step, Rest) or facts is None:
        return step
    match step:
        case Rerun():
            return _start_rerun(ctx, cell, facts, step, forge)
        case Build():
            if step.key:
                memory = FollowMemory.read(ctx.dir)
                builds = (*memory.builds, step.key)[-KEPT:]
                replace_record(memory, builds=builds).write(ctx.dir)
            for round_ in cell.memory.open_rounds:
                resume_round(ctx, FollowMemory.read(ctx.dir), round_)
                busy.add(round_.owner)
                look.build.append(round_.owner)
            busy.add(cell.name)
            look.build.append(cell.name)
        case TakeBase():
            if cell.name in busy:
                return Rest(WAIT, "it is being repaired for another reason")
            busy.add(cell.name)
            prepare_merge(ctx, cell, facts, step, warn)
            look.build.append(cell.name)
        case Repair():
            if step.owner in busy or not prepare_round(ctx, cell, facts, step):
                return Rest(WAIT, f"{step.owner} is being repaired for another reason")
            busy.add(step.owner)
            look.build.append(step.owner)
        case _:
            assert_never(step)
    return step


def _start_rerun(
    ctx: CellContext, cell: FollowedCell, facts: PullRequestFacts, step: Rerun,
    forge: FollowingForge,
) -> Step:  # fmt: skip
    """Ask for another run; where the forge has none, the failure is believed from now on."""
    try:
        start_rerun(ctx, cell, facts, step, forge)
    except ForgeAway:
        raise
    except ForgeError as error:
        memory = FollowMemory.read(ctx.dir)
        real = tuple(dict.fromkeys((*memory.real, step.red.signature)))
        replace_record(memory, real=real).write(ctx.dir)
        name = step.red.check.name
        return Rest(WAIT, f"{name} is red and cannot run again ({error.reason}): it is believed")
    return step


def _add_dependents(run: FeatureRun, names: Sequence[str], steps: Mapping[str, Step]) -> list[str]:
    """The cells to build in plan order: those named, and what builds on them; a cell that is left
    to a person is not touched."""
    wanted = set(names)
    for plan in run.plan.cells:
        if any(up in wanted for up in plan.upstreams):
            wanted.add(plan.name)
    left = {name for name, step in steps.items() if isinstance(step, Rest) and step.is_left}
    wanted -= left - set(names)
    return [plan.name for plan in run.plan.cells if plan.name in wanted]


def _say_step(ctx: CellContext, step: Step, failed: str) -> bool:
    """Journal a step that is another one than last time."""
    memory = FollowMemory.read(ctx.dir)
    state = step.state if isinstance(step, Rest) else type(step).__name__.lower()
    text = f"{state}: {step.why}"
    parked = ""
    if isinstance(step, Rest) and step.needs_person:
        parked = step.why
    if isinstance(step, Rest) and parked and parked != memory.parked:
        hint = step.hint.replace("CELL", ctx.name) or f"orchestr explain {ctx.name}"
        ctx.emit(EventKind.FOLLOW_PARKED, reason=parked, hint=hint)
    elif memory.parked and not parked:
        ctx.emit(EventKind.FOLLOW_CLEARED)
    elif text != memory.noted and not isinstance(step, (Rest, Repair)):  # a repair says so itself
        ctx.emit(EventKind.FOLLOW_NOTED, what=step.why, action=state)
    if (text, parked) == (memory.noted, memory.parked):
        return False
    replace_record(memory, noted=text, parked=parked, failed=failed if parked else "").write(
        ctx.dir
    )
    return True


def _note_pull_request(ctx: CellContext, facts: PullRequestFacts | None) -> None:
    """Journal how the pull request stands, where that is new: `status` shows it."""
    if facts is None:
        return
    pr = facts.pr
    if pull_request_changed(ctx.run.past.cell(ctx.cell.name), pr):
        ctx.emit(
            EventKind.PR_SEEN, url=pr.url, state=str(pr.state), draft=pr.draft, checks=pr.checks,
            review=pr.review,
        )  # fmt: skip


def _show_feature_status(
    run: FeatureRun, look: FeatureLook, cells: Sequence[FollowedCell], forge: FollowingForge,
    warn: Warn,
) -> None:  # fmt: skip
    if not run.settings.follow.status:
        return
    unbuilt, followed = {}, {}
    for cell in cells:
        head = HeadRecord.read(run.cell_context(cell.name).dir)
        if head is not None and head.outcome is ImplementOutcome.NO_CHANGE_NEEDED:
            continue
        followed[cell.name] = cell.facts
        if cell.why_open:
            unbuilt[cell.name] = cell.why_open
    steps = {name: look.steps[name] for name in followed}
    state, text = judge_feature(steps, followed, unbuilt, red_cross_checks(run), red_audit(run))
    for cell in cells:
        facts = cell.facts
        if facts is not None and facts.pr.state is PRState.OPEN:
            ctx = run.cell_context(cell.name)
            failure = show_status(ctx, FollowMemory.read(ctx.dir), facts, state, text, forge)
            if failure:
                warn(failure)
