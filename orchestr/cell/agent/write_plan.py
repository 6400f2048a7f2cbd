"""Making a plan: an agent that only reads writes Markdown, in a folder `plans/<n>/` of its own.

The rules are those of an attempt (`orchestr.cell.agent.run_agent`): recorded before it starts,
adopted after a kill, under the same limits and budget. What the agent did to the worktree all the
same is
kept under a ref and undone: the worktree is as it was before, uncommitted changes of an earlier
attempt included.
"""

from __future__ import annotations

from orchestr.cell import approval
from orchestr.cell.agent.launch import last_start_offset, launch_secrets
from orchestr.cell.agent.plan_prompt import read_plan
from orchestr.cell.agent_options import planned_options
from orchestr.cell.context import CellContext
from orchestr.cell.worktree.branch_guard import restore_surroundings
from orchestr.cell.worktree.discard import put_worktree
from orchestr.cell.worktree.ensure import ensure_worktree
from orchestr.cell.worktree.prepare_branch import prepare_branch
from orchestr.cell.worktree.readable_checkout import put_back_upstreams
from orchestr.cell.worktree.restore import restore_worktree
from orchestr.cell.worktree.salvage import attempt_ref, make_snapshot_commit, salvage_worktree
from orchestr.cell.worktree.trespass import find_trespass
from orchestr.cell.worktree.variables import plan_file
from orchestr.errors import MachineFault, OrchestrError
from orchestr.files import read_json, write_json
from orchestr.git.repo import CommitId
from orchestr.git.runner import YES_OR_FATAL
from orchestr.git.worktree_state import WorktreeFinding, validate_worktree
from orchestr.process.redaction import redact
from orchestr.spec.agent_options import Role
from orchestr.spec.checks import Gate
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind
from orchestr.state.results import TRANSCRIPT, PlanRecord, WorktreeMarker

BEFORE = "before.json"  # in a plan's folder: the worktree as its agent found it
LONGEST = 256 << 10  # bytes of a plan; a longer one nobody reads


def is_plan_approved(ctx: CellContext) -> bool:
    """Whether the plan as it is now has a person's yes, or needs none."""
    planned = PlanRecord.read(ctx.dir)
    if planned is None:
        return False
    text = read_plan(ctx)
    if not planned.digest or text is None:
        return not planned.digest
    if not ctx.cell.has_plan_gate:
        return True
    decision = approval.read_decision(ctx.dir, Gate.PLAN)
    now = approval.plan_digest(text, ctx.cell.todo)
    return decision is not None and now == planned.digest and decision.approves(now)


def check_plan_approved(ctx: CellContext) -> None:
    """Raises PhaseFailed when an agent must not start because its plan is not approved."""
    if ctx.cell.has_plan_phase and not is_plan_approved(ctx):
        raise ctx.fail("its plan is not approved", hint=f"orchestr run {ctx.name}")


def open_plan(ctx: CellContext, marker: WorktreeMarker, key: str) -> Attempt:
    """Make the worktree ready, record the plan and what its agent finds."""
    ensure_worktree(ctx, marker)
    prepare_branch(ctx, marker)
    repo = ctx.worktree_repo
    if repo.unmerged_paths():  # for the one who does the work, not for the one who plans it
        newest = attempts.newest_attempt(ctx.dir)
        salvage_worktree(ctx, newest.number if newest else 0)  # half of it may be resolved
        repo.run_git("merge", "--abort", answers=YES_OR_FATAL)
    start = repo.resolve_commit("HEAD")
    if start is None:
        raise ctx.fail("its branch has no commit", hint="orchestr doctor")
    agent = ctx.agent_settings.name
    model = planned_options(ctx, Role.PLAN).options.model
    plan = attempts.open_plan(ctx.dir, key=key, agent=agent, model=model, start=start)
    ctx.emit(EventKind.ATTEMPT_OPENED, phase=plan.phase, attempt=plan.number, key=key, agent=agent,
             model=plan.model, start=start)  # fmt: skip
    return plan


def snapshot_worktree(ctx: CellContext, plan: Attempt) -> None:
    """Write down how the worktree is, once, before the agent starts."""
    place = attempts.attempt_folder(ctx.dir, plan.number) / BEFORE
    if not place.exists():
        # An uncommitted change of an earlier attempt must not be collected as garbage.
        seen = salvage_worktree(ctx, plan.number) if ctx.worktree_repo.dirty_paths() else plan.start
        write_json(place, {"picture": seen})


