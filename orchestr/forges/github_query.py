"""The GraphQL queries to GitHub, and what their answers mean. Pure.

One query asks for many branches: an alias for each, so it is one request and, as no connection
is inside another, one point of the 5,000 an hour for 100 branches. What does not have the form
that was asked for is a ForgeError, never "no pull request".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestr.forges.base import ForgeError, PRState, PullRequest

BRANCHES = 50  # in one query; GitHub gives up on a query after 10 s
PULLS = 10  # of one branch in one query; more are asked for page by page

# Of checks and reviews only the sums: `headRef` is no connection, so it costs nothing.
_FIELDS = """\
fragment pr on PullRequest {
  number url title body state isDraft isCrossRepository createdAt updatedAt
  headRefName headRefOid baseRefName reviewDecision
  headRepository { nameWithOwner } headRepositoryOwner { login }
  headRef { target { oid ... on Commit { statusCheckRollup { state } } } }
}
"""
_CHECKS = {
    "SUCCESS": "success",
    "FAILURE": "failure",
    "ERROR": "failure",
    "PENDING": "pending",
    "EXPECTED": "pending",
}
Cursors = Mapping[str, str | None]  # branch -> where its next page begins


def build_branches_query(
    owner: str, name: str, cursors: Cursors
) -> tuple[str, dict[str, str | None]]:
    """The query for the pull requests of these branches, and its variables."""
    variables: dict[str, str | None] = {"owner": owner, "name": name}
    declared = ["$owner: String!", "$name: String!"]
    parts = []
    for n, (branch, cursor) in enumerate(cursors.items()):
        declared += [f"$h{n}: String!", f"$c{n}: String"]
        variables |= {f"h{n}": branch, f"c{n}": cursor}
        parts.append(
            f"    b{n}: pullRequests(headRefName: $h{n}, after: $c{n}, first: {PULLS},"
            " orderBy: {field: CREATED_AT, direction: DESC})"
            " { nodes { ...pr } pageInfo { hasNextPage endCursor } }\n"
        )
    query = (
        f"query({', '.join(declared)}) {{\n"
        "  repository(owner: $owner, name: $name) {\n"
        "    parent { nameWithOwner }\n" + "".join(parts) + "  }\n"
        "  rateLimit { cost remaining }\n}\n" + _FIELDS
    )
    return query, variables


def read_branches(
    data: Mapping[str, Any], branches: Sequence[str], fork: str | None = None
) -> tuple[dict[str, list[PullRequest]], dict[str, str]]:
    """The pull requests by branch, and the cursors of branches that have more of them.

    A fork's branch of the same name is another branch: its pull requests are left out, but for the
    ``fork`` (`OWNER/NAME`) that is asked about, of which only these count.
    """
    found: dict[str, list[PullRequest]] = {}
    more: dict[str, str] = {}
    try:
        for n, branch in enumerate(branches):
            pulls = data["repository"][f"b{n}"]
            found[branch] = [
                pull_request_from_node(node) for node in pulls["nodes"] if _is_from(node, fork)
            ]
            if pulls["pageInfo"]["hasNextPage"]:
                more[branch] = str(pulls["pageInfo"]["endCursor"])
    except (KeyError, TypeError, ValueError) as error:
        raise unreadable_error(error) from error
    return found, more


def read_parent(data: Mapping[str, Any]) -> str | None:
    """`OWNER/NAME` of what a repository was forked from; None of one that is no fork."""
    parent = (data.get("repository") or {}).get("parent") or {}
    name = parent.get("nameWithOwner")
    return str(name) if name else None


def _is_from(node: Mapping[str, Any], fork: str | None) -> bool:
    """Whether its branch is in the repository itself, or in that fork; of a fork that is gone the
    owner is left."""
    if fork is None or not node["isCrossRepository"]:
        return fork is None and not node["isCrossRepository"]
    named = (node["headRepository"] or {}).get("nameWithOwner")
    owner = (node["headRepositoryOwner"] or {}).get("login") or ""
    return str(named or f"{owner}/{fork.partition('/')[2]}").lower() == fork.lower()


def pull_request_from_node(node: Mapping[str, Any]) -> PullRequest:
    """A pull request as GraphQL gives it. Raises KeyError, TypeError, ValueError."""
    target = (node["headRef"] or {}).get("target") or {}
    rollup = target.get("statusCheckRollup") if target.get("oid") == node["headRefOid"] else None
    review = node["reviewDecision"]
    return PullRequest(
        number=int(node["number"]),
        url=str(node["url"]),
        title=str(node["title"]),
        body=str(node["body"] or ""),
        head=str(node["headRefName"]),
        base=str(node["baseRefName"]),
        head_sha=str(node["headRefOid"]),
        draft=bool(node["isDraft"]),
        state=PRState(str(node["state"]).lower()),
        created_at=str(node["createdAt"]),
        updated_at=str(node["updatedAt"]),
        checks=_CHECKS.get(str(rollup["state"])) if rollup else None,
        review=str(review).lower() if review else None,
    )


def pull_request_from_rest(pull: Any) -> PullRequest:
    """A pull request as the REST API gives it, without checks and reviews."""
    try:
        state = PRState.MERGED if pull["merged_at"] else PRState(pull["state"])
        return PullRequest(
            number=int(pull["number"]),
            url=str(pull["html_url"]),
            title=str(pull["title"]),
            body=str(pull["body"] or ""),
            head=str(pull["head"]["ref"]),
            base=str(pull["base"]["ref"]),
            head_sha=str(pull["head"]["sha"]),
            draft=bool(pull["draft"]),
            state=state,
            created_at=str(pull["created_at"]),
            updated_at=str(pull["updated_at"]),
            merged_as=pull.get("merge_commit_sha") if state is PRState.MERGED else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise unreadable_error(error) from error


QUEUED = """\
query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) { id isDraft isInMergeQueue }
  }
  rateLimit { cost remaining }
}
"""
UNDRAFT = """\
mutation($id: ID!) {
  markPullRequestReadyForReview(input: {pullRequestId: $id}) { pullRequest { isDraft } }
}
"""
ENQUEUE = """\
mutation($id: ID!, $sha: GitObjectID!) {
  enqueuePullRequest(input: {pullRequestId: $id, expectedHeadOid: $sha}) {
    mergeQueueEntry { id }
  }
}
"""


def read_queue_state(data: Mapping[str, Any]) -> tuple[str, bool, bool]:
    """A pull request's id, whether it is a draft, whether it waits in the merge queue."""
    try:
        pull = data["repository"]["pullRequest"]
        return str(pull["id"]), bool(pull["isDraft"]), bool(pull["isInMergeQueue"])
    except (KeyError, TypeError) as error:
        raise unreadable_error(error) from error


