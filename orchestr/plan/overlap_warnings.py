"""Overlapping claims of a spec, each as a problem with its line.

`orchestr.plan.dag` finds them and the caller acts on them: `plan`, `validate` and `run` show the
same text. An error stops `run` (and makes `plan` and `validate` exit 2); a warning does
not.
"""

from __future__ import annotations

from pathlib import Path

from orchestr.errors import Problem
from orchestr.plan.dag import find_overlaps, make_plan, overlap_severity
from orchestr.plan.edge_suggestion import suggest_edges
from orchestr.spec.locate import locate_cell_fields
from orchestr.spec.records import Feature


def overlap_problems(feature: Feature, root: Path) -> list[Problem]:
    """Every overlap of a feature, as `find_overlaps` orders them: at the later cell's pattern, with
    the edge that ends it. ``root``: the workspace."""
    found = find_overlaps(feature)
    if not found:
        return []
    owned = {cell.name: cell.owned_paths for cell in feature.cells}
    waves = {cell.name: cell.wave for cell in make_plan(feature).cells}
    # The later one is that of the later wave: what comes before it does not have to wait for it.
    swapped = [waves[over.cell_a] > waves[over.cell_b] for over in found]
    later = [
        (over.cell_a, over.pattern_a) if swap else (over.cell_b, over.pattern_b)
        for over, swap in zip(found, swapped, strict=True)
    ]
    paths = [(cell, "owned_paths", owned[cell].index(pattern)) for cell, pattern in later]
    edges = [
        (over.cell_b, over.cell_a) if swap else (over.cell_a, over.cell_b)
        for over, swap in zip(found, swapped, strict=True)
    ]
    hints = suggest_edges(feature, root, edges)
    places = locate_cell_fields(root, feature.path, paths)
    severity = overlap_severity(feature)
    return [
        Problem(
            *place,
            "",
            f"{over.cell_a} ({over.pattern_a}) and {over.cell_b} ({over.pattern_b}) may change the "
            "same paths, and neither depends on the other",
            f"{hint}, or narrow owned_paths",
            severity,
        )
        for over, place, hint in zip(found, places, hints, strict=True)
    ]
