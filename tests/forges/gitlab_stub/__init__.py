"""GitLab's API on loopback, for the real python-gitlab: REST and GraphQL over bare repositories.

What is kept, what people and CI do, faults and counts are those of the stub of GitHub
(`tests.forges.github_stub`); what a request means is GitLab's: numbers in a project, drafts by the
title, discussions, approvals by notes of the system, pipelines, merge trains. Like GitLab it
opens a merge request without commits, and refuses a second one of the same branches with 409.

By hand: ``python -m tests.forges.gitlab_stub FOLDER group/sub/name=BARE.git ...`` prints the
environment; ends with Ctrl+C.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.forges.github_stub.common import SHA, git
from tests.forges.github_stub.served import Served

from .graph import GraphDoor
from .server import Handler
from .state import TOKEN

__all__ = ["TOKEN", "GitLab"]


class GitLab(Served, GraphDoor):
    """The stub, served while it is entered."""

    handler = Handler
    remaining_header = "RateLimit-Remaining"

    @property
    def root(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def env(self) -> dict[str, str]:
        """What makes python-gitlab speak with the stub, with its token."""
        return {
            "GITLAB_TOKEN": TOKEN,
            "GITLAB_HOST": f"127.0.0.1:{self.port}",
            "GLAB_CONFIG_DIR": str(self.file.parent / "glab-config"),
            "no_proxy": "127.0.0.1",
            "NO_PROXY": "127.0.0.1",
        }

    def add(self, slug: str, bare: Path, clone: Path) -> None:
        """Let ``clone`` have its origin at GitLab, for us; git still finds ``bare``."""
        self.repos[slug] = bare
        url = f"{self.root}/{slug}.git"
        git(clone, "config", f"url.{bare}.insteadOf", url)
        git(clone, "remote", "set-url", "origin", url)

    # --- one request -------------------------------------------------------------------------

    def accepts(self, token: str) -> bool:
        """Whether a header with a login is ours."""
        return token == TOKEN

    def name_request(self, method: str, path: str) -> str:
        """The kind that a request is counted as."""
        if path == "/api/graphql":
            return "graphql"
        path = re.sub(r"^/api/v4/projects/[^/?]+/?", "", path.partition("?")[0])
        kind = f"{method} {path.removeprefix('/api/v4/')}"
        return re.sub(r"\d+", "N", SHA.sub("SHA", kind))

    def carry_out(self, method: str, path: str, asked: Any) -> tuple[int, Any]:
        """The status and the body of an answer. Raises Refusal."""
        return self.graphql(asked) if path == "/api/graphql" else self.rest(method, path, asked)
