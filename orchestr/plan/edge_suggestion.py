"""The edge that keeps two cells of a feature from meeting, in words, with the place to write it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestr.spec.locate import locate_cell_fields
from orchestr.spec.records import Feature


def suggest_edges(feature: Feature, root: Path, pairs: Sequence[tuple[str, str]]) -> list[str]:
    """For each (upstream, cell): ``write `depends_on: [a]` in b (specs/x.yaml:7)``, with the edges
    that the cell has. ``root``: the workspace.
    """
    places = locate_cell_fields(root, feature.path, [[cell] for _, cell in pairs], at_key=True)
    found = []
    for (upstream, name), (file, line, _) in zip(pairs, places, strict=True):
        edges = ", ".join([*feature.cell(name).depends_on, upstream])
        place = f"{file}:{line}" if line else file
        found.append(f"write `depends_on: [{edges}]` in {name} ({place})")
    return found
