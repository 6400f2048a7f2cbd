"""What is done about one pull request now, and why. Pure.

Sorted before anybody is paid: who may decide (a person's hand goes first), what is not the cell's
fault (red on its base, flaky, a sibling that is missing there), whose fault it is (the cell that
the tool's own output names), and only then a round of repair, bounded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestr.follow.conversations import find_youngest, list_open_threads, newest_verdicts
from orchestr.follow.facts import FollowedCell, RedCheck, Rules
from orchestr.follow.memory import AnsweredThread
from orchestr.forges.base import PRState
from orchestr.forges.followed import (
    CheckState,
    CiCheck,
    Mergeability,
    PullRequestFacts,
    Thread,
    Verdict,
)
from orchestr.state import repairs

UNPUBLISHED = "its newest head is not published yet"
GOOD, WAIT, PARK, LEFT = "good", "wait", "person", "left alone"
MOST_RERUNS = 2  # of one check on one commit: its failures may differ
MOST_BUILDS = 3  # for one reason on one head: a run that changes nothing is no help
MOST_REQUESTS = 3  # for one of them: a kill may have come between, and a forge may lose one


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing is started. ``state`` is good, wait, person or left alone; ``why`` one sentence, and
    ``hint`` for a person what to do."""

    state: str
    why: str
    hint: str = ""

    @property
    def needs_person(self) -> bool:
        """Whether nothing goes on without a person."""
        return self.state == PARK

    @property
    def is_left(self) -> bool:
        """Whether a person decides here, so that nothing is built by itself."""
        return self.state in (PARK, LEFT)


@dataclass(frozen=True, slots=True)
class Rerun:
    """A check runs again, once, on the same commit: it may be flaky."""

    red: RedCheck

    @property
    def why(self) -> str:
        """One sentence."""
        return f"{self.red.check.name} is red; it runs once more, in case it is flaky"


@dataclass(frozen=True, slots=True)
class Build:
    """The cell's phases run: a round that was begun goes on, or commits that were pushed from
    elsewhere become its head. ``key`` is what it is for, on which head; empty where it is not
    counted. ``is_push``: the commits are not ours."""

    why: str
    key: str = ""
    is_push: bool = False


@dataclass(frozen=True, slots=True)
class TakeBase:
    """The base is merged into the branch. ``has_conflict``: by its agent, else by git alone.
    ``digest`` is empty: a base that moves is another one each time."""

    has_conflict: bool
    why: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Repair:
    """A round of the session of the cell ``owner``: red checks and threads, together."""

    owner: str
    red: tuple[RedCheck, ...]
    threads: tuple[Thread, ...]
    why: str

    @property
    def digest(self) -> str:
        """The name of what it is for: equal when nothing changed since the last round."""
        words = [red.signature for red in self.red]
        words += [thread.comments[-1].id for thread in self.threads]
        return hashlib.sha256("\n".join(sorted(words)).encode()).hexdigest()[:20]

    @property
    def answers(self) -> tuple[AnsweredThread, ...]:
        """What gets an answer after the round."""
        return tuple(AnsweredThread(one.id, one.comments[-1].id) for one in self.threads)


Step = Rest | Rerun | Build | TakeBase | Repair


def decide(cell: FollowedCell, rules: Rules, now: datetime) -> Step:
    """What comes next for a cell."""
    facts = cell.facts
    if facts is None and cell.is_unchanged:
        return Rest(GOOD, "no change was needed")
    if facts is None:
        return Rest(WAIT, cell.why_open or "it has no pull request")
    stopped = _find_stop(cell, facts, rules)
    if stopped is not None:
        return stopped
    if cell.asks:
        return Rest(WAIT, "it waits for a person's yes", "orchestr approve CELL")
    if cell.memory.open_rounds:
        return Build("a round that was begun goes on")
    moved = _find_move(cell, facts)
    if cell.failed and (moved is None or not moved.is_push or moved.key in cell.memory.builds):
        return Rest(PARK, f"its last run failed: {cell.failed}", "orchestr explain CELL")
    if moved is not None:
        return _bound_builds(cell, facts, moved)
    if cell.why_open:
        return Rest(WAIT, cell.why_open)
    if not facts.is_complete:
        return Rest(WAIT, "the forge has not delivered all that happened there; it is asked again")
    based = _find_base_work(cell, facts)
    if based is not None:
        return based
    return _sort_findings(cell, facts, rules, now)


