"""`ignore TARGET... [--undo]`: leave cells as they are; dependents use what is there."""

from __future__ import annotations

from typing import Any

from doit.cmd_ignore import Ignore as DoitIgnore

from orchestr.commands.base.options import flag_option
from orchestr.commands.base.verb import Verb, attach_loader
from orchestr.errors import UsageError
from orchestr.run.workspace import Session
from orchestr.state.events import EventKind
from orchestr.state.layout import create_state_dirs
from orchestr.tasks.loader import ignored_cells
from orchestr.views.terminal.output import write_stdout


class Ignore(Verb, DoitIgnore):  # type: ignore[misc]
    """Kept in the journal, not in doit's rows: it survives a deleted database."""

    purpose = "leave cells as they are until --undo"
    usage = "FEATURE[:CELL] ... [--undo]"
    help_group = "build"
    examples = (
        ("ignore mlkem:web-sdk", "leave the cell as it is"),
        ("ignore --undo mlkem:web-sdk", "build it again"),
    )
    cmd_options = (flag_option("undo", "build them again as usual"),)

    def execute(self, params: Any, args: list[str]) -> int:
        """Journal it. A dependent of an ignored cell without a result is blocked."""
        loader = attach_loader(self)
        session: Session = loader.session
        if not args:
            raise UsageError("which cells?", hint="orchestr list --all")
        words, theirs = loader.split_words(args)
        if theirs and params["undo"]:
            raise UsageError("doit undoes `ignore` of its own tasks by `forget`",
                             hint=f"doit forget {' '.join(theirs)}")  # fmt: skip
        targets = session.parse_targets(words)
        if any(target.phase for target in targets):
            raise UsageError("cells are ignored as a whole", hint="FEATURE:CELL")
        if theirs:
            loader.features = ()
            super().execute(params, theirs)
        create_state_dirs(session.layout)
        for ctx in session.select_cells(targets):
            is_ignored = ctx.cell.name in ignored_cells(ctx.run)
            if params["undo"] != is_ignored:
                state = "is ignored already" if is_ignored else "is not ignored"
                write_stdout(f"{ctx.name} {state}\n")
                continue
            ctx.emit(EventKind.CELL_UNIGNORED if params["undo"] else EventKind.CELL_IGNORED)
            word = "not ignored any more" if params["undo"] else "ignored"
            write_stdout(f"{word}: {ctx.name}\n")
        return 0
