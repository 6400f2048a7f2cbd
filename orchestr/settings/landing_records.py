"""`[landing]` as a frozen record."""
# Types are real objects here, not texts: every start makes the table of keys from them.

from dataclasses import dataclass
from typing import Annotated

from orchestr.settings import keys
from orchestr.spec.declare import Doc


@dataclass(frozen=True, slots=True)
class LandingSettings:
    """How the merge queue works (docs/landing.md)."""

    strategy: Annotated[keys.Strategy, Doc("how changes land")] = "merge"
    land: Annotated[keys.Land | None, Doc("how a target moves; default: by the forge", "push")] = (
        None
    )
    window: Annotated[int, keys.count(1, 100), Doc("candidates checked at once, at the start")] = 20
    floor: Annotated[int, keys.count(1, 100), Doc("the fewest candidates checked at once")] = 3
    batch: Annotated[
        int,
        keys.count(1, 100, auto=True),
        Doc("changes in one candidate; `auto`: as many as pay", "auto"),
    ] = 0
    jobs: Annotated[int, keys.count(1, 100), Doc("checks at once")] = 2
    repairs: Annotated[
        int,
        keys.count(0, 10),
        Doc("attempts of a cell's agent to repair a conflict or a red check"),
    ] = 2
    disjoint: Annotated[
        keys.Flag, Doc("changes of different paths are not checked on each other")
    ] = False
    rungs: Annotated[
        keys.Rungs,
        Doc(
            "what resolves a conflict before an agent is asked; `[]`: nothing",
            ["recorded", "union"],
        ),
    ] = keys.RUNGS
    delete_branches: Annotated[keys.Flag, Doc("delete branches that have landed")] = False
    keep_worktrees: Annotated[keys.Flag, Doc("keep the worktrees of what has landed")] = False
    land_requires: Annotated[
        keys.Requirements,
        Doc(
            "what a pull request must have beside what its target's protection wants",
            ["checks", "approval"],
        ),
    ] = ()
    wait: Annotated[
        keys.Duration, Doc("how long a landing waits for pending checks of the forge", "30m")
    ] = 0.0
