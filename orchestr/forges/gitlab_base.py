"""What every part of the GitLab forge stands on: the API, and which project a clone means."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from orchestr.forges import gitlab_query as query
from orchestr.forges.base import ApiUsage, ForgeAway, ForgeError, PullRequest, RepoRef, WaitListener
from orchestr.forges.gitlab_api import GitLabApi, unreadable_error
from orchestr.forges.gitlab_remote import ProjectPath, read_project
from orchestr.forges.rate_limit import PATIENCE


class GitLabBase:
    """``root`` is the address of the GitLab where the remotes do not show it, ``roots`` are those
    that single repositories name (`RepoRef.forge_url`), ``patience`` the seconds that a request may
    wait for it."""

    def __init__(
        self,
        root: str | None = None,
        *,
        roots: Sequence[str] = (),
        patience: float = PATIENCE,
        stop: threading.Event | None = None,
        on_wait: WaitListener | None = None,
    ) -> None:
        self.root = root.rstrip("/") if root else None
        self.known_roots = (self.root, *roots)
        self.api = GitLabApi(self.root, patience, stop, on_wait)
        self._projects: dict[RepoRef, ProjectPath] = {}
        self._mutex = threading.Lock()

    @property
    def usage(self) -> ApiUsage:
        """See `Forge.usage`."""
        return self.api.usage

    def project_for(self, repo: RepoRef) -> ProjectPath:
        """The project of a clone. Raises ForgeAway, ForgeError as `read_project` does."""
        with self._mutex:
            known = self._projects.get(repo)
        if known is None:
            known = read_project(repo, repo.forge_url or self.root)
            with self._mutex:
                self._projects[repo] = known
        return known

    def read_row(self, project: ProjectPath, number: int) -> Mapping[str, Any]:
        """A merge request as REST gives it. Raises ForgeError, ForgeAway."""
        return self.api.read_object(project, self.row_path(project, number))

    def missing_project_error(self, project: ProjectPath) -> ForgeError:
        """Why a query found no project: GraphQL knows a project by its present path only, REST also
        by those that it had. Raises ForgeAway."""
        try:
            row = self.api.read_object(project, project.api)
        except ForgeAway:
            raise
        except ForgeError as error:
            return error
        now = row.get("path_with_namespace")
        if isinstance(now, str) and now.lower() != project.path.lower():
            return ForgeError(
                f"{project.url} has moved to {project.root}/{now}",
                hint=f"git remote set-url in the clone: the same address with {now}",
            )
        return ForgeError(
            f"{project.url} is not there, or the login may not see it",
            hint="git remote -v in the clone; orchestr doctor",
        )

    def row_path(self, project: ProjectPath, number: int) -> str:
        """Where a merge request is in the REST API."""
        return f"{project.api}/merge_requests/{number}"

    def read_pull_request(self, project: ProjectPath, row: Any) -> PullRequest:
        """A merge request of a REST answer. Raises ForgeError when it is none."""
        try:
            return query.pull_request_from_rest(row)
        except (KeyError, TypeError, ValueError) as error:
            raise unreadable_error(project, error) from error

    def make_ready(self, project: ProjectPath, number: int, row: Mapping[str, Any]) -> PullRequest:
        """Take the words that make a draft from the title of ``row``."""
        title = query.write_title(str(row["title"]), draft=False)
        return self.change_row(project, number, {"title": title}, "draft state")

    def change_row(
        self, project: ProjectPath, number: int, changes: Mapping[str, Any], what: str
    ) -> PullRequest:
        """Change fields of a merge request; ``what`` they are, for the message of a refusal."""
        path = self.row_path(project, number)
        try:
            row = self.api.send_rest_request(project, "put", path, changes)
        except ForgeError as error:
            if type(error) is ForgeError or not hasattr(error, "status"):
                raise
            where = query.describe_url(project, number)
            raise ForgeError(
                f"{where}: its {what} cannot be changed: {error.message}", hint=error.hint
            ) from error
        return self.read_pull_request(project, row)
