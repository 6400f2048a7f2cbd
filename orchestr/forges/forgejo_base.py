"""What every part of the Forgejo forge stands on: the API, and which repository a clone means."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestr.forges import forgejo_query as query
from orchestr.forges.base import (
    ApiUsage,
    ForgeError,
    PullRequest,
    RepoRef,
    WaitListener,
    at_upstream,
)
from orchestr.forges.forgejo_api import ForgejoApi, unreadable_error
from orchestr.forges.forgejo_remote import RepoPath, read_repo_path
from orchestr.forges.forgejo_rows import PullList
from orchestr.forges.rate_limit import PATIENCE
from orchestr.forges.rest_answers import RequestRefused


class ForgejoBase:
    """``root`` is the address of the forge where the remotes do not show it, ``roots`` are those
    that single repositories name (`RepoRef.forge_url`), ``patience`` the seconds that a request may
    wait for it, ``kind`` `forgejo` or `gitea`."""

    def __init__(
        self,
        root: str | None = None,
        *,
        roots: Sequence[str] = (),
        kind: str = "forgejo",
        patience: float = PATIENCE,
        stop: threading.Event | None = None,
        on_wait: WaitListener | None = None,
    ) -> None:
        self.kind = kind
        self.root = root.rstrip("/") if root else None
        self.known_roots = (self.root, *roots)
        self.api = ForgejoApi(self.root, patience, stop, on_wait, kind=kind)
        self._paths: dict[RepoRef, RepoPath] = {}
        self._lists: dict[RepoPath, PullList] = {}
        self._mutex = threading.Lock()

    @property
    def usage(self) -> ApiUsage:
        """See `Forge.usage`."""
        return self.api.usage

    def path_for(self, repo: RepoRef) -> RepoPath:
        """The repository of the pull requests. Raises ForgeAway, ForgeError as `read_repo_path`
        does."""
        return self._read_path(repo if repo.upstream is None else at_upstream(repo))

    def head_path_for(self, repo: RepoRef) -> RepoPath:
        """The repository that branches are pushed to: a fork, else the same. Raises as above."""
        return self._read_path(repo if repo.upstream is None else replace(repo, upstream=None))

    def _read_path(self, repo: RepoRef) -> RepoPath:
        with self._mutex:
            known = self._paths.get(repo)
        if known is None:
            known = read_repo_path(repo, repo.forge_url or self.root)
            with self._mutex:
                self._paths[repo] = known
        return known

    def read_row(self, path: RepoPath, number: int) -> Mapping[str, Any]:
        """A pull request as the API gives it. Raises ForgeError, ForgeAway."""
        row = self.api.send_request(path, "GET", self.row_path(path, number))
        if not isinstance(row, dict):
            raise unreadable_error(path, TypeError(type(row).__name__))
        return row

    def row_path(self, path: RepoPath, number: int) -> str:
        """Where a pull request is in the API."""
        return f"{path.api}/pulls/{number}"

    def issue_path(self, path: RepoPath, number: int) -> str:
        """Where the same thing is as an issue: comments and labels are there."""
        return f"{path.api}/issues/{number}"

    def read_pull_request(self, path: RepoPath, row: Any) -> PullRequest:
        """A pull request of an answer. Raises ForgeError when it is none."""
        try:
            return query.read_pull_request(row)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise unreadable_error(path, error) from error

    def make_ready(self, path: RepoPath, number: int, row: Mapping[str, Any]) -> PullRequest:
        """Take the words that make a draft from the title of ``row``. Raises ForgeError where the
        host knows words that we do not."""
        title = query.write_title(str(row["title"]), draft=False)
        ready = self.change_row(path, number, {"title": title}, "draft state")
        if ready.draft:
            raise ForgeError(
                f"{ready.url} is a draft whatever its title is made: {row['title']!r}",
                hint="take the words that make it a draft from its title",
            )
        return ready

    def change_row(
        self, path: RepoPath, number: int, changes: Mapping[str, Any], what: str
    ) -> PullRequest:
        """Change fields of a pull request; ``what`` they are, for the message of a refusal."""
        try:
            row = self.api.send_request(path, "PATCH", self.row_path(path, number), changes)
        except RequestRefused as error:
            where = query.describe_url(path, number)
            raise ForgeError(
                f"{where}: its {what} cannot be changed: {error.message}", hint=error.hint
            ) from error
        return self.read_pull_request(path, row)

    # --- lists that several parts read ---------------------------------------------------------

    def pulls_of(self, path: RepoPath) -> PullList:
        """The pull requests of a repository."""
        with self._mutex:
            if path not in self._lists:
                self._lists[path] = PullList(self.api, path)
            return self._lists[path]

    def read_comments(self, path: RepoPath, number: int) -> list[Mapping[str, Any]]:
        """The general comments, the oldest first; this list has no pages."""
        where = f"{self.issue_path(path, number)}/comments"
        rows = self.api.send_request(path, "GET", where) or []
        if not isinstance(rows, list):
            raise unreadable_error(path, TypeError(type(rows).__name__))
        return rows

    def read_writers(self, path: RepoPath) -> frozenset[str]:
        """The logins of those with write access: whom the host lets issues be assigned to. Who may
        write as a member of a team is among them; no rights of an owner are needed to ask."""
        rows = self.api.send_request(path, "GET", f"{path.api}/assignees") or []
        if not isinstance(rows, list):
            raise unreadable_error(path, TypeError(type(rows).__name__))
        return frozenset(str(row["login"]) for row in rows)
