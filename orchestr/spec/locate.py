"""Where the values of a feature stand in its file, for what is found after it was read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestr.errors import OrchestrError
from orchestr.spec.places import Place


def locate_cell_fields(
    root: Path, file: str, paths: Sequence[Sequence[str | int]], *, at_key: bool = False
) -> list[Place]:
    """The place of each path, which starts with a cell's name; line and column are 0 for all where
    the file cannot be read any more. ``root`` is the workspace.
    """
    if not paths:
        return []
    from orchestr.spec.document import read_document

    try:
        text = read_document(file, (root / file).read_bytes(), root)
    except (OrchestrError, OSError):
        return [Place(file, 0, 0)] * len(paths)
    value = text.value if isinstance(text.value, dict) else {}
    section = "cells" if "cells" in value else "repos"
    return [text.find_place([section, *path], at_key=at_key) for path in paths]
