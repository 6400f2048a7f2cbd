"""What `plan` answers, as data: gathered once, then printed, or given to a program as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orchestr.errors import Problem
from orchestr.files import cache_record_reads
from orchestr.landing.forecast import ConflictForecast
from orchestr.plan.cost_forecast import BudgetRisk, FeatureCost
from orchestr.plan.dag import CellForecast, find_overlaps
from orchestr.plan.overlap_warnings import overlap_problems
from orchestr.run.check_lock import is_refused
from orchestr.run.conflicts import forecast_features
from orchestr.run.diagnostic import Diagnostic
from orchestr.run.goals import FeatureGoals, choose_goals
from orchestr.run.preflight import check_prerequisites
from orchestr.run.workspace import Session
from orchestr.tasks.stale import forecast_selection
from orchestr.views.model import FeatureStatus
from orchestr.views.query.cell_work import list_cell_work
from orchestr.views.query.cost_forecast import find_run_risks, forecast_run_cost
from orchestr.views.query.proposed_checks import propose_checks
from orchestr.views.query.status import feature_status
from orchestr.views.terminal.audit import audit_json
from orchestr.views.terminal.conflicts import conflicts_json
from orchestr.views.terminal.costs import cost_json
from orchestr.views.terminal.plan import CellWork, plan_json


@dataclass(frozen=True, slots=True)
class PlanAnswer:
    """The plan of one goal. ``findings`` would stop a run or are worth a word, ``claims`` are
    about paths that several cells own, ``is_refused``: it must not be run."""

    goal: FeatureGoals
    forecasts: tuple[CellForecast, ...]
    status: FeatureStatus
    conflicts: ConflictForecast | None
    work: Mapping[str, CellWork]
    cost: FeatureCost
    risks: tuple[BudgetRisk, ...]
    findings: tuple[Diagnostic, ...]
    claims: tuple[Problem, ...]
    is_refused: bool


def choose_plans(
    session: Session, words: Sequence[str], *, only: Sequence[str] = (), ignore_deps: bool = False
) -> list[FeatureGoals]:
    """The goals that targets name, as a run would choose them. Raises UsageError."""
    chosen = {"only": list(only), "failed": False, "ignore_deps": ignore_deps}
    return choose_goals(session, session.parse_targets(words, steps=True), chosen)


def gather_plan(session: Session, goal: FeatureGoals, *, forced: bool = False) -> PlanAnswer:
    """Look at one goal; starts nothing, and asks the origins only whether they take what a run
    would make."""
    run = goal.run
    found = overlap_problems(run.feature, run.layout.root)
    claims = {f"{claim.location}: {claim.message}" for claim in found}
    chosen = goal.forced if forced else {}
    prerequisites = check_prerequisites(run, goal.cells, forced=chosen)
    findings = tuple(one for one in prerequisites if one.what not in claims)
    cells = None if not goal.selection.still else [*goal.cells]
    whole = {p.name for p in run.plan.cells}
    if set(goal.cells) | set(goal.selection.still) != whole:
        cells = goal.cells
    with cache_record_reads():
        forecasts = forecast_selection(run, goal.selection, cells, forced=chosen)
        status = feature_status(run, fresh=False)
        conflicts = forecast_features(session, [run.feature.name])
    cost = forecast_run_cost(run, forecasts, audits=any(t.cell is None for t in goal.targets))
    refused = is_refused(run) or any(claim.severity == "error" for claim in found)
    return PlanAnswer(goal, forecasts, status, conflicts, list_cell_work(run), cost,
                      find_run_risks(run, cost), findings, tuple(found), refused)  # fmt: skip


def plan_value(answer: PlanAnswer) -> dict[str, Any]:
    """The object of `plan --json` (docs/json.md)."""
    run, status = answer.goal.run, answer.status
    value = plan_json(run.plan, answer.forecasts, status.facts,
                      overlaps=find_overlaps(run.feature), proposals=propose_checks(run),
                      work=answer.work,
                      findings=[asdict(finding) for finding in answer.findings])  # fmt: skip
    for row, claim in zip(value["overlaps"], answer.claims, strict=True):
        row["hint"] = claim.hint
    value["conflicts"] = conflicts_json(answer.conflicts)
    value["forecast"] = cost_json(answer.cost, answer.risks)
    value["cross_checks"] = [
        {"repo": one.repo, "passed": one.passed, "told": one.told or None} for one in status.cross
    ]
    if status.audit is not None:
        value["audit"] = audit_json(status.audit)
    return value
