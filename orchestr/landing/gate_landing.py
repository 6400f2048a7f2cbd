"""When a landing asks whether the forge is done with a pull request, and how long it waits.

Twice. Before it starts, a change that lacks something is held, so that no check and no agent is
paid for it; and right before a target is moved, because people and CI go on meanwhile, and what was
stacked is for a protected branch only now. A draft stays a draft until the merge itself.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import replace

from orchestr.cell.context import CellContext
from orchestr.errors import Interrupted
from orchestr.forges.base import ForgeError
from orchestr.landing.events import CandidateSpec, LandIntended, Offered, Parked, Stage, Trouble
from orchestr.landing.forge_gate import GateLook
from orchestr.landing.requirements import Unmet, describe_unmet
from orchestr.landing.session import LandingSession

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0  # s between two looks at pending checks


def hold_unready(session: LandingSession, offers: Sequence[Offered]) -> list[Offered]:
    """The offers, those held of which the forge wants more; warns of red that is optional.

    What is only pending is not held where the landing may wait for it.
    """
    if session.undo:
        return list(offers)
    waits = [one for one in offers if _may_land(session, one)]
    looks, away = _look_by_repository(session, waits)
    found = []
    for offer in offers:
        if offer.change.key in away:
            found.append(replace(offer, change=replace(offer.change, hold=away[offer.change.key])))
            continue
        look = looks.get(offer.change.key)
        if look is not None and look.optional_red:
            names = ", ".join(look.optional_red)
            session.warn(f"{look.url} has red checks that are not required: {names}")
        unmet = _filter_unmet(session, offer.change.key, look.unmet if look is not None else ())
        hard = [one for one in unmet if not (one.is_pending and session.wait)]
        if look is not None and hard:
            offer = replace(
                offer, change=replace(offer.change, hold=describe_unmet(look.url, hard))
            )
        found.append(offer)
    return found


def _look_by_repository(
    session: LandingSession, offers: Sequence[Offered]
) -> tuple[dict[str, GateLook], dict[str, str]]:
    """What the pull requests lack, and why those of a repository could not be asked about: that
    holds its own changes only. Raises ForgeAway, ForgeError where it is all repositories.
    """
    cells: dict[str, list[CellContext]] = {}
    for offer in offers:
        ctx = session.cell_context(offer.change.key)
        cells.setdefault(ctx.cell.repo, []).append(ctx)
    try:
        return session.gate.look([ctx for mine in cells.values() for ctx in mine]), {}
    except ForgeError:
        if len(cells) < 2:
            raise
    looks: dict[str, GateLook] = {}
    failed: dict[str, ForgeError] = {}
    for repo, mine in cells.items():
        try:
            looks |= session.gate.look(mine)
        except ForgeError as error:
            failed[repo] = error
    if len(failed) == len(cells):
        raise next(iter(failed.values()))
    whys = {repo: f"its pull request cannot be asked about: {error.message}"
            + (f" ({error.hint})" if error.hint else "")
            for repo, error in failed.items()}  # fmt: skip
    return looks, {ctx.key: why for repo, why in whys.items() for ctx in cells[repo]}


def _may_land(session: LandingSession, offer: Offered) -> bool:
    change = offer.change
    known = session.queue.items.get(change.key)
    done = known is not None and known.stage is Stage.LANDED and known.change.head == change.head
    return not (offer.landed or change.hold or change.reverts or done)


def _filter_unmet(session: LandingSession, key: str, unmet: Collection[Unmet]) -> list[Unmet]:
    return [one for one in unmet if (key, one.requirement) not in session.lacking]


def intend_landing(
    session: LandingSession, spec: CandidateSpec, commit: str
) -> LandIntended | Parked:
    """The last look before a target is moved: what is missing is waited for, or a person's.

    Raises Interrupted, ForgeAway, ForgeError.
    """
    changes = [session.queue.items[key].change for key in spec.keys]
    cells = [session.cell_context(one.key) for one in changes if not one.reverts]
    end, pause = time.monotonic() + session.wait, FIRST_PAUSE
    while True:
        looks = session.gate.look(cells)
        missing = {key: _filter_unmet(session, key, look.unmet) for key, look in looks.items()}
        left = {key: unmet for key, unmet in missing.items() if unmet}
        hard = [key for key, unmet in left.items() if not all(one.is_pending for one in unmet)]
        if not left:
            return LandIntended(spec, commit)
        if hard or time.monotonic() >= end:
            key = hard[0] if hard else next(iter(left))
            return Parked(key, Trouble.RED, describe_unmet(looks[key].url, left[key]))
        if session.runs[0].stop.wait(pause):
            raise Interrupted("stopped; the same command goes on")
        pause = min(pause * 1.5, LONGEST_PAUSE)
