"""Where the records of a renamed cell or feature are until they are moved (`.rename_cell`)."""

from __future__ import annotations

from orchestr.spec.records import Feature
from orchestr.state.layout import WorkspaceLayout


def note_former_names(layout: WorkspaceLayout, feature: Feature) -> None:
    """Let a feature's records be found under the names that they have now. Reads folders only."""
    layout.former.pop(feature.name, None)
    was = feature.was
    if was is not None:
        old, new = layout.journal_file(was), layout.journal_file(feature.name)
        if old.exists() and not new.exists():
            layout.former[feature.name] = was
    place = layout.feature_dir(feature.name)
    for cell in feature.cells:
        layout.former.pop(f"{feature.name}/{cell.name}", None)
        if (
            cell.was is not None
            and (place / cell.was).is_dir()
            and not (place / cell.name).exists()
        ):
            layout.former[f"{feature.name}/{cell.name}"] = f"{place.name}/{cell.was}"


def former_cell_names(layout: WorkspaceLayout, feature: Feature) -> dict[str, str]:
    """Old name -> name of now of the cells whose records are kept under the old one still."""
    return {
        cell.was: cell.name
        for cell in feature.cells
        if cell.was is not None and f"{feature.name}/{cell.name}" in layout.former
    }
