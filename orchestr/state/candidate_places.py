"""Where the records of candidates lie beside those of their cell. Paths only."""

from __future__ import annotations

from pathlib import Path

from orchestr.state.layout import CANDIDATE


def home_of(cell_dir: Path) -> Path:
    """The folder of the cell that attempts are kept in: a candidate's are kept in its cell's, and
    its own folder only has an empty one for each."""
    name, found, _ = cell_dir.name.partition(CANDIDATE)
    return cell_dir.with_name(name) if found else cell_dir


def candidate_place(cell_dir: Path) -> int:
    """The place of the candidate that a folder belongs to, from 1; 0: it is a cell's."""
    return int(cell_dir.name.partition(CANDIDATE)[2] or 0)


def owner_of(cell_dir: Path, number: int) -> Path:
    """The folder of whoever works at an attempt of a cell: of a candidate, or the cell's own."""
    claims = cell_dir.parent.glob(f"{cell_dir.name}{CANDIDATE}*/attempts/{number}")
    return next((claim.parents[1] for claim in claims), cell_dir)
