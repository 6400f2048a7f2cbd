"""What is done about a pull request: sorted before anybody is paid. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestr.codec import replace as replace_record
from orchestr.follow.decide import (
    GOOD,
    LEFT,
    PARK,
    WAIT,
    Build,
    Repair,
    Rerun,
    Rest,
    Step,
    TakeBase,
    decide,
)
from orchestr.follow.facts import FollowedCell, RedCheck, Rules
from orchestr.follow.memory import ANSWERED, AnsweredThread, FollowMemory, FollowRound
from orchestr.follow.memory import Rerun as KnownRerun
from orchestr.forges.base import PRState, PullRequest
from orchestr.forges.followed import (
    CheckState,
    CiCheck,
    Comment,
    Mergeability,
    PullRequestFacts,
    PullRequestReview,
    Thread,
    Verdict,
)

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
HEAD = "a" * 40
PR = PullRequest(1, "local://app/pull/1", "t", "", "T-1-a", "main", HEAD, True, PRState.OPEN,
                 "2026-05-01T10:00:00+00:00", "2026-05-01T10:00:00+00:00")  # fmt: skip
RED = CiCheck("ci", CheckState.FAILURE, id="7")
FOUND = RedCheck(RED, "E assert", "sig")


def facts(**given: Any) -> PullRequestFacts:
    pr = {key: given.pop(key) for key in ("state", "head_sha") if key in given}
    return PullRequestFacts(
        replace(PR, **pr), "node", **{"mergeability": Mergeability.CLEAN, **given}
    )


def cell(facts: PullRequestFacts | None = None, **given: Any) -> FollowedCell:
    return FollowedCell("a", "app", **{"published": HEAD, "facts": facts or globals()["facts"](),
                                       **given})  # fmt: skip


def comment(body: str = "please rename it", *, ago: float = 600, **given: Any) -> Comment:
    at = (NOW - timedelta(seconds=ago)).isoformat()
    return Comment(**{"id": "c1", "author": "rita", "body": body, "created_at": at,
                      "may_write": True, **given})  # fmt: skip


def thread(*comments: Comment) -> Thread:
    return Thread("t1", comments or (comment(),))


def step(one: FollowedCell, rules: Rules | None = None) -> Step:
    return decide(one, rules or Rules(), NOW)


def rest(one: FollowedCell, rules: Rules | None = None) -> tuple[str, str]:
    found = step(one, rules)
    assert isinstance(found, Rest), found
    return found.state, found.why


def known(**given: Any) -> FollowMemory:
    return replace_record(FollowMemory(), **given)


def ended(number: int = 1, **given: Any) -> FollowRound:
    return FollowRound(**{"kind": "repair", "owner": "a", "attempt": 1, "number": number,
                          "red": f"r{number}", "before": HEAD, "pr": "node", "stage": ANSWERED,
                          "outcome": "changed", **given})  # fmt: skip


@pytest.mark.parametrize(("given", "state", "words"), [
    ({"state": PRState.MERGED}, GOOD, "merged"),
    ({"labels": ("orchestr: hands off",)}, LEFT, "label"),
    ({"state": PRState.CLOSED, "closed_by": "rita"}, PARK, "rita closed"),
    ({"checks": (CiCheck("x", CheckState.PENDING),)}, WAIT, "CI is at work: x"),
    ({"checks": (CiCheck("x", CheckState.CANCELLED),)}, WAIT, "cancelled"),
    ({"mergeability": Mergeability.UNKNOWN}, WAIT, "has not found out"),
    ({"is_complete": False}, WAIT, "has not delivered"),
    ({"checks": (CiCheck("x", CheckState.SUCCESS),)}, GOOD, "can be merged"),
    ({}, GOOD, "no CI ran"),
])  # fmt: skip
def test_what_rests(given: dict[str, Any], state: str, words: str) -> None:
    found = rest(cell(facts(**given)))
    assert found[0] == state
    assert words in found[1]


def test_a_push_of_somebody_else_is_the_head_and_one_of_ours_is_waited_for() -> None:
    other = facts(head_sha="b" * 40)
    assert isinstance(step(cell(other)), Build)
    ours = cell(other, was_pushed=frozenset(("b" * 40,)))
    for one in (cell(other), ours, cell(stale="upstream b has another tree"),
                cell(why_open="its newest head is not published yet")):  # fmt: skip
        found = step(one)
        assert isinstance(found, Build)
        tried = replace(one, memory=known(builds=(found.key,) * 3))
        assert rest(tried)[0] == PARK, "a run that changes nothing is not made for ever"
        if found.is_push:  # it may be what mends the failure, and is tried once
            assert isinstance(step(replace(one, failed="red")), Build)
        assert rest(replace(tried, failed="red"))[1] == "its last run failed: red"


def test_a_cell_that_was_to_change_nothing_is_good() -> None:
    one = FollowedCell("a", "app", is_unchanged=True)
    assert rest(one) == (GOOD, "no change was needed")


def test_a_red_check_runs_once_more_and_is_real_when_it_is_red_again() -> None:
    red = {"facts": facts(checks=(RED,)), "red": (FOUND,)}
    assert isinstance(step(cell(**red)), Rerun)
    asked = KnownRerun(HEAD, "ci", "sig", "7")
    assert isinstance(step(cell(**red, memory=known(reruns=(asked,)))), Rerun), "it may be lost"
    thrice = known(reruns=(asked,) * 3)
    assert isinstance(step(cell(**red, memory=thrice)), Repair), "no silent wait"
    again = replace_record(asked, id="6")
    found = step(cell(**red, memory=known(reruns=(again,))))
    assert isinstance(found, Repair)
    assert (found.owner, found.red, found.threads) == ("a", (FOUND,), ())
    assert isinstance(step(cell(**red, memory=known(real=("sig",)))), Repair)


def test_other_failures_of_a_check_run_it_again_at_most_twice() -> None:
    twice = tuple(KnownRerun(HEAD, "ci", f"other{n}", str(n)) for n in range(2))
    red = {"facts": facts(checks=(RED,)), "red": (FOUND,)}
    assert isinstance(step(cell(**red, memory=known(reruns=twice[:1]))), Rerun)
    assert isinstance(step(cell(**red, memory=known(reruns=twice))), Repair)


def test_a_check_without_another_run_is_believed() -> None:
    bare = replace(FOUND, check=replace(RED, id=""))
    assert isinstance(step(cell(facts(checks=(bare.check,)), red=(bare,))), Repair)


def test_red_on_the_base_is_not_the_cells() -> None:
    found = rest(cell(facts(checks=(RED,), base_checks=(RED,)), red=(FOUND,)))
    assert found == (WAIT, "ci is red on main, too")


def test_a_missing_sibling_is_waited_for() -> None:
    red = replace(FOUND, missing={"Kem": "proto"})
    one = cell(facts(checks=(RED,)), red=(red,), unmerged={"proto": "local://proto/pull/1"})
    assert rest(one)[0] == WAIT
    assert "misses `Kem`, which local://proto/pull/1 brings" in rest(one)[1]


def test_the_cell_that_the_output_names_repairs() -> None:
    real = known(real=("sig",))
    theirs = replace(FOUND, owners=("proto",))
    found = step(cell(facts(checks=(RED,)), red=(theirs,), memory=real))
    assert isinstance(found, Repair)
    assert found.owner == "proto"
    both = replace(FOUND, owners=("a", "proto"))
    found = step(cell(facts(checks=(RED,)), red=(both,), memory=real))
    assert isinstance(found, Repair)
    assert found.owner == "a"


@pytest.mark.parametrize(("given", "rules", "counts"), [
    ({}, {}, True),
    ({"may_write": False}, {}, False),
    ({"may_write": False}, {"trusted": frozenset(("rita",))}, True),
    ({"is_bot": True}, {}, False),
    ({"is_bot": True}, {"bots": frozenset(("rita",))}, True),
    ({"is_ours": True}, {}, False),
    ({"body": "  "}, {}, False),
])  # fmt: skip
def test_whose_words_count(given: dict[str, Any], rules: dict[str, Any], counts: bool) -> None:
    found = step(cell(facts(threads=(thread(comment(**given)),))), Rules(**rules))
    assert isinstance(found, Repair) == counts


def test_comments_are_bundled() -> None:
    young = thread(comment(ago=30))
    assert "60 s" in rest(cell(facts(threads=(young,))))[1]
    assert isinstance(step(cell(facts(threads=(young,))), Rules(bundle=10)), Repair)
    future = thread(comment(ago=-500))  # the clock of the forge goes before ours
    assert "90 s" in rest(cell(facts(threads=(future,))))[1]


def test_an_answered_or_resolved_conversation_rests_until_somebody_speaks_again() -> None:
    done = ended(threads=(AnsweredThread("t1", "c1"),))
    memory = known(rounds=(done,))
    assert rest(cell(facts(threads=(thread(),)), memory=memory))[0] == GOOD
    assert rest(cell(facts(threads=(replace(thread(), is_resolved=True),))))[0] == GOOD
    again = thread(comment(), comment("no, really", id="c2"))
    found = step(cell(facts(threads=(again,)), memory=memory))
    assert isinstance(found, Repair)
    assert found.answers == (AnsweredThread("t1", "c2"),)


def test_a_change_request_is_a_conversation_and_waits_for_its_reviewer_afterwards() -> None:
    asks = PullRequestReview(Verdict.CHANGES_REQUESTED, comment("too slow", id="r1"))
    assert isinstance(step(cell(facts(reviews=(asks,)))), Repair)
    done = known(rounds=(ended(threads=(AnsweredThread("r1", "r1"),)),))
    assert "reviewer looks again" in rest(cell(facts(reviews=(asks,)), memory=done))[1]
    fine = PullRequestReview(Verdict.APPROVED, comment("now it is", id="r2"))
    assert rest(cell(facts(reviews=(asks, fine)), memory=done))[0] == GOOD


def test_rounds_are_bounded_and_one_that_changed_nothing_ends_them() -> None:
    red = {"facts": facts(checks=(RED,)), "red": (FOUND,)}
    digest = Repair("a", (FOUND,), (), "").digest
    full = known(real=("sig",), rounds=tuple(ended(n) for n in range(3)))
    assert rest(cell(**red, memory=full))[0] == PARK
    assert "3 of 3 rounds made" in rest(cell(**red, memory=full))[1]
    assert isinstance(step(cell(**red, memory=full, rounds=4)), Repair)
    same = known(real=("sig",), rounds=(ended(red=digest, outcome="unchanged"),))
    assert "changed nothing" in rest(cell(**red, memory=same))[1]
    stopped = known(real=("sig",), rounds=tuple(ended(n, outcome="aborted") for n in range(3)))
    assert isinstance(step(cell(**red, memory=stopped)), Repair)


def test_conflicts_are_for_the_bottom_of_a_stack() -> None:
    conflict = facts(mergeability=Mergeability.CONFLICTING)
    found = step(cell(conflict))
    assert isinstance(found, TakeBase)
    assert found.has_conflict
    assert rest(cell(conflict, below="b"))[0] == WAIT
    assert rest(cell(conflict, can_repair=False))[0] == PARK
    behind = step(cell(facts(mergeability=Mergeability.BEHIND)))
    assert isinstance(behind, TakeBase)
    assert not behind.has_conflict


def test_a_round_that_was_begun_goes_on_and_a_failed_cell_is_a_persons() -> None:
    open_ = known(rounds=(ended(stage="asked"),))
    assert isinstance(step(cell(memory=open_)), Build)
    assert rest(cell(failed="checks are red"))[0] == PARK
    assert isinstance(step(cell(facts(checks=(RED,)), red=(FOUND,), can_repair=False,
                                memory=known(real=("sig",)))), Rest)  # fmt: skip