def _find_stop(cell: FollowedCell, facts: PullRequestFacts, rules: Rules) -> Rest | None:
    """What a person has decided."""
    pr = facts.pr
    if pr.state is PRState.MERGED:
        return Rest(GOOD, "merged")
    if rules.hands_off in facts.labels:
        return Rest(LEFT, f"its label `{rules.hands_off}` says so")
    if pr.state is PRState.CLOSED:
        who = facts.closed_by or "a person"
        return Rest(PARK, f"{who} closed {pr.url} without a merge",
                    "open it again at the forge to go on; or take the cell out of its spec, "
                    "then: orchestr retire CELL")  # fmt: skip
    return None


def _find_move(cell: FollowedCell, facts: PullRequestFacts) -> Build | None:
    """What a run has to bring together: a base that is merged, heads that differ, an upstream that
    changed while a kill kept its dependents from following."""
    head = facts.pr.head_sha
    if cell.landed_below:
        why = f"{cell.landed_below}, which it stands on, is merged: its base is another one"
    elif head in cell.was_pushed and head != cell.published:
        why = f"the forge shows {head[:12]}, an earlier head of ours"
    elif head != cell.published:
        why = f"somebody pushed {head[:12]} to its branch: that is its head now"
        return Build(why, f"{head} {why}", is_push=True)
    elif cell.stale or cell.why_open == UNPUBLISHED:
        why = cell.stale or cell.why_open
    else:
        return None
    return Build(why, f"{head} {why}")


def _bound_builds(cell: FollowedCell, facts: PullRequestFacts, step: Build) -> Step:
    """The step, or a person where runs for the same reason have changed nothing."""
    if cell.memory.builds.count(step.key) < MOST_BUILDS:
        return step
    why = f"{facts.pr.url}: {step.why}, and {MOST_BUILDS} runs have not changed that"
    return Rest(
        PARK, why, f"compare {facts.pr.head} there with the one here: orchestr explain CELL"
    )


def _find_base_work(cell: FollowedCell, facts: PullRequestFacts) -> Step | None:
    """A base that conflicts, or that protection wants in the branch."""
    base = facts.pr.base
    if facts.mergeability is Mergeability.CONFLICTING:
        if cell.below:
            return Rest(WAIT, f"it conflicts with {base}, the branch of {cell.below}, which is "
                        "dealt with first")  # fmt: skip
        if not cell.can_repair:
            return _hand_over(cell, facts, f"it conflicts with {base}")
        return _bound_rounds(cell, facts, TakeBase(True, f"it conflicts with {base}"))
    if facts.mergeability is Mergeability.BEHIND and not cell.below:
        return TakeBase(False, f"{base} has moved, and must be in the branch before it is merged")
    return None


def _sort_findings(
    cell: FollowedCell, facts: PullRequestFacts, rules: Rules, now: datetime
) -> Step:
    waits: list[str] = []
    mine: list[RedCheck] = []
    for red in cell.red:
        reason = find_excuse(cell, facts, red)
        if reason is not None:
            waits.append(reason)
            continue
        again = _judge_rerun(cell, facts, red)
        if again is not None:
            return again
        mine.append(red)
    threads = list_open_threads(facts, cell.memory.answered, rules)
    young = find_youngest(threads, rules.bundle, now)
    if young is not None:
        return Rest(WAIT, f"more comments may come: {young:.0f} s are waited")
    owner = _choose_owner(cell, mine)
    if owner != cell.name and not threads:
        why = f"{_name_checks(mine)} red, and its output names what {owner} changed"
        if owner in cell.untouchable:
            hint = f"let {owner} be repaired (open, without the label), or push to {facts.pr.head}"
            return Rest(PARK, f"{facts.pr.url}: {why}; {cell.untouchable[owner]}", hint)
        return _bound_rounds(cell, facts, Repair(owner, tuple(mine), (), why))
    if mine or threads:
        own = tuple(red for red in mine if cell.name in red.owners or not red.owners or threads)
        parts = [f"{_name_checks(own)} red"] if own else []
        parts += [f"{len(threads)} open conversation{'s' * (len(threads) > 1)}"] if threads else []
        step = Repair(cell.name, own, tuple(threads), " and ".join(parts))
        if not cell.can_repair:
            return _hand_over(cell, facts, step.why)
        return _bound_rounds(cell, facts, step)
    return _describe_rest(facts, waits)


