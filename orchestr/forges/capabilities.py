"""What a forge can do beyond `Forge`: the optional Protocols, in one table.

A forge says what it can by its methods: nothing is declared, and nothing is guessed from its kind.
Who needs one asks with ``isinstance`` and refuses, or does without, in words of its own; a forge
without it is never called. A forge with some of a Protocol's methods and not all of them has none
of it: `list_half_done` finds these, and the contract tests fail on them.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestr.forges.base import (
    ClosingForge,
    Forge,
    ForkingForge,
    IssueForge,
    ListingForge,
    MergingForge,
)
from orchestr.forges.followed import DressingForge, FollowingForge
from orchestr.forges.protection import ProtectingForge


@dataclass(frozen=True, slots=True)
class Capability:
    """One optional Protocol. ``without`` says what does not happen at a forge that lacks it."""

    name: str
    protocol: type
    without: str

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of the Protocol, in alphabetical order."""
        named = (name for name in vars(self.protocol) if not name.startswith("_"))
        return tuple(sorted(named))


CAPABILITIES = (
    Capability("close", ClosingForge, "pull requests of cells that are renamed or retired stay"
               " open"),
    Capability("list", ListingForge, "the forecast does not know what others want to merge"),
    Capability("merge", MergingForge, 'targets move by a push; land = "api" and "forge" are'
               " refused"),
    Capability("issues", IssueForge, "`orchestr draft --issue` takes files only"),
    Capability("follow", FollowingForge, "`orchestr follow` refuses"),
    Capability("dress", DressingForge, "labels, reviewers and milestones are warned about,"
               " `orchestr handoff` leaves drafts alone"),
    Capability("protect", ProtectingForge, "a landing heeds reviews that ask for changes and"
               " `land_requires` only"),
    Capability("fork", ForkingForge, "`[repos.X] upstream` is refused"),
)  # fmt: skip


def list_capabilities(forge: Forge) -> tuple[str, ...]:
    """The names of what a forge can, in the order of `CAPABILITIES`."""
    return tuple(each.name for each in CAPABILITIES if isinstance(forge, each.protocol))


def list_half_done(forge: Forge) -> tuple[str, ...]:
    """Methods that a forge lacks of Protocols of which it has others: `merge: is_queued`."""
    found = []
    for each in CAPABILITIES:
        missing = [name for name in each.methods if not hasattr(forge, name)]
        if 0 < len(missing) < len(each.methods):
            found += [f"{each.name}: {name}" for name in missing]
    return tuple(found)
