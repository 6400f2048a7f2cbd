"""What is asked of GitLab by GraphQL for pull requests, and how its answers read. Pure.

A merge request is a pull request. A draft is one whose title begins with `Draft:`: the prefix is
taken off here and put back by what writes a title. GitLab runs lines of a text that begin with a
slash and a word as commands (`/merge`, `/close`); `guard_commands` takes that away from them, also
in text of other people, and `unguard_commands` gives the text as it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from orchestr.forges.base import PRState, PullRequest
from orchestr.forges.gitlab_remote import ProjectPath

DRAFT = "Draft: "
_DRAFT = re.compile(r"\A(?:\s*(?:draft:|\[draft\]|\(draft\)))+\s*", re.IGNORECASE)
_COMMAND = re.compile(r"^(?=/[A-Za-z_]+(?:[ \t\r]|$))", re.MULTILINE)
_GUARDED = re.compile(r"^\\(?=/[A-Za-z_]+(?:[ \t\r]|$))", re.MULTILINE)

PULL = """\
  id iid webUrl title description sourceBranch targetBranch diffHeadSha draft state
  createdAt updatedAt sourceProjectId projectId approved detailedMergeStatus conflicts
  approvedBy { nodes { username } }
  reviewers { nodes { username mergeRequestInteraction { reviewState } } }
"""
FOUND = (
    """\
query($path: ID!, $branches: [String!], $after: String) {
  project(fullPath: $path) {
    mergeRequests(sourceBranches: $branches, sort: CREATED_DESC, first: 100, after: $after) {
      nodes {
"""
    + PULL
    + """
        headPipeline { status }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""
)
_STATES = {"opened": PRState.OPEN, "locked": PRState.OPEN, "merged": PRState.MERGED}
_PIPELINES = {"SUCCESS": "success", "FAILED": "failure", "CANCELED": "failure"}
_NO_CHECK = ("SKIPPED", "MANUAL")  # the whole pipeline: nothing ran


def pull_request_from_graphql(node: Mapping[str, Any]) -> PullRequest:
    """A merge request of a GraphQL answer. Raises KeyError, TypeError, ValueError."""
    status = str((node.get("headPipeline") or {}).get("status") or "").upper()
    checks = None if not status or status in _NO_CHECK else _PIPELINES.get(status, "pending")
    return _make(
        number=int(node["iid"]),
        url=str(node["webUrl"]),
        title=str(node["title"]),
        body=str(node["description"] or ""),
        head=str(node["sourceBranch"]),
        base=str(node["targetBranch"]),
        head_sha=str(node["diffHeadSha"] or ""),
        draft=bool(node["draft"]),
        state=str(node["state"]),
        created_at=str(node["createdAt"]),
        updated_at=str(node["updatedAt"]),
        checks=checks,
        review=read_review_state(node),
    )


def pull_request_from_rest(row: Mapping[str, Any]) -> PullRequest:
    """A merge request of a REST answer. Raises KeyError, TypeError, ValueError."""
    return _make(
        number=int(row["iid"]),
        url=str(row["web_url"]),
        title=str(row["title"]),
        body=str(row["description"] or ""),
        head=str(row["source_branch"]),
        base=str(row["target_branch"]),
        head_sha=str(row["sha"] or ""),
        draft=bool(row["draft"]),
        state=str(row["state"]),
        created_at=str(row["created_at"]),
        updated_at=str(row["updated_at"]),
        merged_as=row.get("merge_commit_sha") or row.get("squash_commit_sha"),
    )


def read_review_state(node: Mapping[str, Any]) -> str | None:
    """What the reviews come to: a reviewer's wish for changes counts until it is taken back."""
    reviewers = (node.get("reviewers") or {}).get("nodes") or ()
    states = [(each.get("mergeRequestInteraction") or {}).get("reviewState") for each in reviewers]
    if "REQUESTED_CHANGES" in states or node.get("detailedMergeStatus") == "REQUESTED_CHANGES":
        return "changes_requested"
    if node.get("detailedMergeStatus") == "NOT_APPROVED":
        return "review_required"
    approvers = (node.get("approvedBy") or {}).get("nodes")
    return "approved" if approvers and node.get("approved") else None


def is_of_fork(node: Mapping[str, Any]) -> bool:
    """Whether its branch is in another project: another branch, whatever its name."""
    return str(node.get("sourceProjectId")) != str(node.get("projectId"))


def strip_draft(title: str) -> str:
    """A title without the words that make a draft."""
    return _DRAFT.sub("", title)


def write_title(title: str, *, draft: bool) -> str:
    """A title with or without the words that make a draft."""
    return f"{DRAFT}{strip_draft(title)}" if draft else strip_draft(title)


def guard_commands(text: str) -> str:
    """A text in which GitLab runs nothing: what it would read as a command begins with a backslash,
    which Markdown does not show."""
    return _COMMAND.sub(r"\\", text)


def unguard_commands(text: str) -> str:
    """The text before `guard_commands`."""
    return _GUARDED.sub("", text)


def read_time(text: str) -> str:
    """A time to the second with its offset: REST gives thousandths, GraphQL does not."""
    return datetime.fromisoformat(text).replace(microsecond=0).isoformat()


def head_ref(number: int) -> str:
    """The ref that GitLab keeps of a merge request's head."""
    return f"refs/merge-requests/{number}/head"


def describe_url(project: ProjectPath, number: int) -> str:
    """The address of a merge request."""
    return f"{project.url}/-/merge_requests/{number}"


def _make(
    *,
    number: int,
    title: str,
    body: str,
    state: str,
    created_at: str,
    updated_at: str,
    url: str,
    head: str,
    base: str,
    head_sha: str,
    draft: bool,
    checks: str | None = None,
    review: str | None = None,
    merged_as: str | None = None,
) -> PullRequest:
    return PullRequest(
        number=number,
        url=url,
        title=strip_draft(title) if draft else title,
        body=unguard_commands(body),
        head=head,
        base=base,
        head_sha=head_sha,
        draft=draft,
        state=_STATES.get(state, PRState.CLOSED),
        created_at=read_time(created_at),
        updated_at=read_time(updated_at),
        checks=checks,
        review=review,
        merged_as=merged_as,
        ref=head_ref(number),
    )
