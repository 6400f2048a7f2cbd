"""Forgejo's REST API on loopback, over bare repositories, with git over HTTP at the same address.

What is kept, what people and CI do, faults and counts are those of the stub of GitHub
(`tests.forges.github_stub`); what a request means is Forgejo's: drafts by the title, lists in
pages, commit statuses as checks, reviews with comments at places. It opens a pull request without
commits, refuses a second one of the same branches with 409, says `mergeable: false` of drafts. By
``flavour`` it has the calls that only Gitea, or only Forgejo, has; ``below`` is its path.

By hand: ``python -m tests.forges.forgejo_stub FOLDER owner/name=BARE.git ...`` prints the
environment; ends with Ctrl+C.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.forges.github_stub.common import SHA, git
from tests.forges.github_stub.served import Served
from tests.forges.gitlab_stub.server import Handler as Door

from .rest import RestDoor, Rows
from .state import TOKEN

__all__ = ["TOKEN", "Forgejo"]


class Handler(Door):
    """One connection; what is not below the stub's path is not there."""

    def _serve(self) -> None:
        below = self.github.below
        if below and not self.path.startswith(below):
            self._send(404, {}, {"message": "not here"})
            return
        self.path = self.path.removeprefix(below)
        super()._serve()

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve


class Forgejo(Served, RestDoor):
    """The stub, served while it is entered."""

    handler = Handler

    @property
    def root(self) -> str:  # type: ignore[override]
        """Its address."""
        return f"http://127.0.0.1:{self.port}{self.below}"

    def env(self) -> dict[str, str]:
        """What makes our forge speak with the stub, with its token."""
        return {
            "FORGEJO_TOKEN": TOKEN,
            "GITEA_TOKEN": "",
            "FORGEJO_URL": self.root,
            "XDG_CONFIG_HOME": str(self.file.parent / "config"),
            "no_proxy": "127.0.0.1",
            "NO_PROXY": "127.0.0.1",
        }

    def add(self, slug: str, bare: Path, clone: Path) -> None:
        """Let ``clone`` have its origin at Forgejo, for us; git still finds ``bare``."""
        self.repos[slug] = bare
        url = f"{self.root}/{slug}.git"
        git(clone, "config", f"url.{bare}.insteadOf", url)
        git(clone, "remote", "set-url", "origin", url)

    # --- one request -------------------------------------------------------------------------

    def accepts(self, token: str) -> bool:
        """Whether a header with a login is ours."""
        return token == f"token {TOKEN}"

    def name_request(self, method: str, path: str) -> str:
        """The kind that a request is counted as."""
        path = path.partition("?")[0].removeprefix("/api/v1/")
        path = re.sub(r"^repos/[^/]+/[^/]+/?", "", path)
        return re.sub(r"\d+", "N", SHA.sub("SHA", f"{method} {path}"))

    def answer(
        self, method: str, path: str, token: str, asked: Any
    ) -> tuple[int, Mapping[str, str], Any]:
        """As of every stub; a list says how many rows there are."""
        status, headers, body = super().answer(method, path, token, asked)
        if isinstance(body, Rows):
            headers = {**headers, "X-Total-Count": str(body.total)}
        return status, headers, body

    def carry_out(self, method: str, path: str, asked: Any) -> tuple[int, Any]:
        """The status and the body of an answer. Raises Refusal."""
        return self.rest(method, path, asked)
