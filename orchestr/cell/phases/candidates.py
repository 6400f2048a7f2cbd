"""Attempts at a cell's work side by side (`best_of`): started, judged, one of them taken.

Each works in a place of its own (`orchestr.cell.candidate`) by the rules of an attempt, at the same
time as far as there are slots. What it made is judged by the cell's checks, and where they are
green by its reviewers; `orchestr.cell.best_of` decides. The commits of the chosen one become those
of the cell's branch, are proved there once more, and are its result; repairs begin from it.

What survives a crash: `best-of.toml` is there before anything of them is, and until nothing is left
of them. Each has its own open attempt, result, green checks and opinions, so the same command pays
for none of these again. The decision is written before it is carried out; the result is written
before any worktree goes.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from orchestr.agents import AgentVerdict
from orchestr.cell import amendment
from orchestr.cell.agent import verdict as opinions
from orchestr.cell.agent.attempt import (
    begin_attempt,
    carry_out_attempt,
    close_attempt,
    prepare_worktree,
    try_salvage,
)
from orchestr.cell.agent.launch import note_new_place
from orchestr.cell.agent.next_attempt import decide_next
from orchestr.cell.agent.review_prompt import review_head
from orchestr.cell.agent.stop_agent import stop_attempt_agents
from orchestr.cell.agent_chain import list_beside
from orchestr.cell.best_of import choose_candidate, explain_choice
from orchestr.cell.candidate import CandidateContext, list_candidates
from orchestr.cell.context import CellContext
from orchestr.cell.phases.checkout_head import checkout_head
from orchestr.cell.phases.own import end_open_attempt
from orchestr.cell.phases.review import has_reviewers
from orchestr.cell.proof.commit_result import prove_attempt
from orchestr.cell.proof.newer_commits import join_newer_commits
from orchestr.cell.proof.run_checks import raise_not_evaluated, run_checks
from orchestr.cell.worktree.branch_guard import restore_surroundings
from orchestr.cell.worktree.clone_guard import GUARD
from orchestr.cell.worktree.discard import put_worktree, remove_cell_worktree
from orchestr.cell.worktree.ensure import ensure_worktree
from orchestr.cell.worktree.person_changes import (
    begin_change,
    end_change,
    record_clean,
)
from orchestr.cell.worktree.ports import release_ports
from orchestr.cell.worktree.salvage import attempt_ref, find_free_ref
from orchestr.cell.worktree.setup import run_teardown
from orchestr.cell.worktree.worktree_guard import kill_leftover_checks, recover_worktree
from orchestr.codec import replace
from orchestr.errors import Interrupted, OrchestrError
from orchestr.git.line_counts import count_changed_lines
from orchestr.git.repo import CommitId
from orchestr.spec.phases import Phase
from orchestr.state import attempts
from orchestr.state.candidates import (
    BEST_OF,
    CandidateGroup,
    CandidateResult,
    CandidateState,
    has_candidates,
)
from orchestr.state.events import EventKind
from orchestr.state.journal import DECISIONS
from orchestr.state.results import (
    OWN,
    PLAN,
    PLAN_TEXT,
    ImplementOutcome,
    ImplementRecord,
    WorktreeMarker,
)

# What a candidate's prompt and rules are made from, beside its worktree.
_GIVEN = (PLAN, PLAN_TEXT, OWN, DECISIONS.rstrip("/"), attempts.FRESH)


def work_side_by_side(ctx: CellContext, marker: WorktreeMarker, key: str) -> ImplementRecord | None:
    """The result of the best of several attempts at the work ``key``.

    None where one attempt has to do it: something lies in the worktree that it goes on from. Goes
    on with what a kill left. Raises PhaseFailed where none made a result, Interrupted.
    """
    group = CandidateGroup.read(ctx.dir)
    if group is None:
        group = _open_group(ctx, marker, key)
        if group is None:
            return None
    if not group.results:
        group = _decide(ctx, group, _hear_candidates(ctx, group, marker))
        group.write(ctx.dir)
        _journal_decision(ctx, group)
    if group.winner is None:
        raise _fail_together(ctx, group)
    done = _take_result(ctx, group, marker)
    group.keep(ctx.dir, done.attempt)
    end_candidates(ctx, "another one was taken")
    return done


def end_candidates(ctx: CellContext, why: str) -> None:
    """End what the candidates of a cell are at, and take away their worktrees and branches. What
    was in them is kept below refs; their attempts stay. Safe to repeat."""
    if not has_candidates(ctx.dir):
        return
    for candidate in list_candidates(ctx):
        _end_candidate(candidate, why)
    (ctx.dir / BEST_OF).unlink(missing_ok=True)


# ---- begin ---------------------------------------------------------------------------------------


def _open_group(ctx: CellContext, marker: WorktreeMarker, key: str) -> CandidateGroup | None:
    """Record who works, after the cell's own branch was made ready to begin from."""
    end_open_attempt(ctx)
    ctx.check_cancelled()
    amendment.raise_if_pending(ctx, key)
    ctx.check_budget()
    ctx.check_disk_room()
    start, _ = prepare_worktree(ctx, marker)
    agents = list_beside(ctx)
    if not agents:
        return None
    if ctx.worktree_repo.dirty_paths():
        ctx.emit(EventKind.CELL_WARNED, phase=Phase.IMPLEMENT,
                 reason="its worktree holds work of before, so one attempt goes on from it and "
                 "best_of waits")  # fmt: skip
        return None
    candidates = [CandidateContext(ctx, place, agent) for place, agent in enumerate(agents, 1)]
    for candidate in candidates:
        _end_candidate(candidate, "it was begun again")  # of a group whose record was lost
    for candidate in candidates:
        _make_folder(candidate)
    group = CandidateGroup(key, start, agents)
    group.write(ctx.dir)
    for name in (attempts.FRESH, attempts.REBUILD, attempts.PREPARING):
        (ctx.dir / name).unlink(missing_ok=True)
    return group


