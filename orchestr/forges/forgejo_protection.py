"""Protected branches at a Forgejo, as the branch itself shows them: `ProtectingForge`.

The rules are shown in full to owners only; what a branch says of its protection everybody may read
who may read the branch: the checks and the approvals that are wanted. Contexts may be patterns
(`ci/*`): a check that fits one is required (`is_required_check`); only plain names can be missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from orchestr.forges.base import RepoRef
from orchestr.forges.forgejo_api import quote_name
from orchestr.forges.forgejo_base import ForgejoBase
from orchestr.forges.protection import BranchRules
from orchestr.forges.rest_answers import RequestMissing

_GLOB = "*?[{\\"


class ForgejoProtection(ForgejoBase):
    """`ProtectingForge` of Forgejo and Gitea."""

    def read_branch_rules(self, repo: RepoRef, branch: str) -> BranchRules:
        """See `ProtectingForge.read_branch_rules`. Owners of paths and conversations are no rules
        of this forge."""
        path = self.path_for(repo)
        try:
            row = self.api.send_request(path, "GET", f"{path.api}/branches/{quote_name(branch)}")
        except RequestMissing:
            return BranchRules()
        return BranchRules(
            checks=tuple(name for name in list_contexts(row) or () if not is_pattern(name)),
            approvals=int(row.get("required_approvals") or 0) if row.get("protected") else 0,
        )

    def read_review_teams(self, repo: RepoRef, number: int) -> Mapping[str, frozenset[str]]:
        """See `ProtectingForge.read_review_teams`: a review counts for its author alone."""
        return {}


def list_contexts(branch: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The contexts that protection of a branch wants, as names and patterns; ``()`` for every one
    that reports, None where it wants none. Pure."""
    if not branch.get("protected") or not branch.get("enable_status_check"):
        return None
    return tuple(str(name) for name in branch.get("status_check_contexts") or ())


def is_required_check(name: str, contexts: tuple[str, ...] | None) -> bool:
    """Whether protection wants a check of that name, see `list_contexts`. Pure."""
    if contexts is None:
        return False
    return not contexts or any(name == each or fnmatchcase(name, each) for each in contexts)


def is_pattern(context: str) -> bool:
    """Whether a context stands for several names."""
    return any(letter in context for letter in _GLOB)
