"""Merging at a Forgejo: its button, its auto-merge, and "merged by hand".

The host itself compares the head with the commit that was checked (`head_commit_id`), so nothing
else is ever merged. It says "try again later" of one that it has not judged yet and of one in
conflict alike: git tells them apart (`.forgejo_conflicts`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestr.errors import Interrupted
from orchestr.forges import forgejo_query as query
from orchestr.forges.base import (
    ForgeAway,
    ForgeError,
    MergeMethod,
    PRState,
    PullRequest,
    RepoRef,
)
from orchestr.forges.forgejo_base import ForgejoBase
from orchestr.forges.forgejo_conflicts import judge_merges
from orchestr.forges.forgejo_remote import RepoPath
from orchestr.forges.rate_limit import OutcomeUnknown, wait_or_stop
from orchestr.forges.rest_answers import RequestRefused

LOOKS = 120  # at one that the host is not ready to merge
SETTLES = 5  # looks at one whose answer was lost
PAUSE = 1.0  # s between two of them
_LATER = "try again later"
_BEHIND = "out of date"
_QUEUE_EVENTS = {
    "pull_scheduled_merge": True, "pull_cancel_scheduled_merge": False, "merge_pull": False,
}  # fmt: skip


class ForgejoMerging(ForgejoBase):
    """`MergingForge` of Forgejo and Gitea, `Forge.merge_pull_request`, and ``mark_merged``."""

    def merge_pull_request(
        self, repo: RepoRef, number: int, *, sha: str, method: MergeMethod = MergeMethod.MERGE
    ) -> PullRequest:
        """See `Forge.merge_pull_request`. The host itself compares the head with ``sha``."""
        return self._merge_at_head(repo, number, sha, {"Do": str(method)})

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
        asked = {"Do": str(method), "MergeTitleField": title, "MergeMessageField": message}
        return self._merge_at_head(repo, number, sha, asked)

    def enqueue_pull_request(self, repo: RepoRef, number: int, *, sha: str) -> None:
        """See `MergingForge.enqueue_pull_request`: the host merges it by itself when its checks are
        green, in the way that is usual for the repository; at once when they are."""
        path = self.path_for(repo)
        row = self.read_row(path, number)
        self._require_head(path, number, row, sha)
        if query.read_state(row) is not PRState.OPEN or self._is_scheduled(path, number):
            return
        if query.is_draft(row):
            self.make_ready(path, number, row)
        style = self.api.send_request(path, "GET", path.api).get("default_merge_style") or "merge"
        asked = {"Do": style, "merge_when_checks_succeed": True}
        refused = self._press_merge_button(repo, number, sha, asked)
        if refused is None or self._is_scheduled(path, number):
            return
        if query.read_state(self.read_row(path, number)) is not PRState.MERGED:
            raise self._refused(path, number, sha, refused) from refused

    def is_queued(self, repo: RepoRef, number: int) -> bool:
        """See `MergingForge.is_queued`."""
        path = self.path_for(repo)
        row = self.read_row(path, number)
        return query.read_state(row) is PRState.OPEN and self._is_scheduled(path, number)

    def mark_merged(self, repo: RepoRef, number: int) -> PullRequest:
        """A pull request whose target has its work says merged, where its repository allows that
        ("manual merge", or the host finds out itself); else it is returned as it is.

        Raises ForgeAway, ForgeError.
        """
        path = self.path_for(repo)
        row = self.read_row(path, number)
        if query.read_state(row) is PRState.OPEN:
            if query.is_draft(row):
                self.make_ready(path, number, row)
            asked = {"Do": "manually-merged", "MergeCommitID": str(row["base"]["sha"])}
            where = f"{self.row_path(path, number)}/merge"
            try:
                self.api.send_request(path, "POST", where, asked, again=False)
            except (RequestRefused, OutcomeUnknown):
                pass  # the row says what came of it
            row = self.read_row(path, number)
        return self.read_pull_request(path, row)

    # --- the button ----------------------------------------------------------------------------

    def _merge_at_head(
        self, repo: RepoRef, number: int, sha: str, asked: Mapping[str, Any]
    ) -> PullRequest:
        path = self.path_for(repo)
        row = self.read_row(path, number)
        if query.read_state(row) is PRState.OPEN:
            self._require_head(path, number, row, sha)
            if query.is_draft(row):
                self.make_ready(path, number, row)
            refused = self._press_merge_button(repo, number, sha, asked)
            row = self._look_until_merged(path, number, refused)
            if query.read_state(row) is not PRState.MERGED and refused is not None:
                raise self._refused(path, number, sha, refused) from refused
        pr = self.read_pull_request(path, row)
        if pr.state is PRState.MERGED and pr.head_sha == sha:
            return pr
        raise ForgeError(
            f"{pr.url} was not merged at {sha[:12]}: it is {pr.state} at {pr.head_sha[:12]}"
        )

    def _press_merge_button(
        self, repo: RepoRef, number: int, sha: str, asked: Mapping[str, Any]
    ) -> ForgeError | None:
        """Ask for the merge until the host has judged it; what it says against it. An answer that
        was lost is one, too: the pull request then says what came of it."""
        path = self.path_for(repo)
        where = f"{self.row_path(path, number)}/merge"
        body = {**asked, "head_commit_id": sha, "delete_branch_after_merge": False}
        for _ in range(LOOKS):
            try:
                self.api.send_request(path, "POST", where, body, again=False)
            except OutcomeUnknown as error:
                return error
            except RequestRefused as error:
                behind = error.status == 409 and _BEHIND in error.message
                if behind and self._is_head(path, number, sha):
                    self._pause(path, number)  # a push is there, and not taken in yet
                    continue
                if error.status != 405 or _LATER not in error.message:
                    return error
                conflict = self._find_conflict(repo, path, number)
                if conflict is not None:
                    return conflict
                self._pause(path, number)
            else:
                return None
        where = query.describe_url(path, number)
        return ForgeAway(f"{where} is not judged yet", hint="the same command later")

    def _is_head(self, path: RepoPath, number: int, sha: str) -> bool:
        """Whether an open pull request is at this commit. The host says "head out of date" also for
        a moment after a push, until it has looked at the branch, and "merge push out of date" when
        the target moved while it merged."""
        row = self.read_row(path, number)
        return query.read_state(row) is PRState.OPEN and str(row["head"]["sha"]) == sha

    def _find_conflict(self, repo: RepoRef, path: RepoPath, number: int) -> ForgeError | None:
        row = self.read_row(path, number)
        pair = (str(row["head"]["sha"]), str(row["base"]["sha"]))
        if judge_merges(repo, [pair]).get(pair) is not False:
            return None
        return ForgeError(f"it is in conflict with {row['base']['ref']}")

    # --- looking -------------------------------------------------------------------------------

    def _look_until_merged(
        self, path: RepoPath, number: int, refused: ForgeError | None
    ) -> Mapping[str, Any]:
        """The pull request; when the host said yes, or its answer was lost, after it had a moment
        to carry it out."""
        row = self.read_row(path, number)
        if refused is None or isinstance(refused, OutcomeUnknown):
            for _ in range(SETTLES):
                if query.read_state(row) is not PRState.OPEN:
                    break
                self._pause(path, number)
                row = self.read_row(path, number)
        return row

    def _is_scheduled(self, path: RepoPath, number: int) -> bool:
        """Whether auto-merge is set: the last word about it in the timeline."""
        is_set = False
        for event in self.api.list_events(path, f"{self.issue_path(path, number)}/timeline"):
            is_set = _QUEUE_EVENTS.get(str(event.get("type")), is_set)
        return is_set

    def _pause(self, path: RepoPath, number: int) -> None:
        if wait_or_stop(PAUSE, self.api.stop):
            where = query.describe_url(path, number)
            raise Interrupted(f"stopped while {path.host} is busy with {where}")

    def _require_head(self, path: RepoPath, number: int, row: Mapping[str, Any], sha: str) -> None:
        head = str(row["head"]["sha"])
        if query.read_state(row) is PRState.OPEN and head != sha:
            where = query.describe_url(path, number)
            raise ForgeError(f"{where} was not merged at {sha[:12]}: its head is {head[:12]}")

    def _refused(self, path: RepoPath, number: int, sha: str, error: ForgeError) -> ForgeError:
        if isinstance(error, ForgeAway):
            return error
        where = query.describe_url(path, number)
        return ForgeError(f"{where} was not merged at {sha[:12]}: {error.message}", hint=error.hint)
