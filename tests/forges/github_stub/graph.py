"""The GraphQL API of the stub: the part of the real schema in `schema.graphql`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from graphql import GraphQLError, build_schema, graphql_sync, parse

from .common import HOST, ME, SHA, Row, git
from .cost import Price
from .people import People

SCHEMA = build_schema((Path(__file__).parent / "schema.graphql").read_text())
Value = dict[str, Any]


class GraphDoor(People):
    """Answers GraphQL queries at GitHub's price."""

    def graphql(self, asked: Mapping[str, Any]) -> tuple[int, Any]:
        """One query."""
        self.queries.append(asked["query"])
        variables = asked.get("variables") or {}
        if self.heavy and asked["query"].count("pullRequest(number") > self.heavy:
            return 502, {"message": "We couldn't respond to your request in time."}
        for field in sorted(self.lacking):
            if re.search(rf"\b{field}\b", asked["query"]):
                return 200, {"errors": [
                    {"message": f"Field '{field}' doesn't exist on type 'T'",
                     "path": ["query", "repository", "ref", "branchProtectionRule", field],
                     "extensions": {"code": "undefinedField", "fieldName": field},
                     "locations": [{"line": 4, "column": 7}]}
                ]}  # fmt: skip
        try:
            price = Price(parse(asked["query"]), variables)
        except ValueError as error:
            return 200, {"errors": [{"message": str(error), "locations": []}]}

        def limit(_info: Any, **_: Any) -> Value:
            self.remaining -= price.points
            self.points += price.points
            return {"cost": price.points, "remaining": self.remaining, "limit": 5000}

        root = {"repository": self._repository, "rateLimit": limit, "viewer": {"login": ME},
                "node": lambda _info, id: self._node(id),
                "markPullRequestReadyForReview": self._make_ready,
                "enqueuePullRequest": self._enqueue}  # fmt: skip
        done = graphql_sync(SCHEMA, asked["query"], root, variable_values=variables)
        value = dict(done.formatted)
        for error in value.get("errors", []):
            error.update(error.pop("extensions", {}))
        return 200, value

    # --- roots ---------------------------------------------------------------------------------

    def _repository(self, _info: Any, owner: str, name: str, **_: Any) -> Value:
        slug = f"{owner}/{name}"
        slug = self.renamed.get(slug, slug)
        if slug not in self.repos:
            told = f"Could not resolve to a Repository with the name '{slug}'."
            raise GraphQLError(told, extensions={"type": "NOT_FOUND"})
        self.follow(slug)

        def pulls(_info: Any, headRefName: str, first: int, **more: Any) -> Value:
            assert more["orderBy"] == {"field": "CREATED_AT", "direction": "DESC"}
            mine = [p for p in reversed(self.pulls.get(slug, [])) if p["head"] == headRefName]
            return paged(mine, lambda pull: self._pull(slug, pull), first, after=more.get("after"))

        def one(_info: Any, number: int) -> Value:
            known = self.pulls.get(slug, [])
            if not 1 <= number <= len(known):
                told = f"Could not resolve to a PullRequest with the number of {number}."
                raise GraphQLError(told, extensions={"type": "NOT_FOUND"})
            pull = known[number - 1]
            return self._pull(slug, pull) | {"isInMergeQueue": self._queued(slug, pull)}

        def ref(_info: Any, qualifiedName: str) -> Value | None:
            return self._ref(slug, qualifiedName.removeprefix("refs/heads/"))

        return {"pullRequests": pulls, "pullRequest": one, "isArchived": False, "ref": ref,
                "defaultBranchRef": lambda _info: self._ref(slug, "main"),
                "parent": {"nameWithOwner": self.forks[slug]} if slug in self.forks else None,
                "nameWithOwner": slug, "viewerPermission": self.permission}  # fmt: skip

    def _queued(self, slug: str, pull: Row) -> Callable[..., bool]:
        return lambda _info: self.move_queue(slug, pull)

    def _node(self, node: str) -> Value:
        kind, _, rest = node.partition("_")
        if kind == "PR":
            slug, pull = self._find_pull(node)
            return {"__typename": "PullRequest", **self._pull(slug, pull)}
        if kind == "SCR":
            slug, _, sha = rest.partition("@")
            return {"__typename": "StatusCheckRollup", **self._rollup(slug, sha)}
        for threads in self.threads.values():
            for thread in threads:
                if thread["id"] == node:
                    return {"__typename": "PullRequestReviewThread", **self._thread(thread)}
        for runs in self.runs.values():
            for run in runs:
                if run["id"] == node:
                    return self._run(run)
        told = f"Could not resolve to a node with the global id of '{node}'"
        raise GraphQLError(told, extensions={"type": "NOT_FOUND"})

    def _find_pull(self, node: str) -> tuple[str, Row]:
        for slug, pulls in self.pulls.items():
            for pull in pulls:
                if pull["node_id"] == node:
                    return slug, pull
        told = f"Could not resolve to a node with the global id of '{node}'"
        raise GraphQLError(told, extensions={"type": "NOT_FOUND"})

    def _make_ready(self, _info: Any, input: Mapping[str, str]) -> Value:
        self._find_pull(input["pullRequestId"])[1]["draft"] = False
        self.save()
        return {"pullRequest": {"isDraft": False}}

    def _enqueue(self, _info: Any, input: Mapping[str, str]) -> Value:
        pull = self._find_pull(input["pullRequestId"])[1]
        if not self.queues:
            raise GraphQLError("Merge queue is not enabled for this branch")
        if pull["draft"] or input["expectedHeadOid"] != pull["head_sha"]:
            raise GraphQLError("Pull request is not in a mergeable state")
        pull["queued"] = 2
        self.save()
        return {"mergeQueueEntry": {"id": "MQE_1"}}

    # --- pull requests -------------------------------------------------------------------------

    def _pull(self, slug: str, pull: Row) -> Value:
        key = f"{slug}#{pull['number']}"
        source = "x/fork" if pull.get("fork") else str(pull.get("source") or slug)
        said = self.said.get(key, [])
        reviews = [row for row in said if row["kind"] == "PullRequestReview"]
        asked = [row["requestedReviewer"] for row in map(_request, pull["reviewers"])]

        def timeline(_info: Any, itemTypes: Sequence[str], **more: Any) -> Value:
            assert set(itemTypes) == {"ISSUE_COMMENT", "PULL_REQUEST_REVIEW", "CLOSED_EVENT"}
            return paged(said, self._entry, **more)

        def general(_info: Any, **more: Any) -> Value:
            mine = [row for row in said if row["kind"] == "IssueComment"]
            return paged(mine, self._entry, **more)

        return {
            "id": pull["node_id"],
            "number": pull["number"],
            "url": f"https://{HOST}/{slug}/pull/{pull['number']}",
            "title": pull["title"],
            "body": pull["body"],
            "state": pull["state"].upper(),
            "isDraft": pull["draft"],
            "isCrossRepository": bool(pull.get("fork") or pull.get("source")),
            "headRepository": {"nameWithOwner": source},
            "headRepositoryOwner": {"__typename": "Organization", "login": source.split("/")[0]},
            "createdAt": pull["created_at"],
            "updatedAt": pull["updated_at"],
            "headRefName": pull["head"],
            "headRefOid": pull["head_sha"],
            "baseRefName": pull["base"],
            "reviewDecision": lambda _info: self._shown_field("reviewDecision", pull["review"]),
            "headRef": self._ref(pull.get("source") or slug, pull["head"], pull),
            "baseRef": self._ref(slug, pull["base"]),
            "author": actor(ME),
            "mergeable": lambda _info: self._mergeable(slug, pull)[0],
            "mergeStateStatus": lambda _info: self._mergeable(slug, pull)[1],
            "labels": lists(pull["labels"], lambda name: {"id": f"L_{name}", "name": name}),
            "reviewThreads": lists(self.threads.get(key, []), self._thread),
            "timelineItems": timeline,
            "comments": general,
            "reviews": lists(reviews, self._entry),
            "reviewRequests": lists(asked, lambda who: {"id": "RR", "requestedReviewer": who}),
        }

    def _mergeable(self, slug: str, pull: Row) -> tuple[str, str]:
        if self.unsure:
            self.unsure -= 1
            return "UNKNOWN", "UNKNOWN"
        if pull["state"] != "open" or pull.get("fork"):
            return "UNKNOWN", "UNKNOWN"
        base = self.heads(slug)[pull["base"]]
        bare = self.repos[slug]
        tree = git(bare, "merge-tree", "--write-tree", base, pull["head_sha"])
        if not SHA.fullmatch(tree.split("\n")[0]):
            return "CONFLICTING", "DIRTY"
        if pull["draft"]:
            return "MERGEABLE", "DRAFT"
        if self.protected:
            return "MERGEABLE", "BLOCKED"
        behind = git(bare, "rev-list", "-1", base, f"^{pull['head_sha']}")
        is_behind = bool(behind) and pull["base"] in self.strict
        return "MERGEABLE", "BEHIND" if is_behind else "CLEAN"

    def _ref(self, slug: str, name: str, pull: Row | None = None) -> Value | None:
        """A branch; with ``pull``, as the head of a pull request that may lag behind a push."""
        sha = self.heads(slug).get(name)
        if sha is None:
            return None
        shown = pull["head_sha"] if pull is not None else sha

        def compare(_info: Any, headRef: str) -> Value:
            head = self.heads(slug)[headRef]
            counts = git(self.repos[slug], "rev-list", "--left-right", "--count", f"{sha}...{head}")
            behind, ahead = counts.split()
            return {"id": "CMP", "behindBy": int(behind), "aheadBy": int(ahead),
                    "baseTarget": self._commit(slug, sha),
                    "headTarget": self._commit(slug, head)}  # fmt: skip

        protection, rules = self._rules_of(name)
        return {
            "id": f"REF_{name}",
            "name": name,
            "target": self._commit(slug, shown, pull),
            "compare": compare,
            "branchProtectionRule": lambda _info: self._shown_field(
                "branchProtectionRule", protection
            ),
            "rules": lists(rules, dict),
        }

    def _rules_of(self, name: str) -> tuple[Value | None, list[Value]]:
        """What protects a branch: a rule, or (`by_ruleset`) the parameters of rulesets."""
        strict, wants = name in self.strict, self.wants.get(name, {})
        checks = sorted(wants.get("checks", ()))
        approvals, owners = wants.get("approvals", 0), bool(wants.get("owners"))
        resolved = bool(wants.get("resolved"))
        if not self.by_ruleset:
            return {"id": "BPR", "requiresStrictStatusChecks": strict,
                    "requiresStatusChecks": bool(checks), "requiredStatusCheckContexts": checks,
                    "requiresApprovingReviews": bool(approvals),
                    "requiredApprovingReviewCount": approvals or None,
                    "requiresCodeOwnerReviews": owners, "lockBranch": bool(wants.get("locked")),
                    "requiresConversationResolution": resolved}, []  # fmt: skip
        of_checks = {"__typename": "RequiredStatusChecksParameters",
                     "strictRequiredStatusChecksPolicy": strict,
                     "requiredStatusChecks": [{"context": each} for each in checks]}  # fmt: skip
        of_people = {"__typename": "PullRequestParameters", "requireCodeOwnerReview": owners,
                     "requiredApprovingReviewCount": approvals,
                     "requiredReviewThreadResolution": resolved}  # fmt: skip
        found = [of_checks] if strict or checks else []
        found += [of_people] if approvals or owners or resolved else []
        return None, [{"id": f"RULE_{n}", "parameters": each} for n, each in enumerate(found)]

    # --- checks --------------------------------------------------------------------------------

    def _commit(self, slug: str, sha: str, pull: Row | None = None) -> Value:
        there = self.runs.get(sha) or self.statuses.get(sha) or (pull or {}).get("checks")
        rollup = self._rollup(slug, sha, (pull or {}).get("checks")) if there else None
        return {
            "__typename": "Commit",
            "id": f"C_{sha}",
            "oid": sha,
            "statusCheckRollup": lambda _info: self._shown_field("statusCheckRollup", rollup),
        }

    def _shown_field(self, name: str, value: Any) -> Any:
        if name in self.hidden:
            told = "Resource not accessible by personal access token"
            raise GraphQLError(told, extensions={"type": "FORBIDDEN"})
        return value

    def _rollup(self, slug: str, sha: str, state: str | None = None) -> Value:
        rows = [self._run(run) for run in self.runs.get(sha, [])]
        rows += [self._status_of(name, row) for name, row in self.statuses.get(sha, {}).items()]
        states = {str(row.get("conclusion", row.get("state"))) for row in rows}
        known = "FAILURE" if "FAILURE" in states else "PENDING" if "None" in states else "SUCCESS"
        contexts = lists(rows, dict)
        return {"id": f"SCR_{slug}@{sha}", "state": state or known, "contexts": contexts}

    def _is_required(self, name: str) -> Callable[..., bool]:
        def is_required(_info: Any, pullRequestNumber: int | None = None, **_: Any) -> bool:
            assert pullRequestNumber is not None
            return name in self.required

        return is_required

    def _run(self, run: Row) -> Value:
        workflow = {"id": "W", "name": run["workflow"]} if run["workflow"] else None
        suite = {"id": "CS", "app": {"id": "APP", "slug": run["app"], "name": run["app"]},
                 "workflowRun": workflow and {"id": "WR", "event": run["event"],
                                              "workflow": workflow}}  # fmt: skip
        where = f"https://{HOST}/runs/{run['number']}"
        status = "QUEUED" if run["again"] else "IN_PROGRESS"
        return {
            "__typename": "CheckRun",
            "id": run["id"],
            "databaseId": run["number"],
            "name": run["name"],
            "status": "COMPLETED" if run["conclusion"] else status,
            "conclusion": run["conclusion"],
            "startedAt": run["at"],
            "detailsUrl": where,
            "permalink": where,
            "title": run.get("title"),
            "summary": run.get("summary"),
            "text": run.get("text"),
            "checkSuite": suite,
            "isRequired": self._is_required(run["name"]),
            "annotations": lists(run["annotations"], _annotation),
        }

    def _status_of(self, name: str, row: Row) -> Value:
        return {"__typename": "StatusContext", "id": row["id"], "context": name,
                "state": row["state"].upper(), "targetUrl": None,
                "description": row["description"],
                "isRequired": self._is_required(name)}  # fmt: skip

    # --- what is said --------------------------------------------------------------------------

    def _entry(self, row: Row) -> Value:
        """A comment, a review or an event."""
        login = row["author"]
        unknown = "CONTRIBUTOR" if login in self.writers else "NONE"
        return {
            "__typename": row["kind"],
            "id": row["id"],
            "body": row["body"],
            "url": f"https://{HOST}/x#issuecomment-{row['number']}",
            "createdAt": row["at"],
            "submittedAt": row["at"],
            "viewerDidAuthor": login == ME,
            "isMinimized": bool(row.get("hidden")),
            "authorAssociation": self.associations.get(login, unknown),
            "author": actor(login, bot=bool(row.get("bot"))),
            "actor": actor(login, bot=bool(row.get("bot"))),
            "state": row.get("state"),
            "authorCanPushToRepository": login in self.writers,
            "commit": {"__typename": "Commit", "oid": row["commit"]} if row.get("commit") else None,
            "onBehalfOf": lists(row.get("teams", []), lambda t: {"id": "T", "combinedSlug": t}),
        }

    def _thread(self, thread: Row) -> Value:
        return {
            "id": thread["id"],
            "isResolved": thread["resolved"],
            "path": thread["path"],
            "line": None if thread.get("outdated") else thread["line"] or None,
            "originalLine": thread["line"] or None,
            "comments": lists(thread["comments"], self._thread_comment),
        }

    def _thread_comment(self, row: Row) -> Value:
        return {
            **self._entry({"kind": "PullRequestReviewComment", **row}),
            "url": f"https://{HOST}/x#discussion_r{row['number']}",
            "state": row.get("state", "SUBMITTED"),
            "pullRequestReview": {"authorCanPushToRepository": row["author"] in self.writers},
        }


