"""Several forges as one: each repository's pull requests are at the forge that is set for it.

Made by `route_forges` where `[repos.NAME] forge` names another kind than `[forge] kind`. Everything
that is asked about a repository goes to its forge; a question about many is split, one for each
forge. An optional Protocol (`orchestr.forges.capabilities`) is there when all of the forges have
it: whoever asks for it may then use it for every repository. Protection, forks and issues are there
when one has them: the branches of the others are not protected, their repositories no forks. What
is about one repository only may ask its own forge: `forge_for`.

The invariant of `orchestr.forges.base` holds for the whole: when one of the forges cannot be asked,
there is no answer at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from orchestr.forges.base import (
    ApiUsage,
    ForeignAddress,
    Forge,
    ForkingForge,
    Issue,
    IssueForge,
    MergeMethod,
    PullRequest,
    RepoRef,
)
from orchestr.forges.capabilities import CAPABILITIES
from orchestr.forges.followed import (
    CiCheck,
    Dressing,
    PullRequestFacts,
    PullRequestKey,
    StatusState,
    Thread,
)
from orchestr.forges.protection import BranchRules, ProtectingForge

_OF_ANY = (ProtectingForge, ForkingForge, IssueForge)


def route_forges(default: Forge, of_repo: Mapping[str, Forge]) -> Forge:
    """One forge of several: of each repository's name the one in ``of_repo``, else ``default``."""
    members = [default, *of_repo.values()]
    parts: list[type] = [
        _PARTS[each.name]
        for each in CAPABILITIES
        if (any if each.protocol in _OF_ANY else all)(
            isinstance(member, each.protocol) for member in members
        )
    ]
    if all(hasattr(member, "mark_merged") for member in members):
        parts.append(_Marking)
    made: RoutedForge = type("RoutedForge", (*parts, RoutedForge), {})(default, of_repo)
    return made


def list_members(forge: Forge) -> tuple[Forge, ...]:
    """The forges that a forge is made of: itself, where it is one."""
    return forge.members if isinstance(forge, RoutedForge) else (forge,)


def forge_for(forge: Forge, repo: str) -> Forge:
    """The forge where the pull requests of the repository of that name are: what it can is more
    than what all can."""
    return forge.of_repo.get(repo, forge.default) if isinstance(forge, RoutedForge) else forge


class RoutedForge:
    """The part that every forge has, see `Forge`."""

    def __init__(self, default: Forge, of_repo: Mapping[str, Forge]) -> None:
        self.default = default
        self.of_repo = dict(of_repo)

    @property
    def members(self) -> tuple[Forge, ...]:
        """The forges, each once, the default first."""
        found = {id(forge): forge for forge in (self.default, *self.of_repo.values())}
        return tuple(found.values())

    @property
    def kind(self) -> str:
        """The kinds of all of them: `github+gitlab`."""
        return "+".join(forge.kind for forge in self.members)

    @property
    def real(self) -> bool:
        """Whether people outside this machine see what is done at one of them."""
        return any(forge.real for forge in self.members)

    @property
    def usage(self) -> ApiUsage:
        """See `Forge.usage`: the sum; the points that are left where only one counts them."""
        every = [forge.usage for forge in self.members]
        left = [usage.remaining for usage in every if usage.remaining is not None]
        return ApiUsage(
            sum(usage.requests for usage in every),
            sum(usage.points for usage in every),
            left[0] if len(left) == 1 else None,
        )

    def forge_for(self, repo: RepoRef) -> Any:
        """The forge of a repository."""
        return self.of_repo.get(repo.name, self.default)

    def find_pull_requests(
        self, repo: RepoRef, heads: Collection[str]
    ) -> dict[str, tuple[PullRequest, ...]]:
        """See `Forge.find_pull_requests`."""
        found: dict[str, tuple[PullRequest, ...]]
        found = self.forge_for(repo).find_pull_requests(repo, heads)
        return found

    def open_pull_request(
        self, repo: RepoRef, *, head: str, base: str, title: str, body: str, draft: bool
    ) -> PullRequest:
        """See `Forge.open_pull_request`."""
        made: PullRequest = self.forge_for(repo).open_pull_request(
            repo, head=head, base=base, title=title, body=body, draft=draft
        )
        return made

    def edit_pull_request(
        self,
        repo: RepoRef,
        number: int,
        *,
        title: str | None = None,
        body: str | None = None,
        base: str | None = None,
    ) -> PullRequest:
        """See `Forge.edit_pull_request`."""
        edited: PullRequest = self.forge_for(repo).edit_pull_request(
            repo, number, title=title, body=body, base=base
        )
        return edited

    def comment_once(self, repo: RepoRef, number: int, body: str) -> None:
        """See `Forge.comment_once`."""
        self.forge_for(repo).comment_once(repo, number, body)

    def merge_pull_request(
        self, repo: RepoRef, number: int, *, sha: str, method: MergeMethod = MergeMethod.MERGE
    ) -> PullRequest:
        """See `Forge.merge_pull_request`."""
        merged: PullRequest = self.forge_for(repo).merge_pull_request(
            repo, number, sha=sha, method=method
        )
        return merged

    def explain_unusable(self, repos: Sequence[RepoRef] = (), *, ask: bool = False) -> str | None:
        """See `Forge.explain_unusable`: the first forge that cannot be used, each asked about its
        own repositories only."""
        for forge in self.members:
            mine = [repo for repo in repos if self.forge_for(repo) is forge]
            if mine or not repos:
                why = forge.explain_unusable(mine, ask=ask)
                if why is not None:
                    return f"{forge.kind}: {why}"
        return None


