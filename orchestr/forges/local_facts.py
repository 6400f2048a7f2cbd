"""What the local forge knows of its pull requests: their CI, whether they merge, what was said.

Owns `followed.FollowingForge` for the local forge, but for the answers (`local_comments`). The
files and the origin are read under the repository's lock. CI runs outside of it, because it may
take minutes and `orchestr run` must not wait for that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestr.codec import SCHEMA
from orchestr.files import read_json, write_json
from orchestr.forges import comment_files, pr_files
from orchestr.forges.base import ForgeError, PRState, PullRequest, RepoRef
from orchestr.forges.comment_files import CommentRow
from orchestr.forges.followed import (
    CheckState,
    CiCheck,
    Mergeability,
    PullRequestFacts,
    PullRequestKey,
    StatusState,
)
from orchestr.forges.local_comments import decide_review, list_reviews, list_threads
from orchestr.forges.local_origin import Origin
from orchestr.forges.local_repos import LocalRepos
from orchestr.forges.pr_files import StoredPullRequest
from orchestr.process.file_lock import FlockLock

if TYPE_CHECKING:  # only a forge with CI needs it, and all that it stands on
    from orchestr.forges.local_ci import CiOrder, LocalCi

STATUS_TEXT = 140  # characters
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PENDING = CiCheck("ci", CheckState.PENDING)


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A pull request as it was under the lock, with the origin's refs of that moment."""

    repo: RepoRef
    folder: Path
    origin: Origin
    kept: StoredPullRequest
    comments: tuple[CommentRow, ...]

    @property
    def base_sha(self) -> str:
        """Where its base is now; where it was, if that branch is gone."""
        return self.origin.branch_head(self.kept.pr.base) or self.kept.base_sha


