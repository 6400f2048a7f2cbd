"""Budgets: what a feature, an attempt and a run may spend, in dollars and in tokens.

Owns the sums and the decision; who is stopped by it is `drive`'s business. The ledger is the
journal: every ended attempt says there what it took, failed ones too, so a restart knows it. What
a running agent has taken is read from its transcript. Dollars count where they are known, by the
agent or by a price table; tokens count for every agent that tells them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from orchestr.settings.limit_records import LimitSettings
from orchestr.state.view import CellView, FeatureView


@dataclass(frozen=True, slots=True)
class Spending:
    """Known dollars, and tokens in and out."""

    usd: float = 0.0
    tokens: int = 0

    def __add__(self, other: Spending) -> Spending:
        return Spending(self.usd + other.usd, self.tokens + other.tokens)


@dataclass(frozen=True, slots=True)
class SpendingCap:
    """What may be spent; None is no limit."""

    usd: float | None = None
    tokens: int | None = None

    def __bool__(self) -> bool:
        return self.usd is not None or self.tokens is not None

    def reached_figure(self, spent: Spending) -> str | None:
        """`$5.02 of $5.00` when it is reached, else None."""
        if self.usd is not None and spent.usd >= self.usd:
            return f"{format_usd(spent.usd)} of {format_usd(self.usd)}"
        if self.tokens is not None and spent.tokens >= self.tokens:
            return f"{spent.tokens:,} of {self.tokens:,} tokens"
        return None


_NO_PHASE = (SpendingCap(), "")  # of an attempt at `implement`


class RunBudget:
    """The budget of one run over all its features (`--budget`, `--budget-tokens`)."""

    def __init__(self, cap: SpendingCap) -> None:
        self.cap = cap
        self._parts: dict[str, Spending] = {}
        self._lock = threading.Lock()

    def record_spending(self, feature: str, spent: Spending) -> None:
        """What a feature has taken in this run."""
        with self._lock:
            self._parts[feature] = spent

    def reached_figure(self) -> str | None:
        """The figure when the run's budget is reached."""
        with self._lock:
            return self.cap.reached_figure(sum(self._parts.values(), Spending()))


class FeatureBudget:
    """One feature's ledger and its limits. Safe to use from many threads."""

    def __init__(
        self, feature: str, limits: LimitSettings, past: FeatureView, purse: RunBudget | None = None
    ) -> None:
        self._feature = feature
        self._purse = purse or RunBudget(SpendingCap())
        self._whole = SpendingCap(limits.budget_usd, limits.budget_tokens)
        self._each = SpendingCap(limits.attempt_usd, limits.attempt_tokens)
        self._lock = threading.Lock()
        self._spent: dict[tuple[str, int | str], Spending] = {
            (cell.name, number): spent
            for cell in past.cells.values()
            for number, spent in spending_by_attempt(cell).items()
        }
        self._before = self.total_spending()
        self._own: dict[tuple[str, int | str], tuple[SpendingCap, str]] = {}  # with the phase

    def limit_attempt(self, cell: str, attempt: int, usd: float, phase: str) -> None:
        """This attempt may not take more than its phase gives it, whatever others may."""
        with self._lock:
            self._own[cell, attempt] = SpendingCap(usd), phase

    def limiting_phase(self, cell: str, attempt: int | str | None) -> str | None:
        """The phase whose own limit the attempt has reached, else None."""
        if attempt is None:
            return None
        with self._lock:
            own, phase = self._own.get((cell, attempt), _NO_PHASE)
            mine = self._spent.get((cell, attempt), Spending())
        return phase if own.reached_figure(mine) is not None else None

    def where_to_raise(self, cell: str, attempt: int | str | None) -> str:
        """What a person may raise where a budget is reached, for a hint."""
        phase = self.limiting_phase(cell, attempt)
        if phase is not None:
            return f"`budget_usd` of phase `{phase}`"
        return "it ([limits] in orchestr.toml, --budget)"

    @property
    def has_limit(self) -> bool:
        """Whether there is any limit to keep."""
        return bool(self._whole or self._each or self._purse.cap or self._own)

    def total_spending(self) -> Spending:
        """What the feature has taken, all attempts of all runs."""
        return sum(self._spent.values(), Spending())

    def record_spending(self, cell: str, attempt: int | str, spent: Spending) -> None:
        """What an attempt has taken up to now, all its starts."""
        with self._lock:
            self._spent[cell, attempt] = spent
            total = self.total_spending()
        mine = Spending(total.usd - self._before.usd, total.tokens - self._before.tokens)
        self._purse.record_spending(self._feature, mine)

    def find_spending(self, cell: str, attempt: int | str) -> Spending:
        """What an attempt has taken up to now, without its reviewers."""
        with self._lock:
            return self._spent.get((cell, attempt), Spending())

    def reached_reason(self, cell: str, attempt: int | str | None = None) -> str | None:
        """Why the attempt must end, or nothing may start; None while there is room."""
        with self._lock:
            total = self.total_spending()
            mine = self._spent.get((cell, attempt or 0), Spending())
        if (figure := self._purse.reached_figure()) is not None:
            return f"the budget of this run is reached: {figure}"
        if (figure := self._whole.reached_figure(total)) is not None:
            return f"the budget of feature {self._feature} is reached: {figure}"
        if attempt is None:
            return None
        own, phase = self._own.get((cell, attempt), _NO_PHASE)
        if (figure := own.reached_figure(mine)) is not None:
            return f"the budget of phase `{phase}` is reached: {figure}"
        if (figure := self._each.reached_figure(mine)) is not None:
            what = f"attempt {attempt}"
            if isinstance(attempt, int) and attempt < 0:
                what = f"plan {-attempt}"
            return f"the budget of {what} is reached: {figure}"
        return None

    def remaining_usd(self, cell: str, attempt: int | str) -> float | None:
        """Dollars that one more start of an attempt may take; None without such a limit."""
        with self._lock:
            total = self.total_spending()
            mine = self._spent.get((cell, attempt), Spending())
        run = Spending(total.usd - self._before.usd)
        own, _ = self._own.get((cell, attempt), _NO_PHASE)
        pairs = ((self._whole, total), (self._each, mine), (own, mine), (self._purse.cap, run))
        rooms = [cap.usd - spent.usd for cap, spent in pairs if cap.usd is not None]
        return min(rooms) if rooms else None


def spending_by_attempt(cell: CellView) -> dict[int | str, Spending]:
    """What each attempt of a cell has taken, by the journal."""
    numbers = {*cell.costs, *cell.floors, *cell.tokens}
    return {
        n: Spending(
            cell.costs.get(n) or cell.floors.get(n, 0.0),
            sum(cell.tokens[n][::2]) if n in cell.tokens else 0,
        )
        for n in numbers
    }


def has_usd_limit(limits: LimitSettings, purse: RunBudget | None) -> bool:
    """Whether a limit in dollars is set."""
    ours = limits.budget_usd is not None or limits.attempt_usd is not None
    return ours or (purse is not None and purse.cap.usd is not None)


def format_usd(usd: float) -> str:
    """`$5.02`; small amounts with as many digits as tell something."""
    return f"${usd:.2f}" if usd >= 0.1 or usd == 0 else f"${usd:.4f}"
