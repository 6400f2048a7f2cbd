"""How a Forgejo's answers about pull requests that are followed read. Pure.

A thread at a place is what a review says at one line, with the replies to it. Of the general
conversation each comment is a thread of its own. Commit statuses are the checks: a job of Actions
leaves one, too, whose address names the job.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urljoin, urlsplit

from orchestr.forges import forgejo_query as query
from orchestr.forges.answers import is_marked, strip_said
from orchestr.forges.base import PRState
from orchestr.forges.followed import (
    FEATURE_STATUS,
    CheckState,
    CiCheck,
    Comment,
    Mergeability,
    PullRequestFacts,
    PullRequestReview,
    Thread,
    Verdict,
)
from orchestr.forges.forgejo_protection import is_required_check
from orchestr.forges.forgejo_query import read_author
from orchestr.forges.forgejo_remote import RepoPath

Row = Mapping[str, Any]
_STATES = {
    "success": CheckState.SUCCESS,
    "skipped": CheckState.SUCCESS,
    "warning": CheckState.SUCCESS,
    "failure": CheckState.FAILURE,
    "error": CheckState.FAILURE,
}
_CANCELLED = "has been cancelled"  # Actions' words; the state is failure
_JOB = re.compile(r"/actions/runs/(\d+)/jobs/(\d+)(?:/attempt/\d+)?/?$")
_VERDICTS = {
    "APPROVED": Verdict.APPROVED,
    "REQUEST_CHANGES": Verdict.CHANGES_REQUESTED,
    "COMMENT": Verdict.COMMENTED,
}
_BOTS = re.compile(r"(?:\[bot\]|[-_.]bot|-actions)\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BaseAnswers:
    """What is known of a base branch: its statuses, what its protection wants (see
    `forgejo_protection.list_contexts`), how many approvals."""

    statuses: Sequence[Row] = ()
    contexts: tuple[str, ...] | None = None
    approvals: int = 0


@dataclass(frozen=True, slots=True)
class PullAnswers:
    """What was read of a pull request. ``places`` are the code comments of all reviews."""

    row: Row
    comments: Sequence[Row] = ()
    reviews: Sequence[Row] = ()
    places: Sequence[Row] = ()
    statuses: Sequence[Row] = ()
    closed_by: str = ""
    merges: bool | None = None  # by git, where the host does not say
    base: BaseAnswers = field(default_factory=BaseAnswers)


@dataclass(frozen=True, slots=True)
class Readers:
    """Whose words are ours, and who may write."""

    me: str
    writers: Collection[str] = ()


def make_facts(path: RepoPath, answers: PullAnswers, who: Readers) -> PullRequestFacts:
    """The facts of one pull request. Raises KeyError, TypeError, ValueError."""
    row, base = answers.row, answers.base
    checks = read_checks(path, str(row["head"]["sha"]), answers.statuses, base.contexts)
    reviews = tuple(_read_reviews(answers.reviews, who))
    pr = query.read_pull_request(row)
    threads = [*_read_general(answers.comments, who), *_read_places(answers.places, who)]
    threads.sort(key=lambda thread: thread.comments[0].created_at)
    return PullRequestFacts(
        pr=replace(pr, checks=sum_checks(checks), review=sum_reviews(reviews, base.approvals)),
        node_id=f"{path.root}/pull/{row['id']}",
        mergeability=read_mergeability(row, answers.merges),
        labels=tuple(str(label["name"]) for label in row.get("labels") or ()),
        checks=checks,
        threads=tuple(threads),
        reviews=reviews,
        base_sha=str(row["base"]["sha"] or ""),
        base_checks=read_checks(path, str(row["base"]["sha"]), base.statuses, base.contexts),
        closed_by=answers.closed_by if pr.state is PRState.CLOSED else "",
    )


def needs_git(row: Row) -> bool:
    """Whether only git can say if it merges: the host says no of every draft."""
    return query.read_state(row) is PRState.OPEN and not row.get("mergeable")


def read_mergeability(row: Row, merges: bool | None) -> Mergeability:
    """Whether it can be merged into its base as both are now."""
    if row.get("mergeable"):
        return Mergeability.CLEAN
    if merges is None:
        return Mergeability.UNKNOWN
    return Mergeability.CLEAN if merges else Mergeability.CONFLICTING


# --- checks --------------------------------------------------------------------------------------


def read_checks(
    path: RepoPath, sha: str, statuses: Sequence[Row], contexts: tuple[str, ...] | None
) -> tuple[CiCheck, ...]:
    """The checks of a commit, but for our own status; the newest of each name."""
    newest: dict[str, Row] = {}
    for row in sorted(statuses, key=lambda row: int(row["id"])):
        newest[str(row["context"])] = row
    return tuple(
        _read_check(path, sha, row, contexts)
        for name, row in newest.items()
        if name != FEATURE_STATUS
    )


def _read_check(path: RepoPath, sha: str, row: Row, contexts: tuple[str, ...] | None) -> CiCheck:
    name, words = str(row["context"]), str(row.get("description") or "")
    state = _STATES.get(str(row["status"]), CheckState.PENDING)
    target = str(row.get("target_url") or "")
    url = urljoin(f"{path.root}/", target) if target else ""
    job = _JOB.search(urlsplit(url).path) if url.startswith(f"{path.url}/") else None
    if job and state is CheckState.FAILURE and words.lower() == _CANCELLED:
        state = CheckState.CANCELLED
    return CiCheck(
        name=name,
        state=state,
        url=url,
        id=f"{sha}/{job[1]}/{job[2]}" if job else "",
        is_required=is_required_check(name, contexts),
        summary=words,
    )


def sum_checks(checks: Sequence[CiCheck]) -> str | None:
    """What the checks come to; None without any."""
    states = {check.state for check in checks}
    if not states:
        return None
    if states & {CheckState.FAILURE, CheckState.CANCELLED}:
        return "failure"
    return "pending" if CheckState.PENDING in states else "success"


# --- what people say -----------------------------------------------------------------------------


def _read_general(rows: Sequence[Row], who: Readers) -> Iterator[Thread]:
    for row in rows:
        comment = _read_comment(f"comment/{row['id']}", row, who)
        yield Thread(comment.id, (comment,))


def _read_places(rows: Sequence[Row], who: Readers) -> list[Thread]:
    """The threads at places. An answer of ours that had to become a review of its own (no reply was
    possible) belongs to what stands at that place."""
    groups: dict[tuple[int, str, int], list[Row]] = {}
    for row in sorted(rows, key=lambda row: int(row["id"])):
        key = (int(row["pull_request_review_id"]), str(row["path"]), read_line(row))
        groups.setdefault(key, []).append(row)
    found: list[Thread] = []
    for (review, place, line), group in groups.items():
        said = tuple(_read_comment(f"code/{row['id']}", row, who) for row in group)
        there = [n for n, t in enumerate(found) if (t.path, t.line) == (place, line)]
        if said[0].is_ours and there:
            at = there[-1]
            found[at] = replace(found[at], comments=(*found[at].comments, *said))
            continue
        resolved = any(row.get("resolver") for row in group)
        found.append(Thread(f"review/{review}/{group[0]['id']}", said, place, line, resolved))
    return found


def read_line(row: Row) -> int:
    """The line of a code comment: of the new text, or of the old where it was taken away."""
    return int(row.get("position") or row.get("original_position") or 0)


def _read_comment(key: str, row: Row, who: Readers, at: str = "created_at") -> Comment:
    user, body = row.get("user") or {}, str(row.get("body") or "")
    name = read_author(row)
    ours = name == who.me and is_marked(body)
    return Comment(
        id=key,
        author=name,
        body=strip_said(body) if ours else body,
        created_at=query.read_time(str(row[at])),
        may_write=name in who.writers,
        is_bot=int(user.get("id") or 0) < -1 or _BOTS.search(name) is not None,
        is_ours=ours,
        url=str(row.get("html_url") or ""),
    )


def _read_reviews(rows: Sequence[Row], who: Readers) -> Iterator[PullRequestReview]:
    """Reviews in their order; one that holds nothing but comments at places is none, nor is one
    that is asked for or not sent yet."""
    for row in rows:
        verdict = _VERDICTS.get(str(row["state"]))
        if verdict is None or (verdict is Verdict.COMMENTED and not row.get("body")):
            continue
        if row.get("dismissed"):
            verdict = Verdict.DISMISSED
        comment = _read_comment(f"review/{row['id']}", row, who, "submitted_at")
        yield PullRequestReview(verdict, comment, str(row.get("commit_id") or ""))


def sum_reviews(reviews: Sequence[PullRequestReview], wanted: int) -> str | None:
    """What the last verdicts of people who may write come to; ``wanted`` approvals are needed."""
    last: dict[str, Verdict] = {}
    for review in reviews:
        if review.comment.may_write and review.verdict is not Verdict.COMMENTED:
            last[review.comment.author] = review.verdict
    if Verdict.CHANGES_REQUESTED in last.values():
        return "changes_requested"
    given = sum(verdict is Verdict.APPROVED for verdict in last.values())
    if given and given >= wanted:
        return "approved"
    return "review_required" if wanted else None
