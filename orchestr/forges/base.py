"""What a forge must do: the records, the Protocol and the errors that every forge shares.

Owns the words (pull request, its state, the repository asked about). Leaves to
`orchestr.forges.local` (and every later forge) how pull requests are kept, and to
`orchestr.forges.body` what is written into them.

The invariant: an answer about pull requests is either the truth at that moment or an
exception. A forge that cannot be asked raises `ForgeAway`; it never answers "none"
because "none" makes us open a second pull request.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from orchestr.errors import OrchestrError

WaitListener = Callable[[str, str, float], None]  # hears of a wait: host, reason, seconds


class PRState(StrEnum):
    """Open, merged, or closed without a merge (which counts as pending again)."""

    OPEN = "open"
    MERGED = "merged"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request as its forge shows it.

    ``head`` and ``base`` are branch names, ``head_sha`` is the commit the forge holds for
    it. ``created_at`` and ``updated_at`` are ISO-8601 with offset. ``checks`` is success,
    failure or pending, ``review`` approved, changes_requested or review_required; None where
    the forge has none, or was not asked (only `Forge.find_pull_requests` fills them). ``merged_as``
    is the commit that its merge made, where the forge says so (only `Forge.merge_pull_request`
    does). ``ref`` is the ref that the forge keeps of its head at the origin, where that is not the
    usual one: read `head_ref`.
    """

    number: int
    url: str
    title: str
    body: str
    head: str
    base: str
    head_sha: str
    draft: bool
    state: PRState
    created_at: str
    updated_at: str
    checks: str | None = None
    review: str | None = None
    merged_as: str | None = None
    ref: str | None = None

    @property
    def head_ref(self) -> str:
        """The ref of its head at the origin of its base, also of one from a fork."""
        return self.ref or f"refs/pull/{self.number}/head"


class MergeMethod(StrEnum):
    """How a pull request comes into its base."""

    MERGE = "merge"
    SQUASH = "squash"
    REBASE = "rebase"


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue: its address, title and Markdown; ``comments`` are `LOGIN: TEXT`."""

    address: str
    title: str
    text: str
    comments: tuple[str, ...] = ()


@dataclass(slots=True)
class ApiUsage:
    """What was asked of a forge's API in this process: requests, and points of its quota.

    ``remaining`` are the points left, None where that is not known.
    """

    requests: int = 0
    points: int = 0
    remaining: int | None = None


@dataclass(frozen=True, slots=True)
class RepoRef:
    """A repository of the workspace: its name there, a clone of it, and the remote's name.

    ``url`` is where it will be cloned from, for asking about one that is not cloned yet.
    ``upstream`` is set where ``remote`` is a fork: the remote of the repository that pull requests
    are opened in, from a branch of the fork. ``forge_url`` is the address of its forge where the
    settings name one for this repository alone.
    """

    name: str
    path: Path
    remote: str = "origin"
    url: str | None = None
    upstream: str | None = None
    forge_url: str | None = None

    @property
    def base_remote(self) -> str:
        """The remote where bases and pull requests are."""
        return self.upstream or self.remote


def at_upstream(repo: RepoRef) -> RepoRef:
    """The repository that a fork's pull requests are opened in."""
    return replace(repo, remote=repo.base_remote, url=None, upstream=None)


class ForgeError(OrchestrError):
    """The forge answered, and the answer is no; the message is fit for people."""


class ForgeAway(ForgeError):
    """The forge or the origin cannot be asked now. Try later; never read as "no PR"."""


class PRExists(ForgeError):
    """There is an open pull request of that branch already; ``pr`` is it."""

    def __init__(self, pr: PullRequest) -> None:
        super().__init__(f"branch {pr.head} has an open pull request already: {pr.url}")
        self.pr = pr


class ForeignAddress(ForgeError):
    """The address is of another forge."""


