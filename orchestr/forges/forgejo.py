"""The Forgejo forge: pull requests at codeberg.org, or a Forgejo or Gitea of one's own.

Owns what each call of the Protocol asks and in which order. Leaves the connection and the meaning
of failures to `.forgejo_api`, pacing and retries to `.rate_limit`, the reading of rows to
`.forgejo_query` and `.forgejo_rows`, the repository behind a clone to `.forgejo_remote`, the token
to `.forgejo_login`, what happens after a pull request opened to `.forgejo_follow` and
`.forgejo_dress`, its merge to `.forgejo_merge`.

What survives a crash: nothing is kept here. Each call asks the host first or is refused by it when
it was done already; how a second pull request of a branch is kept away says `.open_once`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from orchestr.forges import forgejo_query as query
from orchestr.forges.answers import mark_said, strip_said
from orchestr.forges.base import (
    LISTED,
    ForgeError,
    PRState,
    PullRequest,
    RepoRef,
)
from orchestr.forges.forgejo_api import quote_name
from orchestr.forges.forgejo_dress import ForgejoDressing
from orchestr.forges.forgejo_follow import ForgejoFollowing
from orchestr.forges.forgejo_issues import ForgejoIssues
from orchestr.forges.forgejo_merge import ForgejoMerging
from orchestr.forges.forgejo_protection import ForgejoProtection
from orchestr.forges.forgejo_remote import RepoPath
from orchestr.forges.open_once import open_once
from orchestr.forges.query_batcher import Found, QueryBatcher
from orchestr.forges.rest_answers import RequestMissing


class ForgejoForge(
    ForgejoFollowing, ForgejoDressing, ForgejoMerging, ForgejoIssues, ForgejoProtection
):
    """The forge; how it is made says `ForgejoBase`."""

    real = True

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._desks: dict[tuple[RepoPath, RepoPath], QueryBatcher] = {}
        self._parents: dict[RepoPath, str | None] = {}
        self._prefixes: dict[str, str] = {}  # of a host whose drafts are not the usual ones

    # --- the Protocol ----------------------------------------------------------------------

    def find_pull_requests(self, repo: RepoRef, heads: Collection[str]) -> Found:
        """See `Forge.find_pull_requests`. ``checks`` and ``review`` stay None: they are in no
        list."""
        if not heads:
            return {}
        path, fork = self.path_for(repo), self.head_path_for(repo)
        name = str(fork) if fork != path else None
        with self._mutex:
            if (path, fork) not in self._desks:
                self._desks[path, fork] = QueryBatcher(lambda heads: self._ask(path, name, heads))
            desk = self._desks[path, fork]
        return desk.query_pull_requests(heads)

    def open_pull_request(
        self, repo: RepoRef, *, head: str, base: str, title: str, body: str, draft: bool
    ) -> PullRequest:
        """See `Forge.open_pull_request`. Forgejo would open one without commits: that is asked
        about first."""
        path, fork = self.path_for(repo), self.head_path_for(repo)
        from_head = head if fork == path else f"{fork.owner}:{head}"
        self._require_commits(repo, head, base, from_head)
        prefix = self._prefixes.get(path.root, query.DRAFTS[0])
        asked = {
            "head": from_head,
            "base": base,
            "title": query.write_title(title, draft=draft, prefix=prefix),
            "body": body,
        }
        row = open_once(
            lambda: self.api.send_request(path, "POST", f"{path.api}/pulls", asked, again=False),
            lambda: self._find_open(repo, head),
            refused=f"{repo.name}: no pull request of {head} into {base}",
            where=path.url,
        )
        made = self.read_pull_request(path, row)
        return self._make_draft(path, made, title) if draft and not made.draft else made

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
        path = self.path_for(repo)
        changes: dict[str, str] = {}
        if title is not None:
            row = self.read_row(path, number)
            prefix = query.find_prefix(str(row["title"]))
            changes["title"] = query.write_title(title, draft=query.is_draft(row), prefix=prefix)
        if body is not None:
            changes["body"] = body
        if base is not None:
            changes["base"] = base
        if not changes:
            return self.read_pull_request(path, self.read_row(path, number))
        return self.change_row(path, number, changes, ", ".join(changes))

    def close_pull_request(self, repo: RepoRef, number: int) -> PullRequest:
        """See `ClosingForge.close_pull_request`."""
        path = self.path_for(repo)
        pr = self.read_pull_request(path, self.read_row(path, number))
        if pr.state is PRState.CLOSED:
            return pr
        if pr.state is not PRState.OPEN:
            raise ForgeError(f"{pr.url} is {pr.state} and cannot be closed")
        return self.change_row(path, number, {"state": "closed"}, "state")

    def has_open_into(self, repo: RepoRef, base: str) -> bool:
        """See `ClosingForge.has_open_into`."""
        rows = self.pulls_of(self.path_for(repo)).list_open()
        return any(row["base"]["ref"] == base for row in rows)

    def list_open_into(self, repo: RepoRef, base: str) -> tuple[PullRequest, ...]:
        """See `ListingForge.list_open_into`."""
        path = self.path_for(repo)
        rows = [row for row in self.pulls_of(path).list_open() if row["base"]["ref"] == base]
        return tuple(self.read_pull_request(path, row) for row in rows[:LISTED])

    def find_parent(self, repo: RepoRef) -> str | None:
        """See `ForkingForge.find_parent`; asked once for each repository."""
        fork = self.head_path_for(repo)
        if fork not in self._parents:
            row = self.api.send_request(fork, "GET", fork.api)
            self._parents[fork] = (row.get("parent") or {}).get("html_url")
        return self._parents[fork]

    def comment_once(self, repo: RepoRef, number: int, body: str) -> None:
        """See `Forge.comment_once`. Not sent twice when the host leaves open whether it took it."""
        path = self.path_for(repo)
        me = self.api.read_own_name(path)
        for row in self.read_comments(path, number):
            if query.read_author(row) == me and strip_said(str(row["body"])) == body:
                return
        where = f"{self.issue_path(path, number)}/comments"
        self.api.send_request(path, "POST", where, {"body": mark_said(body)}, again=False)

    def explain_unusable(self, repos: Sequence[RepoRef] = (), *, ask: bool = False) -> str | None:
        """See `Forge.explain_unusable`."""
        try:
            refs = [ref for ref in repos if ref.path.is_dir() or ref.url]
            pushed = dict.fromkeys(map(self.head_path_for, refs))
            for path in pushed | dict.fromkeys(map(self.path_for, refs)):
                if self.api.find_login(path) is None:
                    return f"there is no login for {path.host}: {self.api.explain_login(path)}"
                if ask:
                    self._require_access(path, writes=path in pushed)
        except ForgeError as error:
            return f"{error.message} ({error.hint})" if error.hint else error.message
        return None

    # --- asking ----------------------------------------------------------------------------

    def _ask(self, path: RepoPath, fork: str | None, heads: Sequence[str]) -> Found:
        found: dict[str, list[PullRequest]] = {head: [] for head in heads}
        for row in self.pulls_of(path).read_rows().values():
            pr = self.read_pull_request(path, row)
            if pr.head in found and query.is_from(row, fork):
                found[pr.head].append(pr)
        return {
            head: tuple(sorted(prs, key=lambda pr: pr.number, reverse=True))
            for head, prs in found.items()
        }

    def _make_draft(self, path: RepoPath, pr: PullRequest, title: str) -> PullRequest:
        """Find the words that this host takes for a draft; without them it is ready, and its title
        says nothing else."""
        for prefix in query.DRAFTS:
            changes = {"title": query.write_title(title, draft=True, prefix=prefix)}
            made = self.change_row(path, pr.number, changes, "draft state")
            if made.draft:
                self._prefixes[path.root] = prefix
                return made
        return self.change_row(path, pr.number, {"title": title}, "title")

    def _require_access(self, path: RepoPath, *, writes: bool) -> None:
        """Raises ForgeError where this login cannot push (``writes``) or open pull requests."""
        row: Mapping[str, Any] = self.api.send_request(path, "GET", path.api)
        who = self.api.read_own_name(path)
        if writes and not (row.get("permissions") or {}).get("push"):
            raise ForgeError(
                f"{who} may not push to {path.url}", hint="make it a collaborator who may write"
            )
        if row.get("archived"):
            raise ForgeError(f"{path.url} is archived and takes no pull requests")
        if not row.get("has_pull_requests", True):
            raise ForgeError(f"{path.url} has its pull requests switched off")

    def _require_commits(self, repo: RepoRef, head: str, base: str, from_head: str) -> None:
        """Raises ForgeError without the branches, or without a commit beyond the base."""
        path = self.path_for(repo)
        asked = f"{path.api}/compare/{quote_name(base)}...{quote_name(from_head)}"
        asked += "?verification=false&files=false"  # the commits are not looked at
        try:
            row = self.api.send_request(path, "GET", asked)
        except RequestMissing:
            self._require_branches(repo, head, base)
            return  # no history in common: the host says what it thinks of that
        if row["total_commits"] == 0:
            raise ForgeError(f"{repo.name}: no commits between {base} and {head}")

    def _require_branches(self, repo: RepoRef, head: str, base: str) -> None:
        fork, path = self.head_path_for(repo), self.path_for(repo)
        for where, name, what in ((fork, head, ""), (path, base, f" to merge {head} into")):
            try:
                self.api.send_request(where, "GET", f"{where.api}/branches/{quote_name(name)}")
            except RequestMissing as error:
                raise ForgeError(
                    f"{repo.name}: there is no branch {name} at {where.url}{what}",
                    hint=f"git -C {repo.path} ls-remote shows what there is",
                ) from error

    def _find_open(self, repo: RepoRef, head: str) -> PullRequest | None:
        found = self.find_pull_requests(repo, [head])[head]
        return next((pr for pr in found if pr.state is PRState.OPEN), None)
