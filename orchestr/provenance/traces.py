"""Which commits of a repository orchestr made or landed, and as what.

The journal has the heads before and after each attempt, repair, update and landing; git has the
commits between. Only first parents are followed: what a branch took in from its target is not the
cell's work. What neither accounts for is reported as unknown, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from orchestr.errors import OrchestrError
from orchestr.git.bases import BASES
from orchestr.git.repo import Repo
from orchestr.landing.candidates import ATTEMPT, CELL, FEATURE, RESOLVED
from orchestr.provenance.gather import CellOrigin
from orchestr.spec.phases import Phase
from orchestr.state.event_details import (
    AttemptOpened,
    LandDone,
    LandUndone,
    PhaseDone,
    RepairClosed,
    RepairOpened,
)
from orchestr.state.events import Event
from orchestr.state.landing_details import LandUpdate
from orchestr.state.phase_marks import is_own_phase
from orchestr.state.results import ImplementOutcome


class Role(StrEnum):
    """What a commit is to a cell, the surest first: where two fit, the first counts."""

    REPAIR = "repair"
    ATTEMPT = "attempt"
    UPDATE = "update"  # the target merged into its branch, without an agent
    LANDING = "landing"
    ROLLBACK = "rollback"
    PERSON = "person"  # a person's commit that became the cell's head
    BRANCH = "branch"  # on its branch; by which hand is not recorded


@dataclass(frozen=True, slots=True)
class Trace:
    """What made a commit. ``round`` and ``phase`` are of a repair; ``known_by`` is `journal`, or
    `trailers` where the records are gone."""

    feature: str
    cell: str
    role: Role
    attempt: int = 0
    round: int = 0
    phase: str = ""
    run: str = ""
    known_by: str = "journal"


@dataclass(frozen=True, slots=True)
class Span:
    """The commits after ``before`` up to ``after``, along first parents."""

    before: str
    after: str
    trace: Trace


@dataclass(frozen=True, slots=True)
class CommitLine:
    """A commit as git shows it; ``trailers`` are those of a landing."""

    commit: str
    tree: str
    author: str
    date: str
    subject: str
    trailers: Mapping[str, str]


def trace_commits(repo: Repo, origins: Iterable[CellOrigin]) -> dict[str, Trace]:
    """Every commit of the repository that a cell's records account for."""
    found: dict[str, Trace] = {}
    spans = [span for origin in origins for span in list_spans(origin)]
    order = list(Role)
    for span in sorted(spans, key=lambda one: order.index(one.trace.role)):
        for commit in _list_commits(repo, span):
            found.setdefault(commit, span.trace)
    return found


def list_spans(origin: CellOrigin) -> Iterator[Span]:
    """What a cell's records say of commits. Pure."""
    records, head = origin.records, origin.head
    yield from _spans_of_events(records.feature, records.cell, records.events)
    if head is None or head.outcome == ImplementOutcome.NO_CHANGE_NEEDED:
        return
    by_person = head.outcome in (ImplementOutcome.PUSHED_BY_HAND, ImplementOutcome.ADOPTED)
    role = Role.PERSON if by_person else Role.BRANCH
    trace = Trace(records.feature, records.cell, role, head.attempt)
    yield Span(head.base, head.head, trace)


def _spans_of_events(feature: str, cell: str, events: Iterable[Event]) -> Iterator[Span]:
    starts: dict[int, str] = {}
    head, number, phase = "", 0, ""
    for event in events:
        attempt = event.attempt
        match event.details:
            case AttemptOpened(start=str() as start):
                starts[attempt] = start
            case PhaseDone(head=str() as made) if event.phase == Phase.IMPLEMENT or (
                is_own_phase(event.phase) and event.data.get("changed")
            ):
                head = made
                if attempt in starts:
                    trace = Trace(feature, cell, Role.ATTEMPT, attempt, run=event.run)
                    yield Span(starts.pop(attempt), made, trace)
            case RepairOpened(round=int() as opened):
                number, phase = opened, event.phase
            case RepairClosed(head=str() as made) if head:
                trace = Trace(feature, cell, Role.REPAIR, attempt, number, phase, event.run)
                yield Span(head, made, trace)
                head = made
            case LandUpdate(old=str() as old, new=str() as new):
                yield Span(old, new, Trace(feature, cell, Role.UPDATE, attempt, run=event.run))
                head = new
            case LandDone(before=str() as before, commit=str() as commit):
                yield Span(before, commit, Trace(feature, cell, Role.LANDING, run=event.run))
            case LandUndone(before=str() as before, commit=str() as commit):
                yield Span(before, commit, Trace(feature, cell, Role.ROLLBACK, run=event.run))
            case _:
                pass


def trace_by_trailers(line: CommitLine) -> Trace | None:
    """What a landing wrote into a commit, for one that no record knows any more. Pure."""
    feature, cell = line.trailers.get(FEATURE, ""), line.trailers.get(CELL, "")
    if not feature or not cell:
        return None
    number = line.trailers.get(ATTEMPT, "")
    attempt = int(number) if number.isdecimal() else 0
    return Trace(feature, cell, Role.LANDING, attempt, known_by="trailers")


def read_commits(repo: Repo, *revisions: str, path: str = "", most: int = 0) -> list[CommitLine]:
    """The history of ``path`` from the revisions on, newest first; without a path these commits
    alone. Raises GitError."""
    keys = (FEATURE, CELL, ATTEMPT, RESOLVED)
    shown = ("%H", "%T", "%an <%ae>", "%aI", "%s", *(
        f"%(trailers:key={key},valueonly,unfold,separator=%x2C)" for key in keys
    ))  # fmt: skip
    words = ["log", "-z", f"--format={'%x00'.join(shown)}"]
    words += [f"--max-count={most}"] if most else []
    words += [] if path else ["--no-walk"]
    where = [f":(top,literal){path}"] if path else []
    text = repo.run_readonly(*words, "--end-of-options", *revisions, "--", *where).text
    rows = text.split("\0")
    found = []
    for row in zip(*(rows[at :: len(shown)] for at in range(len(shown))), strict=False):
        commit, tree, author, date, subject, *values = row
        known = {key: value for key, value in zip(keys, values, strict=True) if value}
        found.append(CommitLine(commit, tree, author, date, subject, known))
    return found


def list_known_tips(repo: Repo, origins: Iterable[CellOrigin]) -> list[str]:
    """Where to look for the history of a path: the checkout, what is known of the origin's default
    branch, and the heads of cells. Only commits that the clone has."""
    rows = ["HEAD", f"refs/remotes/{repo.remotes.base}/HEAD"]
    rows += repo.list_refs(BASES).values()
    rows += [origin.head.head for origin in origins if origin.head is not None]
    known = (repo.resolve_commit(row) for row in rows)
    return list(dict.fromkeys(commit for commit in known if commit is not None))


def _list_commits(repo: Repo, span: Span) -> list[str]:
    """The commits of a span; none where the clone does not have its ends."""
    if span.before == span.after:
        return []
    try:
        words = ("rev-list", "--first-parent", f"^{span.before}", span.after, "--")
        return repo.run_readonly(*words).text.split()
    except OrchestrError:
        return []
