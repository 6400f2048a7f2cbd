"""Put a cell's result files under seals (`orchestr.state.seals`), journalled by its run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestr.spec.checks import Gate
from orchestr.state.events import EventKind
from orchestr.state.journal import DECISIONS, Journal
from orchestr.state.results import SEALED
from orchestr.state.seals import CellSeals, find_seals, seals_of, watch_folder

NAMES = (*SEALED, *(f"{DECISIONS}{gate}.toml" for gate in Gate))


def seal_results(
    folder: Path,
    journal: Journal,
    cell: str,
    emit: Callable[..., Any],
    is_run: Callable[[], bool],
    *,
    strict: bool = False,
) -> None:
    """What is written to and read from the cell's folder is compared with its journal; ``emit``
    journals an event of the cell. ``strict``: no version wrote such files without a digest.

    A run (``is_run``) holds the feature's lease: of results it is the only writer.
    """

    def announce(files: Mapping[str, str], whole: bool) -> None:
        emit(EventKind.RESULT_WRITTEN, files=dict(files), whole=whole)

    watch_folder(folder, CellSeals(seals_of(journal), cell, announce, is_run, strict=strict))


def close_seals(folder: Path) -> None:
    """Before an agent starts: from here on no result counts that our processes have not written."""
    seals = find_seals(folder)
    if seals is not None:
        seals.close(folder, NAMES)
