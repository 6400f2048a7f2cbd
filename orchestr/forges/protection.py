"""What a forge wants before anything comes into a branch: its protection, as a record.

Optional, as `orchestr.forges.followed` is: a forge without protection is not a `ProtectingForge`,
and then only settings ask for more. What a landing makes of the rules decides
`orchestr.landing.requirements`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from orchestr.forges.base import RepoRef


@dataclass(frozen=True, slots=True)
class BranchRules:
    """What protection of either kind (rules, rulesets) wants of pull requests into a branch.

    ``checks`` are the names that have to be green, ``approvals`` how many people must approve,
    ``codeowners`` that owners of the changed paths are among them, ``conversations`` that all are
    resolved, ``is_locked`` that nothing may be merged at all. ``is_known`` is False where this
    login may not read the rules: then the forge's own sums stand for them
    (`CiCheck.is_required`, `PullRequest.review`).
    """

    checks: tuple[str, ...] = ()
    approvals: int = 0
    codeowners: bool = False
    conversations: bool = False
    is_locked: bool = False
    is_known: bool = True


@runtime_checkable
class ProtectingForge(Protocol):
    """A forge whose branches can be protected."""

    def read_branch_rules(self, repo: RepoRef, branch: str) -> BranchRules:
        """What is wanted of pull requests into a branch; nothing of one that is not protected.

        Raises ForgeAway, ForgeError.
        """
        ...

    def read_review_teams(self, repo: RepoRef, number: int) -> Mapping[str, frozenset[str]]:
        """Login -> the teams (`ORG/TEAM`) on whose behalf its reviews count.

        Raises ForgeAway, ForgeError.
        """
        ...
