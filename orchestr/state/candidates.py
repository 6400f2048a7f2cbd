"""Attempts of a cell that work side by side (`best_of`): their record, what each came to.

`best-of.toml` in a cell's folder is written before any of them starts, again with the decision, and
removed when nothing is left of them but their attempts. So while it is there, candidates may have
worktrees, branches and agents. The decision is kept in the folder of the attempt that it names.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from orchestr.codec import Record, read_toml_record, write_toml_record
from orchestr.state import attempts
from orchestr.state.layout import CANDIDATE, WorkspaceLayout
from orchestr.state.seals import read_sealed, write_sealed

BEST_OF = "best-of.toml"


class CandidateState(StrEnum):
    """What came of a candidate, the best first."""

    GREEN = "green"  # its checks are green, and no reviewer has a blocker
    BLOCKED = "blocked"  # its checks are green, reviewers have blockers
    RED = "red"  # its checks are red
    FAILED = "failed"  # it made no result


class CandidateResult(Record, frozen=True):
    """What came of one candidate. ``place`` is from 1, ``attempt`` 0 for one that never began.

    ``red`` counts checks, ``blockers`` those of reviewers; ``usd`` and ``tokens`` (in and out)
    are 0 where they are not known; ``lines`` added and removed.
    """

    place: int
    agent: str
    attempt: int
    state: CandidateState
    head: str = ""
    red: int = 0
    blockers: int = 0
    usd: float = 0.0
    tokens: int = 0
    lines: int = 0
    reason: str = ""


class CandidateGroup(Record, frozen=True):
    """`best-of.toml`. ``key``: the work that they are at, ``start`` the commit that each begins on;
    ``agents`` by place. ``chosen`` is the place of the one whose work is taken, 0 before the
    decision."""

    key: str
    start: str
    agents: tuple[str, ...]
    chosen: int = 0
    results: tuple[CandidateResult, ...] = ()
    why: str = ""  # the chosen one is the best

    @property
    def winner(self) -> CandidateResult | None:
        """The chosen one's result."""
        return next((one for one in self.results if one.place == self.chosen), None)

    def write(self, folder: Path) -> None:
        write_sealed(folder, BEST_OF, self)

    @classmethod
    def read(cls, folder: Path) -> CandidateGroup | None:
        return read_sealed(folder, BEST_OF, cls)

    def keep(self, folder: Path, attempt: int) -> None:
        """Write the decision into the folder of an attempt."""
        place = attempts.attempt_folder(folder, attempt)
        place.mkdir(parents=True, exist_ok=True)
        write_toml_record(place / BEST_OF, self)

    @classmethod
    def read_kept(cls, folder: Path, attempt: int) -> CandidateGroup | None:
        """The decision that an attempt came from; None without one."""
        return read_toml_record(attempts.attempt_folder(folder, attempt) / BEST_OF, cls)


def has_candidates(folder: Path) -> bool:
    """Whether a cell's candidates may have worktrees and agents. Looks at one name."""
    return (folder / BEST_OF).exists()


def list_candidate_keys(layout: WorkspaceLayout, cells: Iterable[str]) -> set[str]:
    """The keys of the candidates that the cells of these keys (FEATURE/CELL) have now."""
    found = set()
    for key in cells:
        folder = layout.cell_dir(*key.split("/"))
        group = CandidateGroup.read(folder) if has_candidates(folder) else None
        count = len(group.agents) if group is not None else 0
        found |= {f"{layout.key_of(*key.split('/'))}{CANDIDATE}{n + 1}" for n in range(count)}
    return found
