"""Further rounds of a run: after cells were blocked on a contract with `amend: auto`, and after an
audit has sent work back.

A round is one pass of doit over the tasks. Cells that failed or wait for a person in it, and those
behind them, stand still from then on, and so does an audit that ended red: nothing is tried twice
in a run. An owner that only waits for a yes to what it would publish works all the same: the person
is asked about the amended one. The rounds end, because a contract is amended a bounded number of
times for a cell, and an audit sends work back a bounded number of times.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestr.cell.auto_amendment import grant_amendments
from orchestr.plan.dag import FeaturePlan
from orchestr.run.audit_rounds import repeat_audited
from orchestr.run.goals import FeatureGoals
from orchestr.run.reporter import Reporter
from orchestr.run.workspace import Target
from orchestr.tasks.generate import CellSelection


@dataclass(frozen=True, slots=True)
class Round:
    """What a round builds. ``stuck``: by feature what stands still since an earlier one."""

    selections: dict[str, CellSelection]
    tasks: tuple[str, ...]
    stuck: dict[str, frozenset[str]]

    @property
    def left(self) -> bool:
        """Whether something stands still that an earlier round left undone."""
        return any(self.stuck.values())


def hand_over_waiting(goals: Sequence[FeatureGoals]) -> set[tuple[str, str]]:
    """Grant what cells are blocked on; the owners, each as feature and cell."""
    return {
        (goal.run.feature.name, owner)
        for goal in goals
        for owners in grant_amendments(goal.run, goal.selection.still).values()
        for owner in owners
    }


def plan_next_round(
    goals: Sequence[FeatureGoals], reporter: Reporter, before: Round | None = None
) -> Round | None:
    """The round after ``before``, which ``reporter`` has seen (None: the first one). None when no
    amendment was handed over and no audit has sent work back."""
    owners = hand_over_waiting(goals) if reporter.amending else set()
    if not repeat_audited(goals) and not owners:
        return None
    selections, tasks, every = {}, [], {}
    for goal in goals:
        name = goal.run.feature.name
        asked = {cell for feature, cell in owners & reporter.waiting.keys() if feature == name}
        stuck = find_stuck_cells(goal.run.plan, reporter.stuck_cells(name) - asked)
        stuck |= before.stuck[name] if before is not None else frozenset()
        selections[name] = CellSelection(goal.selection.still | stuck, goal.selection.ignore_deps)
        every[name] = stuck
        tasks += list_round_tasks(goal, stuck)
    return Round(selections, tuple(tasks), every)


def find_stuck_cells(plan: FeaturePlan, failed: Iterable[str]) -> frozenset[str]:
    """The cells that failed, and all behind them. Pure."""
    stuck = set(failed)
    for cell in plan.cells:  # upstreams stand before their dependents
        if stuck.intersection(cell.upstreams):
            stuck.add(cell.name)
    return frozenset(stuck)


def list_round_tasks(goal: FeatureGoals, stuck: frozenset[str]) -> list[str]:
    """The goals without the cells that stand still; the feature's own last step needs all."""
    if not stuck:
        return goal.task_names
    found: list[Target] = []
    for target in goal.targets:
        cells = [target.cell] if target.cell is not None else goal.cells
        free = [cell for cell in cells if cell not in stuck]
        found += [target if target.cell is not None else Target(target.feature, c) for c in free]
    return [target.task_name for target in dict.fromkeys(found)]