def _make_folder(candidate: CandidateContext) -> None:
    """Its records, with what its cell was given."""
    candidate.dir.mkdir(parents=True)
    attempts.claim_number(candidate.dir)  # here, so that their numbers are in their order
    for name in _GIVEN:
        given = candidate.owner.dir / name
        if given.is_dir():
            shutil.copytree(given, candidate.dir / name)
        elif given.exists():
            shutil.copy2(given, candidate.dir / name)


# ---- work ----------------------------------------------------------------------------------------


def _hear_candidates(
    ctx: CellContext, group: CandidateGroup, marker: WorktreeMarker
) -> tuple[CandidateResult, ...]:
    """What came of each. One that fails lets the others come to their end; raises what the machine,
    a reviewer or a stop was in the way with."""
    candidates = list_candidates(ctx)
    with ThreadPoolExecutor(len(candidates), thread_name_prefix="candidate") as pool:
        futures = [pool.submit(_carry_out, one, group, marker) for one in candidates]
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        faults = [one for one in errors if not isinstance(one, OrchestrError)]
        stops = [one for one in errors if isinstance(one, Interrupted)]
        raise (*faults, *stops, *errors)[0]
    return tuple(future.result() for future in futures)


def _carry_out(
    candidate: CandidateContext, group: CandidateGroup, marker: WorktreeMarker
) -> CandidateResult:
    """Its attempt, and what checks and reviewers say of it."""
    mine = replace(marker, branch=candidate.cell.branch)
    mine.write(candidate.dir)
    done, newest = ImplementRecord.read(candidate.dir), attempts.newest_attempt(candidate.dir)
    if done is not None and newest is not None and newest.state == "open":
        record_clean(candidate, done.head)  # a kill came before it was closed
        close_attempt(candidate, newest, "done", "")
    while done is None:
        ended = newest is not None and newest.outcome in ("failed", "blocked")
        if newest is not None and ended and not newest.followed:
            return _describe_failure(candidate, newest.reason)
        attempt = None
        try:
            ensure_worktree(candidate, mine.with_base(group.start))
            attempt = begin_attempt(candidate, newest, mine, group.key)
            done = carry_out_attempt(candidate, attempt, mine)
        except OrchestrError as error:
            if error.repeatable or isinstance(error, Interrupted):
                raise
            newest = attempts.newest_attempt(candidate.dir)
            words = decide_next(candidate, attempt, error) if attempt is not None else None
            if words is None:
                return _describe_failure(candidate, error.reason)
            candidate.emit(EventKind.CELL_WARNED, phase=Phase.IMPLEMENT,
                           attempt=newest.number if newest else 0, reason=words)  # fmt: skip
    return _judge_result(candidate, done, mine)


