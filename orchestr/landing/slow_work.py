"""What a landing has waited for so long that a person wants to know what it is."""

from __future__ import annotations

import time
from collections.abc import Collection, MutableMapping

from orchestr.landing.actions import Action, CheckCandidate, Generate, LandCandidate, UpdateBranch

LONG = 3.0  # s; a line for each quick check would only be noise


def find_slow_work(
    flying: Collection[Action], began: MutableMapping[Action, float], now: float | None = None
) -> list[Action]:
    """The work under way that has just become slow, each once. ``began`` is the caller's memory:
    when each was first seen, infinite once it was named. A repair has its own line."""
    now = time.monotonic() if now is None else now
    for action in [known for known in began if known not in flying]:
        del began[action]
    found = []
    for action in flying:
        first = began.setdefault(action, now)
        is_shown = isinstance(action, CheckCandidate | Generate | LandCandidate | UpdateBranch)
        if is_shown and now - first >= LONG:
            began[action] = float("inf")
            found.append(action)
    return found
