"""`amend: auto`: a run hands a needed change of a contract to its owner without a person.

The cell that needs it is blocked, which is no failure; between two rounds of the run
(`orchestr.run.further_rounds`) its amendment becomes a grant of the owner, which works on nothing
else, and then the cell goes on. Each step can be done twice: the grant is written first, then the
journal has it, then the amendment is marked. At most `amendment.MOST` for a cell and contract.
"""

from __future__ import annotations

from collections.abc import Collection

from orchestr.cell import amendment
from orchestr.cell.amendment import Amendment, AmendmentItem
from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.granted import (
    AttemptBounds,
    Grant,
    Grants,
    count_done_grants,
    find_bounds,
    find_outside,
    read_bounds,
    read_grants,
    write_bounds,
)
from orchestr.cell.inputs import attempt_key, plain_attempt_key
from orchestr.cell.ownership import OwnershipViolations
from orchestr.git.repo import CommitId
from orchestr.spec.checks import AmendMode
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind
from orchestr.state.results import ImplementRecord, WorktreeMarker


def grant_amendments(run: FeatureRun, still: Collection[str] = ()) -> dict[str, tuple[str, ...]]:
    """Hand over what cells are blocked on; each with the owners. ``still``: cells that do not take
    part.

    No cell of the feature may be at work.
    """
    granted: dict[str, tuple[str, ...]] = {}
    if not any(contract.amend is AmendMode.AUTO for contract in run.feature.contracts):
        return granted
    for cell in run.feature.cells:
        ctx = run.cell_context(cell.name)
        found = _find_blocking(ctx) if cell.name not in still else None
        if found is None or any(item.owner in still for item in found.items):
            continue
        for item in found.items:
            _grant_item(run.cell_context(item.owner), ctx, found, item)
            if not _is_journalled(ctx, found, item):
                ctx.emit(EventKind.CELL_AMENDED, attempt=found.attempt, owner=item.owner,
                         contract=item.contract, todo=item.todo)  # fmt: skip
        amendment.mark_amended(ctx, found)
        granted[cell.name] = tuple(item.owner for item in found.items)
    return granted


def _find_blocking(ctx: CellContext) -> Amendment | None:
    """The amendment that this cell is blocked on now, where a run may hand it over."""
    found, marker = amendment.read_amendment(ctx.dir), WorktreeMarker.read(ctx.dir)
    if found is None or found.amended or marker is None or attempt_key(ctx, marker) != found.key:
        return None
    done = ImplementRecord.read(ctx.dir)
    is_done = done is not None and done.key == found.key
    return found if not is_done and amendment.is_automatic(ctx, found) else None


def _grant_item(
    owner: CellContext, ctx: CellContext, found: Amendment, item: AmendmentItem
) -> None:
    named = item.contract.split(", ")
    paths = tuple(
        contract.path
        for contract in ctx.run.feature.contracts
        if contract.owner == item.owner and contract.path in named
    )
    new = Grant(ctx.cell.name, found.attempt, paths, item.reason)
    old = read_grants(owner.dir)
    items = old.items if old is not None else ()
    if new in items:
        return
    marker, done = WorktreeMarker.read(owner.dir), ImplementRecord.read(owner.dir)
    plain = plain_attempt_key(owner, marker) if marker is not None else ""
    before = old or Grants(())
    stands = done is not None and count_done_grants(before, plain, done.key) is not None
    # Grants that an attempt has still to make stay bound with this one.
    Grants((*items, new), plain if plain and stands else "").write(owner.dir)


def _is_journalled(ctx: CellContext, found: Amendment, item: AmendmentItem) -> bool:
    return any(
        event.cell == ctx.cell.name
        and event.attempt == found.attempt
        and (event.data.get("owner"), event.data.get("contract")) == (item.owner, item.contract)
        for event in ctx.run.journal.read_kind(EventKind.CELL_AMENDED)
    )


def bind_attempt(ctx: CellContext, attempt: Attempt, marker: WorktreeMarker) -> None:
    """Before the agent of an attempt starts: bind it, if it is there for grants alone."""
    if not attempt.fresh:
        write_bounds(ctx.dir, attempt.number, _find_cell_bounds(ctx, marker))


def find_waiting_cells(ctx: CellContext, marker: WorktreeMarker) -> str | None:
    """The cells for which alone an attempt would begin now; None where there is other work."""
    bounds = _find_cell_bounds(ctx, marker)
    return ", ".join(bounds.cells) if bounds is not None else None


def _find_cell_bounds(ctx: CellContext, marker: WorktreeMarker) -> AttemptBounds | None:
    grants = read_grants(ctx.dir) if ctx.run.feature.contracts else None
    if grants is None:
        return None
    return find_bounds(grants, plain_attempt_key(ctx, marker), ImplementRecord.read(ctx.dir))


def judge_bounds(ctx: CellContext, attempt: Attempt, head: CommitId) -> OwnershipViolations | None:
    """What a bound attempt changed and may not; None when nothing is wrong. What a refused attempt
    before it left on the branch counts, too."""
    if not ctx.run.feature.contracts:
        return None
    bounds = read_bounds(ctx.dir, attempt.number)
    if bounds is None or not _is_awaited(ctx, bounds.cells):
        return None
    outside = find_outside(bounds, ctx.repo.changed_paths(CommitId(bounds.since), head))
    return OwnershipViolations(outside, (), bounds.since) if outside else None


def _is_awaited(ctx: CellContext, cells: Collection[str]) -> bool:
    """Whether a cell still waits for the change. Once none does, later repairs of the same attempt
    are about other things."""
    known = {cell.name for cell in ctx.run.feature.cells}
    found = (
        amendment.read_amendment(ctx.run.cell_context(name).dir) for name in cells if name in known
    )
    return any(one is not None for one in found)


def bound_notes(ctx: CellContext, attempt: Attempt) -> list[str]:
    """For the prompt of a bound attempt: what alone it may change."""
    bounds = read_bounds(ctx.dir, attempt.number) if ctx.run.feature.contracts else None
    if bounds is None:
        return []
    paths = ", ".join(f"`{path}`" for path in bounds.paths)
    return [
        f"This attempt is for that alone: change only {paths}. Your earlier work is there and "
        "stays; any other path that you change is refused."
    ]
