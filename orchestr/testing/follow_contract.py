"""What a forge must do that is followed, as tests: subclass `FollowContract`, give it a ``world``.

The world is a `FollowWorld`. Needs pytest.
"""

from __future__ import annotations

import pytest

from orchestr.forges.base import ForgeAway, PRState
from orchestr.forges.followed import (
    CheckState,
    Dressing,
    DressingForge,
    FollowingForge,
    Mergeability,
    PullRequestFacts,
    PullRequestKey,
    StatusState,
    Thread,
    Verdict,
)
from orchestr.testing.follow_world import FollowWorld, Said, by_name, comments, plain
from orchestr.testing.forge_contract import git


class FollowContract:
    """The contract. Subclasses define the fixture ``world``."""

    def test_it_can_be_followed_and_dressed(self, world: FollowWorld) -> None:
        assert isinstance(world.forge, FollowingForge)
        assert isinstance(world.forge, DressingForge)

    def test_a_new_one_is_quiet(self, world: FollowWorld) -> None:
        sha = world.branch("one", "a")
        number = world.pull("one")

        facts = world.facts(number)

        (pr,) = world.forge.find_pull_requests(world.repo, ["one"])["one"]
        assert plain(facts.pr) == plain(pr)
        assert facts.pr.head_sha == sha
        assert facts.base_sha == git(world.origin, "rev-parse", "main")
        assert facts.mergeability is Mergeability.CLEAN
        assert (facts.labels, facts.threads, facts.reviews) == ((), (), ())
        assert (facts.closed_by, facts.is_complete) == ("", True)
        assert facts.node_id

    def test_its_identity_is_its_own_and_stays(self, world: FollowWorld) -> None:
        world.branch("one", "a")
        world.branch("two", "b")
        one, two = world.pull("one"), world.pull("two")
        before = world.facts(one).node_id
        assert before != world.facts(two).node_id

        world.branch("one", "c")
        world.forge.edit_pull_request(world.repo, one, title="other")
        world.close_as(one, "rita")

        assert world.facts(one).node_id == before

    def test_one_that_is_not_there_is_no_answer(self, world: FollowWorld) -> None:
        world.branch("one", "a")
        number = world.pull("one")
        keys = [PullRequestKey(world.repo, n) for n in (number, 99)]
        assert set(world.forge.read_facts(keys)) == {keys[0]}
        assert world.forge.read_facts([]) == {}

    def test_many_are_one_question(self, world: FollowWorld) -> None:
        keys = []
        for name in ("b1", "b2", "b3", "b4"):
            world.branch(name, name)
            keys.append(PullRequestKey(world.repo, world.pull(name)))
        found: dict[PullRequestKey, PullRequestFacts] = {}
        world.forge.read_facts(keys)  # CI has run, mergeability is known

        asked = world.count_queries(lambda: found.update(world.forge.read_facts(keys)))

        assert 1 <= asked <= 1 + world.questions_each * (len(keys) + 1)
        assert [found[key].pr.head for key in keys] == ["b1", "b2", "b3", "b4"]

    def test_an_away_forge_knows_nothing(self, world: FollowWorld) -> None:
        world.branch("one", "a")
        number = world.pull("one")
        world.go_away()
        with pytest.raises(ForgeAway):
            world.facts(number)

    # --- the branch and its base -------------------------------------------------------------

    def test_a_conflict_with_the_base_is_seen_and_goes(self, world: FollowWorld) -> None:
        world.branch("one", "same")
        number = world.pull("one")
        tip = world.branch("main", "same")
        facts = world.facts(number)
        assert (facts.mergeability, facts.base_sha) == (Mergeability.CONFLICTING, tip)

        git(world.clone, "checkout", "-q", "one")
        git(world.clone, "merge", "-q", "-s", "ours", "-m", "m", "main")
        world.branch("one", "more")
        assert world.facts(number).mergeability is Mergeability.CLEAN

    def test_a_merged_one_says_so(self, world: FollowWorld) -> None:
        world.branch("one", "a")
        number = world.pull("one")
        world.merge(number)
        facts = world.facts(number)
        assert (facts.pr.state, facts.closed_by) == (PRState.MERGED, "")

    def test_who_closed_it_is_known_and_it_can_open_again(self, world: FollowWorld) -> None:
        world.branch("one", "a")
        number = world.pull("one")
        world.close_as(number, "rita")
        facts = world.facts(number)
        assert (facts.pr.state, facts.closed_by) == (PRState.CLOSED, "rita")

        world.reopen(number)
        facts = world.facts(number)
        assert (facts.pr.state, facts.closed_by) == (PRState.OPEN, "")

    # --- CI ------------------------------------------------------------------------------------

    def test_checks_are_those_of_the_head(self, world: FollowWorld) -> None:
        first = world.branch("one", "a")
        number = world.pull("one")
        world.run_ci(first, Said("lint", CheckState.SUCCESS), Said("unit", CheckState.FAILURE))
        found = by_name(world.facts(number).checks)
        assert {name: check.state for name, check in found.items()} == {
            "lint": CheckState.SUCCESS,
            "unit": CheckState.FAILURE,
        }

        second = world.branch("one", "b")
        world.run_ci(second, Said("unit", CheckState.SUCCESS))
        facts = world.facts(number)
        assert facts.pr.head_sha == second
        assert by_name(facts.checks)["unit"].state is CheckState.SUCCESS

    def test_a_red_check_has_a_log_and_names_places(self, world: FollowWorld) -> None:
        sha = world.branch("one", "a")
        number = world.pull("one")
        said = Said(
            "test (java@main-main)",
            CheckState.FAILURE,
            ["compiling", "Codec.java:12: expected 768"],
            ("src/Codec.java", 12, "expected 768, got 1024"),
        )
        world.run_ci(sha, Said("lint", CheckState.SUCCESS), said)

        red = by_name(world.facts(number).checks)["test (java@main-main)"]

        assert red.state is CheckState.FAILURE
        if world.checks_name_places:
            assert [(a.path, a.line, a.message) for a in red.annotations] == [
                ("src/Codec.java", 12, "expected 768, got 1024")
            ]
        assert "Codec.java:12: expected 768" in world.forge.read_check_log(world.repo, red)

    def test_the_checks_of_the_base_are_known(self, world: FollowWorld) -> None:
        tip = git(world.origin, "rev-parse", "main")
        world.run_ci(tip, Said("unit", CheckState.FAILURE))
        world.branch("one", "a")
        number = world.pull("one")
        assert by_name(world.facts(number).base_checks)["unit"].state is CheckState.FAILURE

    def test_a_check_can_run_again(self, world: FollowWorld) -> None:
        sha = world.branch("one", "a")
        number = world.pull("one")
        world.run_ci(sha, Said("unit", CheckState.FAILURE))
        red = by_name(world.facts(number).checks)["unit"]

        world.forge.rerun_check(world.repo, red)
        world.run_ci(sha, Said("unit", CheckState.SUCCESS))

        assert by_name(world.facts(number).checks)["unit"].state is CheckState.SUCCESS

    def test_our_own_status_is_no_check(self, world: FollowWorld) -> None:
        sha = world.branch("one", "a")
        number = world.pull("one")
        world.run_ci(sha, Said("unit", CheckState.SUCCESS))
        context = "orchestr/feature"
        for state in (StatusState.PENDING, StatusState.FAILURE, StatusState.FAILURE):
            world.forge.set_commit_status(world.repo, sha, context, state, f"ü {state}")

        assert world.statuses(sha)[context] == ("failure", "ü failure")
        assert [check.name for check in world.facts(number).checks] == ["unit"]

    # --- what people say -------------------------------------------------------------------------

    def test_each_general_comment_is_a_thread(self, world: FollowWorld) -> None:
        world.branch("one", "a")
        number = world.pull("one")
        world.say(number, "first ü\n\n> quoted", author="rita")
        world.say(number, "second", author="bert[bot]", is_bot=True)

        threads = world.facts(number).threads

        assert [len(thread.comments) for thread in threads] == [1, 1]
        first, second = (thread.comments[0] for thread in threads)
        assert (first.author, first.body) == ("rita", "first ü\n\n> quoted")
        assert (first.may_write, first.is_bot, first.is_ours) == (True, False, False)
        assert (second.body, second.is_bot) == ("second", True)
        assert len({first.id, second.id, *(t.id for t in threads)}) >= 2
        assert first.created_at <= second.created_at
        assert not any(thread.path or thread.is_resolved for thread in threads)

    def test_a_thread_at_a_place_keeps_its_replies_and_its_end(self, world: FollowWorld) -> None:
        world.branch("one", "a")
        number = world.pull("one")
        world.say(number, "why?", path="a", line=1)
        opened = world.thread(number, "a")
        assert (opened.line, opened.is_resolved) == (1, False)

        world.say(number, "yes, why?", author="ruth", thread=opened.id)
        replied = world.thread(number, "a")
        assert replied.id == opened.id
        assert [(c.author, c.body) for c in replied.comments] == [
            ("rita", "why?"),
            ("ruth", "yes, why?"),
        ]

        world.resolve(number, opened.id)
        assert world.thread(number, "a").is_resolved

    def test_what_we_said_is_ours(self, world: FollowWorld) -> None:
        world.branch("one", "a")
        number = world.pull("one")
        world.forge.comment_once(world.repo, number, "a word of ours")
        (said,) = world.thread(number).comments
        assert (said.body, said.is_ours) == ("a word of ours", True)

    def test_reviews_say_what_they_are_for(self, world: FollowWorld) -> None:
        sha = world.branch("one", "a")
        number = world.pull("one")
        world.review(number, Verdict.CHANGES_REQUESTED, "not like this")
        world.review(number, Verdict.APPROVED, "fine", author="ruth")

        facts = world.facts(number)

        assert [(r.verdict, r.comment.author) for r in facts.reviews] == [
            (Verdict.CHANGES_REQUESTED, "rita"),
            (Verdict.APPROVED, "ruth"),
        ]
        assert facts.pr.review in (None, "changes_requested")  # None: it was not asked about
        assert {r.commit for r in facts.reviews} <= {sha, ""}
        assert facts.reviews[0].comment.may_write
        spoken = [r.comment for r in facts.reviews]
        if not world.reviews_have_words:
            assert [comment.body for comment in spoken] == ["", ""]
            spoken = comments(facts)
        assert [comment.body for comment in spoken] == ["not like this", "fine"]

    # --- our answers -----------------------------------------------------------------------------

    def test_an_answer_at_a_place_is_given_once_and_resolves_nothing(
        self, world: FollowWorld
    ) -> None:
        world.branch("one", "a")
        number = world.pull("one")
        world.say(number, "why?", path="a", line=1)
        thread = world.thread(number, "a")
        for key in ("k1", "k1", "k2"):
            world.forge.answer_once(world.repo, number, thread, f"because {key}", key)
        world.forge.answer_once(world.repo, number, thread, "because of another reason", "k1")

        after = world.thread(number, "a")

        assert [c.body.splitlines()[0] for c in after.comments] == [
            "why?",
            "because k1",
            "because k2",
        ]
        assert [c.is_ours for c in after.comments] == [False, True, True]
        assert not after.is_resolved

    def test_an_answer_to_a_general_comment_is_given_once(self, world: FollowWorld) -> None:
        world.branch("one", "a")
        number = world.pull("one")
        world.say(number, "what is this?\nand that?")
        thread = world.thread(number)
        for _ in range(2):
            world.forge.answer_once(world.repo, number, thread, "it is this", "k1")

        said = comments(world.facts(number))

        (answer,) = (comment for comment in said if comment.is_ours)
        assert "it is this" in answer.body
        assert "what is this?" in answer.body
        assert "and that?" not in answer.body
        assert len(said) == 2

    def test_a_review_is_answered_like_a_general_comment(self, world: FollowWorld) -> None:
        world.branch("one", "a")
        number = world.pull("one")
        world.review(number, Verdict.CHANGES_REQUESTED, "not like this")
        (review,) = world.facts(number).reviews
        thread = Thread(review.comment.id, (review.comment,))
        for _ in range(2):
            world.forge.answer_once(world.repo, number, thread, "like that", "k1")
        (answer,) = (said for said in comments(world.facts(number)) if said.is_ours)
        assert "like that" in answer.body

    # --- labels, reviewers, draft ----------------------------------------------------------------

    def test_labels_of_people_are_seen(self, world: FollowWorld) -> None:
        world.branch("one", "a")
        number = world.pull("one")
        world.label(number, "orchestr: hands off")
        world.label(number, "big")
        assert set(world.facts(number).labels) == {"orchestr: hands off", "big"}
        world.label(number, "big", remove=True)
        assert world.facts(number).labels == ("orchestr: hands off",)

    def test_dressing_adds_and_takes_nothing_away(self, world: FollowWorld) -> None:
        world.branch("one", "a")
        number = world.pull("one")
        world.label(number, "big")
        dressing = Dressing(labels=("crypto", "big"), reviewers=("rita",), assignees=("ruth",))
        for _ in range(2):
            assert not world.forge.dress_pull_request(world.repo, number, dressing)
        assert set(world.facts(number).labels) == {"big", "crypto"}
        assert not Dressing()
        assert not world.forge.dress_pull_request(world.repo, number, Dressing())

    def test_a_draft_becomes_ready_once(self, world: FollowWorld) -> None:
        world.branch("one", "a")
        number = world.pull("one")
        assert world.facts(number).pr.draft
        for _ in range(2):
            ready = world.forge.mark_ready(world.repo, number)
            assert (ready.number, ready.draft, ready.state) == (number, False, PRState.OPEN)
        assert not world.facts(number).pr.draft

    def test_a_stack_is_linked_or_says_why_not(self, world: FollowWorld) -> None:
        world.branch("low", "a")
        world.branch("high", "b", start="low")
        low, high = world.pull("low"), world.pull("high", "low")
        why = world.forge.link_stack(world.repo, [low, high])
        assert why is None or why.strip()
