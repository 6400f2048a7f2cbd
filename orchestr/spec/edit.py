"""One more line in a cell's `todo:`, in a spec that people wrote: all else stays as it is.

Pure, bytes to bytes. The text is changed at the place that the YAML parser names and then read
again: the result counts only if the feature is the old one with exactly that line more. Whatever
cannot be done so (an alias, a todo in an unusual form) is refused, never guessed.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestr.errors import OrchestrError, SpecError
from orchestr.spec.reader import compile_spec
from orchestr.spec.records import Feature


class CannotAppend(OrchestrError):
    """The spec was left as it is; the hint holds the line to add by hand."""


def append_todo(
    data: bytes,
    name: str,
    cell: str,
    line: str,
    agents: Collection[str] | None,
    root: Path | None = None,
) -> bytes:
    """The spec with ``line`` at the end of the todo of ``cell``; unchanged if it is there.

    ``root`` is the workspace, for files that the spec takes in.

    Raises CannotAppend, SpecError when the spec itself is wrong.
    """
    before, _ = compile_spec(data, name, "", agents, root)
    todo = next((c.todo for c in before.cells if c.name == cell), None)
    if todo is None:
        raise CannotAppend(f"{name} has no cell {cell}")
    if line in todo:
        return data
    written = json.dumps(line, ensure_ascii=False)
    hint = f"add to `todo:` of cell {cell} in {name}:\n  - {written}"
    text = _insert_item(data.decode("utf-8"), cell, written)
    if text is None:
        raise CannotAppend(f"the todo of cell {cell} in {name} is in a form that is not edited",
                           hint=hint)  # fmt: skip
    changed = text.encode()
    try:
        after, _ = compile_spec(changed, name, "", agents, root)
    except SpecError as error:
        raise CannotAppend(f"{name} could not be read with the new line: {error}",
                           hint=hint) from None  # fmt: skip
    if after != _with_line(before, cell, line):
        raise CannotAppend(f"in {name} more than the todo of cell {cell} would change (an alias?)",
                           hint=hint)  # fmt: skip
    return changed


def _with_line(feature: Feature, cell: str, line: str) -> Feature:
    cells = (replace(c, todo=(*c.todo, line)) if c.name == cell else c for c in feature.cells)
    return replace(feature, cells=tuple(cells))


def _insert_item(text: str, cell: str, written: str) -> str | None:
    """The text with one more item, None when the place is not a plain list."""
    import yaml

    listed = _find_todo_node(yaml.compose(text, Loader=yaml.SafeLoader), cell)
    if not isinstance(listed, yaml.SequenceNode):
        return None
    if listed.flow_style:
        if not listed.value:
            at = listed.end_mark.index - 1
            return f"{text[:at]}{written}{text[at:]}"
        at = listed.value[-1].end_mark.index
        return f"{text[:at]}, {written}{text[at:]}"
    eol = "\r\n" if "\r\n" in text else "\n"
    item = f"{' ' * listed.start_mark.column}- {written}{eol}"
    at = listed.value[-1].end_mark.index
    if text[at - 1 : at] != "\n":  # a literal text (`|`) ends at the start of the next line
        end = text.find("\n", at)
        if end < 0:
            return f"{text}{eol}{item}"
        at = end + 1
    return f"{text[:at]}{item}{text[at:]}"


def _find_todo_node(root: Any, cell: str) -> Any:
    """The node of a cell's todo: under `cells:`, or `repos:` in the opentdf form."""
    for section in ("cells", "repos"):
        node = root
        for key in (section, cell, "todo"):
            pairs = node.value if getattr(node, "id", "") == "mapping" else ()
            node = next((value for name, value in pairs if name.value == key), None)
            if node is None:
                break
        if node is not None:
            return node
    return None
