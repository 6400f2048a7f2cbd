"""The repositories of the local forge: each under its lock, as its origin shows it.

Owns what every part of the local forge stands on: the folder of a repository, the flock that is
held around every look, and what a look at the origin makes of a pull request. Leaves what is done
to pull requests to `orchestr.forges.local` and the modules beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from orchestr.errors import UsageError
from orchestr.forges import pr_files
from orchestr.forges.base import ApiUsage, ForgeError, PRState, PullRequest, RepoRef
from orchestr.forges.local_origin import Origin
from orchestr.forges.pr_files import StoredPullRequest
from orchestr.process.file_lock import FlockLock
from orchestr.state.journal import utc_timestamp

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(slots=True)
class LockedRepo:
    """One repository under its lock: its folder, its origin, its pull requests as they are."""

    folder: Path
    origin: Origin
    kept: dict[int, StoredPullRequest]


class LocalRepos:
    """Repositories below ``root``; ``clock`` gives ISO-8601 with offset (tests pin it)."""

    def __init__(self, root: Path, *, clock: Callable[[], str] = utc_timestamp) -> None:
        self.root = root
        self.clock = clock
        self.usage = ApiUsage()

    def repo_folder(self, repo: RepoRef) -> Path:
        """Where its pull requests are. Raises UsageError for a name that is no folder's."""
        if not _NAME.fullmatch(repo.name):
            raise UsageError(
                f"{repo.name!r} cannot be the name of a repository in the local forge",
                hint="name it under [repos.NAME] in orchestr.toml, with its path",
            )
        return self.root / repo.name

    @contextmanager
    def lock_and_refresh(self, repo: RepoRef) -> Iterator[LockedRepo]:
        """The repository under its lock, every pull request brought to what the origin shows."""
        folder = self.repo_folder(repo)
        folder.mkdir(parents=True, exist_ok=True)
        with FlockLock(folder / "lock"):
            origin = Origin(repo)
            look = LockedRepo(folder, origin, pr_files.read_pull_requests(folder))
            for old in reversed(look.kept.values()):
                self.save_if_changed(look, old, update_from_origin(old, origin, look.kept))
            origin.keep_pull_refs({n: kept.pr.head_sha for n, kept in look.kept.items()})
            yield look

    def save_if_changed(
        self, look: LockedRepo, old: StoredPullRequest, new: StoredPullRequest
    ) -> PullRequest:
        """Write a pull request that differs from what is kept of it, with the time."""
        if replace(new, base_sha=old.base_sha) != old:
            new = replace(new, pr=replace(new.pr, updated_at=self.clock()))
        if new != old:
            pr_files.write_pull_request(look.folder, new)
            look.kept[new.pr.number] = new
        return new.pr


def update_from_origin(
    kept: StoredPullRequest, origin: Origin, others: Mapping[int, StoredPullRequest]
) -> StoredPullRequest:
    """What the origin's branches make of a pull request; equal when nothing happened.

    An open one has commits that its base lacked when we last looked (``base_sha``). So if the
    base has them now, they were merged. A head that was moved to a commit of the base's own
    has lost its work instead, and is closed, unless it is that work (rebased, then merged).
    """
    pr = kept.pr
    if pr.state is not PRState.OPEN:
        return kept
    base = _current_base(pr, origin, others)
    tip, head = origin.branch_head(base), origin.branch_head(pr.head)
    if tip is None:  # nothing to judge by
        return kept if head is None else replace(kept, pr=replace(pr, head_sha=head))
    if (head, tip, base) == (pr.head_sha, kept.base_sha, pr.base):
        return kept
    sha: str = head or pr.head_sha
    state = PRState.OPEN
    if origin.contains_commit(tip, pr.head_sha):
        state = PRState.MERGED
        sha = sha if origin.contains_commit(tip, sha) else pr.head_sha
    elif head is None:
        state = PRState.CLOSED
    elif origin.contains_commit(tip, head):
        state = PRState.MERGED if _head_was_merged(kept, origin, tip, head) else PRState.CLOSED
    new = replace(pr, base=base, head_sha=sha, state=state)
    return replace(kept, pr=new, base_sha=tip)


def _head_was_merged(kept: StoredPullRequest, origin: Origin, tip: str, head: str) -> bool:
    """Whether a moved head came into the base as work, and was not merely put back onto it."""
    if origin.contains_commit(kept.base_sha, head):
        return False
    if head not in origin.mainline_commits(kept.base_sha, tip):
        return True  # it came by a merge commit
    return origin.has_changes_of(tip, kept.pr.head_sha)


def _current_base(pr: PullRequest, origin: Origin, others: Mapping[int, StoredPullRequest]) -> str:
    """The base; where that branch was merged and deleted, the branch that it went into."""
    base, passed = pr.base, {pr.base}
    while origin.branch_head(base) is None:
        below = next(
            (o.pr for o in others.values() if o.pr.head == base and o.pr.state is PRState.MERGED),
            None,
        )
        if below is None or below.base in passed:
            return pr.base
        base = below.base
        passed.add(base)
    return base


def get_pull_request(look: LockedRepo, repo: RepoRef, number: int) -> StoredPullRequest:
    """A pull request by its number. Raises ForgeError when there is none."""
    try:
        return look.kept[number]
    except KeyError:
        raise missing_pull_request(repo, number) from None


def missing_pull_request(repo: RepoRef, number: int) -> ForgeError:
    """The error for a number that no pull request has."""
    return ForgeError(
        f"{repo.name} has no pull request {number}", hint="orchestr status shows which there are"
    )


def require_open(pr: PullRequest, what: str) -> None:
    """Raise ForgeError unless it is open; ``what`` it cannot do otherwise."""
    if pr.state is not PRState.OPEN:
        raise ForgeError(f"{pr.url} is {pr.state} and cannot {what}")


def resolve_head_and_base(origin: Origin, head: str, base: str) -> tuple[str, str]:
    """The two commits of a new pull request. Raises ForgeError when there is nothing to pull."""
    name = origin.ref.name
    head_sha, base_sha = origin.branch_head(head), origin.branch_head(base)
    if head_sha is None:
        raise ForgeError(
            f"{name}: there is no branch {head} at the origin",
            hint=f"git -C {origin.ref.path} push {origin.ref.remote} {head}",
        )
    if base_sha is None:
        raise ForgeError(
            f"{name}: there is no branch {base} at the origin to merge {head} into",
            hint=f"git -C {origin.ref.path} ls-remote {origin.ref.remote} shows what there is",
        )
    ahead = origin.count_ahead(base_sha, head_sha)
    if ahead < 0:
        raise ForgeError(f"{name}: {head} and {base} have no history in common")
    if ahead == 0:
        raise ForgeError(f"{name}: {head} has no commits that {base} lacks")
    return head_sha, base_sha
