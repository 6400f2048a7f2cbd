"""What the journal says of cells and features, as frozen records; `orchestr.state.replay` makes
them.

Pure data for whoever shows or decides. Times are ISO-8601 UTC as journalled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from orchestr.spec.phases import Phase
from orchestr.state.states import CellState, FeatureState, summarize_states

NONE: Mapping[Any, Any] = MappingProxyType({})
READS = "reads"  # of a reviewer that has not said yet


@dataclass(frozen=True, slots=True)
class CellView:
    """What the journal says of one cell. Times are ISO-8601 UTC as journalled.

    ``phases`` maps phase names to done, running, failed, pending or blocked. ``costs`` is USD per
    attempt, None where it is unknown; ``floors`` the part of it that is known. ``tokens`` is
    input, cached (a part of the input) and output per attempt. A review has a key of its own,
    like ``1/review-2-claude``. ``slot`` is queued while an
    attempt waits for a free one, working while its agent runs. ``reviewers`` are those who read the
    head as it is now: READS, or what they came to. ``run`` is the last run that
    touched the cell; ``seconds`` is the time of the newest finished attempt. ``landing`` is landed
    or rolled_back, of the head ``landed_head``, until another head is there.
    """

    name: str
    state: CellState = CellState.PENDING
    phase: str = ""
    attempt: int = 0
    phases: Mapping[str, str] = field(default_factory=lambda: NONE)
    reason: str | None = None
    hint: str | None = None
    outcome: str | None = None
    ignored: bool = False  # by `ignore`, until `ignore --undo`, whatever else happens
    run: str = ""
    agent: str | None = None
    model: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    waiting_until: str | None = None
    slot: str = ""
    doing: str = ""  # within the phase: the repair, or the last check
    round: int = 0  # the newest round of repair in this phase
    rounds: int = 0  # how many are allowed, once it is told
    reviewers: Mapping[str, str] = field(default_factory=lambda: NONE)  # name -> verdict so far
    with_red: bool = False  # published although a check or review stayed red (`allow_partial`)
    repairs: int = 0  # rounds of repair since the newest attempt began
    seconds: float | None = None
    costs: Mapping[int | str, float | None] = field(default_factory=lambda: NONE)
    floors: Mapping[int | str, float] = field(default_factory=lambda: NONE)
    tokens: Mapping[int | str, tuple[int, int, int]] = field(default_factory=lambda: NONE)
    pr_url: str | None = None
    pr_state: str | None = None
    pr_draft: bool | None = None
    pr_checks: str | None = None
    pr_review: str | None = None
    branch: str | None = None
    base: str | None = None
    worktree: str | None = None
    landing: CellState | None = None
    landed_head: str = ""

    @property
    def agents_at_work(self) -> int:
        """How many agents work on it now."""
        reading = sum(said == READS for said in self.reviewers.values())
        return reading or int(self.slot == "working")

    @property
    def cost_usd(self) -> float | None:
        """The cost of all attempts; None when there was none or one of them is unknown."""
        known = [c for c in self.costs.values() if c is not None]
        return sum(known) if known and len(known) == len(self.costs) else None

    @property
    def cost_known_usd(self) -> float:
        """The part of the cost that is known, failed attempts too."""
        return sum(self.floors.get(n, 0.0) if c is None else c for n, c in self.costs.items())

    @property
    def tokens_total(self) -> tuple[int, int, int] | None:
        """Input, cached and output of all attempts that told it; None when none did."""
        if not self.tokens:
            return None
        columns = list(zip(*self.tokens.values(), strict=True))
        return sum(columns[0]), sum(columns[1]), sum(columns[2])

    @property
    def is_partial(self) -> bool:
        """True when some phases are done and others are not, or red was allowed to stay."""
        if self.with_red:
            return True
        values = [self.phases.get(p) for p in Phase if p in self.phases or p is not Phase.PLAN]
        return "done" in values and any(v != "done" for v in values)


@dataclass(frozen=True, slots=True)
class FeatureView:
    """What the journal says of a feature; cells appear with their first event.

    ``exit`` is the exit code of the last run, None while it runs or when it died.
    """

    cells: Mapping[str, CellView] = field(default_factory=lambda: NONE)
    feature: str = ""
    run: str = ""
    run_started_at: str | None = None
    run_finished_at: str | None = None
    exit: int | None = None
    forge_away: Mapping[str, str] = field(default_factory=lambda: NONE)
    surprises: tuple[str, ...] = ()

    def cell(self, name: str) -> CellView:
        """The view of a cell; a fresh pending one when nothing ever happened to it."""
        return self.cells.get(name) or CellView(name)

    def compute_state(self, names: Iterable[str]) -> FeatureState:
        """The state of the feature, over the cells that its spec names."""
        return summarize_states(self.cell(name).state for name in names)
