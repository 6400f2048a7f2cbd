"""What a landing came to, and what a person is told of what did not land."""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestr.cell.context import CellContext
from orchestr.cell.worktree.operations import unfinished_operation
from orchestr.landing.causes import Blamed, describe_wait, name_cell
from orchestr.landing.changes import IGNORED, NEEDS_APPROVAL
from orchestr.landing.events import LandingChange, Parked, Stage, Trouble
from orchestr.landing.lane import Lane
from orchestr.landing.queue import find_obstacle
from orchestr.landing.queue_item import QueueItem
from orchestr.landing.repair import restore_proven_head
from orchestr.landing.requirements import FORGE_WANTS
from orchestr.landing.rung import UNSEEN
from orchestr.landing.session import LandingSession
from orchestr.state.cell_state import asks_for_approval
from orchestr.state.events import EventKind
from orchestr.state.results import NO_PR, PublishRecord

NOT_MERGED = " was not merged at "  # how each forge begins the host's reason for a refusal


@dataclass(frozen=True, slots=True)
class ChangeOutcome:
    """Where one change ended. ``commit``: the target after it; ``fresh``: in this process."""

    key: str
    lane: Lane
    stage: Stage
    trouble: Trouble | None = None
    commit: str = ""
    fresh: bool = False
    why: str = ""
    hint: str = ""
    link: str = ""
    resolved: str = ""  # how its conflicts were resolved without an agent


@dataclass(frozen=True, slots=True)
class LandingOutcome:
    """What came of it, in plan order. ``red``: what the forge made of a change is not what was
    checked, and is red; and what could not be checked at all.
    """

    ends: tuple[ChangeOutcome, ...]
    red: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.red and all(end.stage is Stage.LANDED for end in self.ends)


def outcome_of_item(session: LandingSession, item: QueueItem) -> ChangeOutcome:
    """Where one change is now, with the next command where it did not land."""
    change = item.change
    end = ChangeOutcome(change.key, change.lane, item.stage, item.trouble, item.after,
              change.key in session.fresh, link=_pull_request_link(session, change))  # fmt: skip
    match item.stage:
        case Stage.LANDED:
            return replace(end, resolved=", by ".join(session.resolved.get(change.key, ())))
        case Stage.PARKED:
            return replace(end, why=item.detail, hint="\n".join(suggest_commands(session, item)))
        case _:
            why = find_obstacle(session.queue, item) or ""
            ctx = session.cell_context(change.reverts or change.key)
            name = ctx.run.feature.name
            hint = f"orchestr run {name} && orchestr land {name}" if change.hold else ""
            if change.hold == NEEDS_APPROVAL:
                hint = f"orchestr approve {_asking_cell(ctx).name}, then {hint}"
            elif change.hold == IGNORED:
                hint = f"orchestr ignore --undo {ctx.name}, then {hint}"
            elif change.hold.startswith(FORGE_WANTS):
                hint = "; ".join(suggest_at_forge(name, change.hold, end.link))
            if item.undone and item.undone == change.head:
                hint = (
                    f"orchestr land {name} --again (as it was), "
                    f"or orchestr run {name} --fresh && orchestr land {name}"
                )
            stop = session.queue.stopped.get(change.lane)
            if stop is not None and why == stop.reason:
                hint = stop.hint or f"orchestr land {name}"
            return replace(end, commit="", why=why, hint=hint)


def _asking_cell(ctx: CellContext) -> CellContext:
    """The cell whose gate is open: itself, or the one above that it waits for."""
    found = [ctx]
    for cell in found:
        if asks_for_approval(cell.run.past.cell(cell.cell.name)):
            return cell
        found += [above for above in cell.upstreams() if above.key not in {f.key for f in found}]
    return ctx


def _pull_request_link(session: LandingSession, change: LandingChange) -> str:
    ctx = session.cell_context(change.reverts or change.key)
    done = PublishRecord.read(ctx.dir)
    return done.url if done is not None and done.url != NO_PR else ""


