"""The parts of the page as records: what the templates show, in words, already decided.

Pure. Reads `FeaturePage`; knows nothing of HTML but the names of CSS classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from orchestr.registry import substitute_program_name
from orchestr.spec.phases import Phase
from orchestr.state.cell_state import asks_for_approval, describe_cell
from orchestr.state.states import CellState
from orchestr.state.timeline import Span, SpanKind
from orchestr.state.view import CellView
from orchestr.views.graph.report_layout import lay_out_plan
from orchestr.views.html import escape, gantt
from orchestr.views.html.costs import CostSum
from orchestr.views.html.model import FeaturePage
from orchestr.views.html.section_records import (
    GAP,
    MARGIN,
    NODE,
    CellRow,
    Notice,
    PictureBox,
    PictureEdge,
    PlanPicture,
    PullRequestRow,
    StateBadge,
    TimelineChart,
    TimelineTrack,
)
from orchestr.views.model import describe_activity, next_command, pr_words
from orchestr.views.terminal.text import clip, format_count, format_duration, format_tries, headline

NO_CELL = CellView("")
TELLING = (
    CellState.APPROVAL,
    CellState.MERGE_CONFLICT,
    CellState.NEEDS_PERSON,
    CellState.FAILED,
    CellState.ABORTED,
    CellState.WAITING,
    CellState.BLOCKED,
)


def state_badge(state: CellState, view: CellView = NO_CELL) -> StateBadge:
    """How a state looks; ``view`` of the cell, where it is one's."""
    words = describe_cell(state, view)
    return StateBadge(words.label, words.symbol, f"st-{state.value}")


def cell_rows(
    page: FeaturePage, by_cell: Iterable[CostSum], pulls_: Iterable[PullRequestRow]
) -> list[CellRow]:
    """The table of cells in plan order."""
    status = page.status
    spent = {c.name: c for c in by_cell}
    prs = {p.cell: p for p in pulls_}
    found = []
    for plan in status.plan.cells:
        view, state = status.view.cell(plan.name), status.cell_state(plan.name)
        mine = page.timeline.select_spans(SpanKind.CELL, cell=plan.name)
        built = [s for s in page.timeline.select_spans(SpanKind.PHASE, cell=plan.name)
                 if s.phase == Phase.IMPLEMENT.value]  # fmt: skip
        moving = state in (CellState.RUNNING, CellState.WAITING)
        found.append(
            CellRow(
                plan.name,
                plan.repo,
                state_badge(state, view),
                _phase_words(view, moving),
                view.attempt,
                format_tries(view.attempt, view.repairs),
                format_duration(mine[-1].seconds(page.now)) if mine else "-",
                spent.get(plan.name) or CostSum(plan.name, ""),
                _last_build_reason(built),
                waiting_reason(page, plan.name),
                prs.get(plan.name),
                plan.name in page.timeline.critical,
                approval_digest(page, plan.name),
            )
        )
    return found


def approval_digest(page: FeaturePage, cell: str) -> str:
    """The digest of what waits for a person's yes; empty when nothing of the cell does."""
    status = page.status
    if status.cell_state(cell) is not CellState.APPROVAL or not asks_for_approval(
        status.view.cell(cell)
    ):
        return ""
    phase = status.view.cell(cell).phase
    gate = "plan" if phase == Phase.PLAN else "publish"
    found = (g.get("digest") for g in status.cell_facts(cell).approvals if g.get("gate") == gate)
    return next((digest for digest in found if digest), "")


def _last_build_reason(spans: Sequence[Span]) -> str:
    """Why it was built last."""
    if not spans:
        return ""
    why = headline(spans[-1].data.get("why"))
    changed = headline(spans[-1].data.get("changed"))
    if changed:
        return escape.make_visible(f"changed: {changed}")
    first = len(spans) == 1 and why == "it was not done yet"
    return "the first time" if first else escape.make_visible(why)


def _phase_words(view: CellView, moving: bool) -> str:
    """Where it is, and in which round; where it failed."""
    if not moving:
        return view.phase if view.state is CellState.FAILED else ""
    doing = describe_activity(view)
    return escape.make_visible(f"{view.phase}, {doing}" if doing else view.phase)


