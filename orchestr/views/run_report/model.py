"""What the report of a run says, as frozen records, and what follows from them.

Pure data: `orchestr.views.query.run_report` makes them from journal, result files and plan, the
renderers beside this module and `orchestr.views.html.run_page` only read them. The field names are
those of `report.json` (docs/json.md): fields are added, never renamed. Times are ISO-8601 UTC,
durations seconds, costs USD; None means unknown, never 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from orchestr.errors import ExitCode
from orchestr.state.states import CellState
from orchestr.views.audit import AuditFacts
from orchestr.views.run_report.forecast import ForecastLine

DONE = "done"  # the token that a report ends with where nothing is left
BUILT = frozenset({CellState.DONE, CellState.LANDED, CellState.ROLLED_BACK})  # not: ignored


@dataclass(frozen=True, slots=True)
class CostFigure:
    """What a kind of work cost. ``what`` is attempt, repair or review.

    ``cost_usd`` is None when a part is unknown, ``cost_known_usd`` the part that is known.
    ``tokens`` are input, cached (a part of the input) and output; None when no agent reported any.
    """

    phase: str
    what: str
    works: int = 0
    seconds: float = 0.0
    cost_usd: float | None = None
    cost_known_usd: float = 0.0
    tokens: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class CheckLine:
    """The result of one check. ``word``: passed, RED or not evaluated."""

    name: str
    word: str
    detail: str = ""
    seconds: float | None = None
    cached: bool = False
    log: str = ""


@dataclass(frozen=True, slots=True)
class ReviewIssueLine:
    """An issue of a reviewer; ``severity`` is blocker, tech_debt or skippable."""

    severity: str
    title: str
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReviewLine:
    """What one reviewer said last. ``verdict`` in words; empty ``head``: not known."""

    reviewer: str
    verdict: str
    summary: str = ""
    head: str = ""
    issues: tuple[ReviewIssueLine, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkLine:
    """An attempt, a repair or a review that this run worked on. ``note``: why, or how it ended."""

    what: str
    name: str
    attempt: int
    state: str
    agent: str = ""
    model: str = ""
    note: str = ""
    seconds: float | None = None
    cost_usd: float | None = None
    cost_known_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class PullRequestLine:
    """The pull request as this run saw it last. ``origin``: created (by this run), reused,
    adopted (it was at the forge already) or a person's."""

    url: str
    state: str
    draft: bool | None
    origin: str
    checks: str | None = None
    review: str | None = None


@dataclass(frozen=True, slots=True)
class ActionLine:
    """A push, a call of the forge or a landing that changed something, in the order made."""

    at: str
    cell: str
    what: str


