"""The parts of the page as records: what the templates show, in words, already decided.

Pure. Reads `FeaturePage`; knows nothing of HTML but the names of CSS classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from orchestr.errors import as_typed
from orchestr.spec.phases import Phase
from orchestr.state.states import CellState
from orchestr.state.timeline import Span, SpanKind
from orchestr.state.view import CellView
from orchestr.views.graph.report_layout import lay_out
from orchestr.views.html import escape, gantt
from orchestr.views.html.costs import Cost
from orchestr.views.html.model import FeaturePage
from orchestr.views.html.section_records import (
    GAP,
    MARGIN,
    NODE,
    Box,
    Chart,
    Line,
    Notice,
    Picture,
    Pull,
    Row,
    State,
    Track,
)
from orchestr.views.model import activity, next_command, pr_words
from orchestr.views.terminal.summary import asks
from orchestr.views.terminal.text import clip, count, headline, took, tries

TELLING = (
    CellState.APPROVAL,
    CellState.MERGE_CONFLICT,
    CellState.NEEDS_PERSON,
    CellState.FAILED,
    CellState.ABORTED,
    CellState.WAITING,
    CellState.BLOCKED,
)


def state_of(state: CellState) -> State:
    """How a state looks."""
    return State(state.words, state.symbol, f"st-{state.value}")


def rows(page: FeaturePage, by_cell: Iterable[Cost], pulls_: Iterable[Pull]) -> list[Row]:
    """The table of cells in plan order."""
    status = page.status
    spent = {c.name: c for c in by_cell}
    prs = {p.cell: p for p in pulls_}
    found = []
    for plan in status.plan.cells:
        view, state = status.view.cell(plan.name), status.cell_state(plan.name)
        mine = page.timeline.of(SpanKind.CELL, cell=plan.name)
        built = [s for s in page.timeline.of(SpanKind.PHASE, cell=plan.name)
                 if s.phase == Phase.IMPLEMENT.value]  # fmt: skip
        moving = state in (CellState.RUNNING, CellState.WAITING)
        found.append(
            Row(
                plan.name,
                plan.repo,
                state_of(state),
                _phase(view, moving),
                view.attempt,
                tries(view.attempt, view.repairs),
                took(mine[-1].seconds(page.now)) if mine else "-",
                spent.get(plan.name) or Cost(plan.name, ""),
                _built(built),
                waits_for(page, plan.name),
                prs.get(plan.name),
                plan.name in page.timeline.critical,
                asked(page, plan.name),
            )
        )
    return found


def asked(page: FeaturePage, cell: str) -> str:
    """The digest of what waits for a person's yes; empty when nothing of the cell does."""
    status = page.status
    if status.cell_state(cell) is not CellState.APPROVAL or not asks(status.view.cell(cell)):
        return ""
    phase = status.view.cell(cell).phase
    gate = "plan" if phase == Phase.PLAN else "publish"
    found = (g.get("digest") for g in status.of(cell).approvals if g.get("gate") == gate)
    return next((digest for digest in found if digest), "")


def _built(spans: Sequence[Span]) -> str:
    """Why it was built last."""
    if not spans:
        return ""
    why = headline(spans[-1].data.get("why"))
    first = len(spans) == 1 and why == "it was not done yet"
    return "the first time" if first else escape.visible(why)


def _phase(view: CellView, moving: bool) -> str:
    """Where it is, and in which round; where it failed."""
    if not moving:
        return view.phase if view.state is CellState.FAILED else ""
    doing = activity(view)
    return escape.visible(f"{view.phase}, {doing}" if doing else view.phase)


