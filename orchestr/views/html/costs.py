"""What everything cost: attempts, and their sums by cell, agent and model.

Pure. The figures are those of `orchestr.state.view`, so that page and `status` never differ;
journal and attempt records only add who did the work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from orchestr.spec.records import AUDIT
from orchestr.state.timeline import SpanKind
from orchestr.views.html import escape
from orchestr.views.html.model import FeaturePage
from orchestr.views.terminal.text import format_dollars, format_duration, headline, shorten_number

Counts = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class CostSum:
    """What a cell, an agent or a model came to. ``share`` is percent of the dearest."""

    name: str
    agent: str
    known: float = 0.0
    complete: bool = True
    tokens: Counts | None = None
    attempts: int = 0
    reviews: int = 0
    seconds: float = 0.0
    share: float = 0.0

    @property
    def words(self) -> str:
        return format_dollars(self.known, self.complete) if self.attempts or self.reviews else "-"

    @property
    def works(self) -> str:
        """`2`, with reviews `2, 3 reviews`."""
        if not self.reviews:
            return str(self.attempts)
        told = f"{self.reviews} review{'s' if self.reviews > 1 else ''}"
        return f"{self.attempts}, {told}" if self.attempts else told

    @property
    def tokens_words(self) -> str:
        return token_count_words(self.tokens)


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt of a cell."""

    number: int
    agent: str
    model: str
    outcome: str
    reason: str
    started: float | None
    time: str
    cost: str
    tokens: str
    state: str


def token_count_words(counts: Counts | None) -> str:
    if counts is None:
        return "-"
    fed, cached, out = map(shorten_number, counts)
    return f"{fed} in" + (f" ({cached} cached)" if counts[1] else "") + f", {out} out"


def attempt_rows(page: FeaturePage, cell: str) -> list[AttemptRow]:
    """Every attempt of a cell that journal or files know."""
    view = page.status.view.cell(cell)
    spans = {s.attempt: s for s in page.timeline.select_spans(SpanKind.ATTEMPT, cell=cell)}
    facts = {a.number: a for a in page.cell_evidence(cell).attempts}
    found = []
    for number in sorted({*spans, *facts} - {0}):
        seen, record = spans.get(number), facts.get(number)
        data = seen.data if seen else {}
        cost = view.costs.get(number)
        known = view.floors.get(number, 0.0) if cost is None else cost
        work = [
            s for s in page.timeline.select_spans(SpanKind.WORK, cell=cell) if s.attempt == number
        ]
        outcome = record.outcome if record and record.outcome else str(data.get("outcome") or "")
        state = seen.state if seen else "done" if outcome == "done" else "failed"
        outcome = outcome or state
        found.append(
            AttemptRow(
                number,
                escape.make_visible(record.agent if record else data.get("agent", "")),
                escape.make_visible(record.model if record else data.get("model", "")) or "default",
                escape.make_visible(outcome),
                escape.make_visible(
                    headline(record.reason if record else seen.note if seen else "")
                ),
                seen.start if seen else None,
                format_duration(sum(s.seconds(page.now) for s in work)) if work else "-",
                format_dollars(known, cost is not None) if number in view.costs else "-",
                token_count_words(view.tokens.get(number)),
                state,
            )
        )
    return found


def sum_costs(page: FeaturePage) -> dict[str, list[CostSum]]:
    """By cell, agent and model, the dearest first; without figures the longest."""
    cells: dict[str, CostSum] = {}
    agents: dict[str, CostSum] = {}
    models: dict[str, CostSum] = {}
    steps = [AUDIT] if page.status.feature.has_audit else []
    for name in (*(plan.name for plan in page.status.plan.cells), *steps):
        view = page.status.view.cell(name)
        for one in attempt_rows(page, name):
            cost = view.costs.get(one.number)
            known = view.floors.get(one.number, 0.0) if cost is None else cost
            work = page.timeline.select_spans(SpanKind.WORK, cell=name)
            seconds = sum(s.seconds(page.now) for s in work if s.attempt == one.number)
            told = view.tokens.get(one.number)
            keys = ((cells, name), (agents, one.agent), (models, f"{one.agent} · {one.model}"))
            for table, key in keys:
                old = table.get(key) or CostSum(key, one.agent)
                table[key] = replace(
                    old,
                    agent=one.agent if old.agent in (one.agent, "") else "several",
                    known=old.known + known,
                    complete=old.complete and cost is not None,
                    tokens=_add_counts(old.tokens, told),
                    attempts=old.attempts + 1,
                    seconds=old.seconds + seconds,
                )
        for agent, model, alone in _review_costs(page, name):
            for table, key in ((cells, name), (agents, agent), (models, f"{agent} · {model}")):
                old = table.get(key) or CostSum(key, agent)
                table[key] = replace(
                    old,
                    agent=agent if old.agent in (agent, "") else "several",
                    known=old.known + alone.known,
                    complete=old.complete and alone.complete,
                    tokens=_add_counts(old.tokens, alone.tokens),
                    reviews=old.reviews + 1,
                    seconds=old.seconds + alone.seconds,
                )
    return {name: _sort_with_shares(table.values()) for name, table in
            (("cell", cells), ("agent", agents), ("model", models))}  # fmt: skip


def _review_costs(page: FeaturePage, cell: str) -> Iterator[tuple[str, str, CostSum]]:
    """What each review of a cell cost: agent, model, and the cost alone."""
    view = page.status.view.cell(cell)
    spans = {(s.attempt, s.data.get("part")): s
             for s in page.timeline.select_spans(SpanKind.REVIEW, cell=cell)}  # fmt: skip
    for key in (k for k in view.costs if isinstance(k, str)):
        number, _, part = key.partition("/")
        span = spans.get((int(number) if number.lstrip("-").isdecimal() else 0, part))
        data = span.data if span is not None else {}
        cost = view.costs[key]
        known = view.floors.get(key, 0.0) if cost is None else cost
        yield (
            escape.make_visible(data.get("agent") or "a reviewer"),
            escape.make_visible(data.get("model") or "default"),
            CostSum("", "", known, cost is not None, view.tokens.get(key), 0, 1,
                 span.seconds(page.now) if span is not None else 0.0),
        )  # fmt: skip


def _sort_with_shares(rows: Iterable[CostSum]) -> list[CostSum]:
    found = sorted(rows, key=lambda c: (-c.known, -sum(c.tokens or (0,)), -c.seconds))
    by_cost = any(c.known for c in found)
    most = max((c.known if by_cost else c.seconds for c in found), default=0.0) or 1.0
    return [replace(c, share=100 * (c.known if by_cost else c.seconds) / most) for c in found]


def _add_counts(a: Counts | None, b: Counts | None) -> Counts | None:
    if a is None or b is None:
        return a or b
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def total_cost(rows: Iterable[CostSum]) -> CostSum:
    """All of them together."""
    whole = CostSum("all", "")
    for row in rows:
        whole = replace(
            whole,
            known=whole.known + row.known,
            complete=whole.complete and row.complete,
            tokens=_add_counts(whole.tokens, row.tokens),
            attempts=whole.attempts + row.attempts,
            reviews=whole.reviews + row.reviews,
            seconds=whole.seconds + row.seconds,
        )
    return whole
