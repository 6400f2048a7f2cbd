"""`plan FEATURE [--json]`: order, waves, bases, what would run and why, the critical path."""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any

from orchestr.cell.phases.accept_result import acceptance_hint
from orchestr.commands.base import options
from orchestr.commands.base.expected_conflicts import print_expected_conflicts
from orchestr.commands.base.plan_answer import choose_plans, gather_plan, plan_value
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import ExitCode, UsageError
from orchestr.run.goals import FeatureGoals
from orchestr.run.workspace import Session
from orchestr.spec.phases import Phase
from orchestr.views.model import lock_lines
from orchestr.views.query.proposed_checks import propose_checks
from orchestr.views.terminal.audit import last_step_lines
from orchestr.views.terminal.conflicts import conflict_lines
from orchestr.views.terminal.costs import cost_lines, scope_line
from orchestr.views.terminal.output import print_stderr, write_stdout
from orchestr.views.terminal.plan import DiskSpace, plan_text

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
        bad = False
        for goal in choose_plans(
            session, args, only=params["only"], ignore_deps=params["ignore_deps"]
        ):
            bad |= print_plan(session, goal, as_json=params["json"])
        return int(ExitCode.USAGE if bad else ExitCode.DONE)


def print_plan(
    session: Session, goal: FeatureGoals, *, as_json: bool, forced: bool = False
) -> bool:
    """Print one plan; warnings of its spec go to stderr. Returns whether it must not be run."""
    run = goal.run
    for warning in session.find_spec_warnings(run.feature):
        print_stderr(str(warning))
    answer = gather_plan(session, goal, forced=forced)
    for finding in answer.findings:
        print_stderr(str(finding))
    if any(finding.severity == "error" for finding in answer.findings):
        print_stderr("a run would be refused because of this")
    if as_json:
        sys.stdout.write(json.dumps(plan_value(answer), indent=2) + "\n")
        return answer.is_refused
    names = [forecast.name for forecast in answer.forecasts if Phase.IMPLEMENT in forecast.phases]
    hints = ((name, acceptance_hint(run.cell_context(name))) for name in names)
    sys.stdout.write(
        plan_text(
            run.feature,
            run.plan,
            answer.forecasts,
            answer.status.facts,
            claims=[str(claim) for claim in answer.claims],
            jobs=session.settings.limits.jobs,
            resources=_read_resources(session),
            timed=any(run.past.cell(p.name).seconds for p in run.plan.cells),
            proposals=propose_checks(run),
            work=answer.work,
            accepts={name: hint for name, hint in hints if hint is not None},
        )
    )
    expected = cost_lines(answer.cost, answer.risks)
    if expected:
        scope = scope_line(run.feature, answer.work, [cell.name for cell in answer.cost.cells])
        sys.stdout.writelines(f"{line}\n" for line in ("", scope, *expected))
    last = last_step_lines(answer.status)
    last += ["  it is made again: it is to be forced"] if forced and goal.forces_audit else []
    after = [*last, *lock_lines(answer.status)]
    sys.stdout.writelines(f"{line}\n" for line in (("", *after) if after else ()))
    expected_conflicts = conflict_lines(answer.conflicts, run.feature.name)
    write_stdout("".join(f"{line}\n" for line in expected_conflicts))
    return answer.is_refused


def _read_resources(session: Session) -> DiskSpace:
    """Agents at once and free disk; what the worktrees will take is not known beforehand."""
    place = session.layout.state if session.layout.state.exists() else session.root
    return DiskSpace(None, shutil.disk_usage(place).free)
