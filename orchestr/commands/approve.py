"""`approve FEATURE:CELL [--gate G] [--reject --reason TEXT] [--yes]`: a person's answer at a gate.

Shows exactly what the answer is about, asks, and records who, when and on which digest. Needs no
lease: a run that waits at the gate sees the answer and goes on.
"""

from __future__ import annotations

from typing import Any

from orchestr.cell import approval
from orchestr.cell.agent.plan_deviation import find_plan_deviation
from orchestr.cell.agent.plan_prompt import read_plan
from orchestr.cell.agent.verdict import opinion_from_row
from orchestr.cell.approval import APPROVED, PHASES, REFUSED, ApprovalDecision
from orchestr.cell.context import CellContext
from orchestr.cell.gates import current_gate_digest
from orchestr.cell.notes import describe_deviation, explain_unchecked, ran_in_worktree
from orchestr.cell.phases import publish
from orchestr.cell.pull_request.text import pr_title
from orchestr.commands.base.options import flag_option, value_option
from orchestr.commands.base.person import login_name, read_git_identity
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import ExitCode, UsageError
from orchestr.run.start import next_run_line
from orchestr.run.workspace import Session
from orchestr.spec.checks import Gate
from orchestr.state.events import EventKind
from orchestr.state.journal import utc_timestamp
from orchestr.state.layout import create_state_dirs
from orchestr.state.results import (
    CHECKS,
    PLAN_TEXT,
    REVIEW,
    Evidence,
    HeadRecord,
    check_word,
    read_url,
)
from orchestr.views.terminal.output import ask_yes_no, print_stderr, write_stdout
from orchestr.views.terminal.text import clean_line, headline


