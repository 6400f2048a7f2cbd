"""What a landing knows of each change before it is checked on its target, for its likelihood.

Reads results, rounds and git; what follows from them is `orchestr.landing.likelihood`'s. Whatever
cannot be read is unknown: a likelihood decides about order and depth, never about what may land.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from orchestr.cell.context import CellContext
from orchestr.errors import OrchestrError
from orchestr.git.line_counts import count_changed_lines
from orchestr.landing.events import Offered
from orchestr.landing.likelihood import ChangeEvidence, estimate_risk
from orchestr.landing.session import LandingSession
from orchestr.spec.phases import Phase
from orchestr.state import repairs
from orchestr.state.results import HeadRecord, ImplementRecord

Lines = Mapping[str, int]  # path -> lines added and removed


def rate_changes(session: LandingSession, offers: Sequence[Offered]) -> list[Offered]:
    """The same offers, each with its risk where something is known of it; reverts have none."""
    sizes = {offer.change.key: _read_changed_lines(session, offer) for offer in offers}
    users = Counter(
        (offer.change.lane, path) for offer in offers for path in sizes[offer.change.key] or ()
    )
    found = []
    for offer in offers:
        change, lines = offer.change, sizes[offer.change.key]
        if lines is None:
            found.append(offer)
            continue
        ctx = session.cell_context(change.key)
        rounds = _count_rounds(ctx)
        evidence = ChangeEvidence(
            checked=ctx.has_checks,
            lines=sum(lines.values()),
            shared=max((users[change.lane, path] - 1 for path in lines), default=0),
            rounds=rounds[Phase.CHECK],
            objections=rounds[Phase.REVIEW],
        )
        risk = round(estimate_risk(evidence), 3)
        found.append(replace(offer, change=replace(change, risk=risk)))
    return found


def _read_changed_lines(session: LandingSession, offer: Offered) -> Lines | None:
    """What a change adds and removes; None where it is not to be landed, or git cannot say."""
    change = offer.change
    if offer.landed or change.reverts or not change.head:
        return None
    ctx = session.cell_context(change.key)
    done = HeadRecord.read(ctx.dir)
    if done is None:
        return None
    try:
        return count_changed_lines(ctx.repo, done.base, change.head)
    except OrchestrError:
        return None


def _count_rounds(ctx: CellContext) -> Counter[str]:
    """The repairs that made the head of what its agent had written, by phase."""
    done = ImplementRecord.read(ctx.dir)
    if done is None or not done.attempt:
        return Counter()
    return Counter(
        one.phase
        for one in repairs.read_rounds(ctx.dir, done.attempt)
        if one.origin == done.origin and one.outcome in repairs.COUNTED
    )
