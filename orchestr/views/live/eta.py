"""How long a run still takes, from what earlier attempts took: a simulation, no promise.

Pure. Cells start when their upstreams are through and an agent is free, the longest way to the end
first, as the scheduler does it. Says nothing where no earlier attempt told how long one takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from orchestr.plan.dag import FeaturePlan
from orchestr.plan.schedule import CellKey, WaitingCell, simulate_end
from orchestr.spec.phases import Action
from orchestr.state.replay import CellState, FeatureView
from orchestr.views.terminal.text import seconds_between


def weights_are_seconds(plan: FeaturePlan) -> bool:
    """Whether the plan's weights are seconds (of earlier attempts) and not all 1."""
    return any(cell.weight != 1.0 for cell in plan.cells)


def time_left(
    plans: Sequence[FeaturePlan], views: Mapping[str, FeatureView], now: datetime, slots: int
) -> float | None:
    """Seconds until nothing can go on any more, or None when that cannot be guessed."""
    if not plans or not all(weights_are_seconds(plan) for plan in plans):
        return None
    busy: list[tuple[float, CellKey]] = []
    waiting: dict[CellKey, WaitingCell] = {}
    for plan in plans:
        view = views.get(plan.feature, FeatureView())
        stuck: set[str] = set()
        for cell in plan.cells:
            its = view.cell(cell.name)
            late = {u for u in cell.upstreams if not view.cell(u).state.is_good}
            if its.state.is_bad or late & stuck or its.state is CellState.APPROVAL:
                stuck.add(cell.name)  # nothing below it will start in this run
                continue
            if its.state.is_good:
                continue
            usual = cell.weight if cell.action is Action.AGENT else 0.0
            if its.state is CellState.RUNNING and its.slot != "queued":
                spent = seconds_between(its.started_at, now) or 0.0
                # One that takes longer than usual: half as long again as it has taken.
                rest = usual - spent if spent < usual else spent / 2
                busy.append((rest, (plan.feature, cell.name)))
                continue
            above = {(plan.feature, name) for name in late}
            priority = plan.priority[cell.name]
            waiting[plan.feature, cell.name] = WaitingCell(above, usual, priority)
    return simulate_end(waiting, slots, busy)
