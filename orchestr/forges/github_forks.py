"""Which repository a GitHub repository was forked from. See `ForkingForge`.

The query for pull requests brings the answer along, so that asking costs nothing in a run.
"""

from __future__ import annotations

from typing import Any

from orchestr.forges.base import RepoRef
from orchestr.forges.github_base import GitHubBase
from orchestr.forges.github_query import read_parent
from orchestr.forges.github_remote import RepoSlug

PARENT = """\
query($owner: String!, $name: String!) {
  repository(owner: $owner, name: $name) { parent { nameWithOwner } }
  rateLimit { cost remaining }
}
"""


class GitHubForks(GitHubBase):
    """`ForkingForge` of GitHub."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._parents: dict[RepoSlug, str | None] = {}

    def keep_parent(self, slug: RepoSlug, name: str | None) -> None:
        """Keep what a query said of a repository."""
        with self._mutex:
            self._parents[slug] = name

    def find_parent(self, repo: RepoRef) -> str | None:
        """See `ForkingForge.find_parent`."""
        slug = self.head_slug_for(repo)
        with self._mutex:
            is_known = slug in self._parents
        if not is_known:
            names = {"owner": slug.owner, "name": slug.name}
            data = self.api.send_graphql_query(slug.host, PARENT, names)
            self.keep_parent(slug, read_parent(data))
        name = self._parents[slug]
        return f"https://{slug.host}/{name}" if name else None
