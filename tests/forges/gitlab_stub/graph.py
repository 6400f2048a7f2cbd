"""The GraphQL API of the stub: the part of the real one in `schema.graphql`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from graphql import build_schema, graphql_sync

from tests.forges.github_stub.common import ME, Row

from .rest import RestDoor
from .state import is_draft

SCHEMA = build_schema((Path(__file__).parent / "schema.graphql").read_text())
Value = dict[str, Any]
PAGE = 100
_JOBS = {"SUCCESS": "SUCCESS", "FAILURE": "FAILED", "CANCELLED": "CANCELED", None: "RUNNING"}
_STATUSES = {"pending": "PENDING", "success": "SUCCESS", "failed": "FAILED"}


class GraphDoor(RestDoor):
    """Answers GraphQL queries."""

    def graphql(self, asked: Mapping[str, Any]) -> tuple[int, Any]:
        """One query."""
        text = str(asked["query"])
        self.queries.append(text)
        if self.complexity and len(text) > self.complexity:
            told = f"Query has complexity of {len(text)}, which exceeds max complexity of 250"
            return 200, {"errors": [{"message": told}]}
        root = {"currentUser": {"username": ME}, "project": self._graph_project}
        done = graphql_sync(SCHEMA, text, root, variable_values=asked.get("variables") or {})
        return 200, done.formatted

    def _graph_project(self, _info: Any, fullPath: str) -> Value | None:
        slug = fullPath
        if slug not in self.repos:
            return None
        self.follow(slug)

        def pulls(_info: Any, **asked: Any) -> Value:
            rows = self.pulls.get(slug, [])
            if asked.get("iids") is not None:
                rows = [row for row in rows if str(row["number"]) in asked["iids"]]
            if asked.get("sourceBranches") is not None:
                rows = [row for row in rows if row["head"] in asked["sourceBranches"]]
            return paged(rows[::-1], lambda row: self._graph_pull(slug, row), asked)

        def tree(_info: Any, ref: str | None = None) -> Value | None:
            tip = self.heads(slug).get(ref or "main")
            if tip is None:
                return None
            pipeline = self._graph_pipeline(slug, tip)
            found = [pipeline] if pipeline else []
            commit = {"sha": tip, "pipelines": lambda _info, **a: paged(found, lambda p: p, a)}
            return {"lastCommit": commit}

        def pipeline(_info: Any, id: str) -> Value | None:
            return self._graph_pipeline(slug, id.rsplit("/", 1)[-1])

        return {"id": f"gid://gitlab/Project/{len(slug)}",
                "onlyAllowMergeIfPipelineSucceeds": self.wants_green, "mergeRequests": pulls,
                "repository": {"tree": tree}, "pipeline": pipeline}  # fmt: skip

    def _graph_pull(self, slug: str, pull: Row) -> Value:
        row = self.row(slug, pull)
        approvals, wishes = pull.get("approvals", []), pull.get("wishes", [])
        reviewers = [
            {"username": name, "mergeRequestInteraction": {
                "reviewState": "REQUESTED_CHANGES" if name in wishes else "UNREVIEWED"}}
            for name in dict.fromkeys([*pull["reviewers"], *wishes])
        ]  # fmt: skip
        return {
            "id": f"gid://gitlab/MergeRequest/{pull['node_id']}", "iid": str(pull["number"]),
            "webUrl": row["web_url"], "title": pull["title"], "description": pull["body"],
            "sourceBranch": pull["head"], "targetBranch": pull["base"],
            "diffHeadSha": pull["head_sha"], "draft": is_draft(pull), "state": row["state"],
            "createdAt": pull["created_at"], "updatedAt": pull["updated_at"],
            "sourceProjectId": 2 if pull.get("fork") else 1, "projectId": 1,
            "approved": bool(approvals), "conflicts": row["has_conflicts"],
            "detailedMergeStatus": row["detailed_merge_status"].upper(),
            "approvedBy": {"nodes": [{"username": name, "bot": False} for name in approvals]},
            "reviewers": {"nodes": reviewers},
            "labels": {"nodes": [{"title": name} for name in pull["labels"]]},
            "headPipeline": lambda _info: self._graph_pipeline(slug, pull["head_sha"]),
            "discussions": lambda _info, **asked: self._graph_talk(slug, pull, asked),
        }  # fmt: skip

    def _graph_pipeline(self, slug: str, sha: str) -> Value | None:
        status = self.judge_pipeline(sha)
        if status is None:
            return None
        jobs = [
            {"id": f"gid://gitlab/Ci::Build/{run['number']}", "name": run["name"],
             "status": run.get("status") or _JOBS[run["conclusion"]],
             "allowFailure": bool(run.get("allow_failure")),
             "webPath": f"/{slug}/-/jobs/{run['number']}"}
            for run in self.runs.get(sha, [])
        ]  # fmt: skip
        jobs += [
            {"id": "gid://gitlab/GenericCommitStatus/7", "name": name,
             "status": _STATUSES[row["state"]], "allowFailure": False, "webPath": None}
            for name, row in self.statuses.get(sha, {}).items()
        ]  # fmt: skip
        return {"id": f"gid://gitlab/Ci::Pipeline/{sha}", "status": status,
                "jobs": lambda _info, **asked: paged(jobs, lambda job: job, asked)}  # fmt: skip

    def _graph_talk(self, slug: str, pull: Row, asked: Mapping[str, Any]) -> Value:
        key = f"{slug}#{pull['number']}"
        found: list[tuple[str, Value]] = []
        for row in self.said.get(key, []):
            if row["kind"] in ("IssueComment", "SystemNote"):
                gid = f"gid://gitlab/IndividualNoteDiscussion/{row['id']}"
                found.append((row["at"], self._graph_discussion(gid, [row], False, None)))
        for thread in self.threads.get(key, []):
            gid = f"gid://gitlab/DiffDiscussion/{thread['id']}"
            place = {"newPath": thread["path"], "oldPath": thread["path"],
                     "newLine": thread["line"], "oldLine": None}  # fmt: skip
            talk = self._graph_discussion(gid, thread["comments"], thread["resolved"], place)
            found.append((thread["comments"][0]["at"], talk))
        found.sort(key=lambda pair: pair[0])
        return paged([talk for _, talk in found], lambda talk: talk, asked)

    def _graph_discussion(
        self, gid: str, rows: Sequence[Row], resolved: bool, place: Value | None
    ) -> Value:
        notes = [
            {"id": f"gid://gitlab/Note/{row['number']}", "body": row["body"],
             "createdAt": row["at"], "system": "action" in row, "url": None, "position": place,
             "maxAccessLevelOfAuthor": "Developer" if row["author"] in self.writers else None,
             "author": {"username": row["author"], "bot": bool(row.get("bot"))},
             "systemNoteMetadata": {"action": row["action"]} if "action" in row else None}
            for row in rows
        ]  # fmt: skip
        return {"id": gid, "resolved": resolved,
                "notes": lambda _info, **asked: paged(notes, lambda note: note, asked)}  # fmt: skip


def paged(rows: Sequence[Any], make: Callable[[Any], Any], asked: Mapping[str, Any]) -> Value:
    """A page of a connection; the cursor is how many rows stand before it."""
    start, size = int(asked.get("after") or 0), min(int(asked.get("first") or PAGE), PAGE)
    more = start + size < len(rows)
    info = {"hasNextPage": more, "endCursor": str(start + size) if more else None}
    return {"nodes": [make(row) for row in rows[start : start + size]], "pageInfo": info}