def _judge_result(
    candidate: CandidateContext, done: ImplementRecord, marker: WorktreeMarker
) -> CandidateResult:
    checkout_head(candidate, done, marker, works_elsewhere=not candidate.checks_in_worktree)
    head, base = CommitId(done.head), CommitId(marker.base)
    taken = candidate.run.budget.find_spending(candidate.cell.name, done.attempt)
    found = CandidateResult(
        candidate.place, _agent_of(candidate), done.attempt, CandidateState.GREEN, done.head,
        usd=taken.usd, tokens=taken.tokens,
        lines=sum(count_changed_lines(candidate.repo, base, head).values()),
    )  # fmt: skip
    rows: Sequence[object] = ()
    if candidate.has_checks:
        verdict = run_checks(candidate, head, base, attempt=done.attempt, phase=Phase.IMPLEMENT)
        if not verdict.passed:
            if not verdict.has_red:
                raise_not_evaluated(candidate, verdict)
            red = sum(one.is_red for one in verdict.results)
            return replace(found, state=CandidateState.RED, red=red, reason=verdict.summary_line)
        rows = verdict.rows
    if not has_reviewers(candidate) or head == base:
        return found
    attempt = attempts.read_attempt(candidate.dir, done.attempt)
    heard = review_head(candidate, head, base, rows, attempt)  # type: ignore[arg-type]
    blockers = opinions.blocking_issues(heard, candidate.cell.proof.review_rule)
    if not blockers:
        return found
    reasons = "; ".join(f"{issue.title} ({one.reviewer})" for one, issue in blockers)
    return replace(
        found, state=CandidateState.BLOCKED, blockers=len(blockers), reason=f"review: {reasons}"
    )


def _describe_failure(candidate: CandidateContext, reason: str) -> CandidateResult:
    newest = attempts.newest_attempt(candidate.dir)
    number = newest.number if newest is not None else 0
    taken = candidate.run.budget.find_spending(candidate.cell.name, number)
    return CandidateResult(candidate.place, _agent_of(candidate), number, CandidateState.FAILED,
                           usd=taken.usd, tokens=taken.tokens, reason=reason)  # fmt: skip


def _agent_of(candidate: CandidateContext) -> str:
    newest = attempts.newest_attempt(candidate.dir)
    return newest.agent if newest is not None else candidate.cell.agents[0]


# ---- decide --------------------------------------------------------------------------------------


def _decide(
    ctx: CellContext, group: CandidateGroup, results: tuple[CandidateResult, ...]
) -> CandidateGroup:
    ctx.check_cancelled()
    chosen = choose_candidate(results)
    if chosen is None:
        return replace(group, results=results, why="none made a result")
    why = explain_choice(results, chosen)
    return replace(group, results=results, chosen=chosen.place, why=why)


def _journal_decision(ctx: CellContext, group: CandidateGroup) -> None:
    winner = group.winner
    rows = [
        [one.place, one.agent, one.attempt, str(one.state), one.usd, one.tokens, one.lines]
        for one in group.results
    ]
    ctx.emit(
        EventKind.CANDIDATES_JUDGED, phase=Phase.IMPLEMENT,
        attempt=winner.attempt if winner is not None else 0,
        agent=winner.agent if winner is not None else "", why=group.why, results=rows,
    )  # fmt: skip


def _fail_together(ctx: CellContext, group: CandidateGroup) -> OrchestrError:
    """End a group without a result; the error to raise. A contract that one of them needs changed
    is the cell's to wait for."""
    numbers = [one.attempt for one in group.results if one.attempt]
    for number in numbers[:1]:
        group.keep(ctx.dir, number)
    for candidate in list_candidates(ctx):
        asked = candidate.dir / amendment.FILE
        if asked.exists() and not (ctx.dir / amendment.FILE).exists():
            shutil.copy2(asked, ctx.dir / amendment.FILE)
    end_candidates(ctx, "none made a result")
    amendment.raise_if_pending(ctx, group.key)
    ctx.check_budget()  # where it is reached, that is the reason, and has a hint of its own
    reasons = "; ".join(f"{one.place} ({one.agent}): {one.reason}" for one in group.results)
    return ctx.fail(f"none of {len(group.results)} attempts side by side made a result: {reasons}",
                    hint=f"orchestr logs {ctx.name}")  # fmt: skip


