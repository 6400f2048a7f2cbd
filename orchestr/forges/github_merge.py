"""Merging pull requests at GitHub: its button, its queue, its stacks.

GitHub itself compares the head with the commit that was checked, so nothing else is ever merged.
"""

from __future__ import annotations

from orchestr.errors import Interrupted
from orchestr.forges import github_query as query
from orchestr.forges.base import (
    ForgeAway,
    ForgeError,
    MergeMethod,
    PRState,
    PullRequest,
    RepoRef,
)
from orchestr.forges.github_api import RequestRefused
from orchestr.forges.github_base import GitHubBase
from orchestr.forges.github_remote import RepoSlug
from orchestr.forges.rate_limit import wait_or_stop

UNDER_WAY = 409  # the status of a second request for a merge
MERGE_LOOKS = 300  # at a merge that GitHub carries out in the background
MERGE_PAUSE = 1.0  # s between two of them


class GitHubMerging(GitHubBase):
    """`MergingForge` of GitHub, and `Forge.merge_pull_request`."""

    def merge_pull_request(
        self, repo: RepoRef, number: int, *, sha: str, method: MergeMethod = MergeMethod.MERGE
    ) -> PullRequest:
        """See `Forge.merge_pull_request`. GitHub itself compares the head with ``sha``."""
        return self._merge_at_head(repo, number, {"sha": sha, "merge_method": str(method)})

    def land_pull_request(
        self,
        repo: RepoRef,
        number: int,
        *,
        sha: str,
        method: MergeMethod,
        title: str,
        message: str,
    ) -> PullRequest:
        """See `MergingForge.land_pull_request`."""
        asked = {"sha": sha, "merge_method": str(method)}
        if method is not MergeMethod.REBASE:  # which keeps the commits' own words
            asked |= {"commit_title": title, "commit_message": message}
        return self._merge_at_head(repo, number, asked)

    def enqueue_pull_request(self, repo: RepoRef, number: int, *, sha: str) -> None:
        """See `MergingForge.enqueue_pull_request`."""
        slug = self.slug_for(repo)
        node, draft, queued = self._read_queue_state(slug, number)
        if queued:
            return
        if draft:
            self.api.send_graphql_query(slug.host, query.UNDRAFT, {"id": node})
        data = self.api.send_graphql_query(slug.host, query.ENQUEUE, {"id": node, "sha": sha})
        if not (data.get("enqueuePullRequest") or {}).get("mergeQueueEntry"):
            raise ForgeError(f"{slug.url}/pull/{number} was not taken into GitHub's merge queue")

    def is_queued(self, repo: RepoRef, number: int) -> bool:
        """See `MergingForge.is_queued`."""
        return self._read_queue_state(self.slug_for(repo), number)[2]

    def _read_queue_state(self, slug: RepoSlug, number: int) -> tuple[str, bool, bool]:
        names = {"owner": slug.owner, "name": slug.name, "number": number}
        return query.read_queue_state(self.api.send_graphql_query(slug.host, query.QUEUED, names))

    def _merge_at_head(self, repo: RepoRef, number: int, asked: dict[str, str]) -> PullRequest:
        slug, sha = self.slug_for(repo), asked["sha"]
        path = f"repos/{slug}/pulls/{number}"
        refused = self._press_merge_button(slug, path, asked)
        if refused is not None and "draft" in refused.message:
            node, _, _ = self._read_queue_state(slug, number)
            self.api.send_graphql_query(slug.host, query.UNDRAFT, {"id": node})
            refused = self._press_merge_button(slug, path, asked)
        found = self.api.send_rest_request(slug.host, "GET", path)
        words = refused.message if refused else ""
        if refused and found.get("stack") and found.get("state") == "open":
            words = self._merge_in_stack(slug, number, asked)
            found = self.api.send_rest_request(slug.host, "GET", path)
        pr = query.pull_request_from_rest(found)
        if pr.state is PRState.MERGED and pr.head_sha == sha:
            return pr
        why = words or f"it is {pr.state} at {pr.head_sha[:12]}"
        raise ForgeError(f"{pr.url} was not merged at {sha[:12]}: {why}") from refused

    # --- stacks --------------------------------------------------------------------------------

    def _merge_in_stack(self, slug: RepoSlug, number: int, asked: dict[str, str]) -> str:
        """Merge the lowest open pull request of a stack of GitHub's, which the merge button does
        not take; why not, in words, empty when it is merged.

        A pull request above others would take them with it: that is not what was asked for.
        """
        stacks = self.api.send_rest_request(
            slug.host, "GET", f"repos/{slug}/stacks?pull_request={number}"
        )
        for below in stacks[0]["pull_requests"] if stacks else ():
            if int(below["number"]) == number:
                break
            if not below.get("merged_at"):
                return f"#{below['number']} below it in its stack is not merged yet"
        path = f"repos/{slug}/pulls/{number}"
        asked = {**asked, "merge_action": "direct_merge"}
        try:
            merge = self.api.send_rest_request(slug.host, "PUT", f"{path}/merge-async", asked)
        except RequestRefused as error:
            if error.status != UNDER_WAY:
                return error.message
            merge = {"status": "pending"}  # asked for by a process that ended; which, is not said
        for _ in range(MERGE_LOOKS):
            details = merge.get("details") or {}
            if merge.get("status") != "pending":
                return "" if merge.get("status") == "merged" else str(details.get("message"))
            if wait_or_stop(MERGE_PAUSE, self.api.stop):
                raise Interrupted(f"stopped while {slug.url}/pull/{number} is being merged")
            if details.get("uuid"):
                way = f"{path}/merge-async/{details['uuid']}"
                merge = self.api.send_rest_request(slug.host, "GET", way)
            elif self.api.send_rest_request(slug.host, "GET", path).get("merged_at"):
                return ""
        raise ForgeAway(
            f"{slug.url}/pull/{number} is still being merged", hint="the same command later"
        )

    def _press_merge_button(
        self, slug: RepoSlug, path: str, asked: dict[str, str]
    ) -> RequestRefused | None:
        """The merge button; what GitHub says against it."""
        try:
            self.api.send_rest_request(slug.host, "PUT", f"{path}/merge", asked)
        except RequestRefused as error:
            return error
        return None
