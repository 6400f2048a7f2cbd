"""The slow work of a landing, in threads: checks in check worktrees, and repairs by agents."""

from __future__ import annotations

import threading

from orchestr.cell.worktree.check_pool import CheckPool, lend_check_worktree, list_places
from orchestr.errors import Interrupted, NeedsApproval, OrchestrError, Unavailable, as_disk_full
from orchestr.git.errors import GitError
from orchestr.git.repo import CommitId
from orchestr.landing.actions import CheckCandidate, RepairChange
from orchestr.landing.causes import describe_causes
from orchestr.landing.changes import changed_paths_of
from orchestr.landing.checks import NO_CHECKS, CandidateVerdict, CheckOrder, find_cell_of_repo
from orchestr.landing.decide import keys_in_candidate
from orchestr.landing.events import (
    CandidateSpec,
    Checked,
    Event,
    Parked,
    Repaired,
    RepairStarted,
    Trouble,
)
from orchestr.landing.find_causes import find_causes
from orchestr.landing.repair import repair_head, repair_obstacle
from orchestr.landing.rung import UNSEEN
from orchestr.landing.session import LandingSession
from orchestr.process.tree import WORKTREE, kill_marked

RETRY_AFTER = 1.0  # s; of a step that failed on the way to a verdict


def kill_leftover_checks(session: LandingSession) -> None:
    """End the checks that a killed landing left at work; only one lands in a workspace."""
    for name in session.ways:
        for path in list_places(session.runs[0].layout, CheckPool.LANDING, name):
            kill_marked(str(path), variable=WORKTREE)


def check_candidate(session: LandingSession, action: CheckCandidate) -> Event:
    """The verdict on a candidate. Raises Interrupted when it was let go."""
    spec = action.spec
    tree = session.tree_of(action)[1]
    result = check_commit(session, spec, action.commit, tree, session.flying[action])
    if result.green:
        known = session.queue.candidates.get(spec)
        if result.detail == NO_CHECKS and known is not None and known.rung.needs_check:
            return Checked(spec, action.commit, False, UNSEEN, result.seconds)
        return Checked(spec, action.commit, True, result.detail, result.seconds)
    try:
        causes = find_causes(session, spec, result)
    except GitError as error:
        raise as_no_verdict(error, f"the cause of {action.commit[:12]} was not found") from error
    named = describe_causes(spec.keys[0], causes) if len(spec.keys) == 1 else ""
    first, _, rest = result.detail.partition("\n")
    detail = f"{first.rstrip(':')}; {named}\n{rest}".rstrip() if named else result.detail
    return Checked(spec, action.commit, False, detail, result.seconds, causes)


def check_commit(
    session: LandingSession, spec: CandidateSpec, commit: str, tree: str, stop: threading.Event
) -> CandidateVerdict:
    """Check a commit in a check worktree that shows it. Raises Interrupted, Unavailable: only a
    check that ran says something of the commit, no failure on the way to it does.
    """
    name, changes_in = spec.lane.repo, tuple(session.queue.items[key].change for key in spec.keys)
    try:
        any_cell = find_cell_of_repo(session.runs, name)
        with lend_check_worktree(
            any_cell, CommitId(commit), CheckPool.LANDING, cancelled=stop.is_set
        ) as checkout:
            assert session.check is not None
            return session.check(
                CheckOrder(
                    name,
                    checkout.path,
                    commit,
                    tree,
                    changes_in,
                    keys_in_candidate(session.queue, spec),
                    stop,
                    session.warn,
                    checkout,
                )
            )
    except (Interrupted, Unavailable):
        raise
    except OrchestrError as error:
        raise as_no_verdict(error, f"{commit[:12]} was not checked") from error


def as_no_verdict(error: OrchestrError, what: str) -> Unavailable:
    """The failure of a step on the way to a verdict: git, a set-up, a file of ours."""
    full = as_disk_full(error)
    if full is not None:
        return full
    hint = f"{error.hint}; " if error.hint else ""
    return Unavailable(
        f"{what}: {error.message}",
        hint=f"{hint}put that right, then the same command again: it goes on where it stopped, "
        "and no agent is started for it",
        retry_after=RETRY_AFTER,
    )


def check_forge_merge(session: LandingSession, spec: CandidateSpec, commit: str) -> None:
    """What the forge made has another tree than what was checked: say it, and check it now."""
    where = f"{spec.lane.target} of {spec.lane.repo}"
    session.warn(f"{where} moved while the forge merged; {commit[:12]} was not checked before")
    tree = session.repo(spec.lane.repo).resolve_tree(CommitId(commit))
    try:
        result = check_commit(session, spec, commit, tree, session.runs[0].stop)
    except Unavailable as error:
        session.red.append(f"{where} at {commit[:12]}: {error.reason}")
        return
    if not result.green:
        session.red.append(f"{where} is RED at {commit[:12]}: {result.detail}")


def repair_change(session: LandingSession, action: RepairChange) -> Event:
    """Let the change's own agent repair it; after a failure again, up to `landing.repairs` times.
    Raises Interrupted.
    """
    change = session.queue.items[action.key].change
    ctx, lane = session.cell_context(action.key), change.lane
    why = repair_obstacle(ctx)
    if why is not None:
        return Parked(action.key, action.trouble, detail_with_reason(action, why))
    try:
        head = repair_head(ctx, action.trouble, action.number, action.detail, head=change.head,
                    target=lane.target, tip=session.queue.tips[lane])  # fmt: skip
    except Interrupted:
        raise
    except NeedsApproval as error:  # mended, and a person has to say yes to it
        return Parked(action.key, Trouble.APPROVAL, f"its agent mended it; it {error.reason}")
    except Unavailable:
        raise  # it is tried again, now or in the next landing; its agent is not asked once more
    except OrchestrError as error:
        if full := as_disk_full(error):
            raise full from error
        if action.number < session.rules.repairs:
            return RepairStarted(action.key, action.trouble, action.number + 1, action.detail)
        why = error.reason
        return Parked(
            action.key, action.trouble, detail_with_reason(action, f"not repaired: {why}")
        )
    if head == change.head:
        why = "its agent changed nothing"
        return Parked(action.key, action.trouble, detail_with_reason(action, why))
    return Repaired(action.key, head, changed_paths_of(ctx, head))


def detail_with_reason(action: RepairChange, why: str) -> str:
    """What is wrong and why it stays so in the first line, then the evidence."""
    first, _, rest = action.detail.partition("\n")
    conflict = "conflict in " if action.trouble is Trouble.CONFLICT else ""
    return f"{conflict}{first}; {why}\n{rest}".rstrip()
