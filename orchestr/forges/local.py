"""The local forge: pull requests as files beside the state, and as refs in the origin.

A pull request is ``.orchestr/forge/<repo>/<n>.toml`` and ``refs/pull/<n>/head``. It behaves as
a hosting forge does: an open one follows its branch at the origin at each call, is
merged when its base has come to contain it, closed when its branch is gone, and moves to the
base below when the branch it was stacked on was merged and deleted.

Owns those rules. Leaves the files to `orchestr.forges.pr_files`, the refs to `.local_origin`.

What survives a crash: every call holds a flock of the repository, so there is one open pull
request a branch. The file comes first and the ref second; a kill between them leaves a pull
request without its ref, which the next look sets. The origin is asked inside the lock, else a
slow caller could write an older head over a newer one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from orchestr.errors import UsageError
from orchestr.forges import pr_files
from orchestr.forges.base import (
    ApiUsage,
    ForgeError,
    MergeMethod,
    PRExists,
    PRState,
    PullRequest,
    RepoRef,
)
from orchestr.forges.local_origin import Origin
from orchestr.forges.pr_files import StoredPullRequest
from orchestr.process.file_lock import FlockLock
from orchestr.state.journal import utc_timestamp

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(slots=True)
class _LockedRepo:
    """One repository under its lock: its folder, its origin, its pull requests as they are."""

    folder: Path
    origin: Origin
    kept: dict[int, StoredPullRequest]


class LocalForge:
    """Pull requests below ``root``; ``clock`` gives ISO-8601 with offset (tests pin it)."""

    kind = "local"
    real = False

    def __init__(self, root: Path, *, clock: Callable[[], str] = utc_timestamp) -> None:
        self.root = root
        self.clock = clock
        self.usage = ApiUsage()

    # --- the Protocol ----------------------------------------------------------------------

    def find_pull_requests(
        self, repo: RepoRef, heads: Collection[str]
    ) -> dict[str, tuple[PullRequest, ...]]:
        """See `Forge.find_pull_requests`. A repository that is not cloned yet and never had a pull
        request here has none: nothing but this forge could have made one.
        """
        if not repo.path.exists() and not pr_files.read_pull_requests(self._repo_folder(repo)):
            return dict.fromkeys(heads, ())
        with self._lock_and_refresh(repo) as look:
            found: dict[str, list[PullRequest]] = {head: [] for head in heads}
            for kept in look.kept.values():
                if kept.pr.head in found:
                    found[kept.pr.head].append(kept.pr)
        return {head: tuple(prs) for head, prs in found.items()}

    def open_pull_request(
        self, repo: RepoRef, *, head: str, base: str, title: str, body: str, draft: bool
    ) -> PullRequest:
        """See `Forge.open_pull_request`."""
        with self._lock_and_refresh(repo) as look:
            for kept in look.kept.values():
                if kept.pr.head == head and kept.pr.state is PRState.OPEN:
                    raise PRExists(kept.pr)
            head_sha, base_sha = _resolve_head_and_base(look.origin, head, base)
            at = self.clock()
            number = pr_files.next_number(look.folder, look.origin.refs)
            while True:
                pr = PullRequest(
                    number=number,
                    url=f"local://{repo.name}/pull/{number}",
                    title=title,
                    body=body,
                    head=head,
                    base=base,
                    head_sha=head_sha,
                    draft=draft,
                    state=PRState.OPEN,
                    created_at=at,
                    updated_at=at,
                )
                if pr_files.create_pull_request(look.folder, StoredPullRequest(pr, base_sha)):
                    break
                number += 1
            look.origin.keep_pull_refs({number: head_sha})
            return pr

    def edit_pull_request(
        self,
        repo: RepoRef,
        number: int,
        *,
        title: str | None = None,
        body: str | None = None,
        base: str | None = None,
    ) -> PullRequest:
        """See `Forge.edit_pull_request`. The base of an open one only; the head must be ahead."""
        with self._lock_and_refresh(repo) as look:
            old = _get_pull_request(look, repo, number)
            pr, base_sha = old.pr, old.base_sha
            if base is not None and base != pr.base:
                _require_open(pr, "get another base")
                _, base_sha = _resolve_head_and_base(look.origin, pr.head, base)
                pr = replace(pr, base=base)
            pr = replace(
                pr,
                title=pr.title if title is None else title,
                body=pr.body if body is None else body,
            )
            return self._save_if_changed(look, old, StoredPullRequest(pr, base_sha))

    def comment_once(self, repo: RepoRef, number: int, body: str) -> None:
        """See `Forge.comment_once`."""
        with self._lock_and_refresh(repo) as look:
            _get_pull_request(look, repo, number)
            pr_files.add_comment(look.folder, number, body)

    def merge_pull_request(
        self,
        repo: RepoRef,
        number: int,
        *,
        sha: str | None = None,
        method: MergeMethod = MergeMethod.MERGE,
    ) -> PullRequest:
        """See `Forge.merge_pull_request`; always a merge commit. No ``sha``: whatever its head is.

        The branch moves first: a kill before the file is written is a merge found later.
        """
        with self._lock_and_refresh(repo) as look:
            old = _get_pull_request(look, repo, number)
            if sha not in (None, old.pr.head_sha):
                raise ForgeError(f"{old.pr.url} is at {old.pr.head_sha[:12]}, not at {sha}")
            if old.pr.state is PRState.MERGED:
                return old.pr
            _require_open(old.pr, "be merged")
            if method is not MergeMethod.MERGE:
                raise ForgeError(f"the local forge cannot {method} {old.pr.url}, only merge it")
            message = f"Merge pull request {number} from {old.pr.head}\n\n{old.pr.title}\n"
            look.origin.merge_into_branch(old.pr.base, old.pr.head_sha, message)
            return self._save_if_changed(
                look, old, replace(old, pr=replace(old.pr, state=PRState.MERGED))
            )

    def explain_unusable(self, repos: Sequence[RepoRef] = (), *, ask: bool = False) -> str | None:
        """See `Forge.explain_unusable`."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            return f"the local forge cannot make {self.root}: {error.strerror}"
        if not os.access(self.root, os.W_OK | os.X_OK):
            return f"the local forge cannot write to {self.root}"
        return None

    # --- what people do on a forge's page ----------------------------------------------------

    def close_pull_request(self, repo: RepoRef, number: int) -> PullRequest:
        """See `ClosingForge.close_pull_request`."""
        return self._set_final_state(repo, number, PRState.CLOSED, "be closed")

    def has_open_into(self, repo: RepoRef, base: str) -> bool:
        """See `ClosingForge.has_open_into`."""
        with self._lock_and_refresh(repo) as look:
            prs = [kept.pr for kept in look.kept.values()]
        return any(pr.base == base and pr.state is PRState.OPEN for pr in prs)

    def mark_merged(self, repo: RepoRef, number: int) -> PullRequest:
        """Say that an open one was merged, by a squash or a rebase that no history shows.

        For the merge queue, which put its work into the base itself. Twice changes nothing.
        """
        return self._set_final_state(repo, number, PRState.MERGED, "be marked as merged")

    def _set_final_state(
        self, repo: RepoRef, number: int, state: PRState, what: str
    ) -> PullRequest:
        with self._lock_and_refresh(repo) as look:
            old = _get_pull_request(look, repo, number)
            if old.pr.state is state:
                return old.pr
            _require_open(old.pr, what)
            return self._save_if_changed(look, old, replace(old, pr=replace(old.pr, state=state)))

    # --- looking ---------------------------------------------------------------------------

    def _repo_folder(self, repo: RepoRef) -> Path:
        if not _NAME.fullmatch(repo.name):
            raise UsageError(
                f"{repo.name!r} cannot be the name of a repository in the local forge",
                hint="name it under [repos.NAME] in orchestr.toml, with its path",
            )
        return self.root / repo.name

    @contextmanager
    def _lock_and_refresh(self, repo: RepoRef) -> Iterator[_LockedRepo]:
        """The repository under its lock, every pull request brought to what the origin shows."""
        folder = self._repo_folder(repo)
        folder.mkdir(parents=True, exist_ok=True)
        with FlockLock(folder / "lock"):
            origin = Origin(repo)
            look = _LockedRepo(folder, origin, pr_files.read_pull_requests(folder))
            for old in reversed(look.kept.values()):
                self._save_if_changed(look, old, update_from_origin(old, origin, look.kept))
            origin.keep_pull_refs({n: kept.pr.head_sha for n, kept in look.kept.items()})
            yield look

    def _save_if_changed(
        self, look: _LockedRepo, old: StoredPullRequest, new: StoredPullRequest
    ) -> PullRequest:
        if new.pr != old.pr:
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
    return StoredPullRequest(replace(pr, base=base, head_sha=sha, state=state), tip)


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


def _resolve_head_and_base(origin: Origin, head: str, base: str) -> tuple[str, str]:
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


def _get_pull_request(look: _LockedRepo, repo: RepoRef, number: int) -> StoredPullRequest:
    try:
        return look.kept[number]
    except KeyError:
        raise ForgeError(f"{repo.name} has no pull request {number}") from None


def _require_open(pr: PullRequest, what: str) -> None:
    if pr.state is not PRState.OPEN:
        raise ForgeError(f"{pr.url} is {pr.state} and cannot {what}")
