"""What every part of the GitHub forge stands on: the API, and which repository a clone means.

A repository that was renamed is found under its old name when it is read; `follow_rename` keeps the
new one, so that what is written later goes there, too.
"""

from __future__ import annotations

import threading
from dataclasses import replace

from orchestr.forges.base import ApiUsage, RepoRef, WaitListener, at_upstream
from orchestr.forges.github_api import GitHubApi
from orchestr.forges.github_remote import RepoSlug, read_repo_slug
from orchestr.forges.rate_limit import PATIENCE


class GitHubBase:
    """``program`` is gh, ``patience`` the seconds that a request may wait for GitHub."""

    def __init__(
        self,
        program: str = "gh",
        *,
        patience: float = PATIENCE,
        stop: threading.Event | None = None,
        on_wait: WaitListener | None = None,
    ) -> None:
        self.api = GitHubApi(program, patience, stop, on_wait)
        self._slugs: dict[RepoRef, RepoSlug] = {}
        self._renamed: dict[RepoSlug, RepoSlug] = {}
        self._mutex = threading.Lock()

    @property
    def usage(self) -> ApiUsage:
        """See `Forge.usage`."""
        return self.api.usage

    def slug_for(self, repo: RepoRef) -> RepoSlug:
        """The repository of the pull requests at its host. Raises ForgeAway, ForgeError as
        `read_repo_slug` does."""
        return self._read_slug(repo if repo.upstream is None else at_upstream(repo))

    def head_slug_for(self, repo: RepoRef) -> RepoSlug:
        """The repository that branches are pushed to: a fork, else the same. Raises as above."""
        return self._read_slug(repo if repo.upstream is None else replace(repo, upstream=None))

    def _read_slug(self, repo: RepoRef) -> RepoSlug:
        with self._mutex:
            known = self._slugs.get(repo)
        if known is None:
            known = read_repo_slug(repo)
            with self._mutex:
                self._slugs[repo] = known
        with self._mutex:
            return self._renamed.get(known, known)

    def follow_rename(self, slug: RepoSlug, name_with_owner: str) -> None:
        """Keep the name under which GitHub answered for a repository."""
        owner, _, name = name_with_owner.partition("/")
        found = RepoSlug(slug.host, owner, name)
        if name and str(found).lower() != str(slug).lower():
            with self._mutex:
                self._renamed |= {old: found for old, new in self._renamed.items() if new == slug}
                self._renamed[slug] = found