class LocalFacts(LocalRepos):
    """The part of the local forge that is followed. ``make_ci`` makes its CI, if it has one."""

    make_ci: Callable[[], LocalCi] | None = None

    @cached_property
    def ci(self) -> LocalCi | None:
        """The CI of this workspace. Raises ForgeError when its sandbox is required and missing."""
        return self.make_ci() if self.make_ci is not None else None

    def read_facts(self, keys: Sequence[PullRequestKey]) -> dict[PullRequestKey, PullRequestFacts]:
        """See `FollowingForge.read_facts`. Runs CI where it is missing, and waits for it."""
        seen: dict[PullRequestKey, LookedAt] = {}
        for repo in dict.fromkeys(key.repo for key in keys):
            numbers = [key.number for key in keys if key.repo == repo]
            seen |= {PullRequestKey(repo, one.kept.pr.number): one
                     for one in self.look_at(repo, numbers)}  # fmt: skip
        if self.ci is not None:
            orders = {(o.repo.name, o.sha): o for one in seen.values() for o in _list_orders(one)}
            self.ci.run_missing(list(orders.values()))
        return {key: self._make_facts(seen[key]) for key in keys if key in seen}

    def read_check_log(self, repo: RepoRef, check: CiCheck) -> str:
        """See `FollowingForge.read_check_log`."""
        from orchestr.forges import ci_results

        return ci_results.read_log(self._ci_folder(repo), check) if check.id else ""

    def rerun_check(self, repo: RepoRef, check: CiCheck) -> None:
        """See `FollowingForge.rerun_check`: all of CI runs again at the next look. Asked twice for
        the same run it runs once."""
        from orchestr.forges import ci_results

        sha, run, _ = ci_results.parse_check_id(check)
        folder = self._ci_folder(repo)
        result = ci_results.read_result(folder, sha)
        if self.make_ci is None or result is None:
            raise ForgeError(
                f"check {check.name} of {repo.name} cannot run again: the local forge has no CI",
                hint="set [forge] ci in orchestr.toml",
            )
        if result.run <= run:
            ci_results.request_run(folder, result)

    def set_commit_status(
        self, repo: RepoRef, sha: str, context: str, state: StatusState, text: str
    ) -> None:
        """See `FollowingForge.set_commit_status`: kept in ``<repo>/statuses/<sha>.json``."""
        path = self._status_file(repo, sha)
        with FlockLock(self.repo_folder(repo) / "lock"):
            row = {"state": str(state), "text": comment_files.clean_body(text)[:STATUS_TEXT]}
            statuses = self.read_commit_statuses(repo, sha)
            old = {key: value for key, value in statuses.get(context, {}).items() if key != "at"}
            if old != row:
                statuses[context] = {**row, "at": self.clock()}
                write_json(path, {"schema": SCHEMA, "statuses": statuses})

    def read_commit_statuses(self, repo: RepoRef, sha: str) -> dict[str, dict[str, Any]]:
        """The statuses of a commit by their context: `state`, `text`, `at`."""
        table = read_json(self._status_file(repo, sha))
        found = table.get("statuses") if isinstance(table, dict) else None
        rows = found if isinstance(found, dict) else {}
        return {name: row for name, row in rows.items() if isinstance(row, dict)}

    # --- looking -----------------------------------------------------------------------------

    def fill_in(self, repo: RepoRef, pr: PullRequest) -> PullRequest:
        """A pull request with the state of its checks and reviews, as far as there are any."""
        folder = self.repo_folder(repo)
        review = decide_review(comment_files.read_comments(folder, pr.number))
        checks = None
        if self.make_ci is not None and pr.state is PRState.OPEN:
            checks = _sum_up(self._read_checks(repo, pr.head_sha, is_awaited=True))
        return replace(pr, checks=checks, review=review)

    def look_at(self, repo: RepoRef, numbers: Sequence[int]) -> list[LookedAt]:
        """The pull requests of these numbers as they are, without running CI.

        Raises ForgeAway, ForgeError.
        """
        folder = self.repo_folder(repo)
        if not repo.path.exists() and not pr_files.read_pull_requests(folder):
            return []
        with self.lock_and_refresh(repo) as look:
            return [
                LookedAt(repo, folder, look.origin, look.kept[number],
                         comment_files.read_comments(folder, number))
                for number in numbers
                if number in look.kept
            ]  # fmt: skip

    def _make_facts(self, one: LookedAt) -> PullRequestFacts:
        pr, repo = one.kept.pr, one.repo
        is_open = pr.state is PRState.OPEN
        checks = self._read_checks(repo, pr.head_sha, is_awaited=is_open)
        base_checks = self._read_checks(repo, one.base_sha, is_awaited=is_open)
        return PullRequestFacts(
            pr=replace(pr, checks=_sum_up(checks), review=decide_review(one.comments)),
            node_id=f"local:{repo.name}:{pr.number}:{pr.created_at}",
            mergeability=_find_mergeability(one),
            labels=one.kept.labels,
            checks=checks,
            threads=list_threads(repo.name, pr, one.comments),
            reviews=list_reviews(repo.name, pr, one.comments),
            base_sha=one.base_sha,
            base_checks=base_checks,
            closed_by=one.kept.closed_by if pr.state is PRState.CLOSED else "",
        )

    def _read_checks(self, repo: RepoRef, sha: str, *, is_awaited: bool) -> tuple[CiCheck, ...]:
        """The checks of a commit; one that is pending where CI has still to run on it."""
        if self.make_ci is None:
            return ()
        from orchestr.forges import ci_results

        folder = self._ci_folder(repo)
        result = ci_results.read_result(folder, sha)
        if result is None or ci_results.is_run_requested(folder, result):
            return (_PENDING,) if is_awaited else ()
        return ci_results.name_checks(folder, result)

    def _ci_folder(self, repo: RepoRef) -> Path:
        return self.repo_folder(repo) / "ci"

    def _status_file(self, repo: RepoRef, sha: str) -> Path:
        if not _SHA.fullmatch(sha):
            raise ForgeError(f"{sha!r} is not the id of a commit")
        return self.repo_folder(repo) / "statuses" / f"{sha}.json"


def _list_orders(one: LookedAt) -> list[CiOrder]:
    """The commits that CI must have run on for a pull request: its head, the tip of its base."""
    from orchestr.forges.local_ci import CiOrder

    pr, origin = one.kept.pr, one.origin
    if pr.state is not PRState.OPEN:
        return []
    tip = origin.branch_head(pr.base)
    head = CiOrder(
        repo=one.repo,
        folder=one.folder,
        objects=origin.objects,
        sha=pr.head_sha,
        branch=pr.head,
        base=pr.base,
        base_sha=tip or one.kept.base_sha,
        number=pr.number,
        body=pr.body,
        origin=origin.objects.path if origin.direct else None,
    )
    orders = [head]
    if tip is not None:
        orders.append(replace(head, sha=tip, branch=pr.base, number=None, body=""))
    return [order for order in orders if origin.has_commit(order.sha)]


def _find_mergeability(one: LookedAt) -> Mergeability:
    pr = one.kept.pr
    tip = one.origin.branch_head(pr.base)
    if pr.state is not PRState.OPEN or tip is None or not one.origin.has_commit(pr.head_sha):
        return Mergeability.UNKNOWN
    if one.origin.can_merge(tip, pr.head_sha):
        return Mergeability.CLEAN
    return Mergeability.CONFLICTING


def _sum_up(checks: Sequence[CiCheck]) -> str | None:
    """All checks in one word, as `PullRequest.checks` has it."""
    states = {check.state for check in checks}
    if not states:
        return None
    if CheckState.FAILURE in states:
        return "failure"
    return "success" if states == {CheckState.SUCCESS} else "pending"