def actor(login: str, *, bot: bool = False) -> Value | None:
    """An account as GraphQL has it: a bot's login without its ``[bot]``; None for one that is
    gone."""
    if not login:
        return None
    kind = "Bot" if bot else "User"
    return {"__typename": kind, "id": f"U_{login}", "login": login.removesuffix("[bot]")}


def _request(name: str) -> Value:
    if "/" in name:
        return {"requestedReviewer": {"__typename": "Team", "id": "T", "combinedSlug": name}}
    return {"requestedReviewer": actor(name)}


def _annotation(row: Row) -> Value:
    return {
        "path": row["path"],
        "message": row["message"],
        "title": row.get("title"),
        "annotationLevel": row.get("level", "FAILURE"),
        "location": {"start": {"line": row["line"]}, "end": {"line": row["line"]}},
    }


def lists(rows: Sequence[Any], make: Callable[[Any], Any]) -> Callable[..., Value]:
    """A connection of these rows."""
    return lambda _info, **more: paged(rows, make, **more)


def paged(
    rows: Sequence[Any],
    make: Callable[[Any], Any],
    first: int | None = None,
    last: int | None = None,
    after: str | None = None,
    before: str | None = None,
    **_: Any,
) -> Value:
    """A page; a cursor is the number of entries before it."""
    start, end = int(after or 0), int(before) if before else len(rows)
    if first is not None:
        end = min(end, start + first)
    if last is not None:
        start = max(start, end - last)
    info = {"hasNextPage": end < len(rows), "endCursor": str(end),
            "hasPreviousPage": start > 0, "startCursor": str(start)}  # fmt: skip
    nodes = [make(row) for row in rows[start:end]]
    return {"nodes": nodes, "pageInfo": info, "totalCount": len(rows)}