@dataclass(frozen=True, slots=True)
class LandingLine:
    """Where a cell went in this run. ``what``: landed, rolled back or not landed."""

    cell: str
    what: str
    target: str = ""
    commit: str = ""
    before: str = ""
    reason: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class FollowLine:
    """What `follow` found at a pull request, what it did about it, and why."""

    at: str
    cell: str
    what: str
    action: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Work for a next spec. ``kind``: tech_debt, last_words, skipped or partial.

    ``todo`` are the items for the spec, ``source`` is who said it (the agent's words are verbatim).
    """

    kind: str
    cell: str
    repo: str
    todo: tuple[str, ...]
    source: str = ""


@dataclass(frozen=True, slots=True)
class CellReport:
    """One cell after the run.

    ``touched``: this run did something for it. ``worktree_origin``: created, recreated, reused,
    adopted; empty without a worktree. ``checks_in``: clean checkout or worktree (the author's).
    ``denied`` are actions that its agents tried and were not let do; ``beside_plan`` are files that
    the approved plan does not name; ``harm`` is what guards noticed. ``open``: something is left to
    be built, decided, repaired or, for a landing, landed; ``next`` is the command for it.
    """

    name: str
    repo: str
    state: str
    label: str
    touched: bool = True
    phase: str = ""
    outcome: str = ""
    reason: str = ""
    hint: str = ""
    head: str = ""
    tree: str = ""
    branch: str = ""
    base: str = ""
    pr: PullRequestLine | None = None
    worktree: str = ""
    worktree_origin: str = ""
    checks: tuple[CheckLine, ...] = ()
    checks_in: str = ""
    reviews: tuple[ReviewLine, ...] = ()
    approvals: tuple[str, ...] = ()
    works: tuple[WorkLine, ...] = ()
    costs: tuple[CostFigure, ...] = ()
    seconds: float | None = None
    denied: tuple[str, ...] = ()
    beside_plan: tuple[str, ...] = ()
    harm: tuple[str, ...] = ()
    outvoted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    open: bool = False
    next: str = ""


@dataclass(frozen=True, slots=True)
class CrossCheckLine:
    """The cross checks of a repository; ``passed`` None: not made for the heads as they are."""

    repo: str
    passed: bool | None
    told: str = ""
    commit: str = ""
    logs: str = ""


@dataclass(frozen=True, slots=True)
class FeatureReport:
    """One feature after the run; ``forge`` are requests and points that the run took, ``forecast``
    is where what it took fell against its history, ``spec_lock`` lines about the spec's lock,
    ``audit_works`` and ``audit_costs`` are its auditors'."""

    name: str
    title: str
    key: str
    state: str
    cells: tuple[CellReport, ...] = ()
    cross_checks: tuple[CrossCheckLine, ...] = ()
    spec_lock: tuple[str, ...] = ()
    landing: tuple[LandingLine, ...] = ()
    follow: tuple[FollowLine, ...] = ()
    actions: tuple[ActionLine, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()
    warnings: tuple[str, ...] = ()
    forge_away: dict[str, str] = field(default_factory=dict)
    forge: dict[str, Any] = field(default_factory=dict)
    forecast: tuple[ForecastLine, ...] = ()
    audit: AuditFacts | None = None
    audit_works: tuple[WorkLine, ...] = ()
    audit_costs: tuple[CostFigure, ...] = ()

    @property
    def costs(self) -> tuple[CostFigure, ...]:
        """Of all its cells, and of its auditors."""
        return (*(one for cell in self.cells for one in cell.costs), *self.audit_costs)

    @property
    def is_red_together(self) -> bool:
        """Whether cross checks or the audit are red."""
        crossed = any(cross.passed is False for cross in self.cross_checks)
        return crossed or (self.audit is not None and self.audit.is_red)


@dataclass(frozen=True, slots=True)
class NextStep:
    """The next command of an open cell; ``cell`` is FEATURE:CELL, or FEATURE for what is red of the
    whole."""

    cell: str
    command: str


@dataclass(frozen=True, slots=True)
class RunReport:
    """The whole report. ``outcome`` is a word for ``exit`` (`outcome_word`)."""

    run: str
    verb: str
    command: str
    started_at: str
    finished_at: str
    seconds: float | None
    exit: int
    outcome: str
    version: str
    features: tuple[FeatureReport, ...]

    @property
    def costs(self) -> tuple[CostFigure, ...]:
        """Of all that worked in the run."""
        return tuple(one for feature in self.features for one in feature.costs)

    @property
    def counts(self) -> dict[str, int]:
        """How many cells are in each state; states without a cell are left out."""
        return dict(Counter(cell.state for one in self.features for cell in one.cells))

    @property
    def pull_requests(self) -> tuple[str, ...]:
        """The addresses of all pull requests, each once."""
        found = (cell.pr.url for one in self.features for cell in one.cells if cell.pr)
        return tuple(dict.fromkeys(found))

    @property
    def next_steps(self) -> tuple[NextStep, ...]:
        """A command for each open cell, and for what is red of the whole; none when all is done."""
        found = [
            NextStep(f"{one.name}:{cell.name}", cell.next)
            for one in self.features
            for cell in one.cells
            if cell.open and cell.next
        ]
        found += [
            NextStep(one.name, f"orchestr run {one.name}")
            for one in self.features
            if one.is_red_together
        ]
        return tuple(found)

    @property
    def token(self) -> str:
        """The last line of the report: `done`, or the commands, each once."""
        commands = dict.fromkeys(step.command for step in self.next_steps)
        if commands:
            return f"next: {'; '.join(commands)}"
        return DONE if self.exit == ExitCode.DONE else f"next: orchestr status {self.names}"

    @property
    def names(self) -> str:
        """The features, as they are typed."""
        return " ".join(one.name for one in self.features)


def outcome_word(verb: str, exit_code: int, states: Iterable[str] = ()) -> str:
    """What a run came to, in a word or two.

    >>> outcome_word("land", 0)
    'landed'
    """
    match exit_code:
        case ExitCode.DONE:
            return {"land": "landed", "rollback": "rolled back"}.get(verb, DONE)
        case ExitCode.INTERRUPTED:
            return "aborted"
        case ExitCode.FAULT:
            return "fault"
        case _:
            found = {CellState(state) for state in states}
            waits = CellState.APPROVAL in found and not any(state.is_bad for state in found)
            return "waits for approval" if waits else "failed"


def outcome_look(exit_code: int | None, outcome: str) -> CellState:
    """The state of a cell that looks as a run with this end does."""
    match outcome:
        case "landed":
            return CellState.LANDED
        case "rolled back":
            return CellState.ROLLED_BACK
        case "waits for approval":
            return CellState.APPROVAL
        case "aborted" | "interrupted":
            return CellState.ABORTED
        case "running":
            return CellState.RUNNING
        case _:
            return CellState.DONE if exit_code == ExitCode.DONE else CellState.FAILED


def sum_costs(figures: Iterable[CostFigure]) -> CostFigure:
    """All figures together; unknown as soon as one of them is."""
    whole, complete = CostFigure("", "all", cost_usd=0.0), True
    for one in figures:
        complete = complete and one.cost_usd is not None
        whole = add_figures(whole, one)
    if complete and whole.works:
        return whole
    return CostFigure("", "all", whole.works, whole.seconds, None, whole.cost_known_usd,
                      whole.tokens)  # fmt: skip


def add_figures(a: CostFigure, b: CostFigure) -> CostFigure:
    """The sum of two, named as the first."""
    known = a.cost_usd is not None and b.cost_usd is not None
    return CostFigure(
        a.phase,
        a.what,
        a.works + b.works,
        a.seconds + b.seconds,
        (a.cost_usd or 0.0) + (b.cost_usd or 0.0) if known else None,
        a.cost_known_usd + b.cost_known_usd,
        _add_tokens(a.tokens, b.tokens),
    )


def _add_tokens(
    a: tuple[int, int, int] | None, b: tuple[int, int, int] | None
) -> tuple[int, int, int] | None:
    if a is None or b is None:
        return a or b
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]