def _describe_rest(facts: PullRequestFacts, waits: Sequence[str]) -> Rest:
    pending = [check.name for check in facts.checks if check.state is CheckState.PENDING]
    if waits:
        return Rest(WAIT, "; ".join(dict.fromkeys(waits)))
    if pending:
        return Rest(WAIT, f"CI is at work: {', '.join(pending[:3])}{' …' * (len(pending) > 3)}")
    cancelled = [c.name for c in facts.checks if c.state is CheckState.CANCELLED]
    if cancelled:
        return Rest(WAIT, f"{', '.join(cancelled[:3])} was cancelled, and says nothing")
    if facts.mergeability is Mergeability.UNKNOWN:
        return Rest(WAIT, "the forge has not found out yet whether it can be merged")
    if any(r.verdict is Verdict.CHANGES_REQUESTED for r in newest_verdicts(facts)):
        return Rest(WAIT, "changes were requested and answered; the reviewer looks again")
    return Rest(GOOD, "it can be merged" if facts.checks else "it can be merged; no CI ran")


def find_excuse(cell: FollowedCell, facts: PullRequestFacts, red: RedCheck) -> str | None:
    """Why a red check is not this cell's, and no agent is asked; None when it may be."""
    name = red.check.name
    base = next((check for check in facts.base_checks if check.name == name), None)
    if base is not None and base.state is CheckState.FAILURE:
        return f"{name} is red on {facts.pr.base}, too"
    for word, other in red.missing.items():
        if other in cell.unmerged:
            return (f"{name} misses `{word}`, which {cell.unmerged[other]} brings; it is green "
                    "once that is merged, or CI checks it out (docs/ci.md)")  # fmt: skip
    return None


def _judge_rerun(cell: FollowedCell, facts: PullRequestFacts, red: RedCheck) -> Rerun | None:
    """A check that has not run twice runs again; None when the failure is real, or when the forge
    does not let it run again."""
    known, check = cell.memory, red.check
    if not check.id or red.signature in known.real:
        return None
    mine = [one for one in known.reruns
            if (one.sha, one.check) == (facts.pr.head_sha, check.name)]  # fmt: skip
    asked = sum(one.id == check.id for one in mine)
    if asked:  # the forge shows the old run still: the request is made again, which does no harm
        return Rerun(red) if asked < MOST_REQUESTS else None
    if len({one.id for one in mine}) >= MOST_RERUNS or any(
        one.signature == red.signature for one in mine
    ):
        return None
    return Rerun(red)


def _choose_owner(cell: FollowedCell, red: Sequence[RedCheck]) -> str:
    """The cell that repairs: this one, unless everything that is red names another one alone."""
    owners = {one.owners[0] if one.owners and cell.name not in one.owners else cell.name
              for one in red}  # fmt: skip
    return owners.pop() if len(owners) == 1 else cell.name


def _bound_rounds(cell: FollowedCell, facts: PullRequestFacts, step: Repair | TakeBase) -> Step:
    """The step, or a person when the rounds are used up or the last one changed nothing."""
    done = [one for one in cell.memory.rounds if one.pr == facts.node_id
            and one.outcome not in (repairs.ABORTED, repairs.VOID)]  # fmt: skip
    if len(done) >= cell.rounds:
        text = f"{len(done)} of {cell.rounds} rounds made" if cell.rounds else "no rounds allowed"
        return _hand_over(cell, facts, f"{step.why} ({text})")
    last = done[-1] if done and step.digest else None
    if last is not None and (last.red, last.outcome) == (step.digest, repairs.UNCHANGED):
        return _hand_over(cell, facts, f"{step.why}, and the last round changed nothing")
    return step


def _hand_over(cell: FollowedCell, facts: PullRequestFacts, why: str) -> Rest:
    hint = f"commit to {facts.pr.head} and push, or answer there"
    if cell.can_repair:
        hint += f"; more rounds: `repair: {{follow: {max(cell.rounds, 1) + 3}}}` in the spec"
    else:
        hint += "; its commits are not one of our agents'"
    return Rest(PARK, f"{facts.pr.url}: {why}", hint)


def _name_checks(red: Sequence[RedCheck]) -> str:
    names = [one.check.name for one in red]
    return f"{', '.join(names[:3])}{' …' * (len(names) > 3)} {'is' if len(names) == 1 else 'are'}"


def list_red_checks(facts: PullRequestFacts) -> tuple[CiCheck, ...]:
    """The checks of CI that are red on the pull request's head."""
    return tuple(check for check in facts.checks if check.state is CheckState.FAILURE)