def close_plan(ctx: CellContext, plan: Attempt, outcome: str, why: str = "") -> None:
    """Record how it ended."""
    attempts.close(ctx.dir, plan, outcome, why)
    ctx.emit(EventKind.ATTEMPT_CLOSED, phase=plan.phase, attempt=plan.number, outcome=outcome,
             reason=why)  # fmt: skip


def undo_changes(ctx: CellContext, plan: Attempt, marker: WorktreeMarker) -> list[str]:
    """After the agent ended: put back what it changed. Returns what makes it a failure.

    A change in its own worktree is a warning: it is kept under a ref, undone, and the plan may
    be good all the same. Safe to repeat.
    """
    put_back_upstreams(ctx)
    harm = restore_surroundings(ctx, plan, marker.base_ref)
    harm += find_trespass(ctx, plan)
    before = read_json(attempts.attempt_folder(ctx.dir, plan.number) / BEFORE) or {}
    seen, start = CommitId(before.get("picture") or plan.start), CommitId(plan.start)
    try:
        changed = _describe_changes(ctx, plan, seen)
        if changed is None:
            return harm
        restore_worktree(ctx, plan)
        repo = ctx.worktree_repo
        put_worktree(ctx, plan.number, start, clean=True)
        if seen != start:
            repo.run_git("restore", f"--source={seen}", "--worktree", "--", ".")
        left = _describe_changes(ctx, plan, seen)
    except MachineFault:
        raise
    except OrchestrError as error:
        return [*harm, f"its worktree was changed and could not be put back: {error.reason}"]
    if left is not None:
        return [*harm, f"its worktree was changed and could not be put back ({left})"]
    kept = attempt_ref(ctx, plan.number)
    who = f"phase `{plan.of}` worked, it" if plan.of else "it planned, its agent"
    text = f"while {who} changed {changed}; undone, and kept below {kept}"
    ctx.emit(EventKind.CELL_WARNED, phase=plan.phase, reason=text)
    return harm


def _describe_changes(ctx: CellContext, plan: Attempt, seen: CommitId) -> str | None:
    """What differs from before, in words for people; None for nothing."""
    verdict = validate_worktree(ctx.repo, ctx.worktree, ctx.cell.branch)
    if verdict.finding is not WorktreeFinding.OK:
        return f"the worktree itself ({verdict.finding})"
    repo = ctx.worktree_repo
    now = make_snapshot_commit(ctx, plan.number)
    if now is None:
        return "the branch"
    if repo.resolve_tree(now) != repo.resolve_tree(seen):
        paths = repo.changed_paths(seen, now)
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        return f"{', '.join(paths[:3])}{more}"
    return "its branch" if repo.resolve_commit("HEAD") != plan.start else None


def collect_plan_text(ctx: CellContext, plan: Attempt) -> str:
    """The plan: the file that the agent wrote, else its last answer. Raises PhaseFailed."""
    folder, place = attempts.attempt_folder(ctx.dir, plan.number), plan_file(ctx, plan)
    text = ""
    if not place.exists():  # an agent of the version before was given this one
        place = folder / place.name
    if place.is_file() and not place.is_symlink():
        if place.stat().st_size > LONGEST:
            raise ctx.fail(f"its plan is longer than {LONGEST >> 10} KiB", hint=f"less {place}")
        text = place.read_text(encoding="utf-8", errors="replace")
    if not text.strip():
        text = read_last_answer(ctx, plan)
    text = redact(text.strip(), launch_secrets(folder))
    if not text:
        raise ctx.fail(
            "its agent gave no plan: its last answer and $ORCHESTR_PLAN_FILE are empty",
            hint=f"orchestr logs {ctx.name}",
        )
    if len(text.encode()) > LONGEST:
        raise ctx.fail(f"its plan is longer than {LONGEST >> 10} KiB", hint=f"less {folder}")
    return f"{text}\n"


def read_last_answer(ctx: CellContext, attempt: Attempt) -> str:
    """What the agent wrote last; of a program, all that it printed in its last start."""
    folder = attempts.attempt_folder(ctx.dir, attempt.number)
    agent = ctx.run.agent_adapter(attempt.agent)
    return agent.read_answer(folder / TRANSCRIPT, last_start_offset(folder))
