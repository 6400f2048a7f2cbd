"""`RunReport` to HTML: one file that needs nothing else, like the page of a feature.

Pure. Look, escaping and security policy are those of `orchestr.views.html.page`; the words are
those of the Markdown, so that the two never differ.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestr.state.states import CellState
from orchestr.views.html.page import POLICY, jinja_environment
from orchestr.views.html.section_records import StateBadge
from orchestr.views.html.sections import state_badge
from orchestr.views.run_report.forecast import forecast_words
from orchestr.views.run_report.markdown import (
    cost_words,
    count_words,
    figure_words,
    phase_words,
    pull_request_words,
)
from orchestr.views.run_report.model import BUILT, DONE, CellReport, RunReport, outcome_look
from orchestr.views.terminal.text import format_count, format_duration


@dataclass(frozen=True, slots=True)
class CellCard:
    """A cell with its looks and words."""

    cell: CellReport
    badge: StateBadge
    pull: str
    cost: str
    time: str
    is_open: bool  # whether its details are shown unfolded
    lists: tuple[tuple[str, tuple[str, ...]], ...]  # title and lines; empty ones are left out


def run_report_html(report: RunReport) -> str:
    """The whole page."""
    template = jinja_environment().get_template("run.html.j2")
    state = outcome_look(report.exit, report.outcome)
    features = [(one, [_make_card(cell) for cell in one.cells]) for one in report.features]
    return template.render(
        report=report,
        state=StateBadge(report.outcome, state.symbol, state_badge(state).look),
        policy=POLICY,
        tiles=_make_tiles(report),
        features=features,
        steps=report.next_steps,
        is_done=report.token == DONE,
        token=report.token,
        cost=cost_words(report.costs),
        figure=figure_words,
        money=cost_words,
        phase=phase_words,
        expected=forecast_words,
        version=f"orchestr {report.version}",
    )


def _make_tiles(report: RunReport) -> list[tuple[str, str, str]]:
    """Label, value and remark of the figures at the top."""
    cells = [cell for one in report.features for cell in one.cells]
    done = sum(CellState(cell.state) in BUILT for cell in cells)
    cost, _, tokens = cost_words(report.costs).partition("; ")
    left = sum(len(one.follow_ups) for one in report.features)
    touched = sum(cell.touched for cell in cells)
    return [
        ("Cells done", f"{done} of {len(cells)}", count_words(report.counts)),
        ("Took", format_duration(report.seconds), f"{format_count(touched, 'cell')} touched"),
        ("Cost of this run", cost, tokens),
        ("Pull requests", str(len(report.pull_requests)), ""),
        ("Follow-ups", str(left), "orchestr runs --follow-ups" if left else ""),
    ]


def _make_card(cell: CellReport) -> CellCard:
    state = CellState(cell.state)
    look = state_badge(state)
    lists = (
        ("Denied actions that its agents tried", cell.denied),
        ("Files beside the approved plan", cell.beside_plan),
        ("Harm that was noticed, and put back", cell.harm),
        ("Notes", cell.notes),
        ("Warnings", cell.warnings),
        ("Approvals", cell.approvals),
    )
    return CellCard(
        cell=cell,
        badge=StateBadge(cell.label, look.symbol, look.look),
        pull=pull_request_words(cell.pr) if cell.pr else "",
        cost=cost_words(cell.costs) if cell.costs else "-",
        time=format_duration(cell.seconds),
        is_open=cell.open or bool(cell.denied or cell.harm or cell.outvoted),
        lists=tuple((title, lines) for title, lines in lists if lines),
    )
