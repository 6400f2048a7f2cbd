"""After a run: what came of the rounds, and the answers in the conversations.

A conversation is answered when the commit that answers it stands at the forge, or when the agent
changed nothing and gave its reason. The key of an answer is the comment that it answers, and the
forge is asked whether it is there already: a kill between sending and writing it down sends nothing
twice. Nothing is resolved: that is for people.
"""

from __future__ import annotations

from contextlib import suppress

from orchestr.cell.context import CellContext
from orchestr.cell.worktree.landing_request import EVIDENCE
from orchestr.codec import replace
from orchestr.errors import OrchestrError
from orchestr.follow.conversations import list_threads
from orchestr.follow.facts import FollowedCell
from orchestr.follow.look import explain_failure
from orchestr.follow.memory import ANSWERED, MERGE, FollowMemory, FollowRound
from orchestr.follow.prepare import find_round, replace_round
from orchestr.follow.words import answer_with_commit, answer_without_change
from orchestr.forges.followed import CheckState, FollowingForge, PullRequestFacts
from orchestr.git.repo import CommitId
from orchestr.state import attempts, repairs
from orchestr.state.events import EventKind
from orchestr.state.results import HeadRecord, PublishRecord
from orchestr.views.logs.dialect import event_parser
from orchestr.views.logs.transcript import last_words


def settle_rounds(ctx: CellContext, cell: FollowedCell, forge: FollowingForge) -> FollowMemory:
    """Deal with every round that has ended; the memory after it. Raises ForgeAway, ForgeError."""
    memory = cell.memory
    for round_ in memory.open_rounds:
        is_there = any(one.name == round_.owner for one in ctx.run.feature.cells)
        outcome = (
            _find_outcome(ctx.run.cell_context(round_.owner), round_) if is_there else repairs.VOID
        )
        if outcome is None:
            continue
        if round_.threads and not _knows_threads(cell.facts, round_):
            continue  # an answer that cannot be given now is owed still
        if cell.facts is not None:
            _answer_threads(ctx, round_, outcome, cell.facts, forge)
        memory = replace_round(memory, round_, replace(round_, stage=ANSWERED, outcome=outcome))
        if round_.owner != cell.name:  # what it broke here is judged anew
            memory = replace(memory, reruns=(), real=())
        memory.write(ctx.dir)
    return memory


def _find_outcome(owner: CellContext, round_: FollowRound) -> str | None:
    """How a round ended; None while it is not over or not published."""
    failed = explain_failure(owner.run.past.cell(owner.cell.name))
    head, done = HeadRecord.read(owner.dir), PublishRecord.read(owner.dir)
    published = head is not None and done is not None and done.head == head.head
    if round_.kind == MERGE:
        if published and head is not None and head.head != round_.before:
            (owner.dir / EVIDENCE).unlink(missing_ok=True)
            return repairs.CHANGED
        return repairs.FAILED if failed else None
    record = find_round(owner, round_)
    if record is None:
        return repairs.VOID
    newest = attempts.newest_attempt(owner.dir)
    if record.outcome == repairs.OPEN and newest and newest.number > round_.attempt:
        return repairs.VOID  # the work began anew: what was asked in the old session is not done
    if record.outcome == repairs.OPEN:
        return repairs.FAILED if failed else None
    if record.outcome in (repairs.CHANGED, repairs.UNCHANGED):
        there = published and head is not None and _holds(owner, head.head, record.after)
        return record.outcome if there else repairs.FAILED if failed else None
    return record.outcome


def _holds(owner: CellContext, head: str, commit: str) -> bool:
    """Whether the published head has what a round made: the phases may not have come to it yet."""
    return head == commit or owner.repo.is_ancestor(commit, head)


def _knows_threads(facts: PullRequestFacts | None, round_: FollowRound) -> bool:
    """Whether a conversation of the round that the forge does not name is gone for certain."""
    if facts is None or facts.is_complete:
        return facts is not None
    return {one.thread for one in round_.threads} <= {one.id for one in list_threads(facts)}


def _answer_threads(
    ctx: CellContext, round_: FollowRound, outcome: str, facts: PullRequestFacts,
    forge: FollowingForge,
) -> None:  # fmt: skip
    if outcome not in (repairs.CHANGED, repairs.UNCHANGED):
        return
    owner = ctx.run.cell_context(round_.owner)
    known = {thread.id: thread for thread in list_threads(facts)}
    asked = [(one, known[one.thread]) for one in round_.threads if one.thread in known]
    if not asked:
        return
    words, commit = _read_last_words(owner, round_), ""
    text = answer_without_change(words)
    if outcome == repairs.CHANGED:
        head = HeadRecord.read(owner.dir)
        commit = head.head if head is not None else ""
        text = answer_with_commit(commit, _list_subjects(owner, round_.before, commit), words)
    for one, thread in asked:
        forge.answer_once(ctx.repo_ref, facts.pr.number, thread, text, one.comment)
        ctx.emit(EventKind.FOLLOW_ANSWERED, thread=one.thread, commit=commit)


def _list_subjects(owner: CellContext, before: str, after: str) -> list[str]:
    with suppress(OrchestrError):
        return owner.repo.list_commit_subjects(CommitId(f"{before}..{after}"), 5)
    return []


def _read_last_words(owner: CellContext, round_: FollowRound) -> str:
    attempt = attempts.read_attempt(owner.dir, round_.attempt)
    if attempt is None:
        return ""
    parse = event_parser(owner.run.settings, attempt.agent)
    return last_words(attempts.newest_transcript(owner.dir, attempt.number), parse) or ""


def note_reruns(ctx: CellContext, cell: FollowedCell) -> FollowMemory:
    """Remember which failures were gone when their check ran again, and which were not."""
    memory, facts = cell.memory, cell.facts
    if facts is None:
        return memory
    checks = {check.name: check for check in facts.checks}
    flaky, real = list(memory.flaky), list(memory.real)
    for one in memory.reruns:
        check = checks.get(one.check)
        if one.sha != facts.pr.head_sha or check is None or check.id == one.id:
            continue
        if check.state is CheckState.SUCCESS:
            flaky.append(one.signature)
        elif check.state is CheckState.FAILURE:
            real += [red.signature for red in cell.red if red.check.name == one.check]
    found = replace(memory, flaky=tuple(dict.fromkeys(flaky)), real=tuple(dict.fromkeys(real)))
    found.write(ctx.dir)
    return found
