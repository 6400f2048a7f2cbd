"""Between two passes over the tasks of a run: what an audit has sent back is opened as repairs."""

from __future__ import annotations

from collections.abc import Sequence

from orchestr.cell.pull_request.observe import observe_pull_requests
from orchestr.run.goals import FeatureGoals


def begin_audits(goals: Sequence[FeatureGoals]) -> None:
    """Open what the audit of a run that was killed had decided on, where whole features are built.

    Under the lease, before any task. Safe to repeat.
    """
    for goal in goals:
        if goal.run.feature.has_audit and any(target.cell is None for target in goal.targets):
            from orchestr.audit.send_back import open_pending_repairs

            open_pending_repairs(goal.run)


def repeat_audited(goals: Sequence[FeatureGoals]) -> bool:
    """Whether audits have sent work back; then its repairs are opened and the forge is asked again,
    so that the tasks may run once more."""
    back = any(goal.run.sent_back for goal in goals)
    begin_audits([goal for goal in goals if goal.run.sent_back])
    for goal in goals:
        run = goal.run
        if run.sent_back:
            run.sent_back = False
            for plan in run.plan.cells:
                run.cell_context(plan.name).phase_digests.clear()
            observe_pull_requests(run)
    return back
