"""What `explain` answers: the story of each cell as text, with the target that it is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from orchestr.cell.context import FeatureRun
from orchestr.cell.phases.accept_result import acceptance_hint
from orchestr.errors import UsageError
from orchestr.run.conflicts import add_forecast
from orchestr.run.workspace import Session, Target, suggest_name
from orchestr.spec.goal_names import FEATURE_PREFIX
from orchestr.spec.phases import Phase
from orchestr.tasks.loader import select_unignored
from orchestr.tasks.stale import forecast_selection
from orchestr.views.model import FeatureStatus, lock_lines
from orchestr.views.query import evidence
from orchestr.views.query.audit import audit_facts
from orchestr.views.query.explain import collect_grounds
from orchestr.views.query.status import feature_status
from orchestr.views.terminal.audit import audit_lines
from orchestr.views.terminal.explain import explain_text, what_if_text
from orchestr.views.terminal.text import clean_line


def explain_targets(
    session: Session, targets: Sequence[Target], if_changed: str | None = None
) -> list[tuple[str, str]]:
    """`FEATURE:CELL`, or `FEATURE:audit`, with its text. ``if_changed``: what would happen if this
    upstream came out otherwise. Raises UsageError."""
    parts: list[tuple[str, str]] = []
    for target in targets:
        run = session.load_run(target.feature)
        if target.step is not None:
            parts.append((str(target), explain_audit_text(run)))
            continue
        (status,) = add_forecast(session, [feature_status(run)])
        upstream = _find_cell_name(run, if_changed) if if_changed else None
        forced: dict[str, tuple[str, ...]] = {upstream: ()} if upstream else {}
        forecasts = {
            found.name: found
            for found in forecast_selection(run, select_unignored(run), forced=forced)
        }
        for ctx in session.select_cells([target]):
            name = ctx.cell.name
            if upstream is not None:
                parts.append((ctx.name, what_if_text(status, name, upstream, forecasts)))
                continue
            now = datetime.now(UTC)
            proof = [*evidence.describe_proofs(ctx, status.cell_facts(name).approvals),
                     *_cross_check_lines(status, ctx.cell.repo),
                     *lock_lines(status)]  # fmt: skip
            found = forecasts.get(name)
            stale = found is not None and Phase.IMPLEMENT in found.phases
            accept = acceptance_hint(ctx) if stale else None
            grounds = collect_grounds(ctx)
            text = explain_text(status, name, now, forecasts, grounds, proof, accept)
            parts.append((ctx.name, text))
    return parts


def _cross_check_lines(status: FeatureStatus, repo: str) -> list[str]:
    """The cross checks and the audit that the cell's head is part of."""
    lines: list[str] = []
    for one in status.cross:
        if one.repo == repo and one.passed is not None:
            word = "passed" if one.passed else "RED"
            lines.append(f"cross checks in {repo}: {word} ({clean_line(one.told)})")
            lines += [f"    log:   {one.logs}"] if one.logs and not one.passed else []
    if status.audit is not None and status.audit.verdict:
        word = "RED" if status.audit.is_red else "passed"
        lines.append(f"audit: {word} ({clean_line(status.audit.summary)})")
    return lines


def explain_audit_text(run: FeatureRun) -> str:
    """The audit: what it judges, who by, what it came to, whether the next run makes it."""
    from orchestr.audit.record import explain_missing_audit, list_statements

    feature, facts = run.feature, audit_facts(run)
    auditors = ", ".join(one.name for one in feature.auditors) or "none"
    lines = [
        f"{feature.name}:audit  the last step of {feature.name}",
        f"  auditors: {auditors}; at most {feature.most_audit_rounds} rounds of repair",
        "  it judges:",
        *(f"    {n}. {clean_line(text)}" for n, text in enumerate(list_statements(feature), 1)),
        *(f"    the cross check {cross.check.name} in {cross.repo}"
          for cross in feature.cross_checks),
        *(f"  {line}" for line in audit_lines(facts, feature.name)),
    ]  # fmt: skip
    if facts is not None and facts.stop:
        lines.append(f"  no further repair: {clean_line(facts.stop)}")
    why = explain_missing_audit(run)
    lines.append(f"  the next run makes it: {clean_line(why)}" if why else "  it is up to date")
    return "\n".join(lines) + "\n"


def _find_cell_name(run: FeatureRun, word: str) -> str:
    """A cell of the feature, named alone or with it. Raises UsageError."""
    name = word.removeprefix(FEATURE_PREFIX).removeprefix(f"{run.feature.name}:")
    names = [cell.name for cell in run.feature.cells]
    if name not in names:
        hint = suggest_name(name, names) or f"cells: {', '.join(names)}"
        raise UsageError(f"feature {run.feature.name} has no cell {name!r}", hint=hint)
    return name
