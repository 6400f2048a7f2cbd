"""Which repository a GitHub repository was forked from. See `ForkingForge`."""

from __future__ import annotations

from orchestr.forges.base import RepoRef
from orchestr.forges.github_base import GitHubBase

PARENT = """\
query($owner: String!, $name: String!) {
  repository(owner: $owner, name: $name) { parent { nameWithOwner } }
  rateLimit { cost remaining }
}
"""


class GitHubForks(GitHubBase):
    """`ForkingForge` of GitHub."""

    def find_parent(self, repo: RepoRef) -> str | None:
        """See `ForkingForge.find_parent`."""
        slug = self.head_slug_for(repo)
        names = {"owner": slug.owner, "name": slug.name}
        data = self.api.send_graphql_query(slug.host, PARENT, names)
        parent = (data.get("repository") or {}).get("parent") or {}
        name = parent.get("nameWithOwner")
        return f"https://{slug.host}/{name}" if name else None
