"""`vars:` and matrix cells (`for:`): one text for what differs in a name or two.

Works on YAML's nodes before anything is validated; every value keeps the place where it was
written. Pure.

- ``${name}`` in a text is the text of a variable or of an axis of the cell's `for`;
  ``${name.key}`` is a value of it where that is a mapping. Standing alone it is the value itself:
  a list, a number, a mapping. A list that stands alone as an item of a list becomes items of it.
- ``$${name}`` is the text ``${name}``. Names in capitals (``${HOME}``) are left alone: those
  belong to shells and checks.
- A cell with `for` becomes one cell for each combination of its axes' values. In `depends_on` the
  name of a matrix cell as it is written means all of its cells; of axes that both cells have, only
  those with the same value.

A spec without `vars` and without `for` is not looked at: every ``${...}`` in it stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from operator import is_
from typing import Any

import yaml

from orchestr.errors import Problem, SpecError
from orchestr.spec.field_types import MAX_BYTES, quote_value, suggest_name
from orchestr.spec.nodes import (
    NULL,
    SECTIONS,
    count_nodes,
    make_mapping,
    make_scalar,
    make_sequence,
    measure_depth,
    pairs_of,
    plain_value,
    text_of,
    value_of,
)
from orchestr.spec.places import Path_, make_problem_of_node, place_of
from orchestr.spec.yaml_source import EMPTY, FLATTEN, MAX_DEPTH, TOO_DEEP

MAX_CELLS = 1_000  # that one matrix makes
MAX_NODES = 200_000  # that all copies of a spec may have

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_NAME_RULE = "use small letters, digits, `-` and `_`, starting with a small letter"
_WORD = r"[a-z][a-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*"
_REFERENCE = re.compile(r"\$(\$?)\{(" + _WORD + r")\}")

Scope = Mapping[str, Any]  # nodes by name


def uses_expansion(root: Any) -> bool:
    """Whether a document has `vars` or a cell with `for`."""
    if value_of(root, "vars") is not None:
        return True
    sections = (value for key, value in pairs_of(root) if text_of(key) in SECTIONS)
    cells = (cell for section in sections for _, cell in pairs_of(section))
    return any(value_of(cell, "for") is not None for cell in cells)


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """One combination: the cell's name, and its axes' values."""

    name: str
    axes: Scope


class Expander:
    """Expands one document."""

    def __init__(self, spec: str) -> None:
        self._problems: dict[tuple[str, int, int, str], Problem] = {}
        self._spec = spec
        self._raw: dict[str, tuple[Any, Any]] = {}
        self._vars: dict[str, Any] = {}
        self._open: list[str] = []
        self._matrices: dict[str, list[MatrixCell]] = {}
        self._nodes = 0
        self._characters = 0

    @property
    def problems(self) -> list[Problem]:
        """What was wrong, each place once."""
        return list(self._problems.values())

    def expand(self, root: Any) -> Any:
        """The document's node with everything filled in. Raises SpecError where it grows without
        measure."""
        if not isinstance(root, yaml.MappingNode):
            return root
        for key, value in root.value:
            if text_of(key) == "vars":
                self._read_vars(value)
        for name in list(self._raw):
            self._resolve_var(name)
        self._find_matrices(root)
        pairs = []
        for key, value in root.value:
            section = text_of(key) or "?"
            if section == "vars":
                continue
            if section in SECTIONS and isinstance(value, yaml.MappingNode):
                pairs.append((key, self._expand_cells(value, section)))
            else:
                pairs.append((key, self._fill(value, self._vars, (section,))))
        return make_mapping(root, pairs)

    # --- variables

    def _read_vars(self, node: Any) -> None:
        if not isinstance(node, yaml.MappingNode):
            hint = "write `name: text` lines below it"
            self._add_problem(node, ("vars",), "must be a mapping of texts", hint)
            return
        for key, value in node.value:
            name = text_of(key) or ""
            if not _NAME.fullmatch(name):
                message = f"{quote_value(name)} cannot be the name of a variable"
                self._add_problem(key, ("vars", name), message, _NAME_RULE)
            elif name in self._raw:
                line = place_of(self._raw[name][0].start_mark, self._spec).line
                message = f"key {quote_value(name)} is here twice, first in line {line}"
                hint = "remove or rename one of them"
                self._add_problem(key, ("vars", name), message, hint)
            elif value.tag == NULL:
                self._add_problem(key, ("vars", name), *EMPTY)
            else:
                self._raw[name] = key, value

    def _resolve_var(self, name: str) -> Any:
        """The value of a variable, which may name others; None where that leads nowhere."""
        if name in self._vars:
            return self._vars[name]
        key, value = self._raw[name]
        if name in self._open or len(self._open) > MAX_DEPTH:
            circle = [*self._open[self._open.index(name) :], name] if name in self._open else []
            message = f"variables name each other: {' -> '.join(circle)}"
            hint = "write one of them out"
            self._add_problem(key, ("vars", name), message if circle else TOO_DEEP, hint)
            return None
        self._open.append(name)
        found = self._fill(value, self._vars, ("vars", name))
        self._open.pop()
        if measure_depth(found) > MAX_DEPTH:
            self._add_problem(key, ("vars", name), TOO_DEEP, FLATTEN)
            found = None
        self._vars.setdefault(name, found)
        return found

    # --- matrices

    def _find_matrices(self, root: Any) -> None:
        for section, cells in pairs_of(root):
            if text_of(section) not in SECTIONS:
                continue
            for key, cell in pairs_of(cells):
                axes = value_of(cell, "for")
                name = text_of(key)
                if axes is not None and name is not None and name not in self._matrices:
                    here = (text_of(section) or "", name)
                    self._matrices[name] = self._combine(key, axes, here)

    def _combine(self, key: Any, node: Any, here: Path_) -> list[MatrixCell]:
        axes = self._read_axes(node, (*here, "for"))
        count = 1
        for values in axes.values():
            count *= len(values)
        if count > MAX_CELLS:
            message = f"would be {count:,} cells, a matrix has at most {MAX_CELLS:,}"
            self._add_problem(node, (*here, "for"), message, "leave some values out")
            return []
        found: dict[str, MatrixCell] = {}
        for chosen in product(*axes.values()) if axes else ():
            scope = dict(zip(axes, chosen, strict=True))
            name = self._fill_text(key, {**self._vars, **scope}, here)
            if name is None:
                continue
            if name in found:
                missing = " and ".join(f"`${{{axis}}}`" for axis in axes)
                message = f"two cells of this matrix are called {quote_value(name)}"
                self._add_problem(key, here, message, f"its name must hold {missing}")
                continue
            found[name] = MatrixCell(name, scope)
        return list(found.values())

    def _read_axes(self, node: Any, here: Path_) -> dict[str, list[Any]]:
        node = self._fill(node, self._vars, here)
        hint = "write `for: {lang: [java, web]}`"
        if not isinstance(node, yaml.MappingNode) or not node.value:
            self._add_problem(node, here, "must be a mapping of lists", hint)
            return {}
        axes: dict[str, list[Any]] = {}
        for key, values in node.value:
            name = text_of(key) or ""
            path = (*here, name)
            if not _NAME.fullmatch(name):
                message = f"{quote_value(name)} cannot be the name of an axis"
                self._add_problem(key, path, message, _NAME_RULE)
            elif name in self._raw:
                self._add_problem(key, path, "is in `vars` already", "rename one of them")
            elif name in axes:
                self._add_problem(key, path, "is here twice", "remove or rename one of them")
            elif not isinstance(values, yaml.SequenceNode) or not values.value:
                self._add_problem(values, path, "must be a list with one value or more", hint)
            else:
                axes[name] = [v for v in values.value if self._is_axis_value(v, path)]
        return axes if all(axes.values()) and len(axes) == len(node.value) else {}

    def _is_axis_value(self, node: Any, here: Path_) -> bool:
        if isinstance(node, yaml.SequenceNode) or node.tag == NULL:
            hint = "write a text, or a mapping like {name: java, repo: java-sdk}"
            self._add_problem(node, here, "a value must be a text or a mapping", hint)
            return False
        return True

    def _expand_cells(self, node: Any, section: str) -> Any:
        pairs: list[tuple[Any, Any]] = []
        for key, cell in node.value:
            name = text_of(key)
            if name is None:
                pairs.append((key, cell))
            elif value_of(cell, "for") is None:
                here: Path_ = (section, name)
                filled = self._fill_text(key, self._vars, here)
                value = self._fill(self._replace_matrix_names(cell, {}), self._vars, here)
                pairs.append((make_scalar(key, name if filled is None else filled), value))
            else:
                left = [pair for pair in cell.value if text_of(pair[0]) != "for"]
                bare = make_mapping(cell, left)
                for one in self._matrices[name]:
                    self._count(count_nodes(bare), key)
                    scope = {**self._vars, **one.axes}
                    here = (section, one.name)
                    value = self._fill(self._replace_matrix_names(bare, one.axes), scope, here)
                    pairs.append((make_scalar(key, one.name), value))
        return make_mapping(node, pairs)

    # --- references

    def _fill(self, node: Any, scope: Scope, here: Path_) -> Any:
        """The node with its references filled in; itself where it has none."""
        if isinstance(node, yaml.ScalarNode):
            return self._fill_scalar(node, scope, here)
        if isinstance(node, yaml.MappingNode):
            pairs = [
                (key, self._fill(value, scope, (*here, text_of(key) or "?")))
                for key, value in node.value
            ]
            same = all(a is b for (_, a), (_, b) in zip(pairs, node.value, strict=True))
            return node if same else make_mapping(node, pairs)
        items: list[Any] = []
        for index, item in enumerate(node.value):
            filled = self._fill(item, scope, (*here, index))
            alone = filled is not item and isinstance(item, yaml.ScalarNode)
            items += filled.value if alone and isinstance(filled, yaml.SequenceNode) else [filled]
        same = len(items) == len(node.value) and all(map(is_, items, node.value))
        return node if same else make_sequence(node, items)

    def _fill_scalar(self, node: Any, scope: Scope, here: Path_) -> Any:
        whole = _REFERENCE.fullmatch(node.value)
        if whole is not None and not whole[1]:
            found = self._find(whole[2], node, scope, here)
            if found is None:
                return node
            self._count(count_nodes(found), node)
            return found
        text = self._fill_text(node, scope, here)
        return node if text is None or text == node.value else make_scalar(node, text)

    def _fill_text(self, node: Any, scope: Scope, here: Path_) -> str | None:
        """The text of a scalar with its references filled in; None where one leads nowhere."""
        good = True

        def replace(match: re.Match[str]) -> str:
            nonlocal good
            if match[1]:
                return match[0][1:]
            found = self._find(match[2], node, scope, here)
            if isinstance(found, yaml.ScalarNode):
                self._count(0, node, len(found.value))
                return str(found.value)
            good = False
            if isinstance(found, yaml.MappingNode):
                keys = [key for k, _ in found.value if (key := text_of(k)) is not None]
                first = f"`${{{match[2]}.{keys[0]}}}`" if keys else "a text"
                message = f"`{match[0]}` is a mapping"
                self._add_problem(node, here, message, f"name one of its values, like {first}")
            elif found is not None:
                message = f"`{match[0]}` is a list"
                self._add_problem(node, here, message, "let it stand alone, without other text")
            return match[0]

        text = _REFERENCE.sub(replace, node.value)
        return text if good else None

    def _find(self, word: str, node: Any, scope: Scope, here: Path_) -> Any:
        """The node that a reference names, or None; then the problem is known.

        A variable that is not resolved yet is resolved now: others' values may name it.
        """
        name, *steps = word.split(".")
        if name in scope:
            found = scope[name]
        elif name in self._raw:
            found = self._resolve_var(name)
        else:
            known = {**scope, **self._raw}
            hint = suggest_name(name, known) or f"write `$${{{word}}}` for the text itself"
            if name in self._axis_names():
                hint = f"`{name}` is known in the cells whose `for` has it"
            self._add_problem(node, here, f"there is no `${{{name}}}`", hint)
            return None
        if found is None:
            return None
        for step in steps:
            values = {text_of(key): value for key, value in pairs_of(found)}
            if step not in values:
                nearest = suggest_name(step, [key for key in values if key is not None])
                message = f"`${{{word}}}`: there is no {quote_value(step)} in it"
                self._add_problem(node, here, message, nearest or "it is a plain text or a list")
                return None
            found = values[step]
        return found

    def _axis_names(self) -> set[str]:
        return {name for cells in self._matrices.values() for cell in cells for name in cell.axes}

    def _replace_matrix_names(self, cell: Any, axes: Scope) -> Any:
        """A cell; its `depends_on` names cells where it is written with the name of a matrix."""
        if value_of(cell, "depends_on") is None:
            return cell
        pairs = [
            (key, self._list_matrix_cells(value, axes) if text_of(key) == "depends_on" else value)
            for key, value in cell.value
        ]
        return make_mapping(cell, pairs)

    def _list_matrix_cells(self, node: Any, axes: Scope) -> Any:
        """`depends_on` with the names of matrices replaced by those of their cells."""
        if not isinstance(node, yaml.SequenceNode):
            return node
        items: list[Any] = []
        for item in node.value:
            cells = self._matrices.get(text_of(item) or "")
            if not cells or set(cells[0].axes) <= set(axes):
                items.append(item)
                continue
            shared = [name for name in cells[0].axes if name in axes]
            items += (
                make_scalar(item, cell.name)
                for cell in cells
                if all(plain_value(cell.axes[name]) == plain_value(axes[name]) for name in shared)
            )
        return make_sequence(node, items)

    # --- limits and problems

    def _count(self, nodes: int, node: Any, characters: int = 0) -> None:
        self._nodes += nodes
        self._characters += characters
        if self._nodes > MAX_NODES or self._characters > MAX_BYTES:
            message = f"`vars` and `for` would make more than {MAX_NODES:,} values of this spec"
            hint = "write less of it"
            raise SpecError([make_problem_of_node(node, self._spec, (), message, hint)])

    def _add_problem(self, node: Any, path: Path_, message: str, hint: str | None = None) -> None:
        found = make_problem_of_node(node, self._spec, path, message, hint)
        self._problems.setdefault((found.file, found.line, found.column, message), found)
