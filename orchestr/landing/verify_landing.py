"""The last step of a landed change: its record, its pull request, and what is tidied away."""

from __future__ import annotations

from orchestr.landing import after_landing, climb
from orchestr.landing.candidates import read_resolutions
from orchestr.landing.events import Event, Verified
from orchestr.landing.session import LandingSession
from orchestr.state.events import EventKind


def verify_landing(session: LandingSession, key: str) -> list[Event]:
    """Journal where a change landed, once, and see that its pull request says so.

    Raises what the forge and git raise; it may be repeated.
    """
    item = session.queue.items[key]
    change = item.change
    ctx = session.cell_context(change.reverts or key)
    kind = EventKind.LAND_UNDONE if change.reverts else EventKind.LAND_DONE
    is_recorded = any(
        e.kind is kind and e.cell == ctx.cell.name and e.data.get("commit") == item.after
        for e in ctx.run.journal.read()
    )
    resolved = read_resolutions(ctx.repo, item.before, item.after) if item.before else ()
    if not is_recorded:
        ctx.emit(kind, target=change.lane.target, commit=item.after, before=item.before,
                 head=change.head, resolved=list(resolved))  # fmt: skip
    if change.reverts:
        return [Verified(key)]
    if key in session.fresh:
        session.resolved[key] = resolved
    pr = after_landing.confirm_merged(ctx, session.warn)
    climb.keep_resolutions(ctx, item, resolved, pr, session.warn)
    after_landing.tidy_landed_cell(ctx, change.head, session.warn)
    return [Verified(key, str(pr.state) if pr is not None else "no pull request")]
