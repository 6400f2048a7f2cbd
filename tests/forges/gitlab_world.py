"""A clone whose origin is a project at the stub of GitLab, and what people do there."""

from __future__ import annotations

from pathlib import Path

from orchestr.forges.gitlab import GitLabForge
from tests.forges.gitlab_stub import GitLab
from tests.forges.stub_world import PATIENCE, StubWorld

__all__ = ["PATIENCE", "SLUG", "GitLabWorld"]
SLUG = "my-org/sdk/platform"


class GitLabWorld(StubWorld):
    """A clone whose origin is a project of a sub-group at the stub."""

    slug = SLUG
    forge: GitLabForge
    reviews_have_words = False
    checks_name_places = False

    def __init__(self, folder: Path, gitlab: GitLab) -> None:
        super().__init__(folder, gitlab)
        self.gitlab = gitlab
        self.forge = GitLabForge(patience=PATIENCE)
        self.forge.api.read_own_name(self.forge.project_for(self.repo))

    def find_thread(self, thread: str) -> str:
        return thread.rsplit("/", 1)[-1]

    def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        found = super().statuses(sha).items()
        return {name: (state.replace("failed", "failure"), text) for name, (state, text) in found}
