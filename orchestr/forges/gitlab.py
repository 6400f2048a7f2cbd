"""The GitLab forge: merge requests at gitlab.com or a GitLab of one's own.

Owns what each call of the Protocol asks of GitLab and in which order. Leaves the client and the
meaning of failures to `.gitlab_api`, pacing and retries to `.rate_limit`, the queries to
`.gitlab_query`, the project behind a clone to `.gitlab_remote`, the token to `.gitlab_login`, what
happens after a merge request opened to `.gitlab_follow` and `.gitlab_dress`, its merge to
`.gitlab_merge`. Reading is GraphQL (all branches of a project are one query), writing is REST.

What survives a crash: nothing is kept here. Each call asks GitLab first or is refused by GitLab
when it was done already; how a second merge request of a branch is kept away says `.open_once`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import urlencode

from orchestr.forges import gitlab_query as query
from orchestr.forges.answers import mark_said, strip_said
from orchestr.forges.base import (
    LISTED,
    ForgeError,
    PRState,
    PullRequest,
    RepoRef,
)
from orchestr.forges.gitlab_api import quote_name, unreadable_error
from orchestr.forges.gitlab_dress import GitLabDressing
from orchestr.forges.gitlab_follow import GitLabFollowing
from orchestr.forges.gitlab_issues import GitLabIssues
from orchestr.forges.gitlab_merge import GitLabMerging
from orchestr.forges.gitlab_protection import GitLabProtection
from orchestr.forges.gitlab_remote import ProjectPath
from orchestr.forges.open_once import open_once
from orchestr.forges.query_batcher import Found, QueryBatcher
from orchestr.forges.rest_answers import RequestMissing, RequestRefused

BRANCHES = 100  # branches in one query
PAGES = 50  # of merge requests in one question
DEVELOPER = 30  # the access level that may open merge requests


class GitLabForge(GitLabFollowing, GitLabDressing, GitLabMerging, GitLabProtection, GitLabIssues):
    """The forge; how it is made says `GitLabBase`."""

    kind = "gitlab"
    real = True

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._desks: dict[ProjectPath, QueryBatcher] = {}

    # --- the Protocol ----------------------------------------------------------------------

    def find_pull_requests(self, repo: RepoRef, heads: Collection[str]) -> Found:
        """See `Forge.find_pull_requests`."""
        if not heads:
            return {}
        project = self.project_for(repo)
        with self._mutex:
            if project not in self._desks:
                self._desks[project] = QueryBatcher(lambda heads: self._ask(project, heads))
            desk = self._desks[project]
        return desk.query_pull_requests(heads)

    def open_pull_request(
        self, repo: RepoRef, *, head: str, base: str, title: str, body: str, draft: bool
    ) -> PullRequest:
        """See `Forge.open_pull_request`. GitLab would open one without commits, or of a branch that
        is not there: both are asked about first."""
        project = self.project_for(repo)
        self._require_commits(repo, project, head, base)
        asked = {
            "source_branch": head,
            "target_branch": base,
            "title": query.write_title(title, draft=draft),
            "description": query.guard_commands(body),
            "remove_source_branch": False,
        }
        path = f"{project.api}/merge_requests"
        row = open_once(
            lambda: self.api.make_object(project, path, asked, again=False),
            lambda: self._find_open(repo, head),
            refused=f"{repo.name}: no merge request of {head} into {base}",
            where=project.url,
        )
        return self.read_pull_request(project, row)

    def edit_pull_request(
        self,
        repo: RepoRef,
        number: int,
        *,
        title: str | None = None,
        body: str | None = None,
        base: str | None = None,
    ) -> PullRequest:
        """See `Forge.edit_pull_request`. A draft stays one: its title says so."""
        project = self.project_for(repo)
        changes: dict[str, str] = {}
        if title is not None:
            is_draft = bool(self.read_row(project, number).get("draft"))
            changes["title"] = query.write_title(title, draft=is_draft)
        if body is not None:
            changes["description"] = query.guard_commands(body)
        if base is not None:
            changes["target_branch"] = base
        if not changes:
            return self.read_pull_request(project, self.read_row(project, number))
        names = {"title": "title", "description": "body", "target_branch": "base"}
        what = ", ".join(names[name] for name in changes)
        return self.change_row(project, number, changes, what)

    def close_pull_request(self, repo: RepoRef, number: int) -> PullRequest:
        """See `ClosingForge.close_pull_request`."""
        project = self.project_for(repo)
        pr = self.read_pull_request(project, self.read_row(project, number))
        if pr.state is PRState.CLOSED:
            return pr
        if pr.state is not PRState.OPEN:
            raise ForgeError(f"{pr.url} is {pr.state} and cannot be closed")
        return self.change_row(project, number, {"state_event": "close"}, "state")

    def has_open_into(self, repo: RepoRef, base: str) -> bool:
        """See `ClosingForge.has_open_into`."""
        return bool(self._list_open(self.project_for(repo), base, 1))

    def list_open_into(self, repo: RepoRef, base: str) -> tuple[PullRequest, ...]:
        """See `ListingForge.list_open_into`."""
        project = self.project_for(repo)
        rows = self._list_open(project, base, LISTED)
        return tuple(self.read_pull_request(project, row) for row in rows)

    def comment_once(self, repo: RepoRef, number: int, body: str) -> None:
        """See `Forge.comment_once`. Not sent twice when GitLab leaves open whether it took it."""
        project = self.project_for(repo)
        me = self.api.read_own_name(project)
        path = f"{self.row_path(project, number)}/notes"
        for note in self.api.list_rows(project, path, sort="desc", order_by="created_at"):
            is_mine = (note.get("author") or {}).get("username") == me
            text = query.unguard_commands(str(note.get("body") or ""))
            if is_mine and strip_said(text) == body:
                return
        asked = {"body": query.guard_commands(mark_said(body))}
        self.api.make_object(project, path, asked, again=False)

    def explain_unusable(self, repos: Sequence[RepoRef] = (), *, ask: bool = False) -> str | None:
        """See `Forge.explain_unusable`."""
        try:
            import gitlab  # noqa: F401
        except ImportError:
            return "python-gitlab is not installed: pip install 'orchestr[gitlab]'"
        try:
            refs = [ref for ref in repos if ref.path.is_dir() or ref.url]
            for project in dict.fromkeys(map(self.project_for, refs)):
                if self.api.find_login(project) is None:
                    how = self.api.explain_login(project)
                    return f"there is no login for {project.host}: {how}"
                if ask:
                    self._require_write_access(project)
        except ForgeError as error:
            return f"{error.message} ({error.hint})" if error.hint else error.message
        return None

    # --- asking ----------------------------------------------------------------------------

    def _require_write_access(self, project: ProjectPath) -> None:
        """Raises ForgeError where this login cannot open merge requests."""
        row = self.api.read_object(project, project.api)
        who = self.api.read_own_name(project)
        rights = row.get("permissions") or {}
        level = max(
            int((rights.get(name) or {}).get("access_level") or 0)
            for name in ("project_access", "group_access")
        )
        if level < DEVELOPER:
            raise ForgeError(
                f"{who} may not push to {project.url}", hint="its role there must be Developer"
            )
        if row.get("archived"):
            raise ForgeError(f"{project.url} is archived and takes no merge requests")

    def _require_commits(self, repo: RepoRef, project: ProjectPath, head: str, base: str) -> None:
        """Raises ForgeError without the branches, or without a commit beyond the base."""
        tip = self._read_tip(project, head)
        if tip is None:
            raise ForgeError(f"{repo.name}: there is no branch {head} at GitLab")
        asked = urlencode([("refs[]", base), ("refs[]", head)])
        path = f"{project.api}/repository/merge_base?{asked}"
        try:
            common = self.api.read_object(project, path)
        except RequestRefused as error:
            if self._read_tip(project, base) is None:
                raise ForgeError(
                    f"{repo.name}: there is no branch {base} at GitLab to merge {head} into",
                    hint=f"git -C {repo.path} ls-remote {repo.remote} shows what there is",
                ) from error
            if isinstance(error, RequestMissing):
                return  # no history in common: GitLab says what it thinks of that
            raise
        if common.get("id") == tip:
            raise ForgeError(f"{repo.name}: no commits between {base} and {head}")

    def _read_tip(self, project: ProjectPath, branch: str) -> str | None:
        path = f"{project.api}/repository/branches/{quote_name(branch)}"
        try:
            row = self.api.read_object(project, path)
        except RequestMissing:
            return None
        return str((row.get("commit") or {}).get("id"))

    def _list_open(self, project: ProjectPath, base: str, count: int) -> list[Any]:
        asked = {"state": "opened", "target_branch": base, "order_by": "updated_at",
                 "sort": "desc", "per_page": str(count)}  # fmt: skip
        path = f"{project.api}/merge_requests?{urlencode(asked)}"
        return self.api.read_list(project, path)

    def _find_open(self, repo: RepoRef, head: str) -> PullRequest | None:
        found = self.find_pull_requests(repo, [head])[head]
        return next((pr for pr in found if pr.state is PRState.OPEN), None)

    def _ask(self, project: ProjectPath, heads: Sequence[str]) -> Found:
        """As few queries as hold all branches; further pages only where there are any."""
        found: dict[str, list[PullRequest]] = {head: [] for head in heads}
        for start in range(0, len(heads), BRANCHES):
            after: str | None = None
            for _ in range(PAGES):
                names = {"path": project.path, "branches": list(heads[start : start + BRANCHES]),
                         "after": after}  # fmt: skip
                data = self.api.send_graphql_query(project, query.FOUND, names)
                try:
                    after = self._read_page(project, data, found)
                except (KeyError, TypeError, ValueError) as error:
                    raise unreadable_error(project, error) from error
                if after is None:
                    break
            else:
                raise ForgeError(f"{project.url} has more merge requests than can be read")
        return {
            head: tuple(sorted(prs, key=lambda pr: pr.number, reverse=True))
            for head, prs in found.items()
        }

    def _read_page(
        self, project: ProjectPath, data: dict[str, Any], found: dict[str, list[PullRequest]]
    ) -> str | None:
        """Add a page to ``found``; where the next one begins."""
        if data["project"] is None:
            raise self.missing_project_error(project)
        page = data["project"]["mergeRequests"]
        for node in page["nodes"]:
            if not query.is_of_fork(node) and node["sourceBranch"] in found:
                found[node["sourceBranch"]].append(query.pull_request_from_graphql(node))
        info = page["pageInfo"]
        return str(info["endCursor"]) if info["hasNextPage"] else None
