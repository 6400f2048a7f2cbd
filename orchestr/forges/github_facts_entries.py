"""What one entry of GitHub's lists means: a comment, a review, a check, an annotation. Pure.

All of them raise KeyError, TypeError or ValueError for another form than was asked for; who reads a
whole answer (`orchestr.forges.github_facts_read`) makes a ForgeError of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestr.forges.answers import is_marked, strip_said
from orchestr.forges.base import PRState, PullRequest
from orchestr.forges.followed import (
    Annotation,
    CheckState,
    CiCheck,
    Comment,
    PullRequestReview,
    Verdict,
)
from orchestr.forges.github_facts import PageKind
from orchestr.forges.github_remote import RepoSlug

_UNSURE = ("MEMBER", "COLLABORATOR", "CONTRIBUTOR")  # say nothing about write access
_CONCLUSIONS = {
    "SUCCESS": CheckState.SUCCESS,
    "NEUTRAL": CheckState.SUCCESS,
    "SKIPPED": CheckState.SUCCESS,
    "CANCELLED": CheckState.CANCELLED,
    "STALE": CheckState.CANCELLED,
}
_STATUSES = {
    "SUCCESS": CheckState.SUCCESS,
    "PENDING": CheckState.PENDING,
    "EXPECTED": CheckState.PENDING,
}
ACTIONS = "github-actions"  # the app whose check runs are jobs with a log
Node = Mapping[str, Any]
Access = Collection[tuple[RepoSlug, str]]  # logins that may write to a repository


@dataclass(slots=True)
class PagedList:
    """The entries of a list as far as they were read, the oldest first. ``is_whole``: to its end,
    and each of them was delivered."""

    entries: list[Node] = field(default_factory=list)
    is_whole: bool = False
    has_gaps: bool = False
    summary: str = ""

    def add_page(self, connection: Node | None, kind: PageKind) -> str | None:
        """Add a page; the cursor of the next one, None at the end."""
        if connection is None:
            self.has_gaps = True
            return None
        found = [node for node in connection["nodes"] or () if node]
        self.has_gaps |= len(found) < len(connection["nodes"] or ())
        self.entries = found + self.entries if kind.is_backward else self.entries + found
        info = connection["pageInfo"]
        more = info["hasPreviousPage"] if kind.is_backward else info["hasNextPage"]
        if more:
            return str(info["startCursor"] if kind.is_backward else info["endCursor"])
        self.is_whole = not self.has_gaps
        return None


def name_author(actor: Node | None) -> str:
    """A login as REST and people's lists have it: a bot's ends in ``[bot]``, so that no person can
    have its name. Empty for an account that is gone."""
    if not actor:
        return ""
    login = str(actor["login"])
    is_bot = actor["__typename"] == "Bot"
    return f"{login}[bot]" if is_bot and not login.endswith("[bot]") else login


def _is_bot(entry: Node) -> bool:
    author = entry["author"]
    return bool(author) and author["__typename"] == "Bot"


def needs_asking(entry: Node) -> bool:
    is_person = bool(entry["author"]) and entry["author"]["__typename"] == "User"
    is_ours, is_hidden = entry["viewerDidAuthor"], entry["isMinimized"]
    return is_person and not is_ours and not is_hidden and entry["authorAssociation"] in _UNSURE


def read_comment(entry: Node, slug: RepoSlug, access: Access) -> Comment:
    may_write = (
        entry["viewerDidAuthor"]
        or entry["authorAssociation"] == "OWNER"
        or (needs_asking(entry) and (slug, str(entry["author"]["login"])) in access)
    )
    return _make_comment(entry, may_write=bool(may_write))


def read_review_comment(entry: Node) -> Comment:
    review = entry["pullRequestReview"] or {}
    return _make_comment(
        entry, may_write=bool(entry["viewerDidAuthor"] or review.get("authorCanPushToRepository"))
    )


def _make_comment(entry: Node, *, may_write: bool) -> Comment:
    body = str(entry["body"]).replace("\r\n", "\n")
    is_ours = bool(entry["viewerDidAuthor"]) and is_marked(body)
    return Comment(
        id=str(entry["id"]),
        author=name_author(entry["author"]),
        body=strip_said(body) if is_ours else body,
        created_at=str(entry.get("submittedAt") or entry["createdAt"]),
        may_write=may_write,
        is_bot=_is_bot(entry),
        is_ours=is_ours,
        url=str(entry["url"]),
    )


def read_review(entry: Node) -> PullRequestReview | None:
    """A review; None for a draft, and for the empty one that GitHub makes for each reply."""
    state = str(entry["state"])
    if state == "PENDING" or (state == "COMMENTED" and not entry["body"].strip()):
        return None
    comment = _make_comment(entry, may_write=bool(entry["authorCanPushToRepository"]))
    commit = (entry["commit"] or {}).get("oid") or ""
    return PullRequestReview(Verdict(state.lower()), comment, str(commit))


def read_closer(pr: PullRequest, timeline: Sequence[Node]) -> str:
    if pr.state is not PRState.CLOSED:
        return ""
    closed = [entry for entry in timeline if entry["__typename"] == "ClosedEvent"]
    return name_author(closed[-1]["actor"]) if closed else ""


def read_annotations(entries: Iterable[Node]) -> tuple[Annotation, ...]:
    """The places that failed. GitHub's own words about a job name no file but ``.github``."""
    return tuple(
        Annotation(
            path=str(entry["path"]),
            line=int(entry["location"]["start"]["line"] or 0),
            message=": ".join(str(entry[k]) for k in ("title", "message") if entry[k]),
        )
        for entry in entries
        if entry["annotationLevel"] == "FAILURE" and entry["path"] not in ("", ".github")
    )


