"""The origins of all cells of a workspace, those that no spec names any more included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from orchestr.provenance.gather import (
    CellOrigin,
    CellRecords,
    read_checked_commits,
    read_origin,
)
from orchestr.spec.records import Feature
from orchestr.state.events import Event
from orchestr.state.journal import Journal
from orchestr.state.layout import WorkspaceLayout


class Origins:
    """Reads each feature's journal once. ``open_journal`` knows the renames of its cells."""

    def __init__(
        self,
        layout: WorkspaceLayout,
        features: Mapping[str, Feature],
        open_journal: Callable[[str], Journal],
    ) -> None:
        self._layout, self._features, self._open = layout, features, open_journal
        self._read: dict[str, tuple[Journal, list[Event]]] = {}
        self._found: dict[tuple[str, str], CellOrigin] = {}

    def list_features(self) -> list[str]:
        """Every feature with a spec or a journal, sorted."""
        kept = {path.stem for path in (self._layout.state / "journal").glob("*.jsonl")}
        return sorted({*self._features, *(kept - {*self._layout.former.values()})})

    def list_cells(self, feature: str) -> list[str]:
        """The cells of a feature: those of its spec in that order, then others with records."""
        known = self._features.get(feature)
        named = [cell.name for cell in known.cells] if known is not None else []
        _, events = self._events(feature)
        return list(dict.fromkeys([*named, *sorted({e.cell for e in events if e.cell})]))

    def knows_cell(self, feature: str, cell: str) -> bool:
        """Whether a spec or a journal has such a cell. Names in trailers and statements
        can be forged: nothing is read for others."""
        return feature in self.list_features() and cell in self.list_cells(feature)

    def find_origin(self, feature: str, cell: str) -> CellOrigin:
        """What is known of a cell that `knows_cell` has; for one without records its name alone."""
        if (feature, cell) not in self._found:
            journal, events = self._events(feature)
            records = CellRecords(self._layout, journal, events, feature, cell)
            repo = self._find_repo_in_spec(feature, cell)
            self._found[feature, cell] = read_origin(records, repo, self._checked)
        return self._found[feature, cell]

    def of_feature(self, feature: str) -> Iterator[CellOrigin]:
        """Every cell of a feature."""
        return (self.find_origin(feature, cell) for cell in self.list_cells(feature))

    def of_repository(self, repo: str) -> Iterator[CellOrigin]:
        """Every cell whose work is in a repository; those whose repository is not known, too."""
        for feature in self.list_features():
            for origin in self.of_feature(feature):
                if self.repo_of(feature, origin.records.cell) in (repo, ""):
                    yield origin

    def repo_of(self, feature: str, cell: str) -> str:
        """The repository by the spec, else by the cell's records; "" where neither names it."""
        return (
            self._find_repo_in_spec(feature, cell) or self.find_origin(feature, cell).records.repo
        )

    @property
    def folder(self) -> Path:
        """Where statements are written unless another folder is named."""
        return self._layout.state / "attestations"

    def _find_repo_in_spec(self, feature: str, cell: str) -> str:
        known = self._features.get(feature)
        cells = known.cells if known is not None else ()
        return next((one.repo for one in cells if one.name == cell), "")

    @cached_property
    def _checked(self) -> dict[str, bool]:
        return read_checked_commits(self._layout)

    def _events(self, feature: str) -> tuple[Journal, list[Event]]:
        if feature not in self._read:
            journal = self._open(feature)
            self._read[feature] = journal, list(journal.read())
        return self._read[feature]
