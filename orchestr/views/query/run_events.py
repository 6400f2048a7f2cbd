"""What a journal says of one run: how things came about, what was done, what it cost.

Pure: events and spans in, lines of the report out. Which events belong to a run is decided here:
those with its id, and those without any that were written while it went on (an agent that calls a
verb that is for people is noted without the id of the run).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from orchestr.state.event_details import (
    CellWarned,
    LandDone,
    LandParked,
    LandUndone,
    PrOpened,
    PrUpdated,
    PushDone,
    WorktreeAdded,
    WorktreeRemoved,
)
from orchestr.state.events import Event, EventKind
from orchestr.state.follow_details import FollowAnswered, FollowCleared, FollowNoted, FollowParked
from orchestr.state.landing_details import LandAllowed, LandUpdate, LandWaits
from orchestr.state.landing_transitions import describe_resolved
from orchestr.state.spans import parse_time
from orchestr.state.timeline import Span, SpanKind, Timeline
from orchestr.views.run_report.model import (
    ActionLine,
    CostFigure,
    FollowLine,
    LandingLine,
    WorkLine,
    add_figures,
)
from orchestr.views.terminal.text import headline

WORKS = {SpanKind.ATTEMPT: "attempt", SpanKind.REPAIR: "repair", SpanKind.REVIEW: "review"}
REFUSED_VERB = "that is for people and was refused"  # of `commands.base.inside_attempt`
REFUSED_HOSTS = "its sandbox refused "  # of `cell.agent.after_sandbox`


def select_run_events(
    events: Iterable[Event], run: str, start: str, end: str, *, whole: bool = False
) -> list[Event]:
    """The events of a run. ``start`` and ``end`` are journal times; those between them that have
    no run count, too. ``whole``: all between them count: a follow works by runs of their own."""
    return [
        event
        for event in events
        if event.run == run or ((whole or not event.run) and start <= event.ts <= end)
    ]


# ---- how it came about ---------------------------------------------------------------------------


def find_worktree_origin(events: Iterable[Event], cell: str, run: str) -> str:
    """created, recreated or reused; adopted where no run has made it."""
    made = [e for e in events if e.cell == cell and e.kind is EventKind.WORKTREE_ADDED]
    if not made:
        return "adopted"
    if made[-1].run != run:
        return "reused"
    return "recreated" if any(e.run != run for e in made) else "created"


def find_pull_request_origin(events: Iterable[Event], cell: str, run: str, url: str) -> str:
    """created, reused, adopted or a person's: who opened it, and whether it was this run."""
    opened = ""
    for event in events:
        if event.cell != cell:
            continue
        if event.kind is EventKind.CELL_ADOPTED:
            return "a person's"
        if event.kind is EventKind.PR_OPENED and event.data.get("url") == url:
            opened = event.run
    if not opened:
        return "adopted"
    return "created" if opened == run else "reused"


# ---- what was done -------------------------------------------------------------------------------


def list_actions(events: Iterable[Event]) -> Iterator[ActionLine]:
    """What the run changed outside of its own records, in order."""
    for event in events:
        what = _describe_action(event)
        if what:
            yield ActionLine(event.ts, event.cell, what)


def _describe_action(event: Event) -> str:
    match event.details:
        case WorktreeAdded(path=path, branch=branch):
            return f"added the worktree {path} on {branch}"
        case WorktreeRemoved(path=path):
            return f"removed the worktree {path}"
        case PushDone(branch=branch, sha=sha):
            return f"pushed {branch} at {(sha or '')[:10]}"
        case PrOpened(url=url, draft=draft):
            return f"opened {'the draft ' if draft else ''}{url}"
        case PrUpdated(url=url):
            return f"updated {url}"
        case LandDone(target=target, before=before, commit=commit) as done:
            moved = f"moved {target} from {(before or '')[:10]} to {(commit or '')[:10]}"
            return moved + describe_resolved(done)
        case LandUndone(target=target, commit=commit):
            return f"reverted on {target}, at {(commit or '')[:10]}"
        case LandAllowed(reason=reason, user=user):
            return f"{user or 'a person'} let it land in spite of: {reason or ''}"
        case LandUpdate(new=new):
            return f"took the moved target into its branch, at {(new or '')[:10]}"
        case FollowAnswered(thread=thread, commit=commit):
            return f"answered {thread}" + (f" with {commit[:10]}" if commit else "")
        case _:
            return ""