def waits_for(page: FeaturePage, cell: str) -> str:
    """What a cell that has not begun or stands still is waiting for."""
    status = page.status
    view, state = status.view.cell(cell), status.cell_state(cell)
    if state is CellState.WAITING:
        until = f" until {view.waiting_until}" if view.waiting_until else ""
        return f"usage limit{until}"
    if state is CellState.RUNNING and view.slot == "queued":
        return "a free slot"
    if state is CellState.APPROVAL:
        return "a person" if asks(view) else headline(view.reason).removeprefix("waits for ")
    if state not in (CellState.PENDING, CellState.BLOCKED):
        return ""
    missing = [u for u in status.plan.cell(cell).upstreams if not status.cell_state(u).is_good]
    return ", ".join(f"{u} ({status.cell_state(u).words})" for u in missing)


def notices(page: FeaturePage) -> list[Notice]:
    """What wants a person, the most urgent first; blocked cells stand with what blocks them."""
    status, name = page.status, page.status.feature.name
    found = []
    blocked = [c.name for c in status.plan.cells
               if status.cell_state(c.name) in (CellState.BLOCKED, CellState.APPROVAL)
               and not asks(status.view.cell(c.name))]  # fmt: skip
    told: set[str] = set()
    for state in TELLING:
        for plan in status.plan.cells:
            if status.cell_state(plan.name) is not state or plan.name in told:
                continue
            view = status.view.cell(plan.name)
            behind = tuple(b for b in blocked if b != plan.name and _reaches(page, plan.name, b))
            told |= set(behind)
            if state is CellState.APPROVAL and not asks(view):
                continue  # it stands with the cell that asks
            commands = [c for c in (view.hint, next_command(name, view, state)) if c]
            if state is CellState.APPROVAL:
                commands = [f"orchestr approve {name}:{plan.name}", f"orchestr run {name}"]
            if state is CellState.FAILED:
                commands.insert(1 if view.hint else 0, f"orchestr explain {name}:{plan.name}")
            reason = view.reason or ""
            first = headline(reason)
            rest = escape.visible(reason).strip() if "\n" in reason.strip() else ""
            found.append(
                Notice(plan.name, state_of(state), escape.visible(first), rest,
                       tuple(dict.fromkeys(as_typed(escape.visible(c)) for c in commands)), behind,
                       asked(page, plan.name))
            )  # fmt: skip
    return found


def _reaches(page: FeaturePage, upstream: str, cell: str) -> bool:
    todo, seen = [cell], set()
    while todo:
        for above in page.status.plan.cell(todo.pop()).upstreams:
            if above == upstream:
                return True
            if above not in seen:
                seen.add(above)
                todo.append(above)
    return False


def pulls(page: FeaturePage) -> list[Pull]:
    """Pull requests, each below the one that it is stacked on, in the order to merge them."""
    status = page.status
    found: dict[str, Pull] = {}
    for plan in status.plan.cells:
        link = status.pull_request(plan.name)
        if link is None:
            continue
        view = status.view.cell(plan.name)
        below = next((s for s in plan.stack if s in found), None)
        base = status.of(plan.name).base or view.base or plan.base or ""
        found[plan.name] = Pull(
            plan.name,
            escape.visible(link[0]),
            escape.link(link[0]),
            escape.visible(pr_words(link, view)),
            "draft" if link[1] == "open" and link[2] else link[1],
            plan.branch,
            escape.visible(base),
            found[below].depth + 1 if below else 0,
            len(found) + 1,
        )
    children: dict[str | None, list[str]] = {}
    for name in found:
        below = next((s for s in status.plan.cell(name).stack if s in found), None)
        children.setdefault(below, []).append(name)
    ordered: list[Pull] = []
    todo = list(reversed(children.get(None, [])))
    while todo:
        name = todo.pop()
        ordered.append(found[name])
        todo += reversed(children.get(name, []))
    return ordered


