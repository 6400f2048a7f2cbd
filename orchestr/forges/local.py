"""The local forge: pull requests as files beside the state, and as refs in the origin.

A pull request is ``.orchestr/forge/<repo>/<n>.toml`` and ``refs/pull/<n>/head``. It behaves as
a hosting forge does: an open one follows its branch at the origin at each call, is
merged when its base has come to contain it, closed when its branch is gone, and moves to the
base below when the branch it was stacked on was merged and deleted.

Owns opening, editing and merging, and puts the parts together: what a look makes of a pull request
(`local_repos`), comments (`local_comments`), labels and states (`local_dress`), CI and all that
is followed (`local_facts`). Leaves the files to `pr_files`, the refs to `local_origin`.

What survives a crash: every call holds a flock of the repository, so there is one open pull
request a branch. The file comes first and the ref second; a kill between them leaves a pull
request without its ref, which the next look sets. The origin is asked inside the lock, else a
slow caller could write an older head over a newer one.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import replace

from orchestr.forges import pr_files
from orchestr.forges.base import (
    LISTED,
    ForgeError,
    MergeMethod,
    PRExists,
    PRState,
    PullRequest,
    RepoRef,
)
from orchestr.forges.local_comments import LocalComments
from orchestr.forges.local_dress import LocalDressing
from orchestr.forges.local_facts import LocalFacts
from orchestr.forges.local_repos import get_pull_request, require_open, resolve_head_and_base
from orchestr.forges.pr_files import StoredPullRequest


class LocalForge(LocalFacts, LocalComments, LocalDressing):
    """Pull requests below ``root``; ``clock`` gives ISO-8601 with offset (tests pin it)."""

    kind = "local"
    real = False

    # --- the Protocol ----------------------------------------------------------------------

    def find_pull_requests(
        self, repo: RepoRef, heads: Collection[str]
    ) -> dict[str, tuple[PullRequest, ...]]:
        """See `Forge.find_pull_requests`. A repository that is not cloned yet and never had a pull
        request here has none: nothing but this forge could have made one.
        """
        if not repo.path.exists() and not pr_files.read_pull_requests(self.repo_folder(repo)):
            return dict.fromkeys(heads, ())
        with self.lock_and_refresh(repo) as look:
            found: dict[str, list[PullRequest]] = {head: [] for head in heads}
            for kept in look.kept.values():
                if kept.pr.head in found:
                    found[kept.pr.head].append(kept.pr)
        return {head: tuple(self.fill_in(repo, pr) for pr in prs) for head, prs in found.items()}

    def open_pull_request(
        self, repo: RepoRef, *, head: str, base: str, title: str, body: str, draft: bool
    ) -> PullRequest:
        """See `Forge.open_pull_request`."""
        with self.lock_and_refresh(repo) as look:
            for kept in look.kept.values():
                if kept.pr.head == head and kept.pr.state is PRState.OPEN:
                    raise PRExists(kept.pr)
            head_sha, base_sha = resolve_head_and_base(look.origin, head, base)
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
        with self.lock_and_refresh(repo) as look:
            old = get_pull_request(look, repo, number)
            pr, base_sha = old.pr, old.base_sha
            if base is not None and base != pr.base:
                require_open(pr, "get another base")
                _, base_sha = resolve_head_and_base(look.origin, pr.head, base)
                pr = replace(pr, base=base)
            pr = replace(
                pr,
                title=pr.title if title is None else title,
                body=pr.body if body is None else body,
            )
            return self.save_if_changed(look, old, replace(old, pr=pr, base_sha=base_sha))

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
        with self.lock_and_refresh(repo) as look:
            old = get_pull_request(look, repo, number)
            if sha not in (None, old.pr.head_sha):
                raise ForgeError(f"{old.pr.url} is at {old.pr.head_sha[:12]}, not at {sha}")
            if old.pr.state is PRState.MERGED:
                return old.pr
            require_open(old.pr, "be merged")
            if method is not MergeMethod.MERGE:
                raise ForgeError(f"the local forge cannot {method} {old.pr.url}, only merge it")
            message = f"Merge pull request {number} from {old.pr.head}\n\n{old.pr.title}\n"
            look.origin.merge_into_branch(old.pr.base, old.pr.head_sha, message)
            return self.save_if_changed(
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

    def has_open_into(self, repo: RepoRef, base: str) -> bool:
        """See `ClosingForge.has_open_into`."""
        return bool(self.list_open_into(repo, base))

    def list_open_into(self, repo: RepoRef, base: str) -> tuple[PullRequest, ...]:
        """See `ListingForge.list_open_into`."""
        with self.lock_and_refresh(repo) as look:
            prs = [kept.pr for kept in look.kept.values()]
        found = [pr for pr in prs if pr.base == base and pr.state is PRState.OPEN]
        return tuple(sorted(found, key=lambda pr: pr.updated_at, reverse=True)[:LISTED])
