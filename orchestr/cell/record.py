"""A cell's folder as one value: every result file is read at most once.

A phase makes one `CellRecord` when it starts, decides on it (`decide` in the phase's module, a pure
function) and performs the answer. A record is a look at one moment: whoever writes a result file
makes a new one before it decides again. Reading sets aside a file that is not readable, as the
readers in `orchestr.state.results` do, so such a phase finds its result missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from orchestr.cell.context import CellContext, observed_prs
from orchestr.files import share_in_cached_reads
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.results import (
    CHECKS,
    REVIEW,
    Evidence,
    HeadRecord,
    ImplementRecord,
    PlanRecord,
    PublishRecord,
    WorktreeMarker,
    read_tree,
    read_url,
)

if TYPE_CHECKING:
    from orchestr.forges.base import PullRequest

Step = TypeVar("Step", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Decision(Generic[Step]):
    """What a phase does now, and why it runs at all; ``why`` is None for an up-to-date result."""

    step: Step
    why: str | None


class CellRecord:
    """The result files of a cell, its newest attempt, and its pull requests as the run saw them."""

    def __init__(self, folder: Path, prs: tuple[PullRequest, ...] = ()) -> None:
        self.folder = folder
        self.prs = prs

    @classmethod
    def of_cell(cls, ctx: CellContext) -> CellRecord:
        """The record of a cell in a run. A file is read when its value is asked for first.

        Inside `orchestr.files.cache_record_reads` all phases of a cell share one.
        """
        prs = observed_prs(ctx.run, ctx.cell)
        return share_in_cached_reads((cls, ctx.dir, prs), lambda: cls(ctx.dir, prs))

    @classmethod
    def from_values(cls, prs: tuple[PullRequest, ...] = (), **values: Any) -> CellRecord:
        """A record of exactly these values; the others are missing, and no file is read."""
        record = cls(Path(), prs)
        names = [n for n, v in vars(cls).items() if isinstance(v, cached_property)]
        unknown = set(values) - set(names)
        if unknown:
            raise TypeError(f"a cell's record has no {', '.join(sorted(unknown))}")
        vars(record).update({name: values.get(name) for name in names})
        return record

    @cached_property
    def marker(self) -> WorktreeMarker | None:
        return WorktreeMarker.read(self.folder)

    @cached_property
    def fresh_request(self) -> str | None:
        return attempts.fresh_request(self.folder)

    @cached_property
    def planned(self) -> PlanRecord | None:
        return PlanRecord.read(self.folder)

    @cached_property
    def newest_plan(self) -> Attempt | None:
        return attempts.newest_plan(self.folder)

    @cached_property
    def implemented(self) -> ImplementRecord | None:
        return ImplementRecord.read(self.folder)

    @cached_property
    def newest_attempt(self) -> Attempt | None:
        """The newest attempt at `implement`."""
        return attempts.newest_attempt_at(self.folder)

    @cached_property
    def newest_own(self) -> Attempt | None:
        """The newest attempt of all, where it was one at a phase of one's own."""
        newest = attempts.newest_attempt(self.folder)
        return newest if newest is not None and newest.of else None

    @cached_property
    def checks(self) -> Evidence | None:
        return Evidence.read(self.folder / CHECKS)

    @cached_property
    def review(self) -> Evidence | None:
        return Evidence.read(self.folder / REVIEW)

    @cached_property
    def head(self) -> HeadRecord | None:
        return HeadRecord.read(self.folder)

    @cached_property
    def tree(self) -> str | None:
        return read_tree(self.folder)

    @cached_property
    def published(self) -> PublishRecord | None:
        return PublishRecord.read(self.folder)

    @cached_property
    def url(self) -> str | None:
        return read_url(self.folder)