def picture(page: FeaturePage) -> Picture:
    """The plan as boxes and lines, waves from left to right."""
    status, plan = page.status, page.status.plan
    edges = [(u, c.name) for c in plan.cells for u in (*c.stack, *c.foreign)]
    layout = lay_out([[c.name for c in wave] for wave in plan.waves()], edges)
    across, down = NODE[0] + GAP[0], NODE[1] + GAP[1]
    critical = page.timeline.critical
    boxes = []
    for cell in plan.cells:
        wave, row = layout.places[cell.name]
        state = status.cell_state(cell.name)
        view = status.view.cell(cell.name)
        mine = page.timeline.of(SpanKind.CELL, cell=cell.name)
        doing = view.phase if state is CellState.RUNNING else state.words
        sub = f"{cell.repo} · {took(mine[-1].seconds(page.now)) if mine else doing}"
        if state is CellState.RUNNING:
            sub = f"{cell.repo} · {doing}"
        boxes.append(
            Box(cell.name, clip(cell.name, 19), clip(sub, 28),
                f"{cell.name}: {state.words}\n{cell.repo}, {cell.branch}", state_of(state),
                MARGIN + wave * across, MARGIN + row * down, cell.name in critical)
        )  # fmt: skip
    pairs = set(pairwise(critical))
    lines = []
    for edge in layout.edges:
        look = "stacked" if edge.upstream in plan.cell(edge.dependent).stack else "foreign"
        look += " critical" if (edge.upstream, edge.dependent) in pairs else ""
        points = [(MARGIN + w * across, MARGIN + r * down + NODE[1] / 2) for w, r in edge.points]
        lines.append(Line(_curve(points), look))
    lines.sort(key=lambda line: "critical" in line.look)
    width = 2 * MARGIN + layout.waves * across - GAP[0]
    height = 2 * MARGIN + layout.rows * down - GAP[1]
    return Picture(tuple(boxes), tuple(lines), max(width, 1), max(round(height, 1), 1))


def _curve(points: Sequence[tuple[float, float]]) -> str:
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


def chart(page: FeaturePage) -> Chart:
    """The timeline, one track a cell."""
    kinds = (SpanKind.RUN, SpanKind.PHASE, SpanKind.ATTEMPT, SpanKind.LAND)
    axis = gantt.make_axis(page.timeline.of(*kinds), page.now)
    tracks = [
        Track(
            c.name,
            state_of(page.status.cell_state(c.name)),
            c.name in page.timeline.critical,
            tuple(gantt.bars(page.timeline, axis, c.name, page.now)),
        )
        for c in page.status.plan.cells
    ]
    found = gantt.marks(axis)
    breaks = tuple(round(m.left, 3) for m in found if m.kind == "break")
    return Chart(tuple(found), tuple(t for t in tracks if t.bars), axis.hidden, breaks)


def tiles(page: FeaturePage, whole: Cost) -> list[tuple[str, str, str]]:
    """The figures at the top: label, value, remark."""
    status = page.status
    states = [status.cell_state(c.name) for c in status.plan.cells]
    good = sum(s.is_good for s in states)
    parts = [f"{states.count(s)} {s.words}" for s in CellState
             if s in states and not s.is_good]  # fmt: skip
    runs = page.timeline.of(SpanKind.RUN)
    work = page.timeline.of(SpanKind.WORK)
    wall = gantt.overlapping(runs, page.now)
    newest = took(runs[-1].seconds(page.now)) if runs else "-"
    prs = [status.pull_request(c.name) for c in status.plan.cells]
    known = [p for p in prs if p]
    drafts = sum(p[1] == "open" and bool(p[2]) for p in known)
    spent = whole.words
    remark = whole.tokens_words if whole.tokens else "no figures told" if whole.attempts else ""
    return [
        ("cells done", f"{good} of {len(states)}", ", ".join(parts)),
        ("newest run", newest, f"{count(len(runs), 'run')}, {took(wall)} in all" if runs else ""),
        ("agents at work", took(sum(s.seconds(page.now) for s in work)) if work else "-",
         count(whole.attempts, "attempt")),
        ("cost", spent, remark),
        ("pull requests", str(len(known)), f"{count(drafts, 'draft')}" if drafts else ""),
    ]  # fmt: skip


def run_rows(page: FeaturePage) -> list[Span]:
    """The runs, newest first."""
    return list(reversed(page.timeline.of(SpanKind.RUN)))[:50]
