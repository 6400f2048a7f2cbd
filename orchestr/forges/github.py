"""The GitHub forge: pull requests at github.com or an enterprise host, through the user's `gh`.

Owns what each call of the Protocol asks of GitHub and in which order. Leaves the program and the
meaning of failures to `.github_api`, pacing and retries to `.rate_limit`, the queries to
`.github_query`, the repository behind a clone to `.github_remote`, what happens after a pull
request opened to `.github_follow` and `.github_dress`, its merge to `.github_merge`.

What survives a crash: nothing is kept here. Each call asks GitHub first or is refused by GitHub
when it was done already: a second open one of the same head and base, an edit to what is there.

Finding is shared by threads, see `.query_batcher`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import quote

from orchestr.forges import github_query as query
from orchestr.forges.answers import mark_said, strip_said
from orchestr.forges.base import (
    LISTED,
    ForgeAway,
    ForgeError,
    PRExists,
    PRState,
    PullRequest,
    RepoRef,
)
from orchestr.forges.github_api import OLDEST, RequestRefused
from orchestr.forges.github_dress import GitHubDressing
from orchestr.forges.github_follow import GitHubFollowing
from orchestr.forges.github_forks import GitHubForks
from orchestr.forges.github_issues import GitHubIssues
from orchestr.forges.github_merge import GitHubMerging
from orchestr.forges.github_protection import GitHubProtection
from orchestr.forges.github_remote import RepoSlug
from orchestr.forges.query_batcher import Found, QueryBatcher

PAGES = 20  # of pull requests of one branch; more is not believed
_EXISTS = re.compile(r"pull request already exists", re.IGNORECASE)
_MAY_WRITE = ("ADMIN", "MAINTAIN", "WRITE")


class GitHubForge(
    GitHubFollowing, GitHubDressing, GitHubMerging, GitHubProtection, GitHubForks, GitHubIssues
):
    """The forge; how it is made says `GitHubBase`."""

    kind = "github"
    real = True

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._desks: dict[tuple[RepoSlug, RepoSlug], QueryBatcher] = {}

    # --- the Protocol ----------------------------------------------------------------------

    def find_pull_requests(self, repo: RepoRef, heads: Collection[str]) -> Found:
        """See `Forge.find_pull_requests`."""
        if not heads:
            return {}
        return self._batcher_for(repo).query_pull_requests(heads)

    def open_pull_request(
        self, repo: RepoRef, *, head: str, base: str, title: str, body: str, draft: bool
    ) -> PullRequest:
        """See `Forge.open_pull_request`. GitHub refuses a second one of the same head and base."""
        slug, fork = self.slug_for(repo), self.head_slug_for(repo)
        asked = {"head": head, "base": base, "title": title, "body": body, "draft": draft}
        if fork != slug:
            asked |= {"head": f"{fork.owner}:{head}", "head_repo": fork.name}
        try:
            made = self.api.send_rest_request(slug.host, "POST", f"repos/{slug}/pulls", asked)
        except RequestRefused as error:
            if _EXISTS.search(error.message):
                raise PRExists(self._find_open_pull_request(repo, head)) from error
            raise _not_opened_error(repo, head, base, error) from error
        return query.pull_request_from_rest(made)

    def edit_pull_request(
        self,
        repo: RepoRef,
        number: int,
        *,
        title: str | None = None,
        body: str | None = None,
        base: str | None = None,
    ) -> PullRequest:
        """See `Forge.edit_pull_request`."""
        slug = self.slug_for(repo)
        path = f"repos/{slug}/pulls/{number}"
        given = {"title": title, "body": body, "base": base}
        changes = {key: value for key, value in given.items() if value is not None}
        if not changes:
            return query.pull_request_from_rest(self.api.send_rest_request(slug.host, "GET", path))
        try:
            return query.pull_request_from_rest(
                self.api.send_rest_request(slug.host, "PATCH", path, changes)
            )
        except RequestRefused as error:
            what = ", ".join(changes)
            raise ForgeError(
                f"{slug.url}/pull/{number}: its {what} cannot be changed: {error.message}"
            ) from error

    def close_pull_request(self, repo: RepoRef, number: int) -> PullRequest:
        """See `ClosingForge.close_pull_request`."""
        slug = self.slug_for(repo)
        path = f"repos/{slug}/pulls/{number}"
        pr = query.pull_request_from_rest(self.api.send_rest_request(slug.host, "GET", path))
        if pr.state is not PRState.OPEN:
            if pr.state is PRState.CLOSED:
                return pr
            raise ForgeError(f"{pr.url} is {pr.state} and cannot be closed")
        closed = self.api.send_rest_request(slug.host, "PATCH", path, {"state": "closed"})
        return query.pull_request_from_rest(closed)

    def has_open_into(self, repo: RepoRef, base: str) -> bool:
        """See `ClosingForge.has_open_into`."""
        slug = self.slug_for(repo)
        path = f"repos/{slug}/pulls?state=open&per_page=1&base={quote(base, safe='')}"
        return bool(self.api.send_rest_request(slug.host, "GET", path))

    def list_open_into(self, repo: RepoRef, base: str) -> tuple[PullRequest, ...]:
        """See `ListingForge.list_open_into`."""
        slug = self.slug_for(repo)
        path = f"repos/{slug}/pulls?state=open&sort=updated&direction=desc&per_page={LISTED}"
        path += f"&base={quote(base, safe='')}"
        listed = self.api.send_rest_request(slug.host, "GET", path)
        if not isinstance(listed, list):
            raise query.unreadable_error(TypeError(type(listed).__name__))
        return tuple(map(query.pull_request_from_rest, listed))

    def comment_once(self, repo: RepoRef, number: int, body: str) -> None:
        """See `Forge.comment_once`. Not sent twice when GitHub leaves open whether it took it."""
        slug = self.slug_for(repo)
        names = {"owner": slug.owner, "name": slug.name, "number": number}
        data = self.api.send_graphql_query(slug.host, query.COMMENTS, names)
        if body in map(strip_said, query.read_own_comments(data)):
            return
        path = f"repos/{slug}/issues/{number}/comments"
        asked = {"body": mark_said(body)}
        self.api.send_rest_request(slug.host, "POST", path, asked, again=False)

    def explain_unusable(self, repos: Sequence[RepoRef] = (), *, ask: bool = False) -> str | None:
        """See `Forge.explain_unusable`."""
        try:
            version = self.api.read_gh_version()
            if version < OLDEST:
                have, want = (".".join(map(str, v)) for v in (version, OLDEST))
                return f"gh {have} is too old, {want} or newer is needed"
            there = [ref for ref in repos if ref.path.is_dir() or ref.url]
            slugs = [self.head_slug_for(ref) for ref in there]
            slugs += [self.slug_for(ref) for ref in there if ref.upstream is not None]
            pushed = {self.head_slug_for(ref) for ref in there}
            for host in dict.fromkeys(slug.host for slug in slugs):
                if not self.api.has_login(host):
                    return f"gh is not logged in to {host}: gh auth login --hostname {host}"
                if ask:
                    mine = [slug for slug in slugs if slug.host == host]
                    self._require_access(host, mine, pushed)
        except ForgeError as error:
            return f"{error.message} ({error.hint})" if error.hint else error.message
        return None

    # --- asking ----------------------------------------------------------------------------

    def _require_access(
        self, host: str, slugs: Sequence[RepoSlug], pushed: Collection[RepoSlug]
    ) -> None:
        """Raises ForgeError where this login cannot open pull requests: it pushes to ``pushed``,
        and of the others, upstreams of forks, it needs no more than to see them."""
        slugs = list(dict.fromkeys(slugs))
        names = {f"o{n}": slug.owner for n, slug in enumerate(slugs)}
        names |= {f"n{n}": slug.name for n, slug in enumerate(slugs)}
        data = self.api.send_graphql_query(host, query.build_rights_query(len(slugs)), names)
        who = (data.get("viewer") or {}).get("login", "this login")
        for n, slug in enumerate(slugs):
            there = data.get(f"r{n}") or {}
            if slug in pushed and there.get("viewerPermission") not in _MAY_WRITE:
                raise ForgeError(f"{who} may not push to {slug.url}", hint="ask its owner")
            if there.get("isArchived"):
                raise ForgeError(f"{slug.url} is archived and takes no pull requests")

    def _find_open_pull_request(self, repo: RepoRef, head: str) -> PullRequest:
        """The open pull request that GitHub said is there."""
        for pr in self.find_pull_requests(repo, [head])[head]:
            if pr.state is PRState.OPEN:
                return pr
        raise ForgeAway(
            f"{self.slug_for(repo).url}: GitHub says that {head} has a pull request, but does not"
            " show it yet",
            hint="the same command again",
        )

    def _batcher_for(self, repo: RepoRef) -> QueryBatcher:
        slug, fork = self.slug_for(repo), self.head_slug_for(repo)
        with self._mutex:
            if (slug, fork) not in self._desks:
                self._desks[slug, fork] = QueryBatcher(
                    lambda heads: self._query_branches(slug, fork, heads)
                )
            return self._desks[slug, fork]

    def _query_branches(self, slug: RepoSlug, fork: RepoSlug, heads: Sequence[str]) -> Found:
        """As few queries as hold all branches; further pages only where there are any."""
        found: dict[str, list[PullRequest]] = {head: [] for head in heads}
        cursors: dict[str, str | None] = dict.fromkeys(heads)
        for _ in range(PAGES * (len(heads) // query.BRANCHES + 1)):
            if not cursors:
                return {head: tuple(prs) for head, prs in found.items()}
            now = dict(list(cursors.items())[: query.BRANCHES])
            text, variables = query.build_branches_query(slug.owner, slug.name, now)
            data: dict[str, Any] = self.api.send_graphql_query(slug.host, text, variables)
            self.keep_parent(slug, query.read_parent(data))
            part, more = query.read_branches(data, list(now), str(fork) if fork != slug else None)
            for head, prs in part.items():
                found[head] += prs
                del cursors[head]
            cursors |= more
        raise ForgeError(f"{slug.url} has more pull requests of one branch than can be read")


def _not_opened_error(repo: RepoRef, head: str, base: str, error: RequestRefused) -> ForgeError:
    text = f"{repo.name}: no pull request of {head} into {base}: {error.message}"
    fields = {str(item.get("field")) for item in error.errors}
    if "Draft pull requests are not supported" in error.message:
        return ForgeError(text, hint="[forge] draft = false in orchestr.toml")
    if "head" in fields:
        return ForgeError(f"{repo.name}: there is no branch {head} at GitHub ({error.message})")
    if "base" in fields:
        return ForgeError(
            f"{repo.name}: there is no branch {base} at GitHub to merge {head} into",
            hint=f"git -C {repo.path} ls-remote {repo.remote} shows what there is",
        )
    return ForgeError(text)
