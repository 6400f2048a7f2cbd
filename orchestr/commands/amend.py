"""`amend`, in two forms: a contract for a cell that needs it, and a spec that is locked.

`amend FEATURE:CELL` hands what a cell needs changed in a contract to its owner. The line goes to
the owner's `todo:` in the spec; the record is marked afterwards, so a kill between the two only
finds the line there already. The next `run` builds the owner, then the cell. The other form is in
`orchestr.commands.base.amend_spec`.
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Any

from orchestr.cell import amendment
from orchestr.cell.amendment import Amendment, AmendmentItem
from orchestr.cell.context import CellContext
from orchestr.cell.inputs import attempt_key
from orchestr.cell.upstreams import list_all_upstreams
from orchestr.commands.base.amend_spec import amend_specs
from orchestr.commands.base.options import flag_option, value_option
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import OrchestrError, UsageError
from orchestr.files import write_atomic
from orchestr.process.file_lock import FlockLock
from orchestr.run.start import next_run_line
from orchestr.run.workspace import Session
from orchestr.spec.edit import append_todo
from orchestr.spec.phases import Action
from orchestr.state.events import EventKind
from orchestr.state.layout import create_state_dirs
from orchestr.state.results import WorktreeMarker
from orchestr.views.terminal.output import write_stdout


class Amend(PlainVerb):
    """Writes into a spec or its lock, and the journal; starts nothing.

    A feature: its spec is locked, and fields were changed that are. A cell: its agent needs a
    change in a contract of another cell.
    """

    doc_purpose = "change a locked spec, or a contract that another cell owns"
    doc_usage = "FEATURE ... --reason TEXT | FEATURE:CELL ..."
    help_group = "build"
    examples = (
        ("amend mlkem --reason 'Java only'", "let what was changed in a locked spec count"),
        ("amend mlkem --dry-run", "the locked fields that were changed, before and after"),
        ("amend mlkem:java-sdk --dry-run", "the change of the spec that its agent asks for"),
        ("amend mlkem:java-sdk", "take it: the owner of the contract does the work"),
    )
    cmd_options = (
        value_option("reason", "why a locked field is changed, for the lock and the journal"),
        flag_option("dry-run", "show what would be written, and leave it as it is"),
    )

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """One name after the other; the first that cannot be amended ends it."""
        if not args:
            raise UsageError(
                "which feature, or which cell?",
                hint="orchestr amend FEATURE --reason TEXT, or orchestr amend FEATURE:CELL",
            )
        targets = session.parse_targets(args)
        if any(target.phase for target in targets):
            raise UsageError("cells are amended as a whole", hint="orchestr amend FEATURE:CELL")
        if all(target.cell is None for target in targets):
            return amend_specs(session, [target.feature for target in targets],
                               reason=params["reason"], dry_run=params["dry-run"])  # fmt: skip
        if params["reason"] is not None or any(target.cell is None for target in targets):
            raise UsageError(
                "a locked spec and a contract are amended by commands of their own",
                hint="orchestr amend FEATURE --reason TEXT; orchestr amend FEATURE:CELL",
            )
        for ctx in session.select_cells(targets):
            hand_over_amendment(session, ctx, dry_run=params["dry-run"])
        return 0


def hand_over_amendment(session: Session, ctx: CellContext, *, dry_run: bool) -> None:
    """Hand over what one cell waits for. Raises OrchestrError saying why it cannot be."""
    found = amendment.read_amendment(ctx.dir)
    if found is None:
        raise ctx.fail("it waits for no amendment", hint=f"orchestr explain {ctx.name}")
    if found.amended:
        write_stdout(f"{ctx.name} was amended already\n")
        write_stdout(next_run_line(ctx.run, f"orchestr run {ctx.run.feature.name}"))
        return
    _check_amendment(ctx, found)
    path = session.root / ctx.run.feature.path
    if dry_run:
        new = _build_edited_spec(session, ctx, path, found)
        sys.stdout.write(_format_diff(ctx.run.feature.path, path.read_bytes(), new))
        return
    create_state_dirs(session.layout)
    with FlockLock(session.layout.locks_dir / "amend.lock"):
        old = path.read_bytes()
        new = _build_edited_spec(session, ctx, path, found)
        if path.read_bytes() != old:
            raise ctx.fail(f"{ctx.run.feature.path} is being changed by another process",
                           hint=f"orchestr amend {ctx.name}")  # fmt: skip
        if new != old:
            real = path.resolve()
            write_atomic(real, new, mode=real.stat().st_mode & 0o777)
        for item in found.items:
            ctx.emit(EventKind.CELL_AMENDED, attempt=found.attempt, owner=item.owner,
                     contract=item.contract, todo=item.todo)  # fmt: skip
        amendment.mark_amended(ctx, found)
    for item in found.items:
        write_stdout(f"{ctx.run.feature.path}: todo of {item.owner}: {item.todo}\n")
    write_stdout(next_run_line(ctx.run, f"orchestr run {ctx.run.feature.name}"))


def _check_amendment(ctx: CellContext, found: Amendment) -> None:
    """What would make an amendment useless."""
    marker = WorktreeMarker.read(ctx.dir)
    if marker is None or attempt_key(ctx, marker) != found.key:
        raise ctx.fail("its todo or what it builds on has changed since it asked",
                       hint=f"orchestr run {ctx.name}")  # fmt: skip
    for item in found.items:
        _check_item(ctx, item)


def _check_item(ctx: CellContext, item: AmendmentItem) -> None:
    where = ctx.run.feature.path
    if item.is_futile:
        raise ctx.fail(
            f"{item.contract} was amended {item.repeats} times for it already",
            hint=f"change the todo of {item.owner} or of {ctx.cell.name} in {where} yourself",
        )
    owner = next((c for c in ctx.run.feature.cells if c.name == item.owner), None)
    if owner is None:
        raise ctx.fail(f"cell {item.owner} is not in {where} any more", hint=f"edit {where}")
    if owner.action is Action.PUSH:
        raise ctx.fail(f"cell {item.owner} is a person's work: no agent reads its todo",
                       hint=f"on branch {owner.branch}: {item.todo}")  # fmt: skip
    if item.owner not in [up.cell.name for up in list_all_upstreams(ctx)]:
        raise ctx.fail(
            f"it does not depend on {item.owner}, so it would not wait for the amendment",
            hint=f"add {item.owner} to `depends_on` of {ctx.cell.name} in {where}",
        )


def _build_edited_spec(session: Session, ctx: CellContext, path: Path, found: Amendment) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise OrchestrError(f"{path} cannot be read: {error.strerror}") from error
    agents = session.settings.agents.keys()
    for item in found.items:
        data = append_todo(data, ctx.run.feature.path, item.owner, item.todo, agents, session.root)
    return data


def _format_diff(name: str, old: bytes, new: bytes) -> str:
    before, after = (text.decode().splitlines(keepends=True) for text in (old, new))
    return "".join(difflib.unified_diff(before, after, name, name, n=2))
