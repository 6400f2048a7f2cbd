"""Cells that are built and that no spec names any more: what is left of them.

A cell that was taken out of its spec, or that has another name there now, leaves a worktree, a
branch and a pull request. Nothing here changes anything; `orchestr retire` puts them away, `was:`
in the spec gives them to the cell that it is called now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestr.cell.context import FeatureRun
from orchestr.spec.records import Feature
from orchestr.state import attempts
from orchestr.state.layout import CANDIDATE, WorkspaceLayout
from orchestr.state.registry import Registry, RegistryEntry
from orchestr.state.results import NO_PR, WorktreeMarker, read_url

GONE = ("merged", "closed")


@dataclass(frozen=True, slots=True)
class RemovedCell:
    """What is left. ``worktree`` is None where there is none; ``url`` that of its pull request."""

    feature: str
    name: str
    repo: str
    branch: str
    url: str | None
    worktree: str | None
    is_left: bool = True  # a pull request is open, a worktree is there, or work is unpublished

    @property
    def description(self) -> str:
        """What it is and what it left, in words."""
        left = [f"branch {self.branch}"] if self.branch else []
        left += [self.url] if self.url else []
        left += [f"worktree {self.worktree}"] if self.worktree else []
        rest = f" ({', '.join(left)})" if left else ""
        return f"cell {self.feature}:{self.name} is in no spec any more{rest}"

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return (
            f"orchestr retire {self.feature}:{self.name} puts it away; where it has another name "
            f"now, write `was: {self.name}` there"
        )


def find_removed_cells(
    layout: WorkspaceLayout,
    feature: Feature,
    pr_states: Mapping[str, str | None] | None = None,
    *,
    everything: bool = False,
) -> list[RemovedCell]:
    """The cells of a feature that its spec does not name, and of which something is left.

    ``pr_states``: what the journal says of the pull requests of cells. ``everything``: also those
    whose work is merged or closed and whose worktree is gone.
    """
    named = {cell.name for cell in feature.cells}
    kept = {name.partition("/")[2] for key, name in layout.former.items() if "/" in key}
    found = _list_cell_folders(layout.feature_dir(feature.name)) - named - kept
    if not found and not layout.registry_file.exists():
        return []
    cells = _describe(layout, feature.name, found, named | kept, pr_states or {})
    return [cell for cell in cells if everything or cell.is_left]


def removed_cells_of(run: FeatureRun) -> list[RemovedCell]:
    """The cells of a run's feature that its spec does not name, and of which something is left."""
    states = {name: view.pr_state for name, view in run.past.cells.items()}
    return find_removed_cells(run.layout, run.feature, states)


def find_orphaned_features(
    layout: WorkspaceLayout, features: Collection[Feature]
) -> list[RemovedCell]:
    """The cells of features that have no spec any more."""
    named = {feature.name for feature in features} | {layout.former.get(f.name) for f in features}
    root = layout.state / "cells"
    names = {p.name for p in root.iterdir() if p.is_dir()} if root.is_dir() else set()
    return [
        cell
        for name in sorted(names - named)
        for cell in _describe(layout, name, _list_cell_folders(root / name), (), {})
    ]


def _describe(
    layout: WorkspaceLayout,
    feature: str,
    names: Iterable[str],
    others: Collection[str],
    states: Mapping[str, str | None],
) -> Iterator[RemovedCell]:
    place = layout.feature_dir(feature)
    entries = {
        entry.key.partition("/")[2]: entry
        for entry in Registry.of_workspace(layout).entries()
        if entry.key.partition("/")[0] == place.name
    }
    active = {name for name, entry in entries.items() if entry.is_active}
    for name in sorted({*names, *active} - set(others)):
        if name.partition(CANDIDATE)[0] in others:
            continue  # of a cell that is there
        yield _describe_cell(feature, name, place / name, entries.get(name), states.get(name))


def _describe_cell(
    feature: str, name: str, folder: Path, entry: RegistryEntry | None, pr_state: str | None
) -> RemovedCell:
    marker, url = WorktreeMarker.read(folder), read_url(folder)
    tree = entry.path if entry is not None and Path(entry.path).exists() else None
    url = None if url == NO_PR or pr_state in GONE else url
    worked = attempts.newest_attempt(folder) is not None
    left = url is not None or tree is not None or (worked and pr_state is None)
    branch = marker.branch if marker is not None else entry.branch if entry is not None else ""
    repo = entry.repo if entry is not None else ""
    return RemovedCell(feature, name, repo, branch, url, tree, left)


def _list_cell_folders(place: Path) -> set[str]:
    """The folders of cells below a feature's; `cross-checks` and the like are none."""
    if not place.is_dir():
        return set()
    return {
        one.name
        for one in place.iterdir()
        if (one / "worktree.toml").exists() or (one / "attempts").is_dir()
    }
