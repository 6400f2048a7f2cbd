"""The report of a run as Markdown: `report.md`, and what `orchestr runs RUN-ID` prints.

Pure. Texts of agents, programs and people are literal (`orchestr.forges.markdown_escape`): pasted
into an issue they mention no login, hide nothing. The last line is the token that a script reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from orchestr.forges.markdown_escape import inline_code, literal_text, render_link
from orchestr.state.states import CellState
from orchestr.views.run_report.forecast import forecast_words
from orchestr.views.run_report.model import (
    BUILT,
    CellReport,
    CostFigure,
    FeatureReport,
    FollowUp,
    PullRequestLine,
    RunReport,
    WorkLine,
    sum_costs,
)
from orchestr.views.terminal.text import (
    format_count,
    format_dollars,
    format_duration,
    format_tokens,
)

ACTIONS = 200  # pushes and forge calls that are listed
ISSUES = 50  # of a reviewer


def report_markdown(report: RunReport) -> str:
    """All of it; ends with the token."""
    blocks = [
        f"# Run {report.run}: {report.outcome}",
        _facts(
            (
                ("command", inline_code(report.command)),
                ("started", report.started_at),
                ("ended", f"{report.finished_at} ({format_duration(report.seconds)})"),
                ("exit", str(report.exit)),
                ("cells", count_words(report.counts)),
                ("cost", cost_words(report.costs)),
                ("version", f"orchestr {report.version}"),
            )
        ),
    ]
    for feature in report.features:
        blocks += _feature_blocks(feature)
    blocks.append(report.token)
    return "\n\n".join(block for block in blocks if block) + "\n"


def count_words(counts: dict[str, int]) -> str:
    """`5 done, 1 failed`: what is built first, then in the order of the states."""
    states = sorted(CellState, key=lambda state: state not in BUILT)
    found = [f"{counts[state.value]} {state.label}" for state in states if counts.get(state.value)]
    return ", ".join(found) or "none"


def cost_words(figures: Iterable[CostFigure]) -> str:
    """`$0.03; 10k tokens`; what is not known is called unknown."""
    whole = sum_costs(figures)
    if not whole.works:
        return "no agent worked"
    words = figure_words(whole)
    if whole.tokens is None:
        return words
    return f"{words}; {format_tokens(whole.tokens[0] + whole.tokens[2])}"


def phase_words(figure: CostFigure) -> str:
    """`implement`, `check repair`, `review`."""
    plain = figure.what in ("attempt", figure.phase)
    return figure.phase if plain else f"{figure.phase} {figure.what}"


def figure_words(figure: CostFigure) -> str:
    """`$0.03`, `$0.03 + unknown` or `unknown`."""
    return format_dollars(figure.cost_known_usd, figure.cost_usd is not None)


def pull_request_words(link: PullRequestLine) -> str:
    """`draft, created, checks success`: all but the address."""
    words = [
        "draft" if link.state == "open" and link.draft else link.state,
        link.origin,
        f"checks {link.checks}" if link.checks else "",
        link.review or "",
    ]
    return ", ".join(word.replace("_", " ") for word in words if word)


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in rows if value)


def _list(title: str, lines: Iterable[str], *, literal: bool = True) -> str:
    found = [f"- {literal_text(line) if literal else line}" for line in lines]
    return "\n".join([f"**{title}**", "", *found]) if found else ""


def _feature_blocks(feature: FeatureReport) -> Iterator[str]:
    title = f": {literal_text(feature.title)}" if feature.title else ""
    yield f"## {feature.name}{title}"
    yield f"{feature.key}: {feature.state.replace('_', ' ')}"
    yield _cell_table(feature)
    yield _list("Warnings", feature.warnings)
    yield _list(
        "The forge could not be asked", (f"{k}: {v}" for k, v in feature.forge_away.items())
    )
    for cell in feature.cells:
        if cell.touched or cell.open:
            yield from _cell_blocks(cell)
    yield _cross_block(feature)
    yield _audit_block(feature)
    yield _work_table(feature.audit_works, feature.audit_costs)
    yield _list("Spec lock", feature.spec_lock)
    yield _list("What it took, against p10 to p90 of before", forecast_words(feature.forecast))
    yield _landing_block(feature)
    yield _follow_block(feature)
    yield _list(
        "Pushes, forge calls and worktrees",
        (
            f"{line.at[11:19]} {line.cell}: {line.what}".replace(" : ", ": ")
            for line in feature.actions[:ACTIONS]
        ),
    )
    yield _follow_up_block(feature.follow_ups)


def _cell_table(feature: FeatureReport) -> str:
    lines = ["| cell | state | head | pull request | time | cost |", "|---|---|---|---|---|---|"]
    for cell in feature.cells:
        symbol = CellState(cell.state).symbol
        link = render_link(cell.pr.url) if cell.pr else "-"
        words = f" ({pull_request_words(cell.pr)})" if cell.pr else ""
        label = cell.label if cell.touched else f"{cell.label}, not touched"
        lines.append(
            f"| {cell.name} | {symbol} {label} | {cell.head[:10] or '-'} | {link}{words} "
            f"| {format_duration(cell.seconds)} | {cost_words(cell.costs) if cell.costs else '-'} |"
        )
    if feature.audit_costs:
        verdict = feature.audit.verdict if feature.audit is not None else ""
        lines.append(f"| audit | {verdict or 'not made'} | - | - | - "
                     f"| {cost_words(feature.audit_costs)} |")  # fmt: skip
    return "\n".join(lines)


def _cell_blocks(cell: CellReport) -> Iterator[str]:
    where = f" in {cell.phase}" if cell.phase else ""
    yield f"### {cell.name}: {cell.label}{where}"
    pull = f"{render_link(cell.pr.url)} ({pull_request_words(cell.pr)})" if cell.pr else ""
    worktree = f"{inline_code(cell.worktree)} ({cell.worktree_origin})" if cell.worktree else ""
    base = f" on {inline_code(cell.base)}" if cell.base else ""
    yield _facts(
        (
            ("reason", literal_text(cell.reason)),
            ("hint", literal_text(cell.hint)),
            ("repository", cell.repo),
            ("branch", f"{inline_code(cell.branch)}{base}"),
            ("head", f"{cell.head} (tree {cell.tree})" if cell.head else ""),
            ("pull request", pull),
            ("worktree", worktree),
            ("outcome", cell.outcome.replace("_", " ")),
            ("next", inline_code(cell.next) if cell.open else ""),
        )
    )
    yield _evidence_block(cell)
    yield _list("Approvals", cell.approvals)
    yield _work_table(cell.works, cell.costs)
    yield _list("Denied actions that its agents tried", cell.denied)
    yield _list("Files beside the approved plan", cell.beside_plan)
    yield _list("Harm that was noticed, and put back", cell.harm)
    yield _list("Notes", cell.notes)
    yield _list("Warnings", cell.warnings)


def _evidence_block(cell: CellReport) -> str:
    lines = []
    for check in cell.checks:
        seen = ", from the cache" if check.cached else ""
        log = f"; {inline_code(check.log)}" if check.log and check.word != "passed" else ""
        came = f"{check.word} ({literal_text(check.detail)}{seen})"
        lines.append(f"check {literal_text(check.name)}: {came}{log}")
    if cell.checks:
        lines.append(f"checks ran in a {cell.checks_in}" if cell.checks_in != "worktree"
                     else "checks ran in the author's worktree")  # fmt: skip
    for review in cell.reviews:
        of = f", of {review.head[:10]}" if review.head else ""
        said = f": {literal_text(review.summary)}" if review.summary else ""
        lines.append(f"review by {literal_text(review.reviewer)}: {review.verdict}{of}{said}")
        for issue in review.issues[:ISSUES]:
            where = f" ({literal_text(', '.join(issue.places))})" if issue.places else ""
            kind = issue.severity.replace("_", " ")
            lines.append(f"  - {kind}: {literal_text(issue.title)}{where}")
    shown = [line if line.startswith("  - ") else f"- {line}" for line in lines]
    return "\n".join(["**Evidence**", "", *shown]) if shown else ""


def _work_table(works: Sequence[WorkLine], costs: Iterable[CostFigure]) -> str:
    if not works:
        return ""
    lines = ["| work | agent | came to | time | cost |", "|---|---|---|---|---|"]
    for work in works:
        agent = " ".join(part for part in (work.agent, work.model) if part)
        note = f": {literal_text(work.note, limit=200)}" if work.note else ""
        cost = format_dollars(work.cost_known_usd, work.cost_usd is not None)
        name = literal_text(work.name if work.what != "review" else f"review by {work.name}")
        lines.append(
            f"| {name} | {literal_text(agent)} | {work.state}{note} "
            f"| {format_duration(work.seconds)} | {cost} |"
        )
    by_phase = [f"{phase_words(one)}: {figure_words(one)}" for one in costs]
    return "\n".join([*lines, "", f"By phase: {'; '.join(by_phase)}."])


def _cross_block(feature: FeatureReport) -> str:
    words = {True: "passed", False: "RED", None: "not made for these heads"}
    return _list(
        "Cross checks",
        (
            f"{one.repo}: {words[one.passed]}" + (f" ({one.told})" if one.told else "")
            for one in feature.cross_checks
        ),
    )


def _audit_block(feature: FeatureReport) -> str:
    audit = feature.audit
    if audit is None:
        return ""
    if not audit.verdict:
        return _list("Audit", ["not made for these heads"])
    lines = [audit.summary]
    for one in audit.findings:
        where = f" in {', '.join(one.places)}" if one.places else ""
        more = "; ".join(filter(None, (one.detail, one.outcome)))
        lines.append(f"{one.state}: {one.statement} ({one.source}){where}"
                     + (f": {more}" if more else ""))  # fmt: skip
    return _list("Audit", lines)


def _landing_block(feature: FeatureReport) -> str:
    lines = []
    for one in feature.landing:
        into = f" in {inline_code(one.target)} as {one.commit[:10]}" if one.target else ""
        why = f": {literal_text(one.reason)}" if one.reason else ""
        lines.append(f"{one.cell}: {one.what}{into}{why}")
    return _list("Landing", lines, literal=False)


def _follow_block(feature: FeatureReport) -> str:
    return _list(
        "Open pull requests",
        (
            f"{line.at[11:19]} {line.cell}: {line.what}"
            + (f"; {line.action}" if line.action else "")
            + (f": {line.why}" if line.why else "")
            for line in feature.follow
        ),
    )


def _follow_up_block(found: Sequence[FollowUp]) -> str:
    if not found:
        return ""
    lines = [f"**Follow-ups** ({format_count(len(found), 'item')}, as a spec: "
             "`orchestr runs --follow-ups`)", ""]  # fmt: skip
    for item in found:
        lines += [
            f"- {item.cell}, {literal_text(item.source)}: {literal_text(text, limit=2_000)}"
            for text in item.todo
        ]
    return "\n".join(lines)
