"""The goals of a run: which cells and phases the names on the command line mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestr.cell.context import FeatureRun
from orchestr.errors import UsageError
from orchestr.run.workspace import Session, Target
from orchestr.spec.records import AUDIT
from orchestr.state.results import TREE
from orchestr.state.states import CellState
from orchestr.tasks.generate import CellSelection
from orchestr.tasks.loader import ignored_cells


@dataclass(slots=True)
class FeatureGoals:
    """What one command builds of one feature."""

    run: FeatureRun
    targets: list[Target]
    selection: CellSelection
    cells: list[str]  # that may run, in plan order
    # What `--force` and `--fresh` name: cell -> its phases of one's own, none for the whole cell.
    forced: dict[str, tuple[str, ...]] = field(default_factory=dict)
    forces_audit: bool = False  # whether they name the audit of the feature

    @property
    def task_names(self) -> list[str]:
        return [target.task_name for target in self.targets]


def choose_goals(session: Session, targets: Sequence[Target], params: Any) -> list[FeatureGoals]:
    """Goals by feature. Raises UsageError for names that `--only` does not find."""
    goals: list[FeatureGoals] = []
    only: set[str] = set(params["only"])
    known: set[str] = set()
    for feature in dict.fromkeys(t.feature for t in targets):
        run = session.load_run(feature)
        mine = [t for t in targets if t.feature == feature]
        names = [p.name for p in run.plan.cells]
        known |= set(names)
        frozen = ignored_cells(run)
        if only:
            picked = only & set(names)
            mine = [Target(feature, name) for name in names if name in picked]
            frozen |= set(names) - picked
        if params["failed"]:
            named = [n for n in names if any(t.cell in (None, n) for t in mine)]
            wanted = [n for n in named if run.past.cell(n).state in UNLUCKY]
            mine = [Target(feature, name) for name in wanted]
        needed = required_cells(run, mine, frozen)
        whole = [t for t in mine if t.step is None]
        forced = {
            name: _own_phases_named(run, name, mine, fresh=bool(params.get("fresh")))
            for name in names
            if any(t.cell in (None, name) for t in whole) and name not in frozen
        }
        goals.append(
            FeatureGoals(
                run,
                mine,
                CellSelection(frozenset(frozen), params["ignore_deps"]),
                needed,
                forced,
                any(t.step == AUDIT for t in mine),
            )
        )
    unknown = sorted(only - known)
    if unknown:
        raise UsageError(
            f"--only names unknown cells: {', '.join(unknown)}",
            hint=f"cells: {', '.join(sorted(known))}",
        )
    if only and not params["ignore_deps"]:
        for goal in goals:
            _check_upstreams(goal)
    return goals


def _own_phases_named(
    run: FeatureRun, name: str, targets: Sequence[Target], *, fresh: bool
) -> tuple[str, ...]:
    """The phases of one's own that targets name of a cell, where they name nothing else of it."""
    named = [t.phase for t in targets if t.cell in (None, name)]
    own = [phase.name for phase in run.feature.cell(name).own_phases]
    found = tuple(phase for phase in named if phase is not None and phase in own)
    return found if len(found) == len(named) and not fresh else ()


UNLUCKY = (CellState.FAILED, CellState.BLOCKED, CellState.ABORTED, CellState.NEEDS_PERSON)


def required_cells(run: FeatureRun, targets: Sequence[Target], frozen: set[str]) -> list[str]:
    """The cells that the targets need: themselves and all upstreams, without the frozen."""
    plans = {plan.name: plan for plan in run.plan.cells}
    found: set[str] = set()
    todo = [n for t in targets for n in ([t.cell] if t.cell else plans)]
    while todo:
        name = todo.pop()
        if name not in found and name not in frozen:
            found.add(name)
            todo += plans[name].upstreams
    return [name for name in plans if name in found]


def _check_upstreams(goal: FeatureGoals) -> None:
    """`--only` asks that upstreams are done."""
    plans = {plan.name: plan for plan in goal.run.plan.cells}
    for name in goal.cells:
        for upstream in plans[name].upstreams:
            if (
                upstream in goal.selection.still
                and not (goal.run.cell_context(upstream).dir / TREE).exists()
            ):
                raise UsageError(
                    f"--only {name}: its upstream {upstream} has no result yet",
                    hint=f"orchestr run {goal.run.feature.name}:{upstream}, or --ignore-deps",
                )