def journal_parked(session: LandingSession, event: Parked) -> None:
    """A change is left to a person: both sides and the commands. What waits at a gate has been
    written by its phase. One that has landed before stays landed where its records can be put back.
    """
    item, trouble = session.queue.items[event.key], event.trouble
    if item.change.reverts or item.frozen:
        return
    ctx, lane = session.cell_context(event.key), item.change.lane
    first = event.reason.partition("\n")[0].rstrip(":")
    if item.is_repair_of_landed and restore_proven_head(ctx):
        why = f"it stays as it landed: {first}"
        ctx.emit(EventKind.LAND_KEPT, target=lane.target, head=item.change.head,
                 commit=item.earlier[-1][1] if item.earlier else "", reason=why)  # fmt: skip
        return
    if trouble is Trouble.APPROVAL:
        return
    sides = f"{ctx.cell.branch} ({item.change.head[:12]}) onto {lane.target}"
    sides += f" ({session.queue.tips[lane][:12]})"
    hint = "; ".join(suggest_commands(session, item, trouble, event.cause))
    ctx.emit(EventKind.LAND_PARKED, state=str(trouble), reason=f"{sides}: {event.reason}",
             hint=hint)  # fmt: skip


def journal_blamed(session: LandingSession, event: Blamed) -> None:
    """A change waits for the one that made it red."""
    cause = name_cell(event.cause.key)
    what = f"it waits for {describe_wait(event.cause, cause)}"
    session.cell_context(event.key).emit(
        EventKind.LAND_WAITS, cause=cause, reason=f"{what}\n{event.detail}".rstrip()
    )


def suggest_commands(
    session: LandingSession, item: QueueItem, trouble: Trouble | None = None, cause: str = ""
) -> list[str]:
    """What a person types to look at it, and to go on."""
    change, target = item.change, item.change.lane.target
    ctx = session.cell_context(change.reverts or change.key)
    name = ctx.run.feature.name
    cause = cause or item.cause
    if item.detail.startswith(FORGE_WANTS):
        return suggest_at_forge(name, item.detail, _pull_request_link(session, change))
    is_refused = NOT_MERGED in item.detail and "conflict" not in item.detail
    if is_refused and not change.reverts:
        link = _pull_request_link(session, change)
        return [f"a person looks at {link}, what refuses it is there", f"orchestr land {name}"]
    if change.reverts:
        return [
            f"git -C {ctx.repo_path} log {ctx.repo.remotes.base}/{target}",
            f"orchestr rollback {name}",
        ]
    if (trouble or item.trouble) is Trouble.APPROVAL:
        return [f"orchestr approve {ctx.name}", f"orchestr run {name} && orchestr land {name}"]
    if cause:
        feature, named = cause.partition("/")[0], name_cell(cause)
        if not session.has_feature(feature):  # together they are repaired
            return [f"orchestr logs {named}", f"orchestr land {feature} {name}"]
        return [f"orchestr logs {named}", _suggest_work(session.cell_context(cause), name)]
    look = f"orchestr logs {ctx.name}"
    if (trouble or item.trouble) is Trouble.CONFLICT:
        there = (
            ctx.worktree.exists()
            and unfinished_operation(ctx.repo.at_path(ctx.worktree)) is not None
        )
        where = ctx.worktree if ctx.worktree.exists() else ctx.repo_path
        look = f"git -C {where} {'status' if there else f'merge {ctx.repo.remotes.base}/{target}'}"
    found = [look, _suggest_work(ctx, name)]
    if UNSEEN in item.detail:
        repo = ctx.cell.repo
        more = f"give the cell `checks:` or [repos.{repo}] land_checks, and orchestr land {name} "
        found.append(f"{more}resolves it by itself where they are green")
    return found


def suggest_at_forge(feature: str, reason: str, link: str) -> list[str]:
    """What a person does about what the forge wants still, by the reason (`describe_unmet`)."""
    found = []
    if "red: " in reason:
        found.append(f"orchestr follow {feature} --once repairs what is red")
    if any(word in reason for word in ("approval: ", "conversations: ", "codeowners: ")):
        found.append(f"a person answers at {link}, then: orchestr land {feature}")
    is_pending = any(each in reason for each in ("still at work", "not reported", "has reported"))
    if is_pending and not found and "is locked" not in reason:  # else waiting changes nothing
        found.append(f"orchestr land {feature} --wait 30m waits for what is pending")
    found = found or [f"orchestr land {feature}"]
    return [*found, f"in spite of it: orchestr land {feature} --allow-red"]


def _suggest_work(ctx: CellContext, feature: str) -> str:
    """Where a person works on a cell, and how the landing of ``feature`` goes on."""
    return f"mend it on {ctx.cell.branch}, then: orchestr run {ctx.name} && orchestr land {feature}"
