"""What GitHub's answers about followed pull requests mean. Pure.

`FactsReading` takes the answers of `orchestr.forges.github_facts`' questions, says what has to be
asked next, and makes `PullRequestFacts` of it all. The invariant: what was asked and did not come
(an entry this login may not read, a list whose end was not reached) makes ``is_complete`` False.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from orchestr.forges.followed import FEATURE_STATUS, CiCheck, Mergeability, PullRequestFacts, Thread
from orchestr.forges.github_facts import (
    BaseQuestion,
    BehindQuestion,
    ListKey,
    PageKind,
    PageQuestion,
    PullQuestion,
    Question,
    name_alias,
)
from orchestr.forges.github_facts_entries import (
    Access,
    Node,
    PagedList,
    identify_check,
    is_red_run,
    needs_asking,
    read_check,
    read_closer,
    read_comment,
    read_review,
    read_review_comment,
    rollup_at_head,
    rollup_of,
    sum_checks,
    tip_of,
    wants_newest,
)
from orchestr.forges.github_query import pull_request_from_node, unreadable_error
from orchestr.forges.github_remote import RepoSlug

# What a login may be kept from without a loss: it only makes an answer finer.
_OPTIONAL = frozenset({"branchProtectionRule", "rules", "reviewDecision"})
_MASKED = ("BLOCKED", "DRAFT")  # states that hide whether the branch is behind, too


@dataclass(slots=True)
class FactsReading:
    """All that was answered so far. ``kept`` are lists of an earlier reading that cannot have
    changed: annotations of checks that ended, comments of threads that are resolved."""

    kept: dict[ListKey, PagedList] = field(default_factory=dict)
    pulls: dict[PullQuestion, Node] = field(default_factory=dict)
    bases: dict[tuple[RepoSlug, str], Node] = field(default_factory=dict)
    behind: dict[tuple[RepoSlug, str, str], int] = field(default_factory=dict)
    lists: dict[ListKey, PagedList] = field(default_factory=dict)
    names: dict[RepoSlug, str] = field(default_factory=dict)
    asked: set[Question] = field(default_factory=set)
    withheld: set[Question] = field(default_factory=set)

    # --- reading -------------------------------------------------------------------------------

    def read_answers(
        self, questions: Sequence[Question], data: Node, errors: Iterable[Node]
    ) -> list[Question]:
        """Take what a query answered; what has to be asked next. Raises ForgeError when it has
        another form than was asked for."""
        self.asked.update(questions)
        denied = {str(e["path"][0]) for e in errors if not _OPTIONAL.intersection(e["path"])}
        more: list[Question] = []
        try:
            for n, question in enumerate(questions):
                alias = name_alias(n, question)
                more += self._read_answer(question, data[alias], is_denied=alias in denied)
        except (KeyError, TypeError, ValueError) as error:
            raise unreadable_error(error) from error
        return [question for question in dict.fromkeys(more) if question not in self.asked]

    def _read_answer(
        self, question: Question, answer: Node | None, *, is_denied: bool
    ) -> list[Question]:
        if isinstance(question, PageQuestion):
            return self._read_page(question, answer)
        if answer is None:
            raise TypeError("a repository is missing")
        self.names[question.slug] = str(answer["nameWithOwner"])
        match question:
            case PullQuestion():
                return self._read_pull(question, answer["pullRequest"], is_denied=is_denied)
            case BaseQuestion():
                return self._read_base(question, answer["ref"], is_denied=is_denied)
            case BehindQuestion(slug):
                compared = (answer["ref"] or {}).get("compare")
                if compared:
                    ends = (compared["baseTarget"]["oid"], compared["headTarget"]["oid"])
                    self.behind[slug, ends[0], ends[1]] = int(compared["behindBy"])
                return []

    def _read_pull(
        self, question: PullQuestion, pull: Node | None, *, is_denied: bool
    ) -> list[Question]:
        if pull is None:  # it is gone
            return []
        self.pulls[question] = pull
        if is_denied:
            self.withheld.add(question)
        more: list[Question] = [BaseQuestion(question.slug, str(pull["baseRefName"]))]
        for kind in (PageKind.LABELS, PageKind.THREADS, PageKind.TIMELINE):
            more += self._read_list(pull, kind)
        rollup = rollup_of(pull["headRef"])
        if rollup:
            more += self._read_list(rollup, PageKind.CONTEXTS, question.number)
        return more

    def _read_base(
        self, question: BaseQuestion, ref: Node | None, *, is_denied: bool
    ) -> list[Question]:
        branch = question.branch or (str(ref["name"]) if ref else "")
        named = BaseQuestion(question.slug, branch)
        self.asked.add(named)
        self.bases[named.slug, branch] = ref or {}
        if is_denied:
            self.withheld.add(named)
        rollup = rollup_of(ref)
        return self._read_list(rollup, PageKind.CONTEXTS) if rollup else []

    def _read_list(self, owner: Node, kind: PageKind, number: int = 0) -> list[Question]:
        """The first page of a list, which came with its owner."""
        page = self.lists[str(owner["id"]), kind, number] = PagedList()
        cursor = page.add_page(owner[kind.field], kind)
        return self._follow_up(PageQuestion(str(owner["id"]), kind, cursor, number), page)

    def _read_page(self, question: PageQuestion, answer: Node | None) -> list[Question]:
        """A page of its own; that of an object that is gone has nothing."""
        page = self.lists.setdefault(question.list_key, PagedList())
        if not answer:
            page.is_whole = not page.has_gaps
            return []
        page.summary = str(answer.get("summary") or "")
        cursor = page.add_page(answer[question.kind.field], question.kind)
        return self._follow_up(replace(question, cursor=cursor), page)

    def _follow_up(self, rest: PageQuestion, page: PagedList) -> list[Question]:
        """The next page, and what entries of a list have below them."""
        more: list[Question] = [rest] if rest.cursor else []
        below = {PageKind.THREADS: PageKind.COMMENTS, PageKind.CONTEXTS: PageKind.ANNOTATIONS}
        kind = below.get(rest.kind)
        if kind is None:
            return more
        for entry in page.entries:
            if kind is PageKind.ANNOTATIONS and not is_red_run(entry):
                continue
            key = (str(entry["id"]), kind, 0)
            kept = self.kept.get(key)
            if kept is not None and (kind is PageKind.ANNOTATIONS or entry["isResolved"]):
                self.lists[key] = kept
            else:
                more.append(PageQuestion(key[0], kind))
        return more

    # --- what cannot be seen in one answer -----------------------------------------------------

    def find_masked_branches(self) -> list[BehindQuestion]:
        """Branches of which GitHub only says that they are blocked, where the base wants its newest
        commit in them: they may be behind as well."""
        found = []
        for question, pull in self.pulls.items():
            base = self.bases.get((question.slug, str(pull["baseRefName"])))
            if pull["state"] != "OPEN" or not base or not wants_newest(base):
                continue
            if pull["mergeable"] != "MERGEABLE" or pull["mergeStateStatus"] not in _MASKED:
                continue
            ends = (question.slug, str(base["target"]["oid"]), str(pull["headRefOid"]))
            if ends not in self.behind:
                found.append(
                    BehindQuestion(
                        question.slug, str(pull["baseRefName"]), str(pull["headRefName"])
                    )
                )
        return list(dict.fromkeys(found))

    def find_unsure_authors(self) -> list[tuple[RepoSlug, str]]:
        """Authors of general comments whose write access must be asked for: an association says
        membership, not access, and one that is not public is no association."""
        found = [
            (question.slug, str(entry["author"]["login"]))
            for question, pull in self.pulls.items()
            if pull["state"] == "OPEN"
            for entry in self._entries(pull, PageKind.TIMELINE)
            if entry["__typename"] == "IssueComment" and needs_asking(entry)
        ]
        return list(dict.fromkeys(found))

    def find_lasting(self) -> dict[ListKey, PagedList]:
        """The lists that a later reading need not ask for: see ``kept``."""
        found = {}
        for (_, kind, _), page in list(self.lists.items()):
            for entry in page.entries:
                if kind is PageKind.THREADS and entry["isResolved"]:
                    key = (str(entry["id"]), PageKind.COMMENTS, 0)
                elif kind is PageKind.CONTEXTS and is_red_run(entry):
                    key = (str(entry["id"]), PageKind.ANNOTATIONS, 0)
                else:
                    continue
                below = self.lists.get(key)
                if below is not None and below.is_whole:
                    found[key] = below
        return found

    def find_own_statuses(self) -> list[tuple[RepoSlug, str, tuple[str, str]]]:
        """Repository, commit, state and text of our own status at each head, empty without one."""
        found = []
        for question, pull in self.pulls.items():
            rollup = rollup_at_head(pull)
            key = (str(rollup["id"]) if rollup else "", PageKind.CONTEXTS, question.number)
            if rollup and not self.lists[key].is_whole:
                continue
            entries = self.lists[key].entries if rollup else []
            ours = [each for each in entries if each.get("context") == FEATURE_STATUS]
            said = ("", "")
            if ours:
                said = (str(ours[0]["state"]).lower(), str(ours[0]["description"] or ""))
            found.append((question.slug, str(pull["headRefOid"]), said))
        return found

    def find_base(self, question: PullQuestion) -> str | None:
        """The base branch of a pull request, None when it is gone."""
        pull = self.pulls.get(question)
        return str(pull["baseRefName"]) if pull else None

    def find_open_threads(self, question: PullQuestion) -> list[PageQuestion]:
        """The threads of a pull request that may get further comments."""
        pull = self.pulls.get(question)
        if pull is None:
            return []
        return [
            PageQuestion(str(entry["id"]), PageKind.COMMENTS)
            for entry in self._entries(pull, PageKind.THREADS)
            if not entry["isResolved"]
        ]

    # --- the facts -----------------------------------------------------------------------------

    def make_facts(self, question: PullQuestion, access: Access) -> PullRequestFacts | None:
        """What is known of a pull request, None when it is gone. ``access`` says which of the
        unsure authors may write. Raises ForgeError."""
        pull = self.pulls.get(question)
        if pull is None:
            return None
        try:
            return self._make_facts(question.slug, question, pull, access)
        except (KeyError, TypeError, ValueError) as error:
            raise unreadable_error(error) from error

    def _make_facts(
        self, slug: RepoSlug, question: PullQuestion, pull: Node, access: Access
    ) -> PullRequestFacts:
        pr = pull_request_from_node(pull)
        base = self.bases.get((slug, pr.base)) or {}
        timeline = self._entries(pull, PageKind.TIMELINE)
        said = [entry for entry in timeline if not entry.get("isMinimized")]
        threads = [
            Thread(comment.id, (comment,))
            for comment in (
                read_comment(entry, slug, access)
                for entry in said
                if entry["__typename"] == "IssueComment"
            )
        ]
        threads += filter(
            None, (self._read_thread(entry) for entry in self._entries(pull, PageKind.THREADS))
        )
        reviews = (read_review(e) for e in said if e["__typename"] == "PullRequestReview")
        checks = self._read_checks(rollup_at_head(pull), question.number)
        return PullRequestFacts(
            pr=replace(pr, checks=sum_checks(checks)),
            node_id=str(pull["id"]),
            mergeability=self._read_mergeability(slug, pull, base),
            labels=tuple(str(label["name"]) for label in self._entries(pull, PageKind.LABELS)),
            checks=checks,
            threads=tuple(threads),
            reviews=tuple(filter(None, reviews)),
            base_sha=tip_of(base) or tip_of(pull["baseRef"]),
            base_checks=self._read_checks(rollup_of(base), 0),
            closed_by=read_closer(pr, timeline),
            is_complete=self._is_whole(question, pull),
        )

    def _entries(self, owner: Node, kind: PageKind, number: int = 0) -> list[Node]:
        page = self.lists.get((str(owner["id"]), kind, number))
        return page.entries if page else []

    def _is_whole(self, question: PullQuestion, pull: Node) -> bool:
        """Whether every list of a pull request and of its base was read to its end."""
        keys: list[ListKey] = [
            (str(pull["id"]), kind, 0)
            for kind in (PageKind.LABELS, PageKind.THREADS, PageKind.TIMELINE)
        ]
        threads = self._entries(pull, PageKind.THREADS)
        keys += [(str(entry["id"]), PageKind.COMMENTS, 0) for entry in threads]
        base_question = BaseQuestion(question.slug, str(pull["baseRefName"]))
        base = self.bases.get((base_question.slug, base_question.branch))
        for ref, number in ((pull["headRef"], question.number), (base, 0)):
            rollup = rollup_of(ref)
            if rollup:
                keys.append((str(rollup["id"]), PageKind.CONTEXTS, number))
                runs = filter(is_red_run, self._entries(rollup, PageKind.CONTEXTS, number))
                keys += [(str(run["id"]), PageKind.ANNOTATIONS, 0) for run in runs]
        lags = pull["headRef"] and tip_of(pull["headRef"]) != pull["headRefOid"]
        is_open = pull["state"] == "OPEN"
        return (
            base is not None
            and self.withheld.isdisjoint((question, base_question))
            and not (lags and is_open)
            and all(key in self.lists and self.lists[key].is_whole for key in keys)
        )

    def _read_mergeability(self, slug: RepoSlug, pull: Node, base: Node) -> Mergeability:
        state, hidden = pull["mergeable"], pull["mergeStateStatus"]
        if state == "CONFLICTING" or hidden == "DIRTY":
            return Mergeability.CONFLICTING
        if state != "MERGEABLE" or hidden == "UNKNOWN":
            return Mergeability.UNKNOWN
        if hidden == "BEHIND":
            return Mergeability.BEHIND
        behind = self.behind.get((slug, tip_of(base), str(pull["headRefOid"])), 0)
        return Mergeability.BEHIND if behind else Mergeability.CLEAN

    def _read_checks(self, rollup: Node | None, number: int) -> tuple[CiCheck, ...]:
        """The checks of a commit; of several runs of one check (a second suite) the newest."""
        if not rollup:
            return ()
        newest: dict[tuple[str, ...], tuple[str, Node]] = {}
        for entry in self._entries(rollup, PageKind.CONTEXTS, number):
            key, at = identify_check(entry)
            if key not in newest or newest[key][0] <= at:
                newest[key] = (at, entry)
        return tuple(
            read_check(entry, self.lists.get((str(entry.get("id")), PageKind.ANNOTATIONS, 0)))
            for _, entry in newest.values()
            if entry.get("context") != FEATURE_STATUS
        )

    def _read_thread(self, entry: Node) -> Thread | None:
        """A conversation at a place; None when nothing of it is left to see."""
        page = self.lists.get((str(entry["id"]), PageKind.COMMENTS, 0), PagedList())
        said = [e for e in page.entries if not e["isMinimized"] and e["state"] != "PENDING"]
        if not said:
            return None
        return Thread(
            id=str(entry["id"]),
            comments=tuple(read_review_comment(each) for each in said),
            path=str(entry["path"]),
            line=int(entry["line"] or entry["originalLine"] or 0),
            is_resolved=bool(entry["isResolved"]),
        )
