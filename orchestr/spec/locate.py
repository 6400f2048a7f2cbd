"""Where the values of a feature stand in its file, for what is found after it was read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestr.errors import OrchestrError


def locate_cell_fields(
    root: Path, file: str, paths: Sequence[Sequence[str | int]], *, at_key: bool = False
) -> list[tuple[int, int]]:
    """Line and column of each path, which starts with a cell's name; (0, 0) for all where the file
    cannot be read any more. ``root`` is the workspace.
    """
    if not paths:
        return []
    from orchestr.spec import yaml_source

    try:
        text = yaml_source.parse(file, (root / file).read_bytes())
    except (OrchestrError, OSError):
        return [(0, 0)] * len(paths)
    value = text.value if isinstance(text.value, dict) else {}
    section = "cells" if "cells" in value else "repos"
    return [text.find_place([section, *path], at_key=at_key) for path in paths]