class Forge(Protocol):
    """Where pull requests live. Every method may be called twice with the same outcome.

    ``real`` says that people outside this machine see what we do there (so it is asked
    before the first touch).
    """

    @property
    def kind(self) -> str: ...

    @property
    def real(self) -> bool: ...

    @property
    def usage(self) -> ApiUsage: ...

    def find_pull_requests(
        self, repo: RepoRef, heads: Collection[str]
    ) -> dict[str, tuple[PullRequest, ...]]:
        """The pull requests of these branches, in every state, the newest first.

        Every asked branch is a key; a branch without one has ``()``. One query a
        repository, however many branches. Raises ForgeAway, ForgeError.
        """
        ...

    def open_pull_request(
        self, repo: RepoRef, *, head: str, base: str, title: str, body: str, draft: bool
    ) -> PullRequest:
        """Open a pull request for a branch that is at the origin and ahead of its base.

        Raises PRExists when an open one has that head; ForgeError, ForgeAway.
        """
        ...

    def edit_pull_request(
        self,
        repo: RepoRef,
        number: int,
        *,
        title: str | None = None,
        body: str | None = None,
        base: str | None = None,
    ) -> PullRequest:
        """Change what is given, leave the rest. Raises ForgeError, ForgeAway."""
        ...

    def comment_once(self, repo: RepoRef, number: int, body: str) -> None:
        """Say something once: a comment of ours with this text that is there already counts.

        Raises ForgeError, ForgeAway.
        """
        ...

    def merge_pull_request(
        self, repo: RepoRef, number: int, *, sha: str, method: MergeMethod = MergeMethod.MERGE
    ) -> PullRequest:
        """Merge exactly the head ``sha``; for landing only. One merged so already is returned, a
        draft is made ready first.

        Raises ForgeError (another head, a conflict, not allowed), ForgeAway.
        """
        ...

    def explain_unusable(self, repos: Sequence[RepoRef] = (), *, ask: bool = False) -> str | None:
        """Why it cannot be used for these repositories, in words; None when it can.

        Without ``ask`` the network is left alone (before every run), with it the forge says
        itself whether it knows us and lets us write (`orchestr doctor`).
        """
        ...


@runtime_checkable
class ClosingForge(Protocol):
    """A forge that can close a pull request without a merge, for cells that are renamed or retired.

    Optional: on a forge without it the pull request stays open, and the run says so.
    """

    def close_pull_request(self, repo: RepoRef, number: int) -> PullRequest:
        """Close it without a merge; the branch stays. One that is closed stays as it is.

        Raises ForgeError (it is merged, it is not there), ForgeAway.
        """
        ...

    def has_open_into(self, repo: RepoRef, base: str) -> bool:
        """Whether any open pull request, whoever made it, is for this base. Raises ForgeAway."""
        ...


@runtime_checkable
class ForkingForge(Protocol):
    """A forge that has forks: branches are pushed to one, pull requests open in its parent.

    Optional: at a forge without it nothing is known of forks, and `[repos.X] upstream` is refused.
    """

    def find_parent(self, repo: RepoRef) -> str | None:
        """The address of the repository that ``repo.remote`` was forked from; None of one that is
        no fork. Raises ForgeError, ForgeAway.
        """
        ...


LISTED = 100  # open pull requests of one base that are looked at, those changed last


@runtime_checkable
class ListingForge(Protocol):
    """A forge that can list what others want to merge, for the forecast of conflicts. Optional."""

    def list_open_into(self, repo: RepoRef, base: str) -> tuple[PullRequest, ...]:
        """The open pull requests for this base, whoever made them: those changed last, at most
        `LISTED`. Their commits are at the origin, below `PullRequest.head_ref`. One question.
        Raises ForgeError, ForgeAway.
        """
        ...


@runtime_checkable
class MergingForge(Protocol):
    """A forge with a merge button and a merge queue of its own, for the landing of its changes.

    Optional, as is `orchestr.landing.after_landing.MarksMerged` (``mark_merged``): a forge that
    records a pull request as merged when we have moved its target.
    """

    def land_pull_request(
        self,
        repo: RepoRef,
        number: int,
        *,
        sha: str,
        method: MergeMethod,
        title: str,
        message: str,
    ) -> PullRequest:
        """As `Forge.merge_pull_request`, with the words of the commit."""
        ...

    def enqueue_pull_request(self, repo: RepoRef, number: int, *, sha: str) -> None:
        """Put exactly the head ``sha`` into the forge's own queue; one that is there stays.

        Raises ForgeError (no queue, not mergeable, another head), ForgeAway.
        """
        ...

    def is_queued(self, repo: RepoRef, number: int) -> bool:
        """Whether it waits in the forge's own queue. Raises ForgeError, ForgeAway."""
        ...


@runtime_checkable
class IssueForge(Protocol):
    """A forge that has issues, for drafts (`orchestr draft --issue`). Optional."""

    def read_issue(self, address: str) -> Issue:
        """The issue of that address, with the comments of its owner, members and collaborators.
        Raises ForeignAddress (it is none of this forge), ForgeError, ForgeAway.
        """
        ...