def read_check(entry: Node, below: PagedList | None) -> CiCheck:
    """A check run, with the annotations ``below`` it, or a bare commit status."""
    required = entry.get("isRequired")
    is_required = None if required is None else bool(required)
    if entry["__typename"] != "CheckRun":
        return CiCheck(
            name=str(entry["context"]),
            state=_STATUSES.get(str(entry["state"]), CheckState.FAILURE),
            url=str(entry["targetUrl"] or ""),
            is_required=is_required,
            summary=str(entry["description"] or ""),
        )
    words = (str(entry["title"] or ""), below.summary if below else "")
    return CiCheck(
        name=name_check(entry),
        state=read_run_state(entry),
        url=str(entry["detailsUrl"] or entry["permalink"]),
        id=identify_run(entry),
        is_required=is_required,
        summary="\n\n".join(word for word in words if word),
        annotations=read_annotations(below.entries if below else ()),
    )


def sum_checks(checks: Collection[CiCheck]) -> str | None:
    """What a pull request shows of its checks, as `PullRequest.checks` has it. GitHub's own sum
    counts our status, which says of others what this one would then say of itself."""
    states = {check.state for check in checks}
    if states & {CheckState.FAILURE, CheckState.CANCELLED}:
        return "failure"
    return "pending" if CheckState.PENDING in states else "success" if states else None


def read_run_state(entry: Node) -> CheckState:
    if entry["status"] != "COMPLETED":
        return CheckState.PENDING
    return _CONCLUSIONS.get(str(entry["conclusion"]), CheckState.FAILURE)


def is_red_run(entry: Node) -> bool:
    return entry["__typename"] == "CheckRun" and read_run_state(entry) is CheckState.FAILURE


def _workflow_run(entry: Node) -> Node:
    return (entry["checkSuite"] or {}).get("workflowRun") or {}


def identify_check(entry: Node) -> tuple[tuple[str, ...], str]:
    """What two runs of one check have in common, and when this one started."""
    if entry["__typename"] != "CheckRun":
        return ("status", str(entry["context"])), ""
    app = ((entry["checkSuite"] or {}).get("app") or {}).get("slug") or ""
    event = str(_workflow_run(entry).get("event") or "")
    return ("run", str(app), event, name_check(entry)), str(entry["startedAt"] or "")


def name_check(entry: Node) -> str:
    """`WORKFLOW / JOB`, as GitHub's page shows it; the job alone where there is no workflow."""
    workflow = (_workflow_run(entry).get("workflow") or {}).get("name")
    return f"{workflow} / {entry['name']}" if workflow else str(entry["name"])


def identify_run(entry: Node) -> str:
    """What REST knows it by: ``job/N`` of GitHub Actions, which has a log, else ``run/N``."""
    number = entry["databaseId"] or str(entry["permalink"]).rstrip("/").rpartition("/")[2]
    app = ((entry["checkSuite"] or {}).get("app") or {}).get("slug")
    return f"{'job' if app == ACTIONS else 'run'}/{number}"


def tip_of(ref: Node | None) -> str:
    return str(((ref or {}).get("target") or {}).get("oid") or "")


def rollup_of(ref: Node | None) -> Node | None:
    rollup: Node | None = ((ref or {}).get("target") or {}).get("statusCheckRollup")
    return rollup


def rollup_at_head(pull: Node) -> Node | None:
    """The checks of the head; a branch that has moved on shows those of another commit."""
    is_head = tip_of(pull["headRef"]) == pull["headRefOid"]
    return rollup_of(pull["headRef"]) if is_head else None


def wants_newest(base: Node) -> bool:
    """Whether protection, of either kind, wants pull requests to contain the base's tip."""
    if (base.get("branchProtectionRule") or {}).get("requiresStrictStatusChecks"):
        return True
    rules = [rule for rule in (base.get("rules") or {}).get("nodes") or () if rule]
    key = "strictRequiredStatusChecksPolicy"
    return any((rule["parameters"] or {}).get(key) for rule in rules)
