"""Before a run: what `decide` chose is written where the phases find it.

A repair becomes an open round of the owner's attempt, in phase `check`: its evidence is void, so
the next run carries the round out in the same session, checks, reviews and publishes as always. A
conflict with the base becomes a new attempt that takes the base in, as in landing. Nothing starts
here.

What survives a crash: the round is written before the memory names it; one that the memory does not
know is found by its digest and not written again.
"""

from __future__ import annotations

from orchestr.cell.agent.repair import author_attempt, open_repair
from orchestr.cell.context import CellContext
from orchestr.cell.phases.forget import forget_phases
from orchestr.cell.worktree.landing_request import EVIDENCE
from orchestr.codec import replace
from orchestr.errors import OrchestrError
from orchestr.follow.decide import Repair, Rerun, TakeBase
from orchestr.follow.facts import FollowedCell
from orchestr.follow.memory import ANSWERED, MERGE, REPAIR, FollowMemory, FollowRound
from orchestr.follow.memory import Rerun as KnownRerun
from orchestr.follow.words import ask_for_repair
from orchestr.forges.followed import FollowingForge, PullRequestFacts
from orchestr.git.bases import fetch_base, list_base_tips
from orchestr.git.repo import CommitId
from orchestr.landing.after_landing import Warn, commit_target_merge, find_head_to_update
from orchestr.landing.events import Trouble
from orchestr.landing.ladder import merge_by_ladder, read_ladder_rules
from orchestr.landing.repair import prepare_repair
from orchestr.spec.phases import Phase
from orchestr.state import attempts, repairs
from orchestr.state.repairs import RepairRound
from orchestr.state.results import CHECKS, HeadRecord, ImplementRecord


def start_rerun(
    ctx: CellContext, cell: FollowedCell, facts: PullRequestFacts, step: Rerun,
    forge: FollowingForge,
) -> None:  # fmt: skip
    """Let a check run again; known before it is asked for. Raises ForgeAway, ForgeError."""
    red = step.red
    mine = KnownRerun(facts.pr.head_sha, red.check.name, red.signature, red.check.id)
    replace(cell.memory, reruns=(*cell.memory.reruns, mine)).write(ctx.dir)
    forge.rerun_check(ctx.repo_ref, red.check)


def prepare_round(
    ctx: CellContext, cell: FollowedCell, facts: PullRequestFacts, step: Repair
) -> bool:
    """Write the round of the owner. False when it has one under way. Raises PhaseFailed."""
    owner = ctx.run.cell_context(step.owner)
    done, head = ImplementRecord.read(owner.dir), HeadRecord.read(owner.dir)
    attempt = author_attempt(owner, done) if done is not None else None
    if done is None or head is None or attempt is None:
        raise owner.fail(
            f"{step.why}; its commits are not one of our agents'",
            hint=f"commit to {owner.cell.branch}, then: orchestr run {owner.name}",
        )
    known = repairs.find_open_round(repairs.read_rounds(owner.dir, attempt.number))
    if known is not None and known.red != step.digest:
        return False
    if known is None:
        found_in = "" if owner is ctx else facts.pr.url
        known = open_repair(
            owner, attempt, Phase.CHECK, done.origin, CommitId(head.head), red=step.digest,
            why=step.why, words=ask_for_repair(facts, step.red, step.threads, found_in),
            of=cell.rounds, asked_by=repairs.FOLLOW,
        )  # fmt: skip
    mine = FollowRound(
        REPAIR, owner.cell.name, attempt.number, known.number, step.digest, head.head,
        facts.node_id, step.answers,
    )  # fmt: skip
    replace(cell.memory, rounds=(*cell.memory.rounds, mine)).write(ctx.dir)
    void_evidence(owner)
    return True


def void_evidence(ctx: CellContext) -> None:
    """Let the phases after the work run again. The open round stays."""
    forget_phases(ctx, [Phase.CHECK, Phase.REVIEW])


def prepare_merge(
    ctx: CellContext, cell: FollowedCell, facts: PullRequestFacts, step: TakeBase, warn: Warn
) -> None:
    """Take the base in: by git where that has no conflict, else by a new attempt of the agent.

    Raises PhaseFailed, GitError; Interrupted when stopped.
    """
    base, repo = facts.pr.base, ctx.repo
    fetch_base(repo, base, locks=ctx.run.layout.locks_dir)
    tip = next(iter(list_base_tips(repo, base).values()), None)
    head = HeadRecord.read(ctx.dir)
    if tip is None or head is None:
        raise ctx.fail(
            f"its base {base} cannot be found", hint=f"git -C {repo.path} fetch {repo.remotes.base}"
        )
    if repo.is_ancestor(tip, CommitId(head.head)):
        return  # the forge has not seen yet that it is there
    rules = read_ladder_rules(ctx.run.settings, ctx.cell.repo)
    merged = merge_by_ladder(repo, CommitId(head.head), tip, rules)
    if merged.tree is not None and not merged.generating:
        if find_head_to_update(ctx) == head.head:
            commit_target_merge(ctx, base, (CommitId(head.head), tip), merged, warn)
        return
    if not cell.can_repair:
        raise OrchestrError(f"{ctx.name}: {step.why}")
    done = ImplementRecord.read(ctx.dir)
    mine = FollowRound(
        MERGE, ctx.cell.name, done.attempt if done else 0, 0, f"{base} {tip}", head.head,
        facts.node_id,
    )  # fmt: skip
    replace(cell.memory, rounds=(*cell.memory.rounds, mine)).write(ctx.dir)
    files = ", ".join((merged.conflicts or merged.generating)[:5])
    prepare_repair(ctx, Trouble.CONFLICT, files, head=head.head, target=base, tip=tip)


def resume_round(ctx: CellContext, memory: FollowMemory, round_: FollowRound) -> None:
    """Finish writing what a kill cut off, so that the next run goes on with the round."""
    owner = ctx.run.cell_context(round_.owner)
    if round_.kind == REPAIR:
        known = find_round(owner, round_)
        if known is not None and known.outcome == repairs.OPEN and (owner.dir / CHECKS).exists():
            void_evidence(owner)
        return
    head, newest = HeadRecord.read(owner.dir), attempts.newest_attempt(owner.dir)
    begun = (owner.dir / EVIDENCE).exists() or (newest and newest.number > round_.attempt)
    if not begun and head is not None and head.head == round_.before:
        settled = replace(round_, stage=ANSWERED, outcome=repairs.VOID)
        replace_round(memory, round_, settled).write(ctx.dir)


def find_round(owner: CellContext, round_: FollowRound) -> RepairRound | None:
    """The record of a round in its owner's attempt."""
    known = repairs.read_rounds(owner.dir, round_.attempt)
    return next((one for one in known if one.number == round_.number), None)


def replace_round(memory: FollowMemory, old: FollowRound, new: FollowRound) -> FollowMemory:
    """The memory with a round changed."""
    return replace(memory, rounds=tuple(new if one == old else one for one in memory.rounds))
