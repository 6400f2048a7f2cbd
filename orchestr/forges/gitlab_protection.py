"""What a GitLab project wants of merge requests: `ProtectingForge`.

GitLab does not name required jobs: a project wants the whole pipeline green or nothing of it, which
`orchestr.forges.gitlab_facts` says of each job. Approvals are rules that not every login may read,
so GitLab's own sum of them counts (`PullRequest.review`): the rules are never known as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestr.forges.base import RepoRef
from orchestr.forges.gitlab_base import GitLabBase
from orchestr.forges.protection import BranchRules


class GitLabProtection(GitLabBase):
    """`ProtectingForge` of GitLab."""

    def read_branch_rules(self, repo: RepoRef, branch: str) -> BranchRules:
        """See `ProtectingForge.read_branch_rules`: the project's, which hold for every branch."""
        project = self.project_for(repo)
        row = self.api.read_object(project, project.api)
        resolved = bool(row.get("only_allow_merge_if_all_discussions_are_resolved"))
        return BranchRules(
            conversations=resolved, is_locked=bool(row.get("archived")), is_known=False
        )

    def read_review_teams(self, repo: RepoRef, number: int) -> Mapping[str, frozenset[str]]:
        """See `ProtectingForge.read_review_teams`. A review is for no group at GitLab."""
        return {}
