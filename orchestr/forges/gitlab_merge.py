"""Merging at GitLab: its button, auto-merge, merge trains.

GitLab itself compares the head with the commit that was checked, so nothing else is ever merged.
How a merge looks (a merge commit, or none) is a setting of the project, not of the request: what it
does otherwise is refused before anything is touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestr.errors import Interrupted
from orchestr.forges import gitlab_query as query
from orchestr.forges.base import (
    ForgeAway,
    ForgeError,
    MergeMethod,
    PRState,
    PullRequest,
    RepoRef,
)
from orchestr.forges.gitlab_base import GitLabBase
from orchestr.forges.gitlab_remote import ProjectPath
from orchestr.forges.rate_limit import OutcomeUnknown, wait_or_stop
from orchestr.forges.rest_answers import RequestRefused

LOOKS = 120  # at a merge request that GitLab is not ready to judge, or is merging
PAUSE = 1.0  # s between two of them
_UNSURE = ("unchecked", "checking", "preparing", "approvals_syncing")
_IN_TRAIN = ("idle", "stale", "fresh", "merging")
_NO_TRAIN = (400, 403, 404, 405)  # no licence, not switched on, no pipeline of merged results
_COMMIT = {"merge": "a merge commit", "rebase_merge": "a merge commit of a rebased branch",
           "ff": "no merge commit"}  # fmt: skip


class GitLabMerging(GitLabBase):
    """`MergingForge` of GitLab, and `Forge.merge_pull_request`."""

    def merge_pull_request(
        self, repo: RepoRef, number: int, *, sha: str, method: MergeMethod = MergeMethod.MERGE
    ) -> PullRequest:
        """See `Forge.merge_pull_request`. GitLab itself compares the head with ``sha``."""
        return self._merge_at_head(repo, number, sha, method, {})

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
        words = f"{title}\n\n{message}".strip()
        asked = {"merge_commit_message": words}
        if method is MergeMethod.SQUASH:
            asked["squash_commit_message"] = words
        return self._merge_at_head(repo, number, sha, method, asked)

    def enqueue_pull_request(self, repo: RepoRef, number: int, *, sha: str) -> None:
        """See `MergingForge.enqueue_pull_request`: onto the merge train, where the project has
        trains; else GitLab merges it by itself when its pipeline is green."""
        project = self.project_for(repo)
        row = self._wait_until_judged(project, number)
        self._require_head(project, number, row, sha)
        if self._is_waiting(project, number, row):
            return
        if row.get("draft"):
            self.make_ready(project, number, row)
        train = f"{project.api}/merge_trains/merge_requests/{number}"
        try:
            self.api.send_rest_request(
                project,
                "post",
                train,
                {"sha": sha, "auto_merge": True, "when_pipeline_succeeds": True},
            )
        except RequestRefused as error:
            if error.status not in _NO_TRAIN:
                # also of a request that was sent again, since its answer was lost
                row = self.read_row(project, number)
                if row.get("state") == "merged" or self._is_waiting(project, number, row):
                    return
                raise self._refused(project, number, sha, error) from error
        else:
            return
        asked = {"sha": sha, "auto_merge": True, "merge_when_pipeline_succeeds": True}
        refused = self._press_merge_button(project, number, asked)
        if refused is not None:
            row = self.read_row(project, number)
            if row.get("state") != "merged" and not self._is_waiting(project, number, row):
                raise self._refused(project, number, sha, refused, row) from refused

    def is_queued(self, repo: RepoRef, number: int) -> bool:
        """See `MergingForge.is_queued`."""
        project = self.project_for(repo)
        return self._is_waiting(project, number, self.read_row(project, number))

    # --- the button ----------------------------------------------------------------------------

    def _merge_at_head(
        self, repo: RepoRef, number: int, sha: str, method: MergeMethod, words: Mapping[str, str]
    ) -> PullRequest:
        project = self.project_for(repo)
        row = self._wait_until_judged(project, number)
        if row.get("state") == "opened":
            self._require_head(project, number, row, sha)
            asked = {**words, **self._choose_way(project, method), "sha": sha,
                     "should_remove_source_branch": False}  # fmt: skip
            if row.get("draft"):
                self.make_ready(project, number, row)
                self._wait_until_judged(project, number)
            refused = self._press_merge_button(project, number, asked)
            row = self._wait_until_merged(project, number)
            if row.get("state") != "merged" and refused is not None:
                raise self._refused(project, number, sha, refused, row) from refused
        pr = self.read_pull_request(project, row)
        if pr.state is PRState.MERGED and pr.head_sha == sha:
            return pr
        why = row.get("merge_error") or f"it is {pr.state} at {pr.head_sha[:12]}"
        raise ForgeError(f"{pr.url} was not merged at {sha[:12]}: {why}")

    def _press_merge_button(
        self, project: ProjectPath, number: int, asked: Mapping[str, Any]
    ) -> ForgeError | None:
        """Ask for the merge; what GitLab says against it. An answer that was lost is one, too: the
        merge request then says what came of it."""
        path = f"{self.row_path(project, number)}/merge"
        try:
            self.api.send_rest_request(project, "put", path, asked, again=False)
        except (RequestRefused, OutcomeUnknown) as error:
            return error
        return None

    def _choose_way(self, project: ProjectPath, method: MergeMethod) -> dict[str, bool]:
        """What is asked for beside the head. Raises ForgeError where the project merges
        otherwise."""
        row = self.api.read_object(project, project.api)
        how, squash = str(row.get("merge_method")), str(row.get("squash_option"))
        makes_commit = how != "ff"
        if (
            (method is MergeMethod.MERGE and not makes_commit)
            or (method is MergeMethod.REBASE and makes_commit)
            or (method is MergeMethod.SQUASH and squash == "never")
            or (method is not MergeMethod.SQUASH and squash == "always")
        ):
            made = _COMMIT.get(how, how) if method is not MergeMethod.SQUASH else "squash commits"
            raise ForgeError(
                f"{project.url} does not merge by `{method}`: its settings say merge method `{how}`"
                f" ({made}), squash `{squash}`",
                hint='another landing.strategy, or land = "push" in orchestr.toml',
            )
        return {"squash": method is MergeMethod.SQUASH}

    # --- looking -------------------------------------------------------------------------------

    def _wait_until_judged(self, project: ProjectPath, number: int) -> Mapping[str, Any]:
        """The merge request, when GitLab knows whether it can be merged (it finds out in the
        background after a push)."""
        for _ in range(LOOKS):
            row = self.read_row(project, number)
            if row.get("state") != "opened" or row.get("detailed_merge_status") not in _UNSURE:
                return row
            self._pause(project, number)
        return row

    def _wait_until_merged(self, project: ProjectPath, number: int) -> Mapping[str, Any]:
        """The merge request, when GitLab merges it no longer. Raises ForgeAway, Interrupted."""
        for _ in range(LOOKS):
            row = self.read_row(project, number)
            if row.get("state") != "locked":
                return row
            self._pause(project, number)
        where = query.describe_url(project, number)
        raise ForgeAway(f"{where} is still being merged", hint="the same command later")

    def _pause(self, project: ProjectPath, number: int) -> None:
        if wait_or_stop(PAUSE, self.api.stop):
            where = query.describe_url(project, number)
            raise Interrupted(f"stopped while GitLab is busy with {where}")

    def _is_waiting(self, project: ProjectPath, number: int, row: Mapping[str, Any]) -> bool:
        """Whether GitLab is going to merge it: auto-merge is set, or it is on a train."""
        if row.get("state") not in ("opened", "locked"):
            return False
        if row.get("merge_when_pipeline_succeeds") or row.get("state") == "locked":
            return True
        train = f"{project.api}/merge_trains/merge_requests/{number}"
        try:
            car = self.api.read_object(project, train)
        except RequestRefused as error:
            if error.status in _NO_TRAIN:
                return False
            raise
        return car.get("status") in _IN_TRAIN

    def _require_head(
        self, project: ProjectPath, number: int, row: Mapping[str, Any], sha: str
    ) -> None:
        if row.get("state") == "opened" and row.get("sha") != sha:
            where = query.describe_url(project, number)
            head = str(row.get("sha"))[:12]
            raise ForgeError(f"{where} was not merged at {sha[:12]}: its head is {head}")

    def _refused(
        self,
        project: ProjectPath,
        number: int,
        sha: str,
        error: ForgeError,
        row: Mapping[str, Any] | None = None,
    ) -> ForgeError:
        """The refusal, with GitLab's reason where ``row`` has one: its answer to the button is
        `405 Method Not Allowed` whatever lacks."""
        if isinstance(error, ForgeAway):
            return error
        where = query.describe_url(project, number)
        status = str((row or {}).get("detailed_merge_status") or "")
        why = "" if status in ("", "mergeable") else f" ({status.replace('_', ' ')})"
        return ForgeError(
            f"{where} was not merged at {sha[:12]}: {error.message}{why}", hint=error.hint
        )