def waiting_reason(page: FeaturePage, cell: str) -> str:
    """What a cell that has not begun or stands still is waiting for."""
    status = page.status
    view, state = status.view.cell(cell), status.cell_state(cell)
    if state is CellState.WAITING and view.waiting_until is None and view.reason:
        return headline(view.reason).removeprefix("waits for ")
    if state is CellState.WAITING:
        until = f" until {view.waiting_until}" if view.waiting_until else ""
        return f"usage limit{until}"
    if state is CellState.APPROVAL:
        return (
            "a person"
            if asks_for_approval(view)
            else headline(view.reason).removeprefix("waits for ")
        )
    if state not in (CellState.PENDING, CellState.BLOCKED):
        return ""
    missing = [u for u in status.plan.cell(cell).upstreams if not status.cell_state(u).is_good]
    return ", ".join(f"{u} ({status.cell_state(u).label})" for u in missing)


def make_notices(page: FeaturePage) -> list[Notice]:
    """What wants a person, the most urgent first; blocked cells stand with what blocks them."""
    status, name = page.status, page.status.feature.name
    found = []
    blocked = [c.name for c in status.plan.cells
               if status.cell_state(c.name) in (CellState.BLOCKED, CellState.APPROVAL)
               and not asks_for_approval(status.view.cell(c.name))]  # fmt: skip
    told: set[str] = set()
    for state in TELLING:
        for plan in status.plan.cells:
            if status.cell_state(plan.name) is not state or plan.name in told:
                continue
            view = status.view.cell(plan.name)
            behind = tuple(
                b for b in blocked if b != plan.name and _is_upstream_of(page, plan.name, b)
            )
            told |= set(behind)
            if state is CellState.APPROVAL and not asks_for_approval(view):
                continue  # it stands with the cell that asks
            commands = [c for c in (view.hint, next_command(name, view, state)) if c]
            if state is CellState.APPROVAL:
                commands = [f"orchestr approve {name}:{plan.name}", f"orchestr run {name}"]
            if state is CellState.FAILED:
                commands.insert(1 if view.hint else 0, f"orchestr explain {name}:{plan.name}")
            reason = view.reason or ""
            first = headline(reason)
            rest = escape.make_visible(reason).strip() if "\n" in reason.strip() else ""
            found.append(
                Notice(
                    plan.name,
                    state_badge(state),
                    escape.make_visible(first),
                    rest,
                    tuple(
                        dict.fromkeys(
                            substitute_program_name(escape.make_visible(c)) for c in commands
                        )
                    ),
                    behind,
                    approval_digest(page, plan.name),
                )
            )
    return found


def _is_upstream_of(page: FeaturePage, upstream: str, cell: str) -> bool:
    todo, seen = [cell], set()
    while todo:
        for above in page.status.plan.cell(todo.pop()).upstreams:
            if above == upstream:
                return True
            if above not in seen:
                seen.add(above)
                todo.append(above)
    return False


def pull_request_rows(page: FeaturePage) -> list[PullRequestRow]:
    """PullRequestRow requests, each below the one that it is stacked on, in the order to merge
    them."""
    status = page.status
    found: dict[str, PullRequestRow] = {}
    for plan in status.plan.cells:
        link = status.pull_request(plan.name)
        if link is None:
            continue
        view = status.view.cell(plan.name)
        below = next((s for s in plan.stack if s in found), None)
        base = status.cell_facts(plan.name).base or view.base or plan.base or ""
        found[plan.name] = PullRequestRow(
            plan.name,
            escape.make_visible(link[0]),
            escape.safe_link(link[0]),
            escape.make_visible(pr_words(link, view)),
            "draft" if link[1] == "open" and link[2] else link[1],
            plan.branch,
            escape.make_visible(base),
            found[below].depth + 1 if below else 0,
            len(found) + 1,
        )
    children: dict[str | None, list[str]] = {}
    for name in found:
        below = next((s for s in status.plan.cell(name).stack if s in found), None)
        children.setdefault(below, []).append(name)
    ordered: list[PullRequestRow] = []
    todo = list(reversed(children.get(None, [])))
    while todo:
        name = todo.pop()
        ordered.append(found[name])
        todo += reversed(children.get(name, []))
    return ordered


