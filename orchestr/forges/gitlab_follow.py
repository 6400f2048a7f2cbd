"""Following merge requests at GitLab: the questions, answers in threads, reruns, statuses.

Owns the calls behind `FollowingForge`; the questions and their answers are
`orchestr.forges.gitlab_facts`, the form of our answers `.answers`.

All merge requests of a project are one query. Nothing is kept but what makes a later question
cheaper: the bases of merge requests, whether GitLab takes a query as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from orchestr.forges.answers import has_answer, write_answer
from orchestr.forges.base import ForgeAway, ForgeError, RepoRef
from orchestr.forges.ci_log import LOG_LIMIT, find_gitlab_script, keep_end
from orchestr.forges.followed import (
    CiCheck,
    Mergeability,
    PullRequestFacts,
    PullRequestKey,
    StatusState,
    Thread,
)
from orchestr.forges.gitlab_api import QueryTooComplex, unreadable_error
from orchestr.forges.gitlab_base import GitLabBase
from orchestr.forges.gitlab_facts import (
    MORE_JOBS,
    MORE_TALK,
    Answers,
    Wanted,
    build_query,
    find_bases,
    make_facts,
    read_mergeability,
)
from orchestr.forges.gitlab_query import guard_commands, unguard_commands
from orchestr.forges.gitlab_remote import ProjectPath
from orchestr.forges.rest_answers import RequestMissing, RequestRefused

PULLS = 50  # merge requests in one query
STATUS_LIMIT = 140  # letters of a commit status
_STATES = {StatusState.FAILURE: "failed"}
_RUNS = ("running", "pending", "created", "preparing", "waiting_for_resource")


class GitLabFollowing(GitLabBase):
    """`FollowingForge` of GitLab."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._bases: dict[tuple[ProjectPath, int], str] = {}
        self._splits: set[str] = set()  # the GitLabs that take no query as a whole
        self._statuses: dict[tuple[ProjectPath, str, str], tuple[str, str]] = {}

    # --- facts ---------------------------------------------------------------------------------

    def read_facts(self, keys: Sequence[PullRequestKey]) -> dict[PullRequestKey, PullRequestFacts]:
        """See `FollowingForge.read_facts`. One query a project, further ones for what is new, for
        lists of more than a hundred, and for a merge request whose state GitLab has to find out."""
        asked = {key: self.project_for(key.repo) for key in keys}
        found: dict[tuple[ProjectPath, int], PullRequestFacts] = {}
        for project in dict.fromkeys(asked.values()):
            numbers = dict.fromkeys(key.number for key in keys if asked[key] == project)
            for start in range(0, len(numbers), PULLS):
                part = list(numbers)[start : start + PULLS]
                facts = self._read_project(project, part)
                found |= {(project, number): each for number, each in facts.items()}
        return {
            key: found[project, key.number]
            for key, project in asked.items()
            if (project, key.number) in found
        }

    def _read_project(
        self, project: ProjectPath, numbers: Sequence[int]
    ) -> dict[int, PullRequestFacts]:
        me = self.api.read_own_name(project)
        with self._mutex:
            bases = [self._bases[project, n] for n in numbers if (project, n) in self._bases]
        answers = Answers()
        self._ask_once(project, answers, Wanted(numbers, bases=list(dict.fromkeys(bases))))
        try:
            missing = find_bases(answers.pulls, answers.bases)
            if missing:
                self._ask_once(project, answers, Wanted(bases=missing))
            facts = {}
            for number, node in answers.pulls.items():
                self._read_rest(project, node)
                base = str(node["targetBranch"])
                with self._mutex:
                    self._bases[project, number] = base
                closed_by = self._find_closer(project, number, node)
                facts[number] = make_facts(
                    project, node, answers.bases[base], me, closed_by,
                    wants_green=answers.wants_green,
                )  # fmt: skip
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise unreadable_error(project, error) from error
        return facts

    def _ask_once(self, project: ProjectPath, answers: Answers, wanted: Wanted) -> None:
        """One query; several where GitLab finds it too large."""
        queries = [wanted]
        if project.root in self._splits:
            queries = _split(wanted)
        try:
            for each in queries:
                self._ask_query(project, answers, each)
        except QueryTooComplex:
            if project.root in self._splits:
                raise
            self._splits.add(project.root)
            self._ask_once(project, answers, wanted)

    def _ask_query(self, project: ProjectPath, answers: Answers, wanted: Wanted) -> None:
        text, variables = build_query(wanted)
        data = self.api.send_graphql_query(project, text, {"path": project.path, **variables})
        if data.get("project") is None:
            raise self.missing_project_error(project)
        try:
            answers.read(wanted, data)
        except (KeyError, TypeError, ValueError) as error:
            raise unreadable_error(project, error) from error

    def _read_rest(self, project: ProjectPath, node: dict[str, Any]) -> None:
        """Read to their ends the lists that a page did not hold, and ask about a state that is not
        known: the question makes GitLab find out."""
        talk = node["discussions"]
        while talk["pageInfo"]["hasNextPage"]:
            names = {"path": project.path, "iids": [str(node["iid"])],
                     "after": talk["pageInfo"]["endCursor"]}  # fmt: skip
            data = self.api.send_graphql_query(project, MORE_TALK, names)
            (row,) = data["project"]["mergeRequests"]["nodes"]
            more = row["discussions"]
            talk["nodes"] += more["nodes"]
            talk["pageInfo"] = more["pageInfo"]
        pipeline = node.get("headPipeline")
        while pipeline and pipeline["jobs"]["pageInfo"]["hasNextPage"]:
            jobs = pipeline["jobs"]
            names = {"path": project.path, "id": pipeline["id"],
                     "after": jobs["pageInfo"]["endCursor"]}  # fmt: skip
            data = self.api.send_graphql_query(project, MORE_JOBS, names)
            more = data["project"]["pipeline"]["jobs"]
            jobs["nodes"] += more["nodes"]
            jobs["pageInfo"] = more["pageInfo"]
        if node["state"] == "opened" and read_mergeability(node) is Mergeability.UNKNOWN:
            row = self.read_row(project, int(node["iid"]))
            node["detailedMergeStatus"] = str(row.get("detailed_merge_status") or "").upper()
            node["conflicts"] = bool(row.get("has_conflicts"))

    def _find_closer(self, project: ProjectPath, number: int, node: dict[str, Any]) -> str:
        """Who closed it: only REST says it."""
        if node["state"] != "closed":
            return ""
        row = self.read_row(project, number)
        return str((row.get("closed_by") or {}).get("username") or "")

    # --- CI ------------------------------------------------------------------------------------

    def read_check_log(self, repo: RepoRef, check: CiCheck) -> str:
        """See `FollowingForge.read_check_log`: what the job's script printed."""
        kind, _, number = check.id.partition("/")
        if kind != "job":
            return check.summary
        project = self.project_for(repo)
        try:
            log = self.api.fetch_text(project, f"{project.api}/jobs/{number}/trace")
        except RequestMissing:
            return ""
        return self.api.hide_secrets(keep_end(find_gitlab_script(log), LOG_LIMIT))

    def rerun_check(self, repo: RepoRef, check: CiCheck) -> None:
        """See `FollowingForge.rerun_check`. One that runs already is running again."""
        kind, _, number = check.id.partition("/")
        if kind != "job":
            raise ForgeError(f"{check.name} is an external status: GitLab cannot run it again")
        project = self.project_for(repo)
        path = f"{project.api}/jobs/{number}"
        try:
            self.api.send_rest_request(project, "post", f"{path}/retry", again=False)
        except ForgeAway:
            raise
        except RequestRefused:
            row = self.api.read_object(project, path)
            if row.get("status") not in _RUNS:
                raise

    def set_commit_status(
        self, repo: RepoRef, sha: str, context: str, state: StatusState, text: str
    ) -> None:
        """See `FollowingForge.set_commit_status`. One that says so already is left; GitLab does not
        change the words of one that stays pending."""
        project = self.project_for(repo)
        text = text if len(text) <= STATUS_LIMIT else f"{text[: STATUS_LIMIT - 1]}…"
        wanted = _STATES.get(state, str(state))
        key = (project, sha, context)
        if key not in self._statuses:
            path = f"{project.api}/repository/commits/{sha}/statuses?{urlencode({'name': context})}"
            rows = self.api.read_list(project, path)
            said = [(str(row["status"]), str(row.get("description") or "")) for row in rows]
            self._statuses[key] = said[0] if said else ("", "")
        if self._statuses[key] == (wanted, text):
            return
        asked = {"state": wanted, "name": context, "description": text}
        try:
            self.api.make_object(project, f"{project.api}/statuses/{sha}", asked)
        except RequestRefused as error:
            if "transition" not in error.message:
                raise
        self._statuses[key] = (wanted, text)

    # --- answers -------------------------------------------------------------------------------

    def answer_once(self, repo: RepoRef, number: int, thread: Thread, body: str, key: str) -> None:
        """See `FollowingForge.answer_once`. Not sent twice when GitLab leaves open whether it took
        it: the next call looks for it first, as every call does."""
        project = self.project_for(repo)
        text = {"body": guard_commands(write_answer(thread, body, key))}
        path = self.row_path(project, number)
        if thread.path:
            path = f"{path}/discussions/{thread.id.rsplit('/', 1)[-1]}"
            try:
                said = self.api.read_object(project, path).get("notes") or ()
            except RequestMissing as error:
                raise ForgeError(f"{project.url}: the thread at {thread.path} is gone") from error
        else:
            said = self.api.list_rows(project, f"{path}/notes", sort="desc", order_by="created_at")
        me = self.api.read_own_name(project)
        for note in said:
            is_mine = (note.get("author") or {}).get("username") == me
            if is_mine and has_answer(unguard_commands(str(note.get("body") or "")), key):
                return
        self.api.make_object(project, f"{path}/notes", text, again=False)


def _split(wanted: Wanted) -> list[Wanted]:
    """The same question in parts that are smaller."""
    parts = []
    if wanted.numbers:
        parts = [
            Wanted(wanted.numbers, talk=False),
            Wanted(wanted.numbers, facts=False),
        ]
    return [*parts, *(Wanted(bases=[base]) for base in wanted.bases)]
