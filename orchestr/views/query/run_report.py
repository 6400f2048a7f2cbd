"""Gathers the report of one run: its part of the journals, result files, what the forge said.

Reads only, and no network: of pull requests it shows what the run itself saw. Everything that
agents, programs and other people wrote is redacted here, in one place, before a renderer sees it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orchestr
from orchestr.agents.events import Parse
from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.notes import describe_deviation
from orchestr.cell.worktree.harm_record import GUARD_HARM, HARM, read_harm
from orchestr.codec import decode, encode
from orchestr.files import cache_record_reads
from orchestr.spec.records import AUDIT
from orchestr.state import attempts
from orchestr.state.cell_state import describe_cell
from orchestr.state.event_details import RunFinished
from orchestr.state.events import Event
from orchestr.state.results import check_word
from orchestr.state.run_activity import is_idle
from orchestr.state.states import CellState
from orchestr.state.timeline import Span, Timeline, make_timeline
from orchestr.views.html.history import gate_words
from orchestr.views.logs.dialect import event_parser
from orchestr.views.model import FeatureStatus, lock_lines
from orchestr.views.query import run_events
from orchestr.views.query.cost_forecast import judge_run_cost
from orchestr.views.query.denied_actions import list_denied_actions
from orchestr.views.query.evidence import newest_attempt_number, read_check_runs, read_reviews
from orchestr.views.query.follow_ups import list_follow_ups
from orchestr.views.query.report import Redact, make_redactor
from orchestr.views.query.status import feature_status
from orchestr.views.run_report.model import (
    CellReport,
    CheckLine,
    CrossCheckLine,
    FeatureReport,
    FollowUp,
    LandingLine,
    PullRequestLine,
    ReviewIssueLine,
    ReviewLine,
    RunReport,
    outcome_word,
)
from orchestr.views.terminal.explain import find_next_command
from orchestr.views.terminal.text import clean_line, headline, seconds_between

TEXT = 4_000  # characters of one text that are kept
CHECKS = 200  # of a cell


@dataclass(frozen=True, slots=True)
class RunFrame:
    """What a run is, beside its journals. Times are ISO-8601 UTC.

    ``selected``: by feature, the cells that the run was about; a feature that is missing: all.
    ``left``: by FEATURE/CELL, why a landing left something out and what to do.
    """

    run: str
    verb: str
    command: str
    started_at: str
    finished_at: str
    exit: int
    selected: Mapping[str, Sequence[str]] = field(default_factory=dict)
    left: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@cache_record_reads()
def build_run_report(runs: Sequence[FeatureRun], frame: RunFrame) -> RunReport:
    """The report of a run that has just ended, over all its features."""
    features = tuple(_report_feature(run, frame) for run in runs)
    states = [cell.state for one in features for cell in one.cells if cell.touched]
    report = RunReport(
        run=frame.run,
        verb=frame.verb,
        command=frame.command,
        started_at=frame.started_at,
        finished_at=frame.finished_at,
        seconds=seconds_between(frame.started_at, frame.finished_at),
        exit=frame.exit,
        outcome=outcome_word(frame.verb, frame.exit, states),
        version=orchestr.__version__,
        features=features,
    )
    cells = [run.cell_context(plan.name) for run in runs for plan in run.plan.cells]
    return redact_report(report, make_redactor(cells))


def redact_report(report: RunReport, hide: Redact) -> RunReport:
    """The same without secrets, every text of it bounded."""
    return decode(_redact_values(encode(report), hide), RunReport)


def redact_follow_ups(items: Iterable[FollowUp], hide: Redact) -> list[FollowUp]:
    """The same without secrets, every text of it bounded."""
    return [decode(_redact_values(encode(item), hide), FollowUp) for item in items]


def _redact_values(value: Any, hide: Redact) -> Any:
    match value:
        case str():
            text = hide(value)
            return text if len(text) <= TEXT else f"{text[:TEXT]}…"
        case dict():
            return {hide(key): _redact_values(inner, hide) for key, inner in value.items()}
        case list() | tuple():
            return [_redact_values(inner, hide) for inner in value]
        case _:
            return value


def _report_feature(run: FeatureRun, frame: RunFrame) -> FeatureReport:
    events = list(run.journal.read())
    mine = _select_mine(events, frame)
    status = feature_status(run)
    upstreams = {plan.name: plan.upstreams for plan in run.plan.cells}
    line = make_timeline(events, upstreams)
    names = frame.selected.get(run.feature.name)
    by_cell = _group_by_cell(events)
    cells = tuple(
        _CellBuilder(
            run.cell_context(plan.name), status, frame, by_cell.get(plan.name, ()), line
        ).build_cell()
        for plan in run.plan.cells
        if names is None
        or plan.name in names
        or status.cell_state(plan.name) is CellState.IGNORED  # skipped, and a reader has to know
    )
    audits = run_events.select_works(line, AUDIT, frame.started_at, frame.finished_at)
    audits = audits if run.feature.has_audit else []
    forge = next((e.details.forge for e in mine if isinstance(e.details, RunFinished)), None)
    return FeatureReport(
        name=run.feature.name,
        title=run.feature.title,
        key=run.feature.key,
        state=status.state.value,
        cells=cells,
        cross_checks=tuple(
            CrossCheckLine(one.repo, one.passed, one.told, one.commit, one.logs)
            for one in status.cross
        ),
        audit=status.audit,
        audit_works=run_events.make_work_lines(audits, time.time()),
        audit_costs=run_events.sum_by_phase(audits, time.time(), AUDIT),
        spec_lock=tuple(lock_lines(status)),
        landing=tuple(_list_landings(run.feature.name, mine, frame)),
        follow=tuple(run_events.list_follow_lines(mine)),
        actions=tuple(run_events.list_actions(mine)),
        follow_ups=tuple(list_follow_ups(run, status)),
        warnings=(*run_events.list_warnings(mine, ""), *status.view.surprises),
        forge_away=dict(status.view.forge_away),
        forge=dict(forge or {}),
        forecast=judge_run_cost(
            run, frame.run, events, seconds_between(frame.started_at, frame.finished_at)
        ),
    )


def _select_mine(events: Iterable[Event], frame: RunFrame) -> list[Event]:
    whole = frame.verb == "follow"
    return run_events.select_run_events(
        events, frame.run, frame.started_at, frame.finished_at, whole=whole
    )


def _list_landings(feature: str, mine: Sequence[Event], frame: RunFrame) -> Iterator[LandingLine]:
    """Where each cell went by the journal, and why the others went nowhere."""
    found = {line.cell: line for line in run_events.list_landings(mine)}
    yield from found.values()
    for key, (why, hint) in frame.left.items():
        owner, _, cell = key.partition("~")[0].partition("/")
        if owner == feature and cell not in found:
            yield LandingLine(cell, "not landed", reason=why, hint=hint)


def _group_by_cell(events: Iterable[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for event in events:
        found.setdefault(event.cell, []).append(event)
    return found


class _CellBuilder:
    """Makes the report of one cell from its events, files and spans."""

    def __init__(
        self,
        ctx: CellContext,
        status: FeatureStatus,
        frame: RunFrame,
        events: Sequence[Event],
        line: Timeline,
    ) -> None:
        self.ctx = ctx
        self.name = ctx.cell.name
        self.status = status
        self.frame = frame
        self.events = events
        self.mine = _select_mine(events, frame)
        self.works: list[Span] = run_events.select_works(
            line, self.name, frame.started_at, frame.finished_at
        )

    def build_cell(self) -> CellReport:
        """All of one cell. What the run did not touch has its state and results, and no history."""
        view, state = self.status.view.cell(self.name), self.status.cell_state(self.name)
        facts = self.status.cell_facts(self.name)
        touched = not is_idle(self.mine)
        now = time.time()
        warnings = run_events.list_warnings(self.mine, self.name)
        checks = self._list_checks()
        trouble = not state.is_good
        base = facts.base or view.base or self.status.plan.cell(self.name).base or ""
        origin = run_events.find_worktree_origin(self.events, self.name, self.frame.run)
        end = view.finished_at or self.frame.finished_at
        began = touched and (view.started_at or "") >= self.frame.started_at  # in this run
        return CellReport(
            name=self.name,
            repo=self.ctx.cell.repo,
            state=state.value,
            label=describe_cell(state, view).label,
            touched=touched,
            phase=view.phase if trouble else "",
            outcome=view.outcome or "",
            reason=view.reason or "" if trouble else "",
            hint=view.hint or "" if trouble else "",
            head=facts.head or "",
            tree=facts.tree or "",
            branch=self.ctx.cell.branch,
            base=base,
            pr=self._describe_pull_request(),
            worktree=facts.worktree or "",
            worktree_origin=origin if facts.worktree else "",
            checks=checks,
            checks_in=("worktree" if facts.notes.in_worktree else "clean checkout")
            if checks
            else "",
            reviews=self._list_reviews(),
            approvals=tuple(gate_words(gate) for gate in facts.approvals),
            works=run_events.make_work_lines(self.works, now),
            costs=run_events.sum_by_phase(self.works, now),
            seconds=seconds_between(view.started_at, end) if began else None,
            denied=(*self._list_denied(), *filter(run_events.is_denial, warnings)),
            beside_plan=self._list_beside_plan(),
            harm=self._list_harm(),
            outvoted=facts.notes.outvoted,
            notes=facts.notes.lines(),
            warnings=tuple(text for text in warnings if not run_events.is_denial(text)),
            open=self._is_open(state),
            next=self._find_next(state),
        )

    def _is_open(self, state: CellState) -> bool:
        """Whether the run's aim is not reached: a landing aims at more than a run."""
        match self.frame.verb:
            case "land":
                return state not in (CellState.LANDED, CellState.IGNORED)
            case "rollback":
                return state is CellState.LANDED or not state.is_good
            case _:
                return not state.is_good

    def _find_next(self, state: CellState) -> str:
        feature = self.status.feature.name
        _, hint = self.frame.left.get(f"{feature}/{self.name}", ("", ""))
        if hint.startswith("orchestr "):
            return hint.splitlines()[0]
        if self.frame.verb == "land" and state is CellState.DONE:
            return f"orchestr land {feature}"
        if self.frame.verb == "rollback" and state is CellState.LANDED:
            return f"orchestr rollback {feature}"
        return find_next_command(self.status, self.name)

    def _describe_pull_request(self) -> PullRequestLine | None:
        link = self.status.pull_request(self.name)
        if link is None:
            return None
        url, state, draft = link
        view = self.status.view.cell(self.name)
        origin = run_events.find_pull_request_origin(self.events, self.name, self.frame.run, url)
        seen = view.pr_url == url
        return PullRequestLine(url, state, draft, origin, view.pr_checks if seen else None,
                               view.pr_review if seen else None)  # fmt: skip

    def _list_checks(self) -> tuple[CheckLine, ...]:
        """The newest result of each check; the red ones' reasons with them."""
        runs = read_check_runs(self.ctx, newest_attempt_number(self.ctx))
        rows = runs[-1].rows if runs else ()
        found = []
        for row in rows[:CHECKS]:
            seconds = row.get("seconds")
            found.append(
                CheckLine(
                    str(row.get("name") or ""),
                    check_word(row),
                    headline(str(row.get("detail") or "")),
                    float(seconds) if isinstance(seconds, int | float) else None,
                    row.get("cached") is True,
                    str(row.get("log") or ""),
                )
            )
        return tuple(found)

    def _list_reviews(self) -> tuple[ReviewLine, ...]:
        """The last word of each reviewer of the newest attempt."""
        newest = {
            one.reviewer: one for one in read_reviews(self.ctx, newest_attempt_number(self.ctx))
        }
        found = []
        for one in newest.values():
            if one.opinion is None:
                found.append(ReviewLine(one.reviewer, "no answer that can be read", head=one.head))
                continue
            issues = tuple(
                ReviewIssueLine(str(issue.severity), clean_line(issue.title), issue.places)
                for issue in one.opinion.issues
            )
            found.append(
                ReviewLine(one.reviewer, one.opinion.verdict, one.opinion.summary, one.head, issues)
            )
        return tuple(found)

    def _attempts(self) -> list[int]:
        """The attempts that this run worked on, plans too."""
        return list(dict.fromkeys(span.attempt for span in self.works))

    def _list_denied(self) -> tuple[str, ...]:
        numbers = self._attempts()
        if not numbers:
            return ()
        return tuple(list_denied_actions(self.ctx.dir, numbers, self._parser()))

    def _parser(self) -> Parse:
        newest = attempts.newest_attempt(self.ctx.dir) or attempts.newest_plan(self.ctx.dir)
        return event_parser(self.ctx.run.settings, newest.agent if newest else "")

    def _list_beside_plan(self) -> tuple[str, ...]:
        found = self.status.cell_facts(self.name).notes.deviation
        if found is None:
            return ()
        return found.files or (describe_deviation(found),)

    def _list_harm(self) -> tuple[str, ...]:
        """What guards noticed in this run's attempts, and at the cell's checks and reviewers."""
        numbers = self._attempts()
        places = [attempts.attempt_folder(self.ctx.dir, number) / HARM for number in numbers]
        found: dict[str, None] = {}
        for place in (*places, *((self.ctx.dir / GUARD_HARM,) if numbers else ())):
            known = read_harm(place)
            found |= dict.fromkeys((*known.harm, *known.restored))
        return tuple(found)