COMMENTS = """\
query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) { comments(last: 100) { nodes { body viewerDidAuthor } } }
  }
  rateLimit { cost remaining }
}
"""


def read_own_comments(data: Mapping[str, Any]) -> list[str]:
    """What we said at a pull request, of its last 100 comments."""
    try:
        nodes = data["repository"]["pullRequest"]["comments"]["nodes"]
        return [str(node["body"]) for node in nodes if node["viewerDidAuthor"]]
    except (KeyError, TypeError) as error:
        raise unreadable_error(error) from error


REVIEWERS = """\
query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      author { login }
      reviewRequests(first: 100) {
        nodes { requestedReviewer {
          __typename ... on User { login } ... on Bot { login } ... on Team { combinedSlug }
        } }
      }
      reviews(last: 100) {
        nodes { author { login } onBehalfOf(first: 10) { nodes { combinedSlug } } }
      }
    }
  }
  rateLimit { cost remaining }
}
"""


def read_reviewers(data: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Who wrote a pull request, and who was asked for a review or has reviewed: logins and
    `ORG/TEAM`."""
    try:
        pull = data["repository"]["pullRequest"]
        found: list[str] = []
        for node in pull["reviewRequests"]["nodes"]:
            who = (node or {}).get("requestedReviewer") or {}
            found += [str(who[key]) for key in ("login", "combinedSlug") if who.get(key)]
        for review in pull["reviews"]["nodes"]:
            found += [str(review["author"]["login"])] if review["author"] else []
            found += [str(team["combinedSlug"]) for team in review["onBehalfOf"]["nodes"]]
        return str((pull["author"] or {}).get("login") or ""), found
    except (KeyError, TypeError) as error:
        raise unreadable_error(error) from error


def build_rights_query(count: int) -> str:
    """Who we are, and what we may do in ``count`` repositories ($o0 $n0 $o1 $n1 ...)."""
    declared = ", ".join(f"$o{n}: String!, $n{n}: String!" for n in range(count))
    asked = "".join(
        f"  r{n}: repository(owner: $o{n}, name: $n{n}) {{ viewerPermission isArchived }}\n"
        for n in range(count)
    )
    head = f"query({declared}) {{\n" if count else "query {\n"
    return f"{head}  viewer {{ login }}\n{asked}  rateLimit {{ cost remaining }}\n}}\n"


def unreadable_error(error: Exception) -> ForgeError:
    return ForgeError(
        f"GitHub's answer cannot be read: {type(error).__name__} {error}",
        hint="a newer orchestr may know it; gh api graphql shows what the host says",
    )
