"""`plan FEATURE [--json]`: order, waves, bases, what would run and why, the critical path."""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any

from orchestr.commands.base import options
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import Exit, UsageError
from orchestr.files import one_look
from orchestr.plan.dag import overlaps
from orchestr.plan.overlap_warnings import claims
from orchestr.run.goals import Goals, choose
from orchestr.run.preflight import look_reviewers
from orchestr.run.workspace import Session
from orchestr.tasks.stale import foresee
from orchestr.views.query.proposed_checks import proposals
from orchestr.views.query.status import feature_status
from orchestr.views.terminal.output import say
from orchestr.views.terminal.plan import Resources, plan_json, plan_text

DEFAULTS: dict[str, Any] = {"only": [], "failed": False, "ignore_deps": False}


LAND = options.flag(
    "land", "the order of a landing and its conflicts; asks the origin", long="land"
)


class Plan(PlainVerb):
    """Shows what `run` would do; starts nothing and, without `--land`, asks no network."""

    doc_purpose = "show order, bases, and what would run and why"
    doc_usage = "FEATURE[:CELL] ..."
    cmd_options = (options.JSON, options.ONLY, options.IGNORE_DEPS, LAND)

    def act(self, session: Session, params: Any, args: list[str]) -> int:
        """Print the plan of each named feature. Exit 2 when its cells' claims are an error."""
        if not args:
            known = ", ".join(session.specs.features) or "none"
            raise UsageError("which feature?", hint=f"features: {known}")
        if params["land"]:
            from orchestr.commands.land import foretell

            names = dict.fromkeys(target.feature for target in session.targets(args))
            return foretell([session.run(name) for name in names])
        chosen = {**DEFAULTS, "only": params["only"], "ignore_deps": params["ignore_deps"]}
        bad = False
        for goal in choose(session, session.targets(args), chosen):
            bad |= show(session, goal, as_json=params["json"])
        return int(Exit.USAGE if bad else Exit.DONE)


def show(session: Session, goal: Goals, *, as_json: bool, forced: bool = False) -> bool:
    """Print one plan; warnings of its spec go to stderr. Returns whether it must not be run."""
    run = goal.run
    for warning in session.specs.warnings:
        if warning.file == run.feature.path:
            say(str(warning))
    for finding in look_reviewers(run, goal.cells):
        say(str(finding))
    cells = None if not goal.selection.still else [*goal.cells]
    whole = {p.name for p in run.plan.cells}
    if set(goal.cells) | set(goal.selection.still) != whole:
        cells = goal.cells
    with one_look():
        forecasts = foresee(run, goal.selection, cells, forced=goal.forced if forced else ())
        facts = feature_status(run, fresh=False).facts
    found = claims(run.feature, run.layout.root)
    bad = any(claim.severity == "error" for claim in found)
    if as_json:
        value = plan_json(run.plan, forecasts, facts, overlaps=overlaps(run.feature),
                          proposals=proposals(run))  # fmt: skip
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
            resources=_resources(session),
            timed=any(run.past.cell(p.name).seconds for p in run.plan.cells),
            proposals=proposals(run),
        )
    )
    return bad


def _resources(session: Session) -> Resources:
    """Agents at once and free disk; what the worktrees will take nobody knows beforehand."""
    place = session.layout.state if session.layout.state.exists() else session.root
    return Resources(None, shutil.disk_usage(place).free)
