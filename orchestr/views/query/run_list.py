"""The runs of a workspace, newest first: from kept reports, and from journals where there is none.

Reads only. A report is read only for what is shown. A run that was killed has no report: the
journal, or the note of its begin, tells of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from orchestr.process.lease import read_lease
from orchestr.state.event_details import (
    LandDone,
    LandParked,
    LandUndone,
    RunFinished,
    RunStarted,
)
from orchestr.state.events import Event
from orchestr.state.follow_details import FollowAnswered, FollowNoted, FollowParked
from orchestr.state.journal import Journal
from orchestr.state.layout import WorkspaceLayout
from orchestr.state.replay import replay
from orchestr.state.run_activity import is_idle
from orchestr.state.timeline import make_timeline
from orchestr.state.view import FeatureView
from orchestr.views.query.run_events import WORKS, sum_by_phase
from orchestr.views.run_report.listing import RunRow, count_done, count_failed
from orchestr.views.run_report.model import outcome_word, sum_costs
from orchestr.views.terminal.text import seconds_between

BEGUN, REPORT = "begun.json", "report.json"


@dataclass(slots=True)
class _Found:
    """What a journal says of one run so far."""

    run: str
    verb: str = ""
    command: str = ""
    started_at: str = ""
    finished_at: str = ""
    exit: int | None = None
    ended: bool = False
    idle: bool = True
    counts: Mapping[str, int] = field(default_factory=dict)


def list_runs(
    layout: WorkspaceLayout, features: Sequence[str], most: int | None = None
) -> list[RunRow]:
    """The runs that touched one of the features, newest first, at most ``most``.

    Ids begin with the time in UTC, so that their order is that of the runs.
    """
    rows: dict[str, RunRow] = {}
    for feature in features:
        holder = read_lease(layout.lease_file(feature))
        events = list(Journal(layout.journal_file(feature)).read())
        for row in rows_of_journal(feature, events, live=holder is not None):
            rows[row.run] = _merge_rows(rows[row.run], row) if row.run in rows else row
    folders = {path.name: path for path in _list_folders(layout.run_reports_dir)}
    found: list[RunRow] = []
    for run in sorted({*rows, *folders}, reverse=True):
        known = rows.get(run)
        shown = _read_folder(folders[run], known, layout) if run in folders else known
        if shown is not None and not {*shown.features}.isdisjoint(features):
            found.append(shown)
        if most is not None and len(found) >= most:
            break
    return found


def rows_of_journal(feature: str, events: Sequence[Event], *, live: bool) -> list[RunRow]:
    """The runs that a journal tells of, oldest first. Pure.

    ``live``: a process holds the feature's lease, so the newest run may be at work.
    """
    found: dict[str, _Found] = {}
    view = FeatureView()
    for run, group in groupby(events, key=lambda event: event.run):
        part = list(group)
        view = replay(part, view)
        if run:
            _add_part(found.setdefault(run, _Found(run, started_at=part[0].ts)), part, view)
    line = make_timeline(events, live=live)
    works: dict[str, list[Any]] = {}
    for span in line.select_spans(*WORKS):
        works.setdefault(span.run, []).append(span)
    shown = [one for one in found.values() if one.verb]
    newest = shown[-1].run if shown else ""
    rows = []
    for one in shown:
        whole = sum_costs(sum_by_phase(works.get(one.run, ()), 0.0))
        at_work = live and one.run == newest and not one.ended
        end = one.finished_at if not at_work else ""
        rows.append(
            RunRow(
                run=one.run,
                verb=one.verb,
                command=one.command or f"orchestr {one.verb} {feature}",
                features=(feature,),
                started_at=one.started_at,
                finished_at=end,
                seconds=seconds_between(one.started_at, end),
                exit=one.exit,
                outcome="running" if at_work else _outcome_of(one),
                counts=one.counts,
                done=count_done(one.counts),
                failed=count_failed(one.counts),
                works=whole.works,
                cost_usd=whole.cost_usd,
                cost_known_usd=whole.cost_known_usd,
            )
        )
    return rows


def _add_part(found: _Found, events: Iterable[Event], view: FeatureView) -> None:
    """Add events that stand together in the journal; ``view`` is the one after them."""
    part = list(events)
    found.idle = found.idle and is_idle(part)
    found.finished_at = max(found.finished_at, part[-1].ts)
    states = (cell.state.value for cell in view.cells.values() if cell.run == found.run)
    found.counts = dict(Counter(states)) or found.counts
    for event in part:
        match event.details:
            case RunStarted(command=command):
                found.verb, found.command = "run", command or ""
            case RunFinished(exit=code):
                found.exit, found.ended = None if code is None else int(code), True
            case LandDone() | LandParked() if found.verb != "run":
                found.verb = "land"
            case LandUndone() if found.verb != "run":
                found.verb = "rollback"
            case FollowNoted() | FollowParked() | FollowAnswered() if not found.verb:
                found.verb = "follow"
            case _:
                pass


def _outcome_of(found: _Found) -> str:
    if found.exit is not None:
        if found.exit == 0 and found.idle:
            return "up to date"
        return outcome_word(found.verb, found.exit, found.counts)
    if found.verb in ("run", "follow"):
        return "interrupted"
    # A landing of an earlier version does not say how it ended.
    landed = any(state in found.counts for state in ("landed", "rolled_back"))
    return outcome_word(found.verb, 0 if landed else 1)


def _merge_rows(a: RunRow, b: RunRow) -> RunRow:
    """One run over several features."""
    counts = Counter(a.counts) + Counter(b.counts)
    known = [row for row in (a, b) if row.works]
    return replace(
        a,
        features=(*a.features, *b.features),
        finished_at=max(a.finished_at, b.finished_at),
        seconds=seconds_between(min(a.started_at, b.started_at), max(a.finished_at, b.finished_at)),
        exit=max(a.exit, b.exit) if a.exit is not None and b.exit is not None else None,
        outcome=a.outcome if a.outcome != "up to date" else b.outcome,
        counts=dict(counts),
        done=a.done + b.done,
        failed=a.failed + b.failed,
        works=a.works + b.works,
        cost_usd=sum(row.cost_usd or 0.0 for row in known)
        if known and all(row.cost_usd is not None for row in known)
        else None,
        cost_known_usd=a.cost_known_usd + b.cost_known_usd,
    )


def _list_folders(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [path for path in folder.iterdir() if path.is_dir()]
    return []


def _read_folder(folder: Path, known: RunRow | None, layout: WorkspaceLayout) -> RunRow | None:
    """The row by the report; by the note of its begin where there is none."""
    report = read_object(folder / REPORT)
    if report is not None:
        with suppress(KeyError, TypeError, ValueError, AttributeError):
            return _row_of_report(report, folder)
    begun = read_object(folder / BEGUN)
    if known is not None and (begun is None or known.verb == "run"):
        return known
    if begun is None:
        return None
    names = tuple(str(name) for name in begun.get("features") or ())
    holders = [read_lease(layout.lease_file(name)) for name in names]
    alive = any(holder is not None and holder.pid == begun.get("pid") for holder in holders)
    row = known or RunRow(folder.name, "", "", names, "")
    return replace(
        row,
        verb=str(begun.get("verb") or ""),
        command=str(begun.get("command") or ""),
        features=names,
        started_at=str(begun.get("started_at") or ""),
        exit=None,
        outcome="running" if alive else "interrupted",
    )


def _row_of_report(report: Mapping[str, Any], folder: Path) -> RunRow:
    """Raises KeyError and the like for what is no report."""
    cells = [cell for feature in report["features"] for cell in feature["cells"]]
    counts = {str(state): int(n) for state, n in report["counts"].items()}
    return RunRow(
        run=folder.name,
        verb=str(report["verb"]),
        command=str(report["command"]),
        features=tuple(str(feature["name"]) for feature in report["features"]),
        started_at=str(report["started_at"]),
        finished_at=str(report["finished_at"]),
        seconds=report["seconds"],
        exit=int(report["exit"]),
        outcome=str(report["outcome"]),
        counts=counts,
        done=sum(not cell["open"] and cell["state"] != "ignored" for cell in cells),
        failed=count_failed(counts),
        works=sum(len(cell["costs"]) for cell in cells)
        + sum(len(feature.get("audit_costs", ())) for feature in report["features"]),
        cost_usd=report["cost_usd"],
        cost_known_usd=float(report["cost_known_usd"]),
        report=str(folder),
    )


def read_object(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None for anything else."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
