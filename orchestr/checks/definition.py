"""What a kind of check is: a frozen record of its fields that can judge a worktree.

A kind is one class in one file of `orchestr.checks.kinds` (or of another package, with an entry
point in the group ``orchestr.checks``). It declares its fields once, with their rules,
descriptions and examples, and what it decides. `orchestr.checks.runner` runs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestr.spec.checks import CheckBase

if TYPE_CHECKING:
    from orchestr.checks.base import CheckVerdict
    from orchestr.checks.room import CheckContext


class CheckDefinition(CheckBase):
    """The base of every kind; see `orchestr.spec.check_record.CheckBase` for what it declares."""

    __slots__ = ()

    def run_and_judge(self, room: CheckContext) -> CheckVerdict:
        """Decide. May raise `CheckFailed`, and what `orchestr.process.run` raises."""
        raise NotImplementedError
