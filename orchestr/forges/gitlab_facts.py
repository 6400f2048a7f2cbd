"""What is asked of GitLab about merge requests that are followed, and how the answers read. Pure.

A thread at a place is a discussion with a position. Of the general conversation each comment is a
thread of its own, also one that others replied to. A review is no text at GitLab: approvals and
wishes for changes leave notes of the system, the words that came with them are comments.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from orchestr.forges import gitlab_query as query
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
from orchestr.forges.gitlab_remote import ProjectPath

_JOBS = """nodes { id name status allowFailure webPath } pageInfo { hasNextPage endCursor }"""
_TALK = """
  nodes {
    id resolved
    notes(first: 100) {
      nodes {
        id body createdAt system url maxAccessLevelOfAuthor
        author { username bot }
        systemNoteMetadata { action }
        position { newPath oldPath newLine oldLine }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
  pageInfo { hasNextPage endCursor }
"""
_PIPELINE = f"id status jobs(retried: false, first: 100) {{ {_JOBS} }}"
_PULLS = f"{query.PULL} labels {{ nodes {{ title }} }} headPipeline {{ {_PIPELINE} }}"
_BASE = f"lastCommit {{ sha pipelines(first: 1) {{ nodes {{ {_PIPELINE} }} }} }}"
_RULE = "onlyAllowMergeIfPipelineSucceeds"
MORE_TALK = f"""\
query($path: ID!, $iids: [String!], $after: String) {{
  project(fullPath: $path) {{
    mergeRequests(iids: $iids, first: 1) {{
      nodes {{ discussions(first: 100, after: $after) {{ {_TALK} }} }}
    }}
  }}
}}
"""
MORE_JOBS = f"""\
query($path: ID!, $id: CiPipelineID, $after: String) {{
  project(fullPath: $path) {{
    pipeline(id: $id) {{ jobs(retried: false, first: 100, after: $after) {{ {_JOBS} }} }}
  }}
}}
"""
_WRITERS = ("Developer", "Maintainer", "Owner")
_JOB_STATES = {
    "SUCCESS": CheckState.SUCCESS,
    "SKIPPED": CheckState.SUCCESS,
    "FAILED": CheckState.FAILURE,
    "CANCELED": CheckState.CANCELLED,
}
_UNSURE = ("UNCHECKED", "CHECKING", "PREPARING")
_VERDICTS = {
    "approved": Verdict.APPROVED,
    "requested_changes": Verdict.CHANGES_REQUESTED,
}


@dataclass(slots=True)
class Wanted:
    """What one query asks for: pull requests with or without what was said, and bases."""

    numbers: Sequence[int] = ()
    facts: bool = True
    talk: bool = True
    bases: Sequence[str] = ()


def build_query(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    """The query and its variables, but for the project's path."""
    declared, variables, parts = ["$path: ID!"], dict[str, Any](), list[str]()
    if wanted.numbers:
        declared.append("$iids: [String!]")
        variables["iids"] = [str(number) for number in wanted.numbers]
        fields = _PULLS if wanted.facts else "iid"
        talk = f"discussions(first: 100) {{ {_TALK} }}" if wanted.talk else ""
        parts.append(f"mergeRequests(iids: $iids, first: 100) {{ nodes {{ {fields} {talk} }} }}")
    trees = []
    for n, base in enumerate(wanted.bases):
        declared.append(f"$b{n}: String")
        variables[f"b{n}"] = base
        trees.append(f"b{n}: tree(ref: $b{n}) {{ {_BASE} }}")
    if trees:
        parts.append(f"repository {{ {' '.join(trees)} }}")
    inner = " ".join(parts)
    text = f"query({', '.join(declared)}) {{ project(fullPath: $path) {{ {_RULE} {inner} }} }}"
    return text, variables


@dataclass(slots=True)
class Answers:
    """What GitLab said about one project: nodes by number, bases by name, whether a pipeline has to
    be green."""

    pulls: dict[int, dict[str, Any]] = field(default_factory=dict)
    bases: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    wants_green: bool = False

    def read(self, wanted: Wanted, data: Mapping[str, Any]) -> None:
        """Add an answer. Raises KeyError, TypeError, ValueError when it is not well-formed."""
        project = data["project"]
        self.wants_green = bool(project.get(_RULE))
        for node in (project.get("mergeRequests") or {}).get("nodes") or ():
            self.pulls.setdefault(int(node["iid"]), {}).update(node)
        for n, base in enumerate(wanted.bases):
            tree = (project.get("repository") or {}).get(f"b{n}") or {}
            self.bases[base] = tree.get("lastCommit") or {}


def make_facts(
    project: ProjectPath,
    node: Mapping[str, Any],
    base: Mapping[str, Any],
    me: str,
    closed_by: str = "",
    *,
    wants_green: bool = False,
) -> PullRequestFacts:
    """The facts of one pull request. Raises KeyError, TypeError, ValueError."""
    pr = query.pull_request_from_graphql(node)
    discussions = node["discussions"]["nodes"]
    whole = not node["discussions"]["pageInfo"]["hasNextPage"] and not any(
        each["notes"]["pageInfo"]["hasNextPage"] for each in discussions
    )
    pipelines = (base.get("pipelines") or {}).get("nodes") or ()
    return PullRequestFacts(
        pr=pr,
        node_id=str(node["id"]),
        mergeability=read_mergeability(node),
        labels=tuple(str(label["title"]) for label in node["labels"]["nodes"]),
        checks=read_checks(project, node.get("headPipeline"), wants_green=wants_green),
        threads=tuple(_read_threads(discussions, me)),
        reviews=tuple(_read_reviews(node, discussions, me)),
        base_sha=str(base.get("sha") or ""),
        base_checks=read_checks(project, pipelines[0] if pipelines else None),
        closed_by=closed_by if pr.state is PRState.CLOSED else "",
        is_complete=whole,
    )


def read_mergeability(node: Mapping[str, Any]) -> Mergeability:
    """Whether it can be merged into its base as both are now."""
    status = str(node.get("detailedMergeStatus") or "")
    if status in _UNSURE:
        return Mergeability.UNKNOWN
    if node.get("conflicts") or status == "CONFLICT":
        return Mergeability.CONFLICTING
    return Mergeability.BEHIND if status == "NEED_REBASE" else Mergeability.CLEAN


def read_checks(
    project: ProjectPath, pipeline: Mapping[str, Any] | None, *, wants_green: bool = False
) -> tuple[CiCheck, ...]:
    """The jobs and external statuses of a pipeline, but for our own status. One that may fail is
    green, whatever it came to; one that waits for a person and may be left out, too."""
    if pipeline is None:
        return ()
    address = urlsplit(project.root)
    found = []
    for job in pipeline["jobs"]["nodes"]:
        if job["name"] == FEATURE_STATUS:
            continue
        kind, _, number = str(job["id"] or "").removeprefix("gid://gitlab/").partition("/")
        path = job.get("webPath")
        found.append(
            CiCheck(
                name=str(job["name"]),
                state=_read_job_state(job),
                url=f"{address.scheme}://{address.netloc}{path}" if path else "",
                id=f"job/{number}" if kind == "Ci::Build" else "",
                is_required=wants_green and not job.get("allowFailure"),
            )
        )
    return tuple(found)


def _read_job_state(job: Mapping[str, Any]) -> CheckState:
    status = str(job["status"] or "").upper()
    if job.get("allowFailure") and status in ("FAILED", "MANUAL", "CANCELED"):
        return CheckState.SUCCESS
    return _JOB_STATES.get(status, CheckState.PENDING)


def _read_threads(discussions: Sequence[Mapping[str, Any]], me: str) -> Iterator[Thread]:
    for each in discussions:
        notes = [note for note in each["notes"]["nodes"] if not note["system"]]
        if not notes:
            continue
        place = notes[0].get("position")
        resolved = bool(each.get("resolved"))
        if place:
            path = str(place.get("newPath") or place.get("oldPath") or "")
            line = int(place.get("newLine") or place.get("oldLine") or 0)
            said = tuple(_read_comment(note, me) for note in notes)
            yield Thread(str(each["id"]), said, path, line, resolved)
        else:
            for note in notes:
                comment = _read_comment(note, me)
                yield Thread(comment.id, (comment,), is_resolved=resolved)


def _read_comment(note: Mapping[str, Any], me: str) -> Comment:
    author = note.get("author") or {}
    name, body = str(author.get("username") or "ghost"), query.unguard_commands(str(note["body"]))
    ours = name == me and is_marked(body)
    return Comment(
        id=str(note["id"]),
        author=name,
        body=strip_said(body) if ours else body,
        created_at=query.read_time(str(note["createdAt"])),
        may_write=note.get("maxAccessLevelOfAuthor") in _WRITERS,
        is_bot=bool(author.get("bot")),
        is_ours=ours,
        url=str(note.get("url") or ""),
    )


def _read_reviews(
    node: Mapping[str, Any], discussions: Sequence[Mapping[str, Any]], me: str
) -> Iterator[PullRequestReview]:
    """Approvals and wishes for changes in their order; one that is taken back, or that a push
    reset, is dismissed. One without a note of its own (it may be hidden) comes last."""
    reviewers = (node.get("reviewers") or {}).get("nodes") or ()
    stands = {
        Verdict.APPROVED: {str(each["username"]) for each in node["approvedBy"]["nodes"]},
        Verdict.CHANGES_REQUESTED: {
            str(each["username"])
            for each in reviewers
            if (each.get("mergeRequestInteraction") or {}).get("reviewState") == "REQUESTED_CHANGES"
        },
    }
    noted = list(_list_verdicts(discussions))
    last = {(verdict, name): n for n, (verdict, name, _) in enumerate(noted)}
    for n, (verdict, name, note) in enumerate(noted):
        holds = name in stands[verdict] and last[verdict, name] == n
        comment = _read_comment({**note, "body": ""}, me)
        yield PullRequestReview(verdict if holds else Verdict.DISMISSED, comment)
    for verdict, names in stands.items():
        for name in sorted(names):
            if (verdict, name) not in last:
                at = query.read_time(str(node["updatedAt"]))
                key = f"{node['id']}:{verdict}:{name}"
                yield PullRequestReview(verdict, Comment(key, name, "", at, may_write=True))


def _list_verdicts(
    discussions: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[Verdict, str, Mapping[str, Any]]]:
    for each in discussions:
        for note in each["notes"]["nodes"]:
            action = (note.get("systemNoteMetadata") or {}).get("action")
            if note["system"] and action in _VERDICTS:
                yield _VERDICTS[action], str((note.get("author") or {}).get("username")), note


def find_bases(pulls: Mapping[int, Mapping[str, Any]], known: Collection[str]) -> list[str]:
    """The bases of pull requests that were not asked about yet."""
    named = (str(node["targetBranch"]) for node in pulls.values())
    return [base for base in dict.fromkeys(named) if base not in known]
