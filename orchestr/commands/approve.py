"""`approve FEATURE[:CELL] ... [--gate G] [--reject --reason TEXT] [--yes]`: answers at gates.

`approve spec:NAME` is another thing: a draft becomes a spec (`commands.base.approve_draft`).

Shows exactly what the answer is about, asks, and records who, when and on which digest. Needs no
lease: a run that waits at the gate sees the answer and goes on.
"""

from __future__ import annotations

from typing import Any

from orchestr.cell import approval
from orchestr.cell.approval import APPROVED, PHASES, REFUSED, ApprovalDecision
from orchestr.cell.context import CellContext
from orchestr.cell.gates import current_gate_digest
from orchestr.cell.phases import publish
from orchestr.commands.base.gate_text import describe_plan, describe_publication
from orchestr.commands.base.options import flag_option, value_option
from orchestr.commands.base.person import login_name, read_git_identity
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import ExitCode, UsageError
from orchestr.run.start import next_run_line
from orchestr.run.workspace import Session
from orchestr.spec.checks import Gate
from orchestr.spec.goal_names import DRAFT_PREFIX
from orchestr.state.events import EventKind
from orchestr.state.journal import utc_timestamp
from orchestr.state.layout import create_state_dirs
from orchestr.state.results import read_url
from orchestr.views.terminal.output import ask_yes_no, print_stderr, write_paged, write_stdout


