"""What GitHub is asked about pull requests that are followed: one query, many questions. Pure.

A query holds a question under each of its aliases: a pull request, a base branch, a further page
of a list, how far a branch is behind. An answer may lead to more questions (a list that was cut
off, the comments of a thread), which the next query holds; so everything is read to its end.

GitHub's price of a query: each connection counts as often as the sizes of those around it say; a
hundred of them are a point. So nothing here has a connection inside another one: the comments of
50 threads below each of 50 pull requests would be 26 points, asked by the thread's id they are as
many hundredths as there are threads. A pull request is 4 connections (labels, checks, threads,
and one timeline for comments, reviews and who closed it), so 50 of them are 2 points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from orchestr.forges.github_remote import RepoSlug

PULLS = 50  # in one query
CONNECTIONS = 349  # in one query: 3 points; 50 pull requests with 149 open threads and bases
PAGE_SIZE = 50  # of one list, the first time and later

_SAID = (
    "id body url createdAt viewerDidAuthor isMinimized authorAssociation"
    " author { __typename login }"
)
_REVIEW = f"{_SAID} state submittedAt authorCanPushToRepository commit {{ oid }}"
_TIMELINE = (
    f"__typename ... on IssueComment {{ {_SAID} }} ... on PullRequestReview {{ {_REVIEW} }}"
    " ... on ClosedEvent { createdAt actor { __typename login } }"
)
_THREAD = "id isResolved path line originalLine"
_THREAD_COMMENT = f"{_SAID} state pullRequestReview {{ authorCanPushToRepository }}"
_CONTEXT = (
    "__typename ... on CheckRun { id databaseId name status conclusion startedAt detailsUrl"
    " permalink title checkSuite { app { slug } workflowRun { event workflow { name } } } }"
    " ... on StatusContext { context state targetUrl description }"
)
_ANNOTATION = "path message title annotationLevel location { start { line } }"
_RULESETS = (
    " rules(first: 50) { nodes { parameters { ... on RequiredStatusChecksParameters"
    " { strictRequiredStatusChecksPolicy } } } }"
)
_FORWARD = "pageInfo { hasNextPage endCursor }"
_BACKWARD = "pageInfo { hasPreviousPage startCursor }"
_TYPES = "itemTypes: [ISSUE_COMMENT, PULL_REQUEST_REVIEW, CLOSED_EVENT]"
_PULL = """\
fragment pull on PullRequest {
  id number url title body state isDraft isCrossRepository createdAt updatedAt
  headRefName headRefOid baseRefName reviewDecision mergeable mergeStateStatus
  headRef { target { oid ... on Commit { statusCheckRollup { id state } } } }
  baseRef { target { oid } }
"""


@dataclass(frozen=True, slots=True)
class _ListForm:
    """The type that a list belongs to, its field, what each entry says; ``is_backward``: the newest
    entries come first, older ones are asked for later."""

    owner: str
    field: str
    entry: str
    is_backward: bool = False


class PageKind(Enum):
    """A list that is read page by page."""

    LABELS = _ListForm("PullRequest", "labels", "name")
    THREADS = _ListForm("PullRequest", "reviewThreads", _THREAD, is_backward=True)
    TIMELINE = _ListForm("PullRequest", "timelineItems", _TIMELINE, is_backward=True)
    CONTEXTS = _ListForm("StatusCheckRollup", "contexts", _CONTEXT)
    COMMENTS = _ListForm("PullRequestReviewThread", "comments", _THREAD_COMMENT, is_backward=True)
    ANNOTATIONS = _ListForm("CheckRun", "annotations", _ANNOTATION)

    @property
    def field(self) -> str:
        """Its name in an answer."""
        return self.value.field

    @property
    def is_backward(self) -> bool:
        """Whether its last page is read first."""
        return self.value.is_backward

    def select(self, cursor: str = "", required: str = "") -> str:
        """The list in a query; ``required`` is the variable with the number of the pull request
        that may require a check."""
        words = [_TYPES] if self is PageKind.TIMELINE else []
        words.append(f"{'last' if self.is_backward else 'first'}: {PAGE_SIZE}")
        if cursor:
            words.append(f"{'before' if self.is_backward else 'after'}: {cursor}")
        entry = self.value.entry
        if required:
            entry += " ... on RequirableByPullRequest"
            entry += f" {{ isRequired(pullRequestNumber: {required}) }}"
        info = _BACKWARD if self.is_backward else _FORWARD
        return f"{self.field}({', '.join(words)}) {{ nodes {{ {entry} }} {info} }}"


ListKey = tuple[str, PageKind, int]  # the owner's id, the list, the pull request or 0


@dataclass(frozen=True, slots=True)
class PullQuestion:
    """All of a pull request but the comments of its threads and the annotations of its checks."""

    slug: RepoSlug
    number: int


@dataclass(frozen=True, slots=True)
class BaseQuestion:
    """Where a branch is, its checks, and whether pull requests into it must be up to date; of the
    default branch without ``branch``."""

    slug: RepoSlug
    branch: str = ""


@dataclass(frozen=True, slots=True)
class BehindQuestion:
    """Whether a branch lacks commits of its base; asked at all only where that matters."""

    slug: RepoSlug
    base: str
    head: str


@dataclass(frozen=True, slots=True)
class PageQuestion:
    """A page of a list of the object with the id ``node``; the first one without ``cursor``.

    ``number`` is that of the pull request whose required checks are asked about; 0 for none.
    """

    node: str
    kind: PageKind
    cursor: str | None = None
    number: int = 0

    @property
    def list_key(self) -> ListKey:
        """Which list it is a page of: the checks of one commit stand in it for each pull request,
        as each requires others."""
        return self.node, self.kind, self.number


Question = PullQuestion | BaseQuestion | BehindQuestion | PageQuestion


def count_connections(question: Question) -> int:
    """What a question adds to a query's price, in hundredths of a point."""
    match question:
        case PullQuestion():
            return 4
        case BaseQuestion():
            return 2
        case BehindQuestion():
            return 0
        case PageQuestion():
            return 1


def count_points(questions: Sequence[Question]) -> int:
    """The price of a query by GitHub's published formula."""
    return max(1, round(sum(map(count_connections, questions)) / 100))


def take_questions(
    waiting: Sequence[Question], pulls: int = PULLS
) -> tuple[list[Question], list[Question]]:
    """What the next query holds, at most ``pulls`` pull requests, and what is left for later."""
    now: list[Question] = []
    later: list[Question] = []
    connections = asked = 0
    for question in waiting:
        is_pull = isinstance(question, PullQuestion)
        cost = count_connections(question)
        if connections + cost > CONNECTIONS or (is_pull and asked >= pulls):
            later.append(question)
            continue
        connections += cost
        asked += is_pull
        now.append(question)
    return now, later


def name_alias(n: int, question: Question) -> str:
    """Under which name the answer to the n-th question of a query stands; what GitHub does not
    know by its id may be gone, a repository may not: `is_tolerable` tells them by it."""
    return f"n{n}" if isinstance(question, PageQuestion) else f"r{n}"


def is_tolerable(error: Any) -> bool:
    """Whether an error beside the data of such a query leaves the rest of the answer good.

    A pull request or an object that is not there, and what this login may not read of one: the
    reader takes it as not delivered, never as empty.
    """
    path = error.get("path") if isinstance(error, dict) else None
    if not path:
        return False
    kind = error.get("type")
    if kind == "NOT_FOUND":
        return str(path[0]).startswith("n") or path[1:] == ["pullRequest"]
    return kind == "FORBIDDEN" and len(path) > 1


def build_query(
    questions: Sequence[Question], *, rulesets: bool = True
) -> tuple[str, dict[str, str | int | None]]:
    """The query that holds these questions, and its variables. ``rulesets`` False: for a host whose
    schema has none."""
    declared: list[str] = []
    variables: dict[str, str | int | None] = {}
    parts: list[str] = []
    for n, question in enumerate(questions):
        text, given = _write_question(n, question)
        text = text if rulesets else text.replace(_RULESETS, "")
        parts.append(f"  {name_alias(n, question)}: {text}\n")
        for name, (kind, value) in given.items():
            declared.append(f"${name}{n}: {kind}")
            variables[f"{name}{n}"] = value
    query = f"query({', '.join(declared)}) {{\n" + "".join(parts)
    query += "  rateLimit { cost remaining }\n}\n"
    if any(isinstance(question, PullQuestion) for question in questions):
        lists = (PageKind.LABELS, PageKind.THREADS, PageKind.TIMELINE)
        query += _PULL + "".join(f"  {kind.select()}\n" for kind in lists) + "}\n"
    return query, variables


_Given = Mapping[str, tuple[str, str | int | None]]  # variable -> its type and value


def _write_question(n: int, question: Question) -> tuple[str, _Given]:
    match question:
        case PullQuestion(slug, number):
            checks = PageKind.CONTEXTS.select(required=f"$n{n}")
            text = (
                f"pullRequest(number: $n{n}) {{ ...pull headRef {{ target {{ ... on Commit {{"
                f" statusCheckRollup {{ {checks} }} }} }} }} }}"
            )
            return _in_repository(n, slug, text, {"n": ("Int!", number)})
        case BaseQuestion(slug, branch):
            ref = f"ref(qualifiedName: $b{n})" if branch else "ref: defaultBranchRef"
            text = (
                f"{ref} {{ name target {{ oid ... on Commit {{ statusCheckRollup"
                f" {{ id {PageKind.CONTEXTS.select()} }} }} }}"
                f" branchProtectionRule {{ requiresStrictStatusChecks }}{_RULESETS} }}"
            )
            named = {"b": ("String!", f"refs/heads/{branch}")} if branch else {}
            return _in_repository(n, slug, text, named)
        case BehindQuestion(slug, base, head):
            text = (
                f"ref(qualifiedName: $b{n}) {{ compare(headRef: $h{n})"
                " { behindBy baseTarget { oid } headTarget { oid } } }"
            )
            values = {"b": ("String!", f"refs/heads/{base}"), "h": ("String!", head)}
            return _in_repository(n, slug, text, values)
        case PageQuestion(node, kind, cursor, number):
            required = f"$n{n}" if number else ""
            extra = "summary " if kind is PageKind.ANNOTATIONS else ""
            page = kind.select(f"$c{n}", required)
            text = f"node(id: $i{n}) {{ ... on {kind.value.owner} {{ {extra}{page} }} }}"
            page_values: dict[str, tuple[str, str | int | None]] = {
                "i": ("ID!", node),
                "c": ("String", cursor),
            }
            if number:
                page_values["n"] = ("Int!", number)
            return text, page_values


def _in_repository(n: int, slug: RepoSlug, text: str, given: _Given) -> tuple[str, _Given]:
    where = {"o": ("String!", slug.owner), "a": ("String!", slug.name)}
    text = f"repository(owner: $o{n}, name: $a{n}) {{ nameWithOwner {text} }}"
    return text, {**where, **given}