def make_picture(page: FeaturePage) -> PlanPicture:
    """The plan as boxes and lines, waves from left to right."""
    status, plan = page.status, page.status.plan
    edges = [(u, c.name) for c in plan.cells for u in (*c.stack, *c.foreign)]
    layout = lay_out_plan([[c.name for c in wave] for wave in plan.cells_by_wave()], edges)
    across, down = NODE[0] + GAP[0], NODE[1] + GAP[1]
    critical = page.timeline.critical
    boxes = []
    for cell in plan.cells:
        wave, row = layout.places[cell.name]
        state = status.cell_state(cell.name)
        view = status.view.cell(cell.name)
        mine = page.timeline.select_spans(SpanKind.CELL, cell=cell.name)
        words = describe_cell(state, view)
        doing = words.step
        sub = f"{cell.repo} · {format_duration(mine[-1].seconds(page.now)) if mine else doing}"
        if state is CellState.RUNNING:
            sub = f"{cell.repo} · {doing}"
        boxes.append(
            PictureBox(cell.name, clip(cell.name, 19), clip(sub, 28),
                f"{cell.name}: {words.label}\n{cell.repo}, {cell.branch}", state_badge(state, view),
                MARGIN + wave * across, MARGIN + row * down, cell.name in critical)
        )  # fmt: skip
    pairs = set(pairwise(critical))
    lines = []
    for edge in layout.edges:
        look = "stacked" if edge.upstream in plan.cell(edge.dependent).stack else "foreign"
        look += " critical" if (edge.upstream, edge.dependent) in pairs else ""
        points = [(MARGIN + w * across, MARGIN + r * down + NODE[1] / 2) for w, r in edge.points]
        lines.append(PictureEdge(_edge_path(points), look))
    lines.sort(key=lambda line: "critical" in line.look)
    width = 2 * MARGIN + layout.waves * across - GAP[0]
    height = 2 * MARGIN + layout.rows * down - GAP[1]
    return PlanPicture(tuple(boxes), tuple(lines), max(width, 1), max(round(height, 1), 1))


def _edge_path(points: Sequence[tuple[float, float]]) -> str:
    """A path from the right side of a box to the left side of another, level at its ends."""
    x, y = points[0][0] + NODE[0], points[0][1]
    path = f"M{x:g} {y:.1f}"
    for index, (px, py) in enumerate(points[1:], 1):
        bend = (px - x) / 2
        path += f" C{x + bend:g} {y:.1f} {px - bend:g} {py:.1f} {px:g} {py:.1f}"
        x, y = px, py
        if index < len(points) - 1:  # a bend: straight past the boxes of its wave
            x = px + NODE[0]
            path += f" H{x:g}"
    return path


def make_chart(page: FeaturePage) -> TimelineChart:
    """The timeline, one track a cell."""
    kinds = (SpanKind.RUN, SpanKind.PHASE, SpanKind.ATTEMPT, SpanKind.LAND)
    axis = gantt.make_axis(page.timeline.select_spans(*kinds), page.now)
    tracks = [
        TimelineTrack(
            c.name,
            state_badge(page.status.cell_state(c.name), page.status.view.cell(c.name)),
            c.name in page.timeline.critical,
            tuple(gantt.make_bars(page.timeline, axis, c.name, page.now)),
        )
        for c in page.status.plan.cells
    ]
    found = gantt.make_marks(axis)
    breaks = tuple(round(m.left, 3) for m in found if m.kind == "break")
    return TimelineChart(tuple(found), tuple(t for t in tracks if t.bars), axis.hidden, breaks)


def make_tiles(page: FeaturePage, whole: CostSum) -> list[tuple[str, str, str]]:
    """The figures at the top: label, value, remark."""
    status = page.status
    states = [status.cell_state(c.name) for c in status.plan.cells]
    good = sum(s.counts_as_done for s in states)
    parts = [f"{states.count(s)} {s.label}" for s in CellState
             if s in states and not s.counts_as_done]  # fmt: skip
    runs = page.timeline.select_spans(SpanKind.RUN)
    work = page.timeline.select_spans(SpanKind.WORK)
    wall = gantt.covered_seconds(runs, page.now)
    newest = format_duration(runs[-1].seconds(page.now)) if runs else "-"
    prs = [status.pull_request(c.name) for c in status.plan.cells]
    known = [p for p in prs if p]
    drafts = sum(p[1] == "open" and bool(p[2]) for p in known)
    spent = whole.words
    remark = whole.tokens_words if whole.tokens else "no figures told" if whole.attempts else ""
    return [
        ("cells done", f"{good} of {len(states)}", ", ".join(parts)),
        (
            "newest run",
            newest,
            f"{format_count(len(runs), 'run')}, {format_duration(wall)} in all" if runs else "",
        ),
        (
            "agents at work",
            format_duration(sum(s.seconds(page.now) for s in work)) if work else "-",
            format_count(whole.attempts, "attempt"),
        ),
        ("cost", spent, remark),
        ("pull requests", str(len(known)), f"{format_count(drafts, 'draft')}" if drafts else ""),
    ]


def run_rows(page: FeaturePage) -> list[Span]:
    """The runs, newest first."""
    return list(reversed(page.timeline.select_spans(SpanKind.RUN)))[:50]
