"""Labels, reviewers, assignees, milestone, ready and stacks at GitHub: `DressingForge`.

Each call looks first and adds only what is missing: a reviewer who has reviewed is not asked
again, a milestone that a person chose stays. What GitHub does not take is returned in words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from orchestr.forges import github_query as query
from orchestr.forges.base import ForgeAway, ForgeError, PRState, PullRequest, RepoRef
from orchestr.forges.followed import Dressing
from orchestr.forges.github_api import RequestMissing, RequestRefused
from orchestr.forges.github_base import GitHubBase
from orchestr.forges.github_remote import RepoSlug

PAGES = 10  # of 100 milestones


class GitHubDressing(GitHubBase):
    """`DressingForge` of GitHub."""

    def dress_pull_request(self, repo: RepoRef, number: int, dressing: Dressing) -> Sequence[str]:
        """See `DressingForge.dress_pull_request`."""
        if not dressing:
            return ()
        slug = self.slug_for(repo)
        path = f"repos/{slug}/issues/{number}"
        issue = self.api.send_rest_request(slug.host, "GET", path)
        refused: list[str] = []
        labels = _missing(dressing.labels, _names(issue, "labels", "name"))
        if labels:
            refused += self._add(slug, f"{path}/labels", "labels", labels)
        if dressing.reviewers:
            refused += self._request_reviews(slug, number, dressing.reviewers)
        assignees = _missing(dressing.assignees, _names(issue, "assignees", "login"))
        if assignees:
            refused += self._assign(slug, f"{path}/assignees", assignees)
        if dressing.milestone:
            refused += self._set_milestone(slug, path, issue, dressing.milestone)
        return refused

    def mark_ready(self, repo: RepoRef, number: int) -> PullRequest:
        """See `DressingForge.mark_ready`."""
        slug = self.slug_for(repo)
        path = f"repos/{slug}/pulls/{number}"
        found = self.api.send_rest_request(slug.host, "GET", path)
        pr = query.pull_request_from_rest(found)
        if not pr.draft:
            return pr
        if pr.state is not PRState.OPEN:
            raise ForgeError(f"{pr.url} is {pr.state} and cannot become ready")
        self.api.send_graphql_query(slug.host, query.UNDRAFT, {"id": str(found["node_id"])})
        return replace(pr, draft=False)

    def link_stack(self, repo: RepoRef, numbers: Collection[int]) -> str | None:
        """See `DressingForge.link_stack`, by GitHub's REST API for stacks (a preview).

        A stack that begins with the same pull requests gets the others on top; any other is a
        person's, and stays.
        """
        slug, wanted = self.slug_for(repo), list(numbers)
        if len(wanted) < 2:
            return "a stack has at least two pull requests"
        path = f"repos/{slug}/stacks"
        try:
            for number in wanted:
                stacks = self.api.send_rest_request(
                    slug.host, "GET", f"{path}?pull_request={number}"
                )
                if stacks:
                    return self._extend_stack(slug, path, stacks[0], wanted)
            self.api.send_rest_request(slug.host, "POST", path, {"pull_requests": wanted})
        except RequestMissing:
            return f"{slug.url} has no stacks of pull requests (GitHub's preview)"
        except ForgeAway:
            raise
        except ForgeError as error:
            return error.message
        return None

    def _extend_stack(
        self, slug: RepoSlug, path: str, stack: Any, wanted: Sequence[int]
    ) -> str | None:
        there = [int(each["number"]) for each in stack["pull_requests"]]
        live = [number for number in there if number in wanted]
        if live != list(wanted[: len(live)]) or there[-len(live) :] != live:
            return f"{slug.url}: stack {stack['number']} holds other pull requests"
        rest = list(wanted[len(live) :])
        if rest:
            path = f"{path}/{stack['number']}/add"
            self.api.send_rest_request(slug.host, "POST", path, {"pull_requests": rest})
        return None

    # --- one kind of dress ---------------------------------------------------------------------

    def _add(self, slug: RepoSlug, path: str, field: str, values: Sequence[str]) -> list[str]:
        """Add all at once, or one by one where GitHub takes none for a bad one among them."""
        try:
            self.api.send_rest_request(slug.host, "POST", path, {field: list(values)})
        except RequestRefused as error:
            if len(values) == 1:
                return [f"{field.replace('_', ' ')[:-1]} {values[0]}: {error.message}"]
            return [word for each in values for word in self._add(slug, path, field, [each])]
        return []

    def _request_reviews(self, slug: RepoSlug, number: int, wanted: Sequence[str]) -> list[str]:
        names = {"owner": slug.owner, "name": slug.name, "number": number}
        data = self.api.send_graphql_query(slug.host, query.REVIEWERS, names)
        author, there = query.read_reviewers(data)
        refused = [
            f"reviewer {each}: the author of a pull request cannot review it"
            for each in wanted
            if each.lower() == author.lower()
        ]
        missing = [each for each in _missing(wanted, there) if each.lower() != author.lower()]
        path = f"repos/{slug}/pulls/{number}/requested_reviewers"
        people = [each for each in missing if "/" not in each]
        teams = [each.partition("/")[2] for each in missing if "/" in each]
        for field, values in (("reviewers", people), ("team_reviewers", teams)):
            if values:
                refused += self._add(slug, path, field, values)
        return refused

    def _assign(self, slug: RepoSlug, path: str, wanted: Sequence[str]) -> list[str]:
        """GitHub passes over whom it cannot assign, without a word."""
        asked = {"assignees": list(wanted)}
        try:
            issue = self.api.send_rest_request(slug.host, "POST", path, asked)
        except RequestRefused as error:
            return [f"assignee {each}: {error.message}" for each in wanted]
        left = _missing(wanted, _names(issue, "assignees", "login"))
        return [f"assignee {each}: GitHub does not let it be assigned" for each in left]

    def _set_milestone(self, slug: RepoSlug, path: str, issue: Any, title: str) -> list[str]:
        there = (issue.get("milestone") or {}).get("title")
        if there == title:
            return []
        if there:
            return [f"milestone {title}: it has the milestone {there}"]
        number = self._find_milestone(slug, title)
        if number is None:
            return [f"milestone {title}: {slug} has none of that title"]
        self.api.send_rest_request(slug.host, "PATCH", path, {"milestone": number})
        return []

    def _find_milestone(self, slug: RepoSlug, title: str) -> int | None:
        for page in range(1, PAGES + 1):
            path = f"repos/{slug}/milestones?state=all&per_page=100&page={page}"
            found = self.api.send_rest_request(slug.host, "GET", path)
            for each in found:
                if each["title"] == title:
                    return int(each["number"])
            if len(found) < 100:
                break
        return None


def _names(issue: Any, field: str, key: str) -> list[str]:
    return [str(each[key]) for each in issue.get(field) or ()]


def _missing(wanted: Iterable[str], there: Iterable[str]) -> list[str]:
    """What is wanted and not there; GitHub does not tell cases apart."""
    known = {each.lower() for each in there}
    return [each for each in dict.fromkeys(wanted) if each.lower() not in known]
