"""The world of a forge that is followed: what people and CI do after a pull request opened.

`FollowWorld` is `orchestr.testing.forge_contract.World` with what happens on the page. How a world
does that is its own affair; what the forge then says is in `orchestr.testing.follow_contract`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from orchestr.forges.base import ClosingForge, Forge, PullRequest
from orchestr.forges.followed import (
    CheckState,
    CiCheck,
    Comment,
    DressingForge,
    FollowingForge,
    PullRequestFacts,
    PullRequestKey,
    Thread,
    Verdict,
)
from orchestr.testing.forge_contract import World


class FollowedForge(Forge, FollowingForge, DressingForge, ClosingForge, Protocol):
    """All that this contract is about."""


@dataclass(frozen=True)
class Said:
    """What CI says of a commit: a check, its state, the lines of its log, a place that it names."""

    name: str
    state: CheckState
    log: Sequence[str] = ()
    place: tuple[str, int, str] | None = None


class FollowWorld(World):
    """A world whose people talk. Logins: rita may write, bert[bot] is a bot."""

    forge: FollowedForge
    reviews_have_words = True  # False: the words of a review are a general comment beside it
    questions_each = 0  # more questions a pull request and a base, where lists cannot be joined
    checks_name_places = True  # False: no check of this forge names places by itself

    @abstractmethod
    def say(
        self,
        number: int,
        body: str,
        *,
        author: str = "rita",
        path: str = "",
        line: int = 0,
        thread: str = "",
        is_bot: bool = False,
    ) -> None:
        """A comment is written: general, at a place, or as a reply in the thread of an id."""

    @abstractmethod
    def review(self, number: int, verdict: Verdict, body: str, *, author: str = "rita") -> None:
        """A person submits a review of the head as it is now."""

    @abstractmethod
    def resolve(self, number: int, thread: str) -> None:
        """A person resolves a thread."""

    @abstractmethod
    def label(self, number: int, name: str, *, remove: bool = False) -> None:
        """A person adds or removes a label."""

    @abstractmethod
    def close_as(self, number: int, author: str) -> None:
        """A person closes it without a merge."""

    @abstractmethod
    def reopen(self, number: int) -> None:
        """A person opens it again."""

    @abstractmethod
    def run_ci(self, sha: str, *said: Said) -> None:
        """What CI says of a commit from now on; a check that ran already is only heard again where
        it was asked for another run."""

    @abstractmethod
    def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        """The commit statuses of a commit: context -> (state, text)."""

    def facts(self, number: int) -> PullRequestFacts:
        """What the forge knows of one pull request."""
        key = PullRequestKey(self.repo, number)
        return self.forge.read_facts([key])[key]

    def thread(self, number: int, path: str = "") -> Thread:
        """The only thread, at a path or of the general conversation."""
        (found,) = (t for t in self.facts(number).threads if t.path == path)
        return found


def plain(pr: PullRequest) -> PullRequest:
    """Without what only some answers fill in."""
    return replace(pr, checks=None, review=None, merged_as=None)


def by_name(checks: Sequence[CiCheck]) -> dict[str, CiCheck]:
    """Each check once, by its name."""
    found = {check.name: check for check in checks}
    assert len(found) == len(checks)
    return found


def comments(facts: PullRequestFacts) -> list[Comment]:
    """Everything that was said in threads."""
    return [comment for thread in facts.threads for comment in thread.comments]