def list_landings(events: Iterable[Event]) -> Iterator[LandingLine]:
    """The last word on each cell that was landed, rolled back or parked."""
    found: dict[str, LandingLine] = {}
    for event in events:
        match event.details:
            case LandDone() | LandUndone() as done:
                what = "landed" if isinstance(done, LandDone) else "rolled back"
                reason = describe_resolved(done).removeprefix("; ")
                found[event.cell] = LandingLine(
                    event.cell, what, done.target or "", done.commit or "", done.before or "",
                    reason,
                )  # fmt: skip
            case LandParked(reason=reason, hint=hint):
                found[event.cell] = LandingLine(
                    event.cell, "not landed", reason=reason or "", hint=hint or ""
                )
            case LandWaits(reason=reason):
                found[event.cell] = LandingLine(event.cell, "not landed", reason=reason or "")
            case _:
                pass
    yield from found.values()


def list_follow_lines(events: Iterable[Event]) -> Iterator[FollowLine]:
    """What was found at open pull requests, in order."""
    for event in events:
        match event.details:
            case FollowNoted(what=what, action=action, why=why):
                yield FollowLine(event.ts, event.cell, what or "", action or "", why or "")
            case FollowParked(reason=reason):
                yield FollowLine(event.ts, event.cell, reason or "", "needs a person")
            case FollowCleared():
                yield FollowLine(event.ts, event.cell, "what a person was needed for is gone", "")
            case _:
                pass


def list_warnings(events: Iterable[Event], cell: str) -> list[str]:
    """The warnings of a cell (empty: of the feature), each once."""
    found = (
        event.details.reason
        for event in events
        if event.cell == cell and isinstance(event.details, CellWarned)
    )
    return list(dict.fromkeys(reason for reason in found if reason))


def is_denial(warning: str) -> bool:
    """Whether a warning tells of something that an agent tried and was not let do."""
    return REFUSED_VERB in warning or warning.startswith(REFUSED_HOSTS)


# ---- what it cost --------------------------------------------------------------------------------


def select_works(line: Timeline, cell: str, start: str, end: str) -> list[Span]:
    """Attempts, repairs and reviews that went on between two journal times."""
    begin, last = parse_time(start) or 0.0, parse_time(end) or 0.0
    return [
        span
        for span in line.select_spans(*WORKS, cell=cell)
        if span.start <= last and (span.end is None or span.end >= begin)
    ]


def make_work_lines(works: Sequence[Span], now: float) -> tuple[WorkLine, ...]:
    """A line for each; times are those of the whole work, also where it began in another run."""
    return tuple(
        WorkLine(
            WORKS[span.kind],
            span.name if span.attempt >= 0 else f"plan {-span.attempt}",
            span.attempt,
            span.state,
            str(span.data.get("agent") or ""),
            str(span.data.get("model") or ""),
            _describe_note(span),
            round(span.seconds(now), 3),
            *_read_cost(span),
        )
        for span in works
    )


def _describe_note(span: Span) -> str:
    """How it ended; of a repair, which cannot say that, what it was for."""
    note = headline(span.note)
    return f"for {note}" if note and span.kind is SpanKind.REPAIR else note


def sum_by_phase(works: Sequence[Span], now: float, step: str = "") -> tuple[CostFigure, ...]:
    """What each phase cost: its attempts, repairs and reviews apart. ``step``: a step of the whole
    feature whose works they are, in place of a phase."""
    found: dict[tuple[str, str], CostFigure] = {}
    for span in works:
        phase = step or ("plan" if span.attempt < 0 else span.phase or "implement")
        what = WORKS[span.kind]
        cost, known = _read_cost(span)
        one = CostFigure(phase, what, 1, round(span.seconds(now), 3), cost, known,
                         _read_tokens(span))  # fmt: skip
        old = found.get((phase, what))
        found[phase, what] = one if old is None else add_figures(old, one)
    return tuple(found.values())


def _read_cost(span: Span) -> tuple[float | None, float]:
    """The cost, None where it is unknown, and the part of it that is known."""
    cost, known = span.data.get("cost_usd"), span.data.get("cost_known_usd")
    whole = float(cost) if isinstance(cost, int | float) else None
    if whole is not None:
        return whole, whole
    return None, float(known) if isinstance(known, int | float) else 0.0


def _read_tokens(span: Span) -> tuple[int, int, int] | None:
    counts = span.data.get("tokens")
    if not isinstance(counts, list | tuple) or len(counts) != 3:
        return None
    if not all(isinstance(n, int) for n in counts):
        return None
    return int(counts[0]), int(counts[1]), int(counts[2])