class Approve(PlainVerb):
    """One answer to one gate of one cell."""

    doc_purpose = "say yes or no to a cell's plan, or to what it would publish"
    doc_usage = "FEATURE:CELL"
    help_group = "build"
    examples = (
        ("approve mlkem:java-sdk", "show what waits for your yes, and ask"),
        ("approve mlkem:java-sdk --reject --reason 'keep the old key type'", "its agent is told"),
    )
    cmd_options = (
        value_option("gate", "plan or publish (default: the one that waits)"),
        flag_option("reject", "say no; --reason is told to the agent"),
        value_option("reason", "why not"),
        flag_option("yes", "do not ask", short="y"),
    )

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Show, ask, record."""
        if len(args) != 1:
            raise UsageError("`approve` wants one cell", hint="orchestr approve FEATURE:CELL")
        ctx = session.select_cell(args[0])
        reason = (params["reason"] or "").strip()
        if params["reject"] and not reason:
            raise UsageError("a refusal needs a reason", hint='--reject --reason "what to change"')
        if reason and not params["reject"]:
            raise UsageError("--reason is for --reject", hint="orchestr help approve")
        gate = _choose_gate(ctx, params["gate"])
        seen = current_gate_digest(ctx, gate)
        if seen is None:
            raise UsageError(
                f"{ctx.name} has nothing to approve at its gate `{gate}` yet",
                hint=f"orchestr run {ctx.name}",
            )
        if params["reject"] and gate is Gate.PUBLISH and read_url(ctx.dir) and _is_published(ctx):
            raise UsageError(f"{ctx.name} is published already", hint=f"{read_url(ctx.dir)}")
        write_stdout(_describe_plan(ctx) if gate is Gate.PLAN else _describe_publication(ctx))
        if not params["yes"] and not _confirm_decision(ctx, gate, no=params["reject"]):
            print_stderr("Nothing was recorded.")
            return int(ExitCode.DONE)
        create_state_dirs(session.layout)
        _record_decision(ctx, gate, seen, reason if params["reject"] else None)
        return int(ExitCode.DONE)


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


def _describe_plan(ctx: CellContext) -> str:
    """What is approved at the gate `plan`."""
    todo = "".join(f"  - {clean_line(item)}\n" for item in ctx.cell.todo)
    lines = (read_plan(ctx) or "").splitlines()
    text = "".join(f"{_clean_line(line)}\n" for line in lines)
    return f"The plan of {ctx.name} ({ctx.dir / PLAN_TEXT}), for\n{todo}\n{text}\n"


def _clean_line(line: str) -> str:
    """A line of Markdown for a terminal: its indentation is part of its meaning."""
    indent = len(line) - len(line.lstrip(" "))
    return " " * indent + clean_line(line)


def _describe_publication(ctx: CellContext) -> str:
    """What is approved at the gate `publish`."""
    head = ctx.read_head()
    if head is None:
        return ""
    stat = "".join(f"  {clean_line(line.strip())}\n"
                   for line in ctx.repo.diff_stat(head.base, head.head).splitlines())  # fmt: skip
    words = [
        f"What {ctx.name} would publish: {ctx.cell.branch} at {head.head[:12]}, "
        f"for {publish.pr_base(ctx)} of {ctx.cell.repo}\n",
        f"  title: {clean_line(pr_title(ctx))}\n{stat}",
        f"  checks: {_describe_checks(ctx, head.head)}",
        f"  review: {_describe_reviews(ctx, head.head)}",
        _describe_deviation(ctx, head),
        f"  the whole diff: git -C {ctx.repo_path} diff {head.base[:12]} {head.head[:12]}\n\n",
    ]
    return "".join(words)


def _describe_deviation(ctx: CellContext, head: HeadRecord) -> str:
    """The files beside the approved plan, with what the agent said last."""
    found = find_plan_deviation(ctx, head) if ctx.cell.has_plan_phase else None
    if found is None or not found.is_one:
        return ""
    text = f"  plan:   {clean_line(describe_deviation(found))}\n"
    for path in found.files:
        text += f"    - {clean_line(path)}\n"
    lines = found.explanation.splitlines()
    if lines:
        text += "    its agent's last message:\n"
    return text + "".join(f"    | {clean_line(line)}\n" for line in lines)


def _describe_checks(ctx: CellContext, head: str) -> str:
    """The checks on exactly this head, in a line; a repair in `review` was checked there."""
    unchecked = explain_unchecked(ctx)
    if unchecked:
        return f"none is run: {unchecked}\n"
    checks, review = Evidence.read(ctx.dir / CHECKS), Evidence.read(ctx.dir / REVIEW)
    rows, place = None, CHECKS
    if review is not None and review.head == head and review.checks is not None:
        rows, place = review.checks, REVIEW
    elif checks is not None and checks.head == head:
        rows = checks.items
    if rows is None:
        return "none on this commit\n"
    if not rows:
        return "nothing was asked for\n"
    said = [
        f"{row.get('name')} "
        + check_word(row)
        + ("" if row.get("passed") is True else f": {headline(str(row.get('detail')))}")
        for row in rows
    ]
    where = ", in the author's worktree" if ran_in_worktree(rows) else ""
    return f"{clean_line(', '.join(said))}{where} ({ctx.dir / place})\n"


def _describe_reviews(ctx: CellContext, head: str) -> str:
    """The reviews of exactly this head: a line for each reviewer, one for each issue."""
    found = Evidence.read(ctx.dir / REVIEW)
    if found is None or found.head != head:
        return "none on this commit\n"
    if not found.items:
        return "nothing was asked for\n"
    said = f"({ctx.dir / REVIEW})\n"
    for row in found.items:
        opinion = opinion_from_row(row)
        summary = f": {headline(opinion.summary)}" if opinion.summary.strip() else ""
        said += f"    {clean_line(opinion.reviewer)}: {opinion.verdict}{clean_line(summary)}\n"
        for issue in opinion.issues:
            where = f" ({', '.join(issue.places)})" if issue.places else ""
            said += f"    - {issue.severity}: {clean_line(headline(issue.title) + where)}\n"
    return said


def _confirm_decision(ctx: CellContext, gate: Gate, *, no: bool) -> bool:
    """Ask. Raises UsageError where there is no terminal to answer at."""
    what = "Refuse" if no else "Approve"
    alone = "an approval is a person's, and there is no terminal"
    return ask_yes_no(f"{what} {approval.WORDS[gate]}?", unheard=alone)


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
