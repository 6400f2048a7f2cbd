"""`accept FEATURE[:CELL] ... [--dry-run]`: let results stand under a spec that was reworded."""

from __future__ import annotations

from typing import Any

from orchestr.cell.context import CellContext
from orchestr.cell.input_changes import InputChange
from orchestr.cell.phases.accept_result import (
    Acceptor,
    StaleResult,
    accept_result,
    find_stale_result,
)
from orchestr.commands.base.options import flag_option, value_option
from orchestr.commands.base.person import login_name, read_git_identity
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import ExitCode, PhaseFailed, UsageError
from orchestr.process.lease import Lease
from orchestr.run.start import lease_record
from orchestr.run.workspace import Session
from orchestr.state.layout import create_state_dirs
from orchestr.views.terminal.output import ask_yes_no, print_stderr, write_stdout
from orchestr.views.terminal.text import clean_line


class Accept(PlainVerb):
    """Only todo, agent, model and paths can be accepted; checks and reviews run when they
    changed."""

    doc_purpose = "let a result stand under a spec that was reworded"
    doc_usage = "FEATURE[:CELL] ..."
    help_group = "build"
    examples = (
        ("accept mlkem:core", "its todo was reworded: no agent is started for that"),
        ("accept mlkem --dry-run", "only show what was edited"),
    )
    cmd_options = (
        value_option("reason", "why it may stand, for the journal"),
        flag_option("dry_run", "show what was edited, and change nothing", long="dry-run"),
        flag_option("yes", "do not ask", short="y"),
    )

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Exit 1 when a named cell's result cannot stand."""
        if not args:
            raise UsageError("which cell?", hint="orchestr accept FEATURE:CELL")
        create_state_dirs(session.layout)
        targets = session.parse_targets(args)
        named = {(t.feature, t.cell) for t in targets if t.cell is not None}
        code, found = int(ExitCode.DONE), 0
        for ctx in session.select_cells(targets):
            feature = ctx.run.feature.name
            with Lease.acquire(session.layout.lease_file(feature), lease_record((feature,), 1)):
                try:
                    stale = find_stale_result(ctx)
                except PhaseFailed as error:
                    if (feature, ctx.cell.name) in named:
                        hint = f"\n  hint: {error.hint}" if error.hint else ""
                        print_stderr(f"error: {ctx.name}: {error.message}{hint}")
                        code = int(ExitCode.FAILED)
                    continue
                if stale is not None:
                    found += 1
                    _accept_cell(ctx, stale, params)
        if not found and code == ExitCode.DONE:
            write_stdout("nothing to accept: every result that is there is for the spec as it is\n")
        return code


def _accept_cell(ctx: CellContext, stale: StaleResult, params: Any) -> None:
    write_stdout(f"{ctx.name}: {stale.done.head[:12]} was made before this was edited:\n")
    for change in stale.changes:
        write_stdout(_describe_change(change))
    if not stale.changes:
        write_stdout("  (the values that it was made from are not known)\n")
    if params["dry_run"]:
        return
    if not params["yes"] and not ask_yes_no(
        "Does it stand under the spec as it is now?", unheard="a person answers for it"
    ):
        write_stdout(f"{ctx.name}: left as it is\n")
        return
    name, email = read_git_identity(ctx)
    accept_result(ctx, stale, Acceptor(name, email, login_name(), params["reason"] or ""))
    write_stdout(f"{ctx.name}: accepted; orchestr run {ctx.name} starts no agent for it\n")


def _describe_change(change: InputChange) -> str:
    old, new = (clean_line(v) if v is not None else None for v in (change.old, change.new))
    lines = [f"  {change.field}"]
    lines += [f"    was  {old}"] if old is not None else []
    lines += [f"    is   {new}"] if new is not None else []
    return "\n".join(lines) + "\n"