class Approve(PlainVerb):
    """One answer to one gate of a cell, one after the other."""

    doc_purpose = "say yes or no to a cell's plan, to what it would publish, or to a draft"
    doc_usage = "FEATURE[:CELL] ... | spec:NAME ..."
    help_group = "build"
    examples = (
        ("approve mlkem:java-sdk", "show what waits for your yes, and ask"),
        ("approve 'mlkem:*-sdk'", "each of them that waits, one after the other"),
        ("approve mlkem:java-sdk --reject --reason 'keep the old key type'", "its agent is told"),
        ("approve spec:mldsa", "the plan and the diff of a draft, then its spec is written"),
    )
    cmd_options = (
        value_option("gate", "plan or publish (default: the one that waits)"),
        flag_option("reject", "say no; --reason is told to the agent"),
        value_option("reason", "why not"),
        flag_option("yes", "do not ask", short="y"),
    )

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Show, ask, record; of a feature or a pattern, every gate that waits."""
        if not args:
            raise UsageError("which cell?", hint="orchestr approve FEATURE:CELL")
        reason = (params["reason"] or "").strip()
        if params["reject"] and not reason:
            raise UsageError("a refusal needs a reason", hint='--reject --reason "what to change"')
        if reason and not params["reject"]:
            raise UsageError("--reason is for --reject", hint="orchestr help approve")
        refusal = reason if params["reject"] else None
        drafts = [word for word in args if word.startswith(DRAFT_PREFIX)]
        if drafts:
            return _approve_drafts(session, params, args, refusal)
        targets = session.parse_targets(args)
        alone = targets[0].cell is not None and len(targets) == 1
        cells = session.select_cells(targets)
        if not alone:
            cells = [ctx for ctx in cells if _waits(ctx, params["gate"])]
            if not cells:
                write_stdout(f"nothing of {', '.join(args)} waits for an approval\n")
        for ctx in cells:
            _ask_and_record(session, ctx, params, refusal)
        return int(ExitCode.DONE)


def _approve_drafts(session: Session, params: Any, args: list[str], refusal: str | None) -> int:
    """`approve spec:NAME`. Raises UsageError for what is no draft, or a no to one."""
    from orchestr.commands.base.approve_draft import approve_draft
    from orchestr.commands.base.drafting import read_names

    if refusal is not None or params["gate"]:
        hint = "say in specs/NAME.md what is to change, then: orchestr draft NAME"
        raise UsageError("a draft has no gate and takes no refusal", hint=hint)
    strangers = [word for word in args if not word.startswith(DRAFT_PREFIX)]
    if strangers:
        raise UsageError(f"{strangers[0]} is no draft: approve it by itself")
    for name in read_names(args):
        approve_draft(session, name, yes=params["yes"])
    return int(ExitCode.DONE)


def _waits(ctx: CellContext, named: str | None) -> bool:
    """Whether a gate of the cell has something to look at that has no answer."""
    for gate in ctx.cell.proof.approve:
        if named not in (None, gate) or (gate is Gate.PLAN and not ctx.cell.has_plan_phase):
            continue
        seen, said = current_gate_digest(ctx, gate), approval.read_decision(ctx.dir, gate)
        if seen is not None and (said is None or said.digest != seen):
            return True
    return False


def _ask_and_record(session: Session, ctx: CellContext, params: Any, refusal: str | None) -> None:
    """One answer to one gate. Raises UsageError where there is nothing to answer."""
    gate = _choose_gate(ctx, params["gate"])
    seen = current_gate_digest(ctx, gate)
    if seen is None:
        raise UsageError(
            f"{ctx.name} has nothing to approve at its gate `{gate}` yet",
            hint=f"orchestr run {ctx.name}",
        )
    if refusal and gate is Gate.PUBLISH and read_url(ctx.dir) and _is_published(ctx):
        raise UsageError(f"{ctx.name} is published already", hint=f"{read_url(ctx.dir)}")
    write_paged(describe_plan(ctx) if gate is Gate.PLAN else describe_publication(ctx))
    if not params["yes"] and not _confirm_decision(ctx, gate, no=refusal is not None):
        print_stderr("Nothing was recorded.")
        return
    create_state_dirs(session.layout)
    _record_decision(ctx, gate, seen, refusal)


def _choose_gate(ctx: CellContext, named: str | None) -> Gate:
    """The gate that is meant: the named one, else the first that has no yes to what is there."""
    asked = [g for g in ctx.cell.proof.approve if g is not Gate.PLAN or ctx.cell.has_plan_phase]
    if not asked:
        raise UsageError(
            f"{ctx.name} has no gate: nothing of it waits for an approval",
            hint="give it `approve: plan` or `approve: publish` in the spec",
        )
    if named is not None:
        if named not in asked:
            has = ", ".join(asked)
            raise UsageError(f"{ctx.name} has no gate {named!r}", hint=f"its gates: {has}")
        return Gate(named)
    for gate in sorted(asked, key=list(Gate).index):
        seen, said = current_gate_digest(ctx, gate), approval.read_decision(ctx.dir, gate)
        if seen is not None and (said is None or not said.approves(seen)):
            return gate
    ready = [
        g for g in sorted(asked, key=list(Gate).index) if current_gate_digest(ctx, g) is not None
    ]
    return ready[-1] if ready else asked[0]


def _is_published(ctx: CellContext) -> bool:
    return publish.reason_to_run(ctx) is None


def _confirm_decision(ctx: CellContext, gate: Gate, *, no: bool) -> bool:
    """Ask. Raises UsageError where there is no terminal to answer at."""
    what = "Refuse" if no else "Approve"
    alone = "an approval is a person's, and there is no terminal"
    return ask_yes_no(f"{ctx.name}: {what} {approval.WORDS[gate]}?", unheard=alone)


def _record_decision(ctx: CellContext, gate: Gate, seen: str, refusal: str | None) -> None:
    """The file first, then the journal: an answer counts from the moment the file is there."""
    name, email = read_git_identity(ctx)
    verdict = APPROVED if refusal is None else REFUSED
    said = ApprovalDecision(
        str(gate), verdict, seen, utc_timestamp(), name, email, login_name(), refusal or ""
    )
    before = approval.read_decision(ctx.dir, gate)
    again = before is not None and before.approves(seen) and refusal is None
    if not again:
        said.write(ctx.dir)
    kind = EventKind.APPROVAL_GIVEN if refusal is None else EventKind.APPROVAL_REFUSED
    run = f"orchestr run {ctx.run.feature.name}"
    hint = run
    if refusal is not None and gate is Gate.PUBLISH:
        hint = f"orchestr run --force {ctx.name}"
    ctx.emit(kind, phase=PHASES[gate], gate=str(gate), digest=seen, name=name, email=email,
             user=said.user, reason=refusal, hint=hint)  # fmt: skip
    by = f"{said.display_name} <{email}>" if email else said.display_name
    if again and before is not None:
        write_stdout(f"{ctx.name}: approved already, by {before.display_name} at {before.at}\n")
    elif refusal is None:
        write_stdout(f"{ctx.name}: {approval.WORDS[gate]} is approved, by {by}\n")
        write_stdout(next_run_line(ctx.run, run))
    elif gate is Gate.PLAN:
        write_stdout(f"{ctx.name}: its plan is refused, by {by}; the next run makes another\n")
        write_stdout(next_run_line(ctx.run, run))
    else:
        write_stdout(f"{ctx.name}: refused, by {by}; it is not published\n")
        write_stdout(next_run_line(ctx.run, hint, "its agent gets the reason"))
