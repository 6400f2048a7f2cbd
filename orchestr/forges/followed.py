"""What a forge knows of a pull request after it opened: its CI, its threads, who may say what.

Owns the records and the Protocols of `orchestr follow` and `orchestr handoff`; what they mean for
a feature decides `orchestr.follow`. Both are optional, as `ClosingForge` is: a forge without them
is not followed, and the verbs say so.

The invariant is that of `orchestr.forges.base`: an answer is the truth at that moment or an
exception. What a forge did not deliver is never read as "there is none": a list that is cut off is
read to its end, or `PullRequestFacts.is_complete` is False.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from orchestr.forges.base import PullRequest, RepoRef

FEATURE_STATUS = "orchestr/feature"  # our commit status, which is about the whole feature


class CheckState(StrEnum):
    """How a check of CI stands. Skipped and neutral ones count as success."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"  # also: timed out, start-up failed, action required
    CANCELLED = "cancelled"  # by a person or a newer push: nothing was found out


@dataclass(frozen=True, slots=True)
class Annotation:
    """A place that a check names by itself. ``line`` is 0 when it names only a file."""

    path: str
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class CiCheck:
    """One check of CI on one commit.

    ``name`` is what people see, with its matrix entry (`test (java@main-main)`), ``id`` is what the
    forge is asked by for its log and for another run, empty where it has neither (a bare commit
    status). ``is_required``: the base's protection wants it; None where that is not known.
    ``summary`` is the check's own words, if any.
    """

    name: str
    state: CheckState
    url: str = ""
    id: str = ""
    is_required: bool | None = None
    summary: str = ""
    annotations: tuple[Annotation, ...] = ()


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment. ``id`` is the forge's node id, ``is_ours`` that orchestr wrote
    it (a person may have the same login, and is not orchestr), ``may_write`` that its author has
    write access to the repository."""

    id: str
    author: str
    body: str
    created_at: str
    may_write: bool = False
    is_bot: bool = False
    is_ours: bool = False
    url: str = ""


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation at a place of the diff; ``path`` is empty for the general one, of which each
    comment is a thread of its own. ``comments`` stand oldest first, at least one."""

    id: str
    comments: tuple[Comment, ...]
    path: str = ""
    line: int = 0
    is_resolved: bool = False


class Verdict(StrEnum):
    """What a review says."""

    APPROVED = "approved"
    CHANGES_REQUESTED = "changes_requested"
    COMMENTED = "commented"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class PullRequestReview:
    """One review; its body is a comment, too. ``commit`` is what it was given on."""

    verdict: Verdict
    comment: Comment
    commit: str = ""


class Mergeability(StrEnum):
    """Whether it can be merged into its base as both are now."""

    CLEAN = "clean"
    CONFLICTING = "conflicting"
    BEHIND = "behind"  # protection of the base wants its newest commit in the branch
    UNKNOWN = "unknown"  # the forge has not found out yet: ask again


@dataclass(frozen=True, slots=True)
class PullRequestFacts:
    """A pull request with all that happened to it.

    ``pr.checks`` and ``pr.review`` are filled; our own status is not one of ``checks``.
    ``node_id`` is its identity, also after its repository was renamed. ``base_sha`` is where its
    base branch is now, ``base_checks`` the checks of that commit. ``closed_by`` is who closed it
    without a merge, empty where that is not known.
    """

    pr: PullRequest
    node_id: str
    mergeability: Mergeability = Mergeability.UNKNOWN
    labels: tuple[str, ...] = ()
    checks: tuple[CiCheck, ...] = ()
    threads: tuple[Thread, ...] = ()
    reviews: tuple[PullRequestReview, ...] = ()
    base_sha: str = ""
    base_checks: tuple[CiCheck, ...] = ()
    closed_by: str = ""
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class PullRequestKey:
    """Which pull request is asked about."""

    repo: RepoRef
    number: int


class StatusState(StrEnum):
    """A commit status, as every forge has it."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"


@runtime_checkable
class FollowingForge(Protocol):
    """A forge whose pull requests can be followed. Every method may be called twice."""

    def read_facts(self, keys: Sequence[PullRequestKey]) -> dict[PullRequestKey, PullRequestFacts]:
        """All that is known of these pull requests: one question a host, however many.

        A key without an answer is one whose pull request is gone. Raises ForgeAway, ForgeError.
        """
        ...

    def read_check_log(self, repo: RepoRef, check: CiCheck) -> str:
        """The log of a check that is red: the part of it that failed, at most 200 kB, its end.
        Empty when there is none. Raises ForgeAway, ForgeError."""
        ...

    def rerun_check(self, repo: RepoRef, check: CiCheck) -> None:
        """Let a check run again on its commit. Raises ForgeError (it cannot), ForgeAway."""
        ...

    def answer_once(self, repo: RepoRef, number: int, thread: Thread, body: str, key: str) -> None:
        """Answer in a thread, once for each ``key``: the text carries it, hidden, and an answer
        with it that is there already counts. Nothing is resolved. Raises ForgeError, ForgeAway."""
        ...

    def set_commit_status(
        self, repo: RepoRef, sha: str, context: str, state: StatusState, text: str
    ) -> None:
        """Set the status ``context`` of a commit; ``text`` has at most 140 letters.
        Raises ForgeError, ForgeAway."""
        ...


@dataclass(frozen=True, slots=True)
class Dressing:
    """What a pull request is to have beside its text: only what is named is added, nothing is
    taken away. ``reviewers`` are logins, or `TEAM` of the owner as `ORG/TEAM`."""

    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    milestone: str | None = None

    def __bool__(self) -> bool:
        return self != Dressing()


@runtime_checkable
class DressingForge(Protocol):
    """A forge whose pull requests have labels, reviewers and a draft state that can change."""

    def dress_pull_request(self, repo: RepoRef, number: int, dressing: Dressing) -> Sequence[str]:
        """Add what is missing. Returns what could not be added, in words (an unknown login, a
        milestone that is not there): no reason to fail. Raises ForgeError, ForgeAway."""
        ...

    def mark_ready(self, repo: RepoRef, number: int) -> PullRequest:
        """A draft becomes ready for review; one that is ready stays.

        Raises ForgeError, ForgeAway.
        """
        ...

    def link_stack(self, repo: RepoRef, numbers: Collection[int]) -> str | None:
        """Tell the forge that these pull requests, the bottom one first, are a stack, where it
        knows stacks. Returns why not, None when it did. Raises ForgeAway."""
        ...
