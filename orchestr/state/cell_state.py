"""Where each cell of a feature stands: the one place that decides it for every view.

Pure: the replayed journal and the plan in, the same view with corrected states out. The journal
tells what happened to each cell alone; what a cell waits for follows from its upstreams, too:

- an attempt that was opened and has no free agent yet is waiting, not running;
- a built cell whose next step is to publish on top of an upstream that waits for a person's
  approval waits for that approval, also after the run was stopped;
- a built cell whose upstream is still to be published waits for that upstream;
- a blocked cell whose upstreams are not in trouble any more is pending again: the journal tells why
  it was blocked then;
- a cell that stood behind a gate is pending again once nobody is asked there any more.

The live table, `status`, `explain`, the report, the board, the graph and the summary all draw the
result of `interpret_view` with the words of `describe_cell`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestr.plan.dag import CellPlan, FeaturePlan
from orchestr.spec.goal_names import REPO_PREFIX
from orchestr.spec.phases import LISTED, Phase
from orchestr.state.states import CellState
from orchestr.state.view import CellView, FeatureView

AMENDMENT = "amendment of "  # how the reason of a cell begins that is blocked on a contract
QUEUED_SYMBOL = "∙"
_QUEUED = "queued"
_PHASES = tuple(phase.value for phase in LISTED)


@dataclass(frozen=True, slots=True)
class CellWords:
    """A state as people read it. ``step`` is the phase of a running cell, else the ``label``."""

    label: str
    step: str
    symbol: str
    style: str


def interpret_view(view: FeatureView, plan: FeaturePlan) -> FeatureView:
    """The view with the state, reason and hint that are true of each cell beside the others."""
    cells = dict(view.cells)
    for cell in plan.cells:  # upstreams stand before their dependents
        old = view.cell(cell.name)
        new = _interpret_cell(old, cell, replace(view, cells=cells), view.feature or plan.feature)
        if new is not old:
            cells[cell.name] = new
    return replace(view, cells=cells)


def describe_cell(state: CellState, view: CellView) -> CellWords:
    """The words for a cell; what was published although something stayed red says so."""
    if state is CellState.WAITING and is_queued(view):
        return CellWords(_QUEUED, _QUEUED, QUEUED_SYMBOL, "dim")
    label = state.label
    if view.with_red and state in (CellState.DONE, CellState.LANDED):
        label = f"{label}, partial"
    if state is CellState.BLOCKED and (view.reason or "").startswith(AMENDMENT):
        label = f"{label} (amendment)"
    step = view.phase if state is CellState.RUNNING and view.phase else label
    return CellWords(label, step, state.symbol, state.style)


def is_queued(view: CellView) -> bool:
    """Whether its attempt waits for a free agent."""
    return view.slot == _QUEUED


def asks_for_approval(view: CellView) -> bool:
    """Whether a cell in the state approval is one that asks, not one behind it."""
    return "approval" in view.phases.values()


def _interpret_cell(cell: CellView, plan: CellPlan, view: FeatureView, feature: str) -> CellView:
    if cell.state is CellState.RUNNING and is_queued(cell):
        return replace(cell, state=CellState.WAITING, reason="waits for a free agent")
    above = [view.cell(name) for name in plan.upstreams]
    of_its_own = (cell.reason or "").startswith((REPO_PREFIX, AMENDMENT))
    if cell.state is CellState.BLOCKED and above and not of_its_own:
        if not any(u.state.is_bad or u.state is CellState.APPROVAL or u.ignored for u in above):
            return replace(cell, state=CellState.PENDING, reason=None, hint=None)
        return cell
    if cell.state is CellState.APPROVAL and not asks_for_approval(cell):
        if any(upstream.state is CellState.APPROVAL for upstream in above):
            return cell
        return replace(cell, state=CellState.PENDING, reason=None, hint=None)
    if not _only_publish_is_left(cell):
        return cell
    below = [view.cell(name) for name in plan.stack]
    for upstream in below:
        if upstream.state is CellState.APPROVAL:
            return replace(
                cell,
                state=CellState.APPROVAL,
                reason=f"waits for the approval of upstream {upstream.name}",
                hint=f"orchestr approve {feature}:{upstream.name}",
            )
    late = [upstream.name for upstream in below if upstream.state.is_moving]
    if late and cell.state is CellState.RUNNING:
        reason = f"waits for upstream {', '.join(late)} to be published"
        return replace(cell, state=CellState.WAITING, reason=reason)
    return cell


def _only_publish_is_left(cell: CellView) -> bool:
    """Built, nothing of it is under way, and its next step is to publish."""
    if cell.state not in (CellState.RUNNING, CellState.ABORTED):
        return False
    marks = [cell.phases.get(phase, "pending") for phase in _PHASES]
    built = _PHASES.index(Phase.PUBLISH)
    return all(mark == "done" for mark in marks[:built]) and marks[built] == "pending"
