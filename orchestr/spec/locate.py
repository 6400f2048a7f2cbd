"""Where the values of a feature stand in its file, for what is found after it was read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestr.errors import OrchestrError
from orchestr.spec.places import Place
from orchestr.spec.records import Feature

if TYPE_CHECKING:  # a run with nothing to show reads no YAML
    from orchestr.spec.yaml_source import Document


def locate_cell_fields(
    root: Path, file: str, paths: Sequence[Sequence[str | int]], *, at_key: bool = False
) -> list[Place]:
    """The place of each path, which starts with a cell's name; line and column are 0 for all where
    the file cannot be read any more. ``root`` is the workspace.
    """
    text = _read_again(root, file) if paths else None
    if text is None:
        return [Place(file, 0, 0)] * len(paths)
    section = _find_section(text)
    return [text.find_place([section, *path], at_key=at_key) for path in paths]


def locate_first_fields(
    root: Path, file: str, candidates: Sequence[Sequence[Sequence[str | int]]]
) -> list[Place]:
    """For each entry the place of the first of its paths that the file states, else the nearest to
    its first one. A path begins at the top of the file; `cells` stands for either form's section.
    """
    text = _read_again(root, file) if candidates else None
    if text is None:
        return [Place(file, 0, 0)] * len(candidates)
    section = _find_section(text)
    places = []
    for paths in candidates:
        whole = [[section if path[0] == "cells" else path[0], *path[1:]] for path in paths]
        stated = next((path for path in whole if _is_stated(text.value, path)), whole[0])
        places.append(text.find_place(stated))
    return places


def _is_stated(value: Any, path: Sequence[str | int]) -> bool:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def locate_locked_fields(root: Path, feature: Feature, fields: Sequence[str]) -> list[Place]:
    """The place of each field that a lock names (`orchestr.spec.lock`), or of what it was a part
    of, where it is gone. ``root`` is the workspace."""
    text = _read_again(root, feature.path) if fields else None
    if text is None:
        return [Place(feature.path, 0, 0)] * len(fields)
    places = []
    for field in fields:
        path = _find_locked_path(text, feature, field)
        at_key = len(path) < 3  # a whole section or cell starts where its name stands
        places.append(text.find_place(path, at_key=at_key))
    return places


def _read_again(root: Path, file: str) -> Document | None:
    """The document of a spec; None where it cannot be read any more."""
    from orchestr.spec.document import read_document

    try:
        return read_document(file, (root / file).read_bytes(), root)
    except (OrchestrError, OSError):
        return None


def _list_top_fields(text: Document) -> dict[str, Any]:
    return text.value if isinstance(text.value, dict) else {}


def _find_section(text: Document) -> str:
    """The field that holds the cells."""
    return "cells" if "cells" in _list_top_fields(text) else "repos"


def _find_locked_path(text: Document, feature: Feature, field: str) -> list[str | int]:
    """Where the document has it: checks stand by number, and may be those of the defaults."""
    if not field.startswith("cells."):
        return [field]
    _, cell, *rest = field.split(".", 3)
    known = next((one for one in feature.cells if one.name == cell), None)
    value, section = _list_top_fields(text), _find_section(text)
    here: list[str | int] = [section, cell]
    if known is None or len(rest) < 2:
        return here if known is not None else [section]
    part, name = rest
    own = value.get(section, {}).get(cell)
    if not (isinstance(own, dict) and part in own) and part in (value.get("defaults") or {}):
        here = ["defaults"]
    names = [entry.name for entry in getattr(known.proof, part, ())]
    return [*here, part, *([names.index(name)] if name in names else [])]
