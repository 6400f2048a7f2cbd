"""`plan FEATURE [--json]`: order, waves, bases, what would run and why, the critical path."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict
from typing import Any

from orchestr.cell.phases.accept_result import acceptance_hint
from orchestr.commands.base import options
from orchestr.commands.base.expected_conflicts import print_expected_conflicts
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import ExitCode, UsageError
from orchestr.files import cache_record_reads
from orchestr.plan.dag import find_overlaps
from orchestr.plan.overlap_warnings import overlap_problems
from orchestr.run.check_lock import is_refused
from orchestr.run.conflicts import forecast_features
from orchestr.run.goals import FeatureGoals, choose_goals
from orchestr.run.preflight import check_prerequisites
from orchestr.run.workspace import Session
from orchestr.spec.phases import Phase
from orchestr.tasks.stale import forecast_selection
from orchestr.views.model import lock_lines
from orchestr.views.query.cell_work import list_cell_work
from orchestr.views.query.cost_forecast import find_run_risks, forecast_run_cost
from orchestr.views.query.proposed_checks import propose_checks
from orchestr.views.query.status import feature_status
from orchestr.views.terminal.audit import audit_json, last_step_lines
from orchestr.views.terminal.conflicts import conflict_lines, conflicts_json
from orchestr.views.terminal.costs import cost_json, cost_lines, scope_line
from orchestr.views.terminal.output import print_stderr, write_stdout
from orchestr.views.terminal.plan import DiskSpace, plan_json, plan_text

DEFAULTS: dict[str, Any] = {"only": [], "failed": False, "ignore_deps": False}


LAND = options.flag_option(
    "land", "the order of a landing and its conflicts; asks the origin", long="land"
)


class Plan(PlainVerb):
    """Shows what `run` would do; starts nothing, and asks the origins only whether they would
    take what it would make."""

    doc_purpose = "show order, bases, what would run and why, and what it takes"
    doc_usage = "FEATURE[:CELL] ..."
    help_group = "build"
    only_reads = True
    examples = (("plan mlkem", "order, bases, what would run and why"),)
    cmd_options = (options.JSON, options.ONLY, options.IGNORE_DEPS, LAND)

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Print the plan of each named feature. Exit 2 when its cells' claims are an error."""
        if not args:
            known = ", ".join(session.specs.features) or "none"
            raise UsageError("which feature?", hint=f"features: {known}")
        if params["land"]:
            from orchestr.commands.land import preview_landing

            names = dict.fromkeys(target.feature for target in session.parse_targets(args))
            code = preview_landing([session.load_run(name) for name in names])
            print_expected_conflicts(session, names)
            return code
        chosen = {**DEFAULTS, "only": params["only"], "ignore_deps": params["ignore_deps"]}
        bad = False
        for goal in choose_goals(session, session.parse_targets(args, steps=True), chosen):
            bad |= print_plan(session, goal, as_json=params["json"])
        return int(ExitCode.USAGE if bad else ExitCode.DONE)


def print_plan(
    session: Session, goal: FeatureGoals, *, as_json: bool, forced: bool = False
) -> bool:
    """Print one plan; warnings of its spec go to stderr. Returns whether it must not be run."""
    run = goal.run
    for warning in session.find_spec_warnings(run.feature):
        print_stderr(str(warning))
    claims = {f"{c.location}: {c.message}" for c in overlap_problems(run.feature, run.layout.root)}
    chosen = goal.forced if forced else {}
    prerequisites = check_prerequisites(run, goal.cells, forced=chosen)
    findings = [f for f in prerequisites if f.what not in claims]
    for finding in findings:
        print_stderr(str(finding))
    if any(finding.severity == "error" for finding in findings):
        print_stderr("a run would be refused because of this")
    cells = None if not goal.selection.still else [*goal.cells]
    whole = {p.name for p in run.plan.cells}
    if set(goal.cells) | set(goal.selection.still) != whole:
        cells = goal.cells
    with cache_record_reads():
        forecasts = forecast_selection(run, goal.selection, cells, forced=chosen)
        status = feature_status(run, fresh=False)
        facts = status.facts
        forecast = forecast_features(session, [run.feature.name])
    work = list_cell_work(run)
    stale = [f.name for f in forecasts if Phase.IMPLEMENT in f.phases]
    hints = ((name, acceptance_hint(run.cell_context(name))) for name in stale)
    accepts = {name: hint for name, hint in hints if hint is not None}
    cost = forecast_run_cost(run, forecasts, audits=any(t.cell is None for t in goal.targets))
    risks = find_run_risks(run, cost)
    found = overlap_problems(run.feature, run.layout.root)
    bad = is_refused(run) or any(claim.severity == "error" for claim in found)
    if as_json:
        value = plan_json(run.plan, forecasts, facts, overlaps=find_overlaps(run.feature),
                          proposals=propose_checks(run), work=work,
                          findings=[asdict(finding) for finding in findings])  # fmt: skip
        for row, claim in zip(value["overlaps"], found, strict=True):
            row["hint"] = claim.hint
        value["conflicts"] = conflicts_json(forecast)
        value["forecast"] = cost_json(cost, risks)
        value["cross_checks"] = [
            {"repo": one.repo, "passed": one.passed, "told": one.told or None}
            for one in status.cross
        ]
        if status.audit is not None:
            value["audit"] = audit_json(status.audit)
        sys.stdout.write(json.dumps(value, indent=2) + "\n")
        return bad
    sys.stdout.write(
        plan_text(
            run.feature,
            run.plan,
            forecasts,
            facts,
            claims=[str(claim) for claim in found],
            jobs=session.settings.limits.jobs,
            resources=_read_resources(session),
            timed=any(run.past.cell(p.name).seconds for p in run.plan.cells),
            proposals=propose_checks(run),
            work=work,
            accepts=accepts,
        )
    )
    expected = cost_lines(cost, risks)
    if expected:
        scope = scope_line(run.feature, work, [cell.name for cell in cost.cells])
        sys.stdout.writelines(f"{line}\n" for line in ("", scope, *expected))
    last = last_step_lines(status)
    last += ["  it is made again: it is to be forced"] if forced and goal.forces_audit else []
    after = [*last, *lock_lines(status)]
    sys.stdout.writelines(f"{line}\n" for line in (("", *after) if after else ()))
    write_stdout("".join(f"{line}\n" for line in conflict_lines(forecast, run.feature.name)))
    return bad


def _read_resources(session: Session) -> DiskSpace:
    """Agents at once and free disk; what the worktrees will take is not known beforehand."""
    place = session.layout.state if session.layout.state.exists() else session.root
    return DiskSpace(None, shutil.disk_usage(place).free)
