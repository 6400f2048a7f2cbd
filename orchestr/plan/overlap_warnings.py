"""Overlapping claims of a spec, each as a problem with its line.

`orchestr.plan.dag` finds them and the caller acts on them: `plan`, `validate` and `run` show the
same text. An error stops `run` (and makes `plan` and `validate` exit 2); a warning does
not.
"""

from __future__ import annotations

from pathlib import Path

from orchestr.errors import Problem
from orchestr.plan.dag import find_overlaps, overlap_severity
from orchestr.spec.locate import locate_cell_fields
from orchestr.spec.records import Feature

HINT = "add a depends_on edge between them, or narrow owned_paths"


def overlap_problems(feature: Feature, root: Path) -> list[Problem]:
    """Every overlap of a feature, at the later cell's pattern. ``root``: the workspace."""
    found = find_overlaps(feature)
    owned = {cell.name: cell.owned_paths for cell in feature.cells}
    paths = [(o.cell_b, "owned_paths", owned[o.cell_b].index(o.pattern_b)) for o in found]
    places = locate_cell_fields(root, feature.path, paths)
    severity = overlap_severity(feature)
    return [
        Problem(
            feature.path,
            *place,
            "",
            f"{over.cell_a} ({over.pattern_a}) and {over.cell_b} ({over.pattern_b}) may change the "
            "same paths, and neither depends on the other",
            HINT,
            severity,
        )
        for over, place in zip(found, places, strict=True)
    ]
