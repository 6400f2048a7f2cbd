"""Following pull requests at GitHub: the questions, answers in threads, reruns, statuses.

Owns the calls behind `FollowingForge`; the questions and their answers are
`orchestr.forges.github_facts` and `.github_facts_read`, the form of our answers `.answers`.

Nothing is kept but what makes a later question cheaper, and a wrong guess of that costs a query,
never a fact: which threads and bases to ask about at once, comments of resolved threads,
annotations of checks that ended, how far a commit is behind another, who may write (half an hour).
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from orchestr.forges.answers import has_answer, write_answer
from orchestr.forges.base import ForgeAway, ForgeError, RepoRef
from orchestr.forges.ci_log import LOG_LIMIT, find_failed_part, keep_end
from orchestr.forges.followed import (
    FEATURE_STATUS,
    CiCheck,
    PullRequestFacts,
    PullRequestKey,
    StatusState,
    Thread,
)
from orchestr.forges.github_api import FieldUnknown, RequestMissing, RequestRefused, hide_secrets
from orchestr.forges.github_base import GitHubBase
from orchestr.forges.github_facts import (
    PULLS,
    BaseQuestion,
    ListKey,
    PullQuestion,
    Question,
    build_query,
    is_tolerable,
    take_questions,
)
from orchestr.forges.github_facts_entries import PagedList
from orchestr.forges.github_facts_read import FactsReading
from orchestr.forges.github_remote import RepoSlug
from orchestr.forges.github_said import GENERAL, IN_THREAD, read_general_page, read_thread_page
from orchestr.forges.rate_limit import OutcomeUnknown

QUERIES = 60  # for the lists of one reading; what is then not read to its end is incomplete
SMALLEST = 12  # pull requests: a query that is not too large for GitHub
ACCESS_LASTS = 1800.0  # s
SUMMARY_LIMIT = 20_000  # bytes of a check's own words in its log
STATUS_LIMIT = 140  # letters of a commit status
_MAY_WRITE = ("admin", "maintain", "write")
GONE = 410  # the status of a log that expired
_RUNS = re.compile(r"already (running|queued|in progress)", re.IGNORECASE)
_COMMENT = re.compile(r"#discussion_r(\d+)$")


class GitHubFollowing(GitHubBase):
    """`FollowingForge` of GitHub."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._pulls_a_query = PULLS
        self._without_rulesets: set[str] = set()  # hosts
        self._expected: dict[PullQuestion, tuple[Question, ...]] = {}
        self._lasting: dict[ListKey, PagedList] = {}
        self._behind: dict[tuple[RepoSlug, str, str], int] = {}
        self._access: dict[tuple[RepoSlug, str], tuple[bool, float]] = {}
        self._statuses: dict[tuple[RepoSlug, str, str], tuple[str, str]] = {}

    # --- facts ---------------------------------------------------------------------------------

    def read_facts(self, keys: Sequence[PullRequestKey]) -> dict[PullRequestKey, PullRequestFacts]:
        """See `FollowingForge.read_facts`. One query a host, a further one only for what is new."""
        questions = {key: PullQuestion(self.slug_for(key.repo), key.number) for key in keys}
        facts: dict[PullQuestion, PullRequestFacts] = {}
        for host in dict.fromkeys(question.slug.host for question in questions.values()):
            mine = [question for question in questions.values() if question.slug.host == host]
            facts |= self._read_host(host, list(dict.fromkeys(mine)))
        return {key: facts[question] for key, question in questions.items() if question in facts}

    def _read_host(
        self, host: str, pulls: Sequence[PullQuestion]
    ) -> dict[PullQuestion, PullRequestFacts]:
        with self._mutex:
            reading = FactsReading(kept=dict(self._lasting), behind=dict(self._behind))
            expected = [each for pull in pulls for each in self._expect(pull)]
        self._ask_all(host, reading, list(dict.fromkeys([*pulls, *expected])))
        for slug, name in reading.names.items():
            self.follow_rename(slug, name)
        self._ask_all(host, reading, reading.find_masked_branches())
        access = {who for who in reading.find_unsure_authors() if self._may_write(*who)}
        made = {pull: reading.make_facts(pull, access) for pull in pulls}
        with self._mutex:
            self._lasting |= reading.find_lasting()
            self._behind |= reading.behind
            for slug, sha, said in reading.find_own_statuses():
                self._statuses[slug, sha, FEATURE_STATUS] = said
            for pull in pulls:
                branch = reading.find_base(pull)
                if branch is not None:
                    base = BaseQuestion(pull.slug, branch)
                    self._expected[pull] = (base, *reading.find_open_threads(pull))
        return {pull: facts for pull, facts in made.items() if facts is not None}

    def _expect(self, pull: PullQuestion) -> tuple[Question, ...]:
        """What a reading of a pull request will want beside it: what the last one wanted, at first
        the default branch, which most are for."""
        return self._expected.get(pull) or (BaseQuestion(pull.slug),)

    def _ask_all(self, host: str, reading: FactsReading, asked: Sequence[Question]) -> None:
        """Ask until nothing is left to ask, or what is left can be called incomplete.

        Raises ForgeAway when a pull request was not even asked about: its absence would say that
        it is gone.
        """
        waiting = list(asked)
        for _ in range(QUERIES + len(waiting) // SMALLEST):
            if not waiting:
                return
            now, later = take_questions(waiting, self._pulls_a_query)
            answer = self._ask(host, now)
            if answer is None:
                continue
            more = reading.read_answers(now, *answer)
            waiting = list(dict.fromkeys([*later, *more]))
        if any(isinstance(question, PullQuestion) for question in waiting):
            raise ForgeAway(
                f"{host} could not be asked about all pull requests", hint="try again later"
            )

    def _ask(
        self, host: str, questions: Sequence[Question]
    ) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
        """One query; None when it was too large, or asked what the host does not know: the next
        ones are half as large, or do without.

        GitHub gives up on a query after 10 s and says the same as when it is out of order, so a
        small one is what is tried again.
        """
        text, variables = build_query(questions, rulesets=host not in self._without_rulesets)
        asked = sum(isinstance(question, PullQuestion) for question in questions)
        is_small = asked <= SMALLEST
        try:
            return self.api.send_partial_query(host, text, variables, is_tolerable, again=is_small)
        except OutcomeUnknown:
            self._pulls_a_query = max(asked // 2, SMALLEST)
            return None
        except FieldUnknown:  # an older enterprise host
            if host in self._without_rulesets:
                raise
            self._without_rulesets.add(host)
            return None

    def _may_write(self, slug: RepoSlug, login: str) -> bool:
        """Whether a login has write access now, or had it half an hour ago. What cannot be found
        out is no access. Raises ForgeAway."""
        known = self._access.get((slug, login))
        if known is not None and known[1] > time.monotonic():
            return known[0]
        path = f"repos/{slug}/collaborators/{quote(login, safe='')}/permission"
        try:
            answer = self.api.send_rest_request(slug.host, "GET", path)
        except ForgeAway:
            raise
        except ForgeError:
            answer = None
        may = isinstance(answer, dict) and answer.get("permission") in _MAY_WRITE
        self._access[slug, login] = (may, time.monotonic() + ACCESS_LASTS)
        return may

    # --- CI ------------------------------------------------------------------------------------

    def read_check_log(self, repo: RepoRef, check: CiCheck) -> str:
        """See `FollowingForge.read_check_log`: the steps of the job that failed, and what the check
        says of itself."""
        kind, _, number = check.id.partition("/")
        if not number.isdigit():
            return keep_end(check.summary, SUMMARY_LIMIT)
        slug = self.slug_for(repo)
        log = self._read_job_log(slug, number) if kind == "job" else ""
        places = [f"{a.path}:{a.line}: {a.message}" for a in check.annotations]
        said = keep_end("\n".join([*self._read_check_words(slug, number), *places]), SUMMARY_LIMIT)
        log = keep_end(log, LOG_LIMIT - SUMMARY_LIMIT - 2)
        return hide_secrets("\n\n".join(part for part in (log, said) if part))

    def _read_job_log(self, slug: RepoSlug, number: str) -> str:
        """The failed steps of a job; "" when GitHub has its log no longer."""
        try:
            log = self.api.fetch_text(slug.host, f"repos/{slug}/actions/jobs/{number}/logs")
        except RequestMissing:
            return ""
        except RequestRefused as error:
            if error.status == GONE:
                return ""
            raise
        return find_failed_part(log)

    def _read_check_words(self, slug: RepoSlug, number: str) -> list[str]:
        """Title, summary and text that a check run gives itself."""
        try:
            run = self.api.send_rest_request(slug.host, "GET", f"repos/{slug}/check-runs/{number}")
        except RequestMissing:
            return []
        output = (run or {}).get("output") or {}
        return [str(output[k]) for k in ("title", "summary", "text") if output.get(k)]

    def rerun_check(self, repo: RepoRef, check: CiCheck) -> None:
        """See `FollowingForge.rerun_check`. One that runs already is running again."""
        kind, _, number = check.id.partition("/")
        if not number.isdigit():
            raise ForgeError(f"{check.name} is a bare commit status: GitHub cannot run it again")
        slug = self.slug_for(repo)
        way = f"actions/jobs/{number}/rerun" if kind == "job" else f"check-runs/{number}/rerequest"
        try:
            self.api.send_rest_request(slug.host, "POST", f"repos/{slug}/{way}")
        except ForgeAway:
            raise
        except ForgeError as error:
            if not _RUNS.search(error.message):
                raise

    def set_commit_status(
        self, repo: RepoRef, sha: str, context: str, state: StatusState, text: str
    ) -> None:
        """See `FollowingForge.set_commit_status`. One that says so already is left: GitHub takes a
        thousand of one context for a commit, then no more."""
        slug = self.slug_for(repo)
        text = text if len(text) <= STATUS_LIMIT else f"{text[: STATUS_LIMIT - 1]}…"
        key = (slug, sha, context)
        if key not in self._statuses:
            path = f"repos/{slug}/commits/{sha}/status?per_page=100"
            known = self.api.send_rest_request(slug.host, "GET", path)
            self._statuses[key] = find_status(known, context)
        if self._statuses[key] == (str(state), text):
            return
        asked = {"state": str(state), "context": context, "description": text}
        self.api.send_rest_request(slug.host, "POST", f"repos/{slug}/statuses/{sha}", asked)
        self._statuses[key] = (str(state), text)

    # --- answers -------------------------------------------------------------------------------

    def answer_once(self, repo: RepoRef, number: int, thread: Thread, body: str, key: str) -> None:
        """See `FollowingForge.answer_once`. Not sent twice when GitHub leaves open whether it took
        it: the next call looks for it first, as every call does."""
        slug = self.slug_for(repo)
        text = write_answer(thread, body, key)
        if not thread.path:
            since = thread.comments[0].created_at
            if not self._has_said(slug, number, key, since):
                path = f"repos/{slug}/issues/{number}/comments"
                self.api.send_rest_request(slug.host, "POST", path, {"body": text}, again=False)
            return
        first = self._find_first_comment(slug, thread, key)
        if first is None:
            return
        path = f"repos/{slug}/pulls/{number}/comments/{first}/replies"
        try:
            self.api.send_rest_request(slug.host, "POST", path, {"body": text}, again=False)
        except RequestRefused as error:
            if "pending review" in error.message:
                raise ForgeError(
                    f"{slug.url}/pull/{number} cannot be answered: {error.message}",
                    hint="submit or discard the review that this login has begun there",
                ) from error
            raise

    def _has_said(self, slug: RepoSlug, number: int, key: str, since: str) -> bool:
        """Whether the answer with this key is in the general conversation since that time."""
        names = {"owner": slug.owner, "name": slug.name, "number": number}
        before: str | None = None
        for _ in range(QUERIES):
            asked = {**names, "before": before}
            page = read_general_page(self.api.send_graphql_query(slug.host, GENERAL, asked))
            if any(has_answer(body, key) for body in page.ours):
                return True
            before = page.before
            if before is None or page.oldest < since:
                return False
        raise ForgeError(f"{slug.url}/pull/{number} has more comments than can be read")

    def _find_first_comment(self, slug: RepoSlug, thread: Thread, key: str) -> str | None:
        """The number of a thread's first comment, which replies are for; None when the answer with
        this key is there. Raises ForgeError when the thread is gone."""
        before: str | None = None
        for _ in range(QUERIES):
            asked = {"thread": thread.id, "before": before}
            page = read_thread_page(self.api.send_graphql_query(slug.host, IN_THREAD, asked))
            if page is None:
                break
            if any(has_answer(body, key) for body in page.ours):
                return None
            before = page.before
            if before is None:
                match = _COMMENT.search(page.first_url)
                if match is None:
                    break
                return match[1]
        raise ForgeError(f"{slug.url}: the thread at {thread.path} is gone")


def find_status(combined: Any, context: str) -> tuple[str, str]:
    """State and text of a context in a commit's combined status, empty when it has none."""
    listed = combined.get("statuses") if isinstance(combined, dict) else None
    for each in listed or ():
        if each.get("context") == context:
            return str(each.get("state")), str(each.get("description") or "")
    return "", ""
