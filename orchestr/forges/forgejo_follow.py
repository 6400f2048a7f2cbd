"""Following pull requests at a Forgejo: the questions, answers in threads, reruns, statuses.

Owns the calls behind `FollowingForge`; how their answers read is in `.forgejo_facts`,
the form of our answers in `.answers`, logs and reruns in `.forgejo_actions`. The API has a question
for each list: a look costs one for all pull requests of a repository, three or more for each, and
two for each base.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestr.forges import forgejo_query as query
from orchestr.forges.answers import has_answer, write_answer
from orchestr.forges.base import ForgeError, PRState, RepoRef
from orchestr.forges.followed import (
    PullRequestFacts,
    PullRequestKey,
    StatusState,
    Thread,
)
from orchestr.forges.forgejo_actions import ForgejoActions
from orchestr.forges.forgejo_api import quote_name, unreadable_error
from orchestr.forges.forgejo_conflicts import judge_merges
from orchestr.forges.forgejo_facts import (
    BaseAnswers,
    PullAnswers,
    Readers,
    make_facts,
    needs_git,
    read_line,
)
from orchestr.forges.forgejo_protection import list_contexts
from orchestr.forges.forgejo_remote import RepoPath
from orchestr.forges.rest_answers import RequestMissing, RequestRefused

STATUS_LIMIT = 140  # letters of a commit status
_NO_SUCH_CALL = (404, 405)  # of a host that is older, or the other of the two


class ForgejoFollowing(ForgejoActions):
    """`FollowingForge` of Forgejo and Gitea."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._statuses: dict[tuple[RepoPath, str, str], tuple[str, str]] = {}

    # --- facts ---------------------------------------------------------------------------------

    def read_facts(self, keys: Sequence[PullRequestKey]) -> dict[PullRequestKey, PullRequestFacts]:
        """See `FollowingForge.read_facts`."""
        found: dict[PullRequestKey, PullRequestFacts] = {}
        for repo in dict.fromkeys(key.repo for key in keys):
            numbers = dict.fromkeys(key.number for key in keys if key.repo == repo)
            path = self.path_for(repo)
            try:
                facts = self._read_repo(repo, path, list(numbers))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise unreadable_error(path, error) from error
            found |= {PullRequestKey(repo, number): each for number, each in facts.items()}
        return {key: found[key] for key in keys if key in found}

    def _read_repo(
        self, repo: RepoRef, path: RepoPath, numbers: Sequence[int]
    ) -> dict[int, PullRequestFacts]:
        every = self.pulls_of(path).read_rows()
        rows = {number: every[number] for number in numbers if number in every}
        pairs = {number: _pair(row) for number, row in rows.items() if needs_git(row)}
        merges = judge_merges(repo, dict.fromkeys(pairs.values()))
        bases = {
            branch: self._read_base(path, branch, sha)
            for branch, sha in {
                str(row["base"]["ref"]): str(row["base"]["sha"] or "") for row in rows.values()
            }.items()
        }
        who = Readers(self.api.read_own_name(path), self.read_writers(path) if rows else ())
        found = {}
        for number, row in rows.items():
            reviews = list(self.api.list_rows(path, f"{self.row_path(path, number)}/reviews"))
            answers = PullAnswers(
                row=row,
                comments=self.read_comments(path, number) if row.get("comments") else (),
                reviews=reviews,
                places=list(self._list_places(path, number, reviews)),
                statuses=self._read_statuses(path, str(row["head"]["sha"])),
                closed_by=self._find_closer(path, number, row),
                merges=merges.get(_pair(row)),
                base=bases[str(row["base"]["ref"])],
            )
            found[number] = make_facts(path, answers, who)
        return found

    def _read_base(self, path: RepoPath, branch: str, sha: str) -> BaseAnswers:
        try:
            row = self.api.send_request(path, "GET", f"{path.api}/branches/{quote_name(branch)}")
        except RequestMissing:
            return BaseAnswers()
        approvals = int(row.get("required_approvals") or 0) if row.get("protected") else 0
        return BaseAnswers(self._read_statuses(path, sha), list_contexts(row), approvals)

    def _read_statuses(self, path: RepoPath, sha: str) -> list[Mapping[str, Any]]:
        """The newest status of each name of a commit."""
        found: list[Mapping[str, Any]] = []
        size = self.api.read_page_size(path)
        page = 1
        while sha:
            where = f"{path.api}/commits/{sha}/status?limit={size}&page={page}"
            try:
                # Without any, the answer is empty or `null`.
                rows = (self.api.send_request(path, "GET", where) or {}).get("statuses") or []
            except RequestMissing:
                break  # no such commit here (any more): nothing was said of it
            found += rows
            if len(rows) < size:
                break
            page += 1
        return found

    def _list_places(
        self, path: RepoPath, number: int, reviews: Sequence[Mapping[str, Any]]
    ) -> Iterator[Mapping[str, Any]]:
        """The code comments of reviews."""
        for review in reviews:
            if review.get("comments_count"):
                where = f"{self.row_path(path, number)}/reviews/{review['id']}/comments"
                yield from self.api.send_request(path, "GET", where) or ()

    def _find_closer(self, path: RepoPath, number: int, row: Mapping[str, Any]) -> str:
        if query.read_state(row) is not PRState.CLOSED or not row.get("closed_at"):
            return ""
        closer = ""
        where = f"{self.issue_path(path, number)}/timeline"
        for event in self.api.list_rows(path, where, since=str(row["closed_at"])):
            if event.get("type") == "close":
                closer = str((event.get("user") or {}).get("login") or "")
        return closer

    # --- what we say ---------------------------------------------------------------------------

    def set_commit_status(
        self, repo: RepoRef, sha: str, context: str, state: StatusState, text: str
    ) -> None:
        """See `FollowingForge.set_commit_status`. One that says so already is left."""
        path = self.path_for(repo)
        text = text if len(text) <= STATUS_LIMIT else f"{text[: STATUS_LIMIT - 1]}…"
        key = (path, sha, context)
        if key not in self._statuses:
            said = {
                str(row["context"]): (str(row["status"]), str(row.get("description") or ""))
                for row in sorted(self._read_statuses(path, sha), key=lambda row: int(row["id"]))
            }
            self._statuses[key] = said.get(context, ("", ""))
        if self._statuses[key] == (str(state), text):
            return
        asked = {"state": str(state), "context": context, "description": text}
        self.api.send_request(path, "POST", f"{path.api}/statuses/{sha}", asked)
        self._statuses[key] = (str(state), text)

    def answer_once(self, repo: RepoRef, number: int, thread: Thread, body: str, key: str) -> None:
        """See `FollowingForge.answer_once`. Not sent twice when the host leaves open whether it
        took it: the next call looks for it first, as every call does."""
        path = self.path_for(repo)
        text = write_answer(thread, body, key)
        if thread.path:
            reviews = list(self.api.list_rows(path, f"{self.row_path(path, number)}/reviews"))
            said = list(self._list_places(path, number, reviews))
        else:
            said = list(self.read_comments(path, number))
        me = self.api.read_own_name(path)
        if any(query.read_author(row) == me and has_answer(str(row["body"]), key) for row in said):
            return
        if thread.path:
            self._reply(path, number, thread, text, said)
        else:
            where = f"{self.issue_path(path, number)}/comments"
            self.api.send_request(path, "POST", where, {"body": text}, again=False)

    def _reply(
        self,
        path: RepoPath,
        number: int,
        thread: Thread,
        text: str,
        said: Sequence[Mapping[str, Any]],
    ) -> None:
        """Answer at a place: by Gitea's call for replies, by Forgejo's for one more comment of a
        review, else by a review of our own at the same place."""
        _, review, first = thread.id.split("/")
        row = next((each for each in said if str(each["id"]) == first), None)
        if row is None:
            raise ForgeError(f"{path.url}: the thread at {thread.path} is gone")
        side = "new_position" if row.get("position") else "old_position"
        comment = {"path": thread.path, "body": text, side: read_line(row)}
        pull = self.row_path(path, number)
        ways = (
            (f"{pull}/comments/{first}/replies", {"body": text}),
            (f"{pull}/reviews/{review}/comments", comment),
            (f"{pull}/reviews", {"event": "COMMENT", "comments": [comment]}),
        )
        for where, asked in ways:
            try:
                self.api.send_request(path, "POST", where, asked, again=False)
            except RequestRefused as error:
                if error.status not in _NO_SUCH_CALL or where == ways[-1][0]:
                    raise
            else:
                return


def _pair(row: Mapping[str, Any]) -> tuple[str, str]:
    """The head and the base of a pull request, as commits."""
    return str(row["head"]["sha"] or ""), str(row["base"]["sha"] or "")