class _Closing(RoutedForge):
    """See `ClosingForge`."""

    def close_pull_request(self, repo: RepoRef, number: int) -> PullRequest:
        closed: PullRequest = self.forge_for(repo).close_pull_request(repo, number)
        return closed

    def has_open_into(self, repo: RepoRef, base: str) -> bool:
        return bool(self.forge_for(repo).has_open_into(repo, base))


class _Listing(RoutedForge):
    """See `ListingForge`."""

    def list_open_into(self, repo: RepoRef, base: str) -> tuple[PullRequest, ...]:
        return tuple(self.forge_for(repo).list_open_into(repo, base))


class _Merging(RoutedForge):
    """See `MergingForge`."""

    def land_pull_request(
        self, repo: RepoRef, number: int, *, sha: str, method: MergeMethod, title: str, message: str
    ) -> PullRequest:
        landed: PullRequest = self.forge_for(repo).land_pull_request(
            repo, number, sha=sha, method=method, title=title, message=message
        )
        return landed

    def enqueue_pull_request(self, repo: RepoRef, number: int, *, sha: str) -> None:
        self.forge_for(repo).enqueue_pull_request(repo, number, sha=sha)

    def is_queued(self, repo: RepoRef, number: int) -> bool:
        return bool(self.forge_for(repo).is_queued(repo, number))


class _Marking(RoutedForge):
    """See `orchestr.landing.after_landing.MarksMerged`."""

    def mark_merged(self, repo: RepoRef, number: int) -> PullRequest:
        marked: PullRequest = self.forge_for(repo).mark_merged(repo, number)
        return marked


class _Issues(RoutedForge):
    """See `IssueForge`: the forge whose address it is."""

    def read_issue(self, address: str) -> Issue:
        refused: ForeignAddress | None = None
        for forge in self.members:
            if not isinstance(forge, IssueForge):
                continue
            try:
                issue: Issue = forge.read_issue(address)
            except ForeignAddress as error:
                refused = refused or error
            else:
                return issue
        assert refused is not None
        raise refused


class _Following(RoutedForge):
    """See `FollowingForge`: one question for each forge."""

    def read_facts(self, keys: Sequence[PullRequestKey]) -> dict[PullRequestKey, PullRequestFacts]:
        found: dict[PullRequestKey, PullRequestFacts] = {}
        for forge in self.members:
            mine = [key for key in keys if self.forge_for(key.repo) is forge]
            if mine:
                found |= forge.read_facts(mine)  # type: ignore[attr-defined]
        return found

    def read_check_log(self, repo: RepoRef, check: CiCheck) -> str:
        return str(self.forge_for(repo).read_check_log(repo, check))

    def rerun_check(self, repo: RepoRef, check: CiCheck) -> None:
        self.forge_for(repo).rerun_check(repo, check)

    def answer_once(self, repo: RepoRef, number: int, thread: Thread, body: str, key: str) -> None:
        self.forge_for(repo).answer_once(repo, number, thread, body, key)

    def set_commit_status(
        self, repo: RepoRef, sha: str, context: str, state: StatusState, text: str
    ) -> None:
        self.forge_for(repo).set_commit_status(repo, sha, context, state, text)


class _Dressing(RoutedForge):
    """See `DressingForge`."""

    def dress_pull_request(self, repo: RepoRef, number: int, dressing: Dressing) -> Sequence[str]:
        refused: Sequence[str] = self.forge_for(repo).dress_pull_request(repo, number, dressing)
        return refused

    def mark_ready(self, repo: RepoRef, number: int) -> PullRequest:
        ready: PullRequest = self.forge_for(repo).mark_ready(repo, number)
        return ready

    def link_stack(self, repo: RepoRef, numbers: Collection[int]) -> str | None:
        why: str | None = self.forge_for(repo).link_stack(repo, numbers)
        return why


class _Protecting(RoutedForge):
    """See `ProtectingForge`."""

    def read_branch_rules(self, repo: RepoRef, branch: str) -> BranchRules:
        forge = self.forge_for(repo)
        if not isinstance(forge, ProtectingForge):
            return BranchRules()
        return forge.read_branch_rules(repo, branch)

    def read_review_teams(self, repo: RepoRef, number: int) -> Mapping[str, frozenset[str]]:
        forge = self.forge_for(repo)
        if not isinstance(forge, ProtectingForge):
            return {}
        return forge.read_review_teams(repo, number)


class _Forking(RoutedForge):
    """See `ForkingForge`; a forge that knows no forks has none."""

    def find_parent(self, repo: RepoRef) -> str | None:
        forge = self.forge_for(repo)
        return forge.find_parent(repo) if isinstance(forge, ForkingForge) else None


_PARTS: Mapping[str, type[RoutedForge]] = {
    "close": _Closing,
    "list": _Listing,
    "merge": _Merging,
    "issues": _Issues,
    "follow": _Following,
    "dress": _Dressing,
    "protect": _Protecting,
    "fork": _Forking,
}
