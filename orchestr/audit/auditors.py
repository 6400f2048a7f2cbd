"""Auditors: reviewers of the whole, on checkouts of all repositories' merged work side by side.

They run on the machinery of a cell's reviewers (supervised, read only, with limits, budget and
adoption), in a context of their own: its records are kept in `audit/auditors/` beside the cells.
While they read, every cell's branch and clone is watched; what is changed there is undone, and the
answers do not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial

from orchestr.audit.answer import AuditorAnswer, make_form
from orchestr.audit.findings import Finding, FindingState
from orchestr.audit.prompt import build_audit_prompt
from orchestr.audit.record import list_statements
from orchestr.audit.scope import FileFinder
from orchestr.cell.agent.run_reviewers import (
    AnswerForm,
    ReviewCase,
    collect_answers,
    forget_answers,
)
from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.worktree.clone_guard import GUARD
from orchestr.cell.worktree.throwaway_clone import CheckoutPart
from orchestr.cell.worktree.worktree_guard import guard_worktree, recover_worktree
from orchestr.codec import replace as replace_record
from orchestr.git.repo import CommitId
from orchestr.plan.dag import CellPlan
from orchestr.spec.records import AUDIT, Cell
from orchestr.state import attempts

ATTEMPT = 0  # auditors belong to no attempt of an author


class AuditContext(CellContext):
    """What auditors run in: no cell of the spec, with records of its own."""

    def __init__(self, run: FeatureRun) -> None:
        repo = run.feature.cells[0].repo
        super().__init__(run, Cell(AUDIT, repo, ""), CellPlan(AUDIT, 0, repo, ""))

    def find_records(self) -> None:
        """Its folder is none of a cell, and holds no results."""
        layout, feature = self.run.layout, self.run.feature.name
        self.dir = layout.feature_dir(feature) / AUDIT / "auditors"
        self.worktree = layout.worktree_dir(feature, AUDIT)
        self.key = layout.key_of(feature, AUDIT)

    @property
    def priority(self) -> float:
        """Everything else is done: nothing waits behind it."""
        return 0.0


def forget_unevaluated(run: FeatureRun) -> None:
    """Put aside the answers with statements that were not evaluated: whatever was missing may be
    there now. For the first audit of a series."""

    def is_void(row: Mapping[str, object]) -> bool:
        found = row.get("findings")
        listed = found if isinstance(found, list) else []
        states = (one.get("state") for one in listed if isinstance(one, dict))
        return FindingState.NOT_EVALUATED in states

    forget_answers(AuditContext(run).dir, ATTEMPT, is_void)


def recover_guarded_cells(run: FeatureRun) -> None:
    """After an audit that was killed: undo what its auditors changed of the cells' branches."""
    for plan in run.plan.cells:
        ctx = run.cell_context(plan.name)
        recover_worktree(ctx, ctx.dir / GUARD)


def hear_auditors(run: FeatureRun, files: FileFinder, crossed: Sequence[Finding]) -> list[Finding]:
    """The findings of all auditors on these merges. Raises PhaseFailed, Interrupted."""
    if not run.feature.auditors:
        return []
    ctx, statements = AuditContext(run), list_statements(run.feature)
    missing = [repo for repo in _list_repos(run) if repo not in files.merges]
    if missing:
        why = f"there is no merge of {', '.join(missing)}"
        return [
            Finding(source=f"auditor {one.name}", statement=text, detail=why,
                    state=FindingState.NOT_EVALUATED)
            for one in run.feature.auditors for text in statements
        ]  # fmt: skip
    by_repo = {cell.repo: run.cell_context(cell.name) for cell in run.feature.cells}
    parts = tuple(CheckoutPart(r, by_repo[r].repo, c) for r, c in files.merges.items())
    trees = {part.name: str(part.repo.resolve_tree(part.commit)) for part in parts}
    prompt = build_audit_prompt(run.feature, statements, trees, _describe_changes(run), crossed)
    case = ReviewCase(ATTEMPT, parts[0].commit, parts[0].commit, prompt, parts=parts)
    form = make_form(statements, tuple(files.merges))
    answers = _collect_guarded(ctx, case, form)
    return [
        replace_record(one, places=tuple(map(files.correct_place, one.places)))
        for answer in answers
        for one in answer.findings
    ]


def _list_repos(run: FeatureRun) -> list[str]:
    return list(dict.fromkeys(cell.repo for cell in run.feature.cells))


def _describe_changes(run: FeatureRun) -> dict[str, str]:
    """Cell -> the files that it changes."""
    found = {}
    for plan in run.plan.cells:
        ctx = run.cell_context(plan.name)
        head = ctx.read_head()
        if head is not None and head.base != head.head:
            found[plan.name] = ctx.repo.diff_stat(head.base, head.head).strip()
    return found


def _collect_guarded(
    ctx: AuditContext, case: ReviewCase, form: AnswerForm[AuditorAnswer]
) -> tuple[AuditorAnswer, ...]:
    """The answers, while every cell's branch and clone is watched."""
    run = ctx.run
    left = ctx.dir / "left"
    void = partial(attempts.forget_opinions, ctx.dir, ATTEMPT)  # whichever of them did the harm
    with ExitStack() as stack:
        guards = []
        for plan in run.plan.cells:
            cell = run.cell_context(plan.name)
            head = cell.read_head()
            if head is not None and cell.worktree.is_dir():
                guards.append(stack.enter_context(
                    guard_worktree(cell, CommitId(head.head), cell.dir / GUARD,
                                   left / plan.name, void, branch_only=True)
                ))  # fmt: skip
        found = collect_answers(ctx, run.feature.auditors, case, form)
    harm = [text for guard in guards for text in (*guard.outside, *guard.harm)]
    if harm:
        raise ctx.fail(
            f"while it was audited, {'; '.join(harm)}; the answers of its auditors do not count",
            hint=f"orchestr run {run.feature.name}: its auditors are asked again",
        )
    return found