# ---- take ----------------------------------------------------------------------------------------


def _take_result(
    ctx: CellContext, group: CandidateGroup, marker: WorktreeMarker
) -> ImplementRecord:
    """The commits of the chosen one on the cell's branch, proved, as the cell's result."""
    winner = group.winner
    assert winner is not None
    known = ImplementRecord.read(ctx.dir)
    if known is not None and (known.key, known.attempt) == (group.key, winner.attempt):
        return known
    candidate = list_candidates(ctx)[winner.place - 1]
    made = ImplementRecord.read(candidate.dir)
    attempt = attempts.read_attempt(ctx.dir, winner.attempt)
    if made is None or attempt is None:
        raise ctx.fail(
            f"what attempt {winner.attempt} made is not recorded any more",
            hint=f"orchestr run --force {ctx.name} does the work again",
        )
    changed = made.outcome is ImplementOutcome.CHANGED
    target = CommitId(made.head if changed else group.start)
    ensure_worktree(ctx, marker)
    recover_worktree(ctx, ctx.dir / GUARD)
    joined = join_newer_commits(ctx, CommitId(group.start), target, candidate.cell.branch)
    begin_change(ctx)
    put_worktree(ctx, attempt.number, joined)
    end_change(ctx)
    attempt = replace(attempt, chosen=True, tip=joined)
    attempts.write_attempt(ctx.dir, attempt)
    verdict = AgentVerdict(ok=True, no_change=None if changed else made.reason)
    try:
        done = prove_attempt(ctx, attempt, marker, verdict)
    except OrchestrError as error:
        if error.repeatable or joined == target:
            raise
        raise ctx.fail(
            f"with the commits that came onto its branch meanwhile: {error.reason}",
            hint=error.hint
            or f"correct it in {ctx.worktree} and commit, then: orchestr run {ctx.name}",
        ) from error
    note_new_place(ctx, attempt)
    attempts.link_transcript(ctx.dir, attempt.number)
    done.write(ctx.dir)
    amendment.archive_amendment(ctx, attempt)
    record_clean(ctx, done.head)
    return done


# ---- end -----------------------------------------------------------------------------------------


def _end_candidate(candidate: CandidateContext, why: str) -> None:
    """Nothing of it works any more, and nothing is left of its place."""
    newest = attempts.newest_attempt(candidate.dir)
    number = newest.number if newest is not None else 0
    marker = WorktreeMarker.read(candidate.dir)
    kill_leftover_checks(candidate)
    with suppress(OrchestrError):
        recover_worktree(candidate, candidate.dir / GUARD)
    if newest is not None:
        stop_attempt_agents(candidate, newest)
        if newest.is_open:
            restore_surroundings(candidate, newest, marker.base_ref if marker is not None else "")
            try_salvage(candidate, newest)
            close_attempt(candidate, newest, "superseded", why)
        elif newest.outcome == "done" and newest.is_aside:
            attempts.write_attempt(candidate.dir, replace(newest, reason=why))
    if candidate.worktree.exists():
        run_teardown(candidate)
        try:
            remove_cell_worktree(candidate, number)
        except OrchestrError as error:
            if error.repeatable:
                raise
            candidate.emit(EventKind.CELL_WARNED, phase=Phase.IMPLEMENT, attempt=number,
                           reason=f"{candidate.worktree} stays: {error.reason}")  # fmt: skip
    if not candidate.worktree.exists():
        _remove_branch(candidate, number)
        release_ports(candidate)
        candidate.run.registry.release(candidate.key)
    shutil.rmtree(candidate.dir, ignore_errors=True)


def _remove_branch(candidate: CandidateContext, number: int) -> None:
    """Its branch goes, its commits stay below a ref."""
    ref = f"refs/heads/{candidate.cell.branch}"
    tip = candidate.repo.resolve_commit(ref)
    if tip is not None:
        if number:
            kept = find_free_ref(candidate, f"{attempt_ref(candidate, number)}-head", tip)
            candidate.repo.update_ref(kept, tip)
        candidate.repo.delete_ref(ref, tip)
