"""What `explain` knows of a cell beyond its state: changed values with their places, the journal.

Reads files, and asks git which paths differ between two trees of an upstream; no network.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from orchestr.cell.agent.changed_guides import read_ignored
from orchestr.cell.agent_chain import explain_change
from orchestr.cell.agent_options import list_work_options
from orchestr.cell.context import CellContext
from orchestr.cell.input_changes import InputChange, input_changes
from orchestr.cell.input_nodes import GIT, SETTINGS, SPEC, UPSTREAM
from orchestr.errors import OrchestrError
from orchestr.files import display_path
from orchestr.spec.agent_options import ChosenOptions
from orchestr.spec.phases import Phase
from orchestr.state import attempts
from orchestr.state.events import Event, EventKind
from orchestr.state.journal import parse_event
from orchestr.tasks.stale import stale_phases
from orchestr.views.query.candidates import describe_candidates
from orchestr.views.terminal.differences import Difference
from orchestr.views.terminal.explain import ExplainGrounds, JournalSource

PATHS = 6  # of a tree that differ
TELLING = frozenset(
    {
        EventKind.PHASE_STARTED,
        EventKind.PHASE_DONE,
        EventKind.PHASE_FAILED,
        EventKind.CELL_BLOCKED,
        EventKind.CELL_IGNORED,
        EventKind.CELL_UNIGNORED,
        EventKind.CELL_FORGOTTEN,
        EventKind.CELL_ADOPTED,
        EventKind.ATTEMPT_LIMITED,
        EventKind.ATTEMPT_STARTED,
        EventKind.ATTEMPT_CLOSED,
        EventKind.APPROVAL_ASKED,
        EventKind.APPROVAL_GIVEN,
        EventKind.APPROVAL_REFUSED,
        EventKind.LAND_DONE,
        EventKind.LAND_PARKED,
        EventKind.LAND_WAITS,
        EventKind.LAND_KEPT,
        EventKind.LAND_UNDONE,
        EventKind.LAND_REPAIR,
    }
)


def collect_grounds(ctx: CellContext) -> ExplainGrounds:
    """Everything for one cell. Never raises for what it cannot find."""
    stale = stale_phases(ctx)
    found: dict[str, Difference] = {}
    for phase in ctx.cell.task_phases:
        if phase in stale:
            for change in input_changes(ctx, phase):
                if change.origin is not GIT:
                    found.setdefault(change.field, _make_difference(ctx, change))
    newest = attempts.newest_attempt(ctx.dir)
    ignored = read_ignored(attempts.attempt_folder(ctx.dir, newest.number)) if newest else ""
    options: tuple[tuple[str, ChosenOptions], ...] = ()
    if (ctx.run.overrides.agent or ctx.agent_name) in ctx.run.settings.agents:
        options = tuple((one.work, one.chosen) for one in list_work_options(ctx))
    return ExplainGrounds(
        tuple(found.values()),
        *_find_journal_sources(ctx),
        ignored=ignored,
        options=options,
        candidates=describe_candidates(ctx),
        changed_agent=explain_change(ctx, list(attempts.iter_attempts(ctx.dir))),
    )


def _make_difference(ctx: CellContext, change: InputChange) -> Difference:
    old, new = change.old, change.new
    more: tuple[str, ...] = ()
    where = ""
    if change.origin == SPEC:
        where = locate_in_spec(ctx, change.field)
    elif change.origin == SETTINGS:
        where = locate_in_settings(ctx, change.field)
    elif change.origin == UPSTREAM:
        name = change.field.removeprefix("upstream ")
        more = _changed_paths(ctx, name, old, new)
        old = f"tree {old[:12]}" if old else old
        new = f"tree {new[:12]}" if new else new
    return Difference(change.field, old, new, where, more)


def locate_in_spec(ctx: CellContext, field: str) -> str:
    """`specs/a.yaml:7`: the line of a field of the cell, or of the feature."""
    file = ctx.run.feature.path
    steps = _parse_field_path(field)
    try:
        from orchestr.spec.document import read_document

        root = ctx.run.layout.root
        found = read_document(file, (root / file).read_bytes(), root)
        best = None
        for above in (("cells", ctx.cell.name), ("repos", ctx.cell.name), ("metadata",),
                      ("defaults",), ("spec", "defaults"), ("spec",), ()):  # fmt: skip
            whole = [*above, *steps]
            place = found.find_place(whole)
            parent = found.find_place(whole[: len(above)])
            if place[:2] != parent[:2] or (not above and place.line > 1):
                return f"{place.file}:{place.line}"
            best = best or place
        return f"{best.file}:{best.line}" if best else file
    except (OrchestrError, OSError, ValueError):
        return file


def _parse_field_path(field: str) -> list[str | int]:
    """`checks[1].run` as a path."""
    names = re.findall(r"[^.\[\]]+", field)
    return [int(name) if name.isdecimal() else name for name in names]


def locate_in_settings(ctx: CellContext, field: str) -> str:
    """`orchestr.toml:7`: the line of a value of the repository or the agent."""
    from orchestr.settings.loader import FILE
    from orchestr.settings.toml_positions import find_place

    table = tuple(map(str, _parse_field_path(field)))
    if table[0] != "repos":
        table = ("repos", ctx.cell.repo, table[0])
    if field == "model":
        table = ("agents", ctx.agent_name, "model")
    elif field == "agent":
        table = ("agents", "default")
    elif field.startswith("options."):
        _, role, name = field.split(".")
        table = ("agents", ctx.agent_name, "phases", role, name)
    try:
        text = (ctx.run.layout.root / FILE).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return FILE
    line, _column = find_place(text, table)
    return f"{FILE}:{line}" if line else FILE


def _changed_paths(
    ctx: CellContext, upstream: str, old: str | None, new: str | None
) -> tuple[str, ...]:
    """The paths in which two trees of an upstream differ, the first few."""
    if not old or not new:
        return ()
    with suppress(OrchestrError, KeyError):
        repo = ctx.run.cell_context(upstream).repo
        out = repo.run_git("diff-tree", "-r", "--name-status", old.split()[0], new.split()[0])
        lines = [" ".join(line.split("\t")) for line in out.text.splitlines() if line.strip()]
        more = [f"… {len(lines) - PATHS} more paths"] if len(lines) > PATHS else []
        return (*lines[:PATHS], *more)
    return ()


def _find_journal_sources(
    ctx: CellContext,
) -> tuple[JournalSource | None, JournalSource | None, JournalSource | None]:
    """The lines of the cell: what began its last build, the newest, what asked for that build."""
    path = ctx.run.journal.path
    shown = display_path(path, ctx.run.layout.root)
    last: JournalSource | None = None
    built: JournalSource | None = None
    asked: JournalSource | None = None  # a `forget` that nothing has answered yet
    forgotten: JournalSource | None = None
    for number, event in _read_numbered_events(path):
        if event.cell != ctx.cell.name or event.kind not in TELLING:
            continue
        last = JournalSource(shown, number, event)
        if event.kind is EventKind.LAND_REPAIR:
            asked = last
        elif event.kind is EventKind.CELL_FORGOTTEN:
            # A repair for the landing forgets the result itself: it stays the reason.
            if not (
                asked and asked.event.kind is EventKind.LAND_REPAIR and asked.event.run == event.run
            ):
                asked = last
        elif event.kind is EventKind.PHASE_DONE and event.phase == Phase.IMPLEMENT:
            asked = None
        elif event.kind is EventKind.PHASE_STARTED and event.phase in (
            Phase.WORKTREE,
            Phase.IMPLEMENT,
        ):
            earlier = built.event if built else None
            same = earlier and earlier.phase == Phase.WORKTREE and earlier.run == event.run
            if not same:
                built, forgotten = last, asked
    return built, last, forgotten


def _read_numbered_events(path: Path) -> list[tuple[int, Event]]:
    try:
        with path.open("rb") as stream:
            return [
                (n, e) for n, line in enumerate(stream, 1) if (e := parse_event(line)) is not None
            ]
    except OSError:
        return []
