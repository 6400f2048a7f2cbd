"""Which words at a pull request wait for a round of work. Pure.

A conversation is open while it has words that count and are not dealt with. What is dealt with is
known by comment, not by who spoke last: words that came during a round stand before our answer, and
words of strangers stand after those of people who count; neither must hide anything. Words that do
not count are not handed on: an agent never reads them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from orchestr.follow.facts import Rules
from orchestr.forges.followed import Comment, PullRequestFacts, PullRequestReview, Thread, Verdict

_SPEAKS = (Verdict.CHANGES_REQUESTED, Verdict.COMMENTED)  # an approval asks for nothing


def list_open_threads(
    facts: PullRequestFacts, answered: Collection[str], rules: Rules
) -> tuple[Thread, ...]:
    """The conversations that wait, each without the words that do not count and ending with the
    newest that do. ``answered`` are the comments that rounds were about."""
    settled = _list_settled_reviews(facts)
    found = []
    for thread in list_threads(facts):
        if thread.is_resolved or thread.id in settled:
            continue
        begin = _find_undone(thread, answered)
        asks = [n for n in range(begin, len(thread.comments)) if asks_something(thread, n, rules)]
        if asks:
            until = thread.comments[: asks[-1] + 1]
            heard = tuple(one for one in until if one.is_ours or is_trusted(one, rules))
            found.append(replace(thread, comments=heard))
    return tuple(found)


def _find_undone(thread: Thread, answered: Collection[str]) -> int:
    """The place of the first comment that no round was about. Where nothing is known of any, as
    after a loss of the memory, our own newest word is believed."""
    places = range(len(thread.comments))
    known = [n for n in places if thread.comments[n].id in answered]
    known = known or [n for n in places if thread.comments[n].is_ours]
    return known[-1] + 1 if known else 0


def asks_something(thread: Thread, place: int, rules: Rules) -> bool:
    """Whether a comment of a thread has words that count and are not ours."""
    said = thread.comments[place]
    return not said.is_ours and bool(said.body.strip()) and is_trusted(said, rules)


def list_threads(facts: PullRequestFacts) -> tuple[Thread, ...]:
    """Every conversation; the words of a review are one of their own."""
    reviews = (
        Thread(review.comment.id, (review.comment,))
        for review in facts.reviews
        if review.verdict in _SPEAKS and review.comment.body.strip()
    )
    return (*facts.threads, *reviews)


def _list_settled_reviews(facts: PullRequestFacts) -> frozenset[str]:
    """The reviews whose author approved afterwards."""
    approved: set[str] = set()
    settled = []
    for review in reversed(facts.reviews):
        if review.verdict is Verdict.APPROVED:
            approved.add(review.comment.author)
        elif review.comment.author in approved:
            settled.append(review.comment.id)
    return frozenset(settled)


def newest_verdicts(facts: PullRequestFacts) -> list[PullRequestReview]:
    """The newest review of each reviewer that gives a verdict."""
    newest: dict[str, PullRequestReview] = {}
    for review in facts.reviews:
        if review.verdict is not Verdict.COMMENTED:
            newest[review.comment.author] = review
    return list(newest.values())


def is_trusted(comment: Comment, rules: Rules) -> bool:
    """Whether a comment counts: its author has write access, or is named in the settings; a bot
    only when it is named."""
    if comment.is_bot:
        return comment.author in rules.bots
    return comment.may_write or comment.author in rules.trusted


def find_youngest(threads: Sequence[Thread], bundle: float, now: datetime) -> float | None:
    """The seconds until no more comments are waited for; None when they are over."""
    left = 0.0
    for thread in threads:
        try:
            said = datetime.fromisoformat(thread.comments[-1].created_at)
            left = max(left, min(bundle, bundle - (now - said).total_seconds()))
        except (ValueError, TypeError):
            continue
    return left if left > 0 else None
