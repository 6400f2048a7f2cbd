"""Amendments: what a cell needs changed in a contract that another cell owns.

Owns `amendment.toml` in the folder of the cell that needs it: a ready-made todo line for each
owner, with the diff that the cell had tried kept beside its attempt. The cell fails with it and
starts no new agent for the same work until `orchestr amend` has handed the line to the owner, or
its own key has changed. Written by rename before the attempt is closed; moved to the attempt's
folder only after `implement.toml` is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.ownership import (
    ContractBreach,
    PathsNotOwned,
    find_foreign_contract,
    format_paths,
)
from orchestr.cell.upstreams import list_all_upstreams
from orchestr.codec import ExtensibleRecord, Record, read_toml_record, replace, write_toml_record
from orchestr.errors import NeedsAmendment, OrchestrError
from orchestr.files import write_atomic
from orchestr.spec.checks import AmendMode
from orchestr.spec.phases import Action
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.cell_state import AMENDMENT
from orchestr.state.events import EventKind
from orchestr.state.journal import utc_timestamp

FILE = "amendment.toml"
MOST = 2  # amendments of one contract for one cell: the first and one more
LONGEST = 300  # characters of what an agent says it needs
SHOWN = 20_000  # characters of a diff in the owner's prompt


class AmendmentItem(Record, frozen=True):
    """For one owner. ``todo`` is the proposed line; ``diff`` a file in the cell's folder, or empty.

    ``repeats`` counts the amendments of these contracts that were made for the cell before.
    """

    owner: str
    contract: str
    reason: str
    todo: str
    diff: str = ""
    repeats: int = 0

    @property
    def is_futile(self) -> bool:
        """Whether it was asked too often to be tried without a person."""
        return self.repeats >= MOST


class Amendment(ExtensibleRecord, frozen=True):
    """`amendment.toml`. ``key`` is the work that waits, ``amended`` when it was handed over."""

    key: str
    attempt: int
    reason: str
    items: tuple[AmendmentItem, ...]
    amended: str = ""

    def write(self, folder: Path) -> None:
        write_toml_record(folder / FILE, self)


def read_amendment(folder: Path) -> Amendment | None:
    """The amendment that a cell asked for last, if it still stands."""
    return read_toml_record(folder / FILE, Amendment)


def pending_amendment(ctx: CellContext, key: str) -> Amendment | None:
    """The amendment that this very work waits for, None when there is none or it was made."""
    if not ctx.run.feature.contracts:
        return None
    found = read_amendment(ctx.dir)
    return found if found is not None and found.key == key and not found.amended else None


def raise_if_pending(ctx: CellContext, key: str) -> None:
    """Raises PhaseFailed while the work waits: another agent would only meet the same contract."""
    found = pending_amendment(ctx, key)
    if found is not None:
        raise _amendment_failure(ctx, found)


def ownership_failure(ctx: CellContext, attempt: Attempt, why: PathsNotOwned) -> OrchestrError:
    """The failure of a head that is not the cell's even after it was given back.

    Where contracts are all that is wrong, an amendment with the tried change is made ready.
    """
    found = why.ownership
    if found.outside or not found.breaches:
        return ctx.fail(f"{why.message} (after it was given back once)")
    items = []
    for owner in dict.fromkeys(breach.contract.owner for breach in found.breaches):
        mine = [breach for breach in found.breaches if breach.contract.owner == owner]
        items.append(_make_item_with_diff(ctx, attempt, owner, mine, found.base, why.head))
    return _record_amendment_failure(
        ctx, attempt, f"{why.message} (after it was given back once)", items
    )


def amend_request_failure(ctx: CellContext, attempt: Attempt, words: str) -> OrchestrError:
    """The failure of an attempt that ended with `ORCHESTR amend PATH: WHAT`."""
    path, _, what = words.partition(":")
    path, what = path.strip().strip("`"), " ".join(what.split())[:LONGEST]
    contract = find_foreign_contract(ctx.run.feature, ctx.cell, path)
    if contract is None:
        return ctx.fail(
            f"its agent asks for a change of {path[:100]}, which is no contract of another cell",
            hint=f"see `contracts:` in {ctx.run.feature.path}; orchestr logs {ctx.name}",
        )
    if not what:
        return ctx.fail(f"its agent asks for a change of {path} without saying which",
                        hint=f"orchestr logs {ctx.name}")  # fmt: skip
    repeats = _count_repeats(ctx, contract.owner, contract.path)
    todo = f"Amend {path} for cell {ctx.cell.name}: {what}{_repeat_suffix(repeats)}"
    item = AmendmentItem(contract.owner, contract.path, what, todo, repeats=repeats)
    text = f"its agent needs a change of {path}, which only cell {contract.owner} may make: {what}"
    return _record_amendment_failure(ctx, attempt, text, [item])


def _make_item_with_diff(
    ctx: CellContext, attempt: Attempt, owner: str, mine: list[ContractBreach], base: str, head: str
) -> AmendmentItem:
    """What one owner is asked for, with the diff of its contracts."""
    paths = [breach.path for breach in mine]
    literal = [f":(top,literal){path}" for path in paths]
    done = ctx.repo.run_readonly("diff", "--no-text", "--binary", base, head, "--", *literal)
    name = f"amendment-{owner}.diff"
    write_atomic(attempts.attempt_folder(ctx.dir, attempt.number) / name, done.out)
    contract = ", ".join(dict.fromkeys(breach.contract.path for breach in mine))
    repeats = _count_repeats(ctx, owner, contract)
    place = f"attempts/{attempt.number}/{name}"
    where = ctx.dir / place
    root = ctx.run.layout.root
    where = where.relative_to(root) if where.is_relative_to(root) else where
    todo = f"Amend {format_paths(paths)} for cell {ctx.cell.name}, as in {where}"
    todo += _repeat_suffix(repeats)
    return AmendmentItem(
        owner, contract, f"cell {ctx.cell.name} changed {format_paths(paths)}", todo, place, repeats
    )


def _repeat_suffix(repeats: int) -> str:
    """Makes the line of a later amendment another one."""
    return f" (asked {repeats + 1} times)" if repeats else ""


def _count_repeats(ctx: CellContext, owner: str, contract: str) -> int:
    return sum(
        event.kind is EventKind.CELL_AMENDED
        and event.cell == ctx.cell.name
        and (event.data.get("owner"), event.data.get("contract")) == (owner, contract)
        for event in ctx.run.journal.read()
    )


def _record_amendment_failure(
    ctx: CellContext, attempt: Attempt, reason: str, items: list[AmendmentItem]
) -> OrchestrError:
    made = Amendment(attempt.key, attempt.number, reason, tuple(items))
    made.write(ctx.dir)
    return _amendment_failure(ctx, made)


def is_automatic(ctx: CellContext, found: Amendment) -> bool:
    """Whether the run may hand the whole amendment over by itself: each owner is an agent's cell
    that this one builds on, and was not asked too often."""
    owners = {up.cell.name: up.cell for up in list_all_upstreams(ctx)}
    auto = {
        (contract.owner, contract.path)
        for contract in ctx.run.feature.contracts
        if contract.amend is AmendMode.AUTO
    }
    return all(
        not item.is_futile
        and item.owner in owners
        and owners[item.owner].action is Action.AGENT
        and all((item.owner, path) in auto for path in item.contract.split(", "))
        for item in found.items
    )


def _amendment_failure(ctx: CellContext, found: Amendment) -> OrchestrError:
    if is_automatic(ctx, found):
        owners = ", ".join(item.owner for item in found.items)
        what = "; ".join(f"{item.contract} ({item.reason})" for item in found.items)
        return NeedsAmendment(
            f"{AMENDMENT}{what}: waits for {owners}", upstream=found.items[0].owner,
            hint=f"orchestr run {ctx.run.feature.name}", cell=ctx.name,
        )  # fmt: skip
    futile = next((item for item in found.items if item.is_futile), None)
    if futile is not None:
        return ctx.fail(
            f"{found.reason}; {futile.contract} was amended {futile.repeats} times for it already, "
            "a person has to decide",
            hint=f"change the todo of {futile.owner} or {ctx.cell.name} in {ctx.run.feature.path}",
        )
    return ctx.fail(found.reason, hint=f"orchestr amend {ctx.name}: hands it to the owner's cell")


def archive_amendment(ctx: CellContext, attempt: Attempt) -> None:
    """After success: the amendment is history, kept with the attempt that did without it."""
    path = ctx.dir / FILE
    if path.exists():
        path.replace(attempts.attempt_folder(ctx.dir, attempt.number) / FILE)


def mark_amended(ctx: CellContext, found: Amendment) -> None:
    """Note that every owner has its line."""
    replace(found, amended=utc_timestamp()).write(ctx.dir)


def amendment_notes(ctx: CellContext) -> list[str]:
    """For the prompt: what this cell waited for and got, and what others need of its contracts."""
    if not ctx.run.feature.contracts:
        return []
    mine = read_amendment(ctx.dir)
    lines = []
    if mine is not None and mine.amended:
        for item in mine.items:
            lines.append(
                f"`{item.contract}` was handed to cell `{item.owner}` to be amended for you "
                f"({item.reason}). Take it as it is now; where the branch still holds another "
                "version of it, put that back."
            )
    for cell, item in _items_for_owner(ctx.run, ctx.cell.name):
        text = f"Cell `{cell.cell.name}` needs `{item.contract}` amended: {item.reason}."
        if item.diff and (diff := _read_shortened(cell.dir / item.diff)):
            text += f" This is the change that it had tried:\n\n~~~diff\n{diff}\n~~~"
        lines.append(text)
    return lines


def _items_for_owner(run: FeatureRun, owner: str) -> Iterator[tuple[CellContext, AmendmentItem]]:
    for cell in run.feature.cells:
        ctx = run.cell_context(cell.name)
        found = read_amendment(ctx.dir)
        if found is not None and found.amended:
            yield from ((ctx, item) for item in found.items if item.owner == owner)


def _read_shortened(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace").rstrip()
    except OSError:
        return ""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}\n(and more)"
