"""What `decide` is given: the cells of a feature, their records, their pull requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestr.follow.memory import FollowMemory
from orchestr.forges.followed import CiCheck, PullRequestFacts


@dataclass(frozen=True, slots=True)
class RedCheck:
    """A check that is red, with what its log says.

    ``causal`` is the part that an agent gets, ``signature`` see `sign_failure`. ``owners`` are the
    cells that the log itself names as the cause, in the order of the spec: the cell is among them
    when it names a path of its own. ``missing`` maps names that the log misses to the cell of
    another repository whose change brings them.
    """

    check: CiCheck
    causal: str
    signature: str
    owners: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FollowedCell:
    """One cell as follow sees it.

    ``published`` is the head that its records say stands at the forge, empty when there is none.
    ``why_open`` is why it is not done here yet (empty: it is), ``stale`` what it builds on changed
    since, ``is_unchanged`` that its work was to change nothing, ``failed`` why its last run failed,
    if it did, ``asks`` that it waits for a person's yes. ``was_pushed`` are the commits that we
    pushed for it. ``below`` is the cell of the same repository whose branch is this one's base, if
    its pull request is open, ``landed_below`` that cell if it is merged. ``can_repair``: an agent
    of ours made it. ``facts`` None: it has no pull request to follow.
    """

    name: str
    repo: str
    published: str = ""
    why_open: str = ""
    failed: str = ""
    stale: str = ""
    is_unchanged: bool = False
    asks: bool = False
    was_pushed: frozenset[str] = frozenset()
    below: str = ""
    landed_below: str = ""
    can_repair: bool = True
    rounds: int = 3
    memory: FollowMemory = field(default_factory=FollowMemory)
    facts: PullRequestFacts | None = None
    red: tuple[RedCheck, ...] = ()
    unmerged: Mapping[str, str] = field(default_factory=dict)  # upstream elsewhere -> its address
    untouchable: Mapping[str, str] = field(default_factory=dict)  # upstream -> why it is left alone


@dataclass(frozen=True, slots=True)
class Rules:
    """Of the settings: whose words count, and how long is waited for more of them (s)."""

    trusted: frozenset[str] = frozenset()
    bots: frozenset[str] = frozenset()
    bundle: float = 90.0
    hands_off: str = "orchestr: hands off"
