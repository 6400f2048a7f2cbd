"""Files that a spec takes in: `include:` (more cells, defaults, vars) and `extends:` (a base).

Works on YAML's nodes, before anything is validated, so that every value keeps the place where it
was written. A file is named relative to the one that names it, and lies in the workspace. What is
wrong is collected; the rest is read all the same.

Of two values for one field the nearer one counts: the file's own, then its includes' (the last
first), then its base's. Mappings are merged field by field, lists are replaced. A cell that an
include adds may not be there already; a cell of the base may be changed.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from orchestr.errors import Problem, SpecError
from orchestr.spec.field_types import MAX_BYTES, quote_value, suggest_name
from orchestr.spec.nodes import SECTIONS, iter_nodes, make_mapping, text_of, value_of
from orchestr.spec.places import OtherMark, Path_, make_problem_of_node, place_of
from orchestr.spec.yaml_source import EMPTY, Source

PART_FIELDS = ("cells", "repos", "defaults", "vars", "include")
MAX_CHAIN = 8  # files that take in each other
MAX_FILES = 100


class PartReader:
    """Reads one spec and the files that it takes in.

    ``root`` is the workspace; None: nothing can be taken in. Afterwards ``problems``, ``lines`` (of
    each file) and ``parts`` (name and sha256 of each other file) say what was found.
    """

    def __init__(self, source: Source, root: Path | None) -> None:
        self.spec = source.file
        self.problems: list[Problem] = source.list_split_texts()
        self.lines = {source.file: source.lines}
        self.parts: dict[str, str] = {}
        self._root = root
        self._count = 0
        self._source = source

    def read(self) -> Any:
        """The node of the whole, without `include` and `extends`."""
        chain: tuple[Path, ...] = ()
        if self._root is not None:
            chain = ((self._root / self.spec).resolve(),)
        return self._merge_file(self._source, chain)

    def _merge_file(self, source: Source, chain: tuple[Path, ...], *, part: bool = False) -> Any:
        own = source.root
        if not isinstance(own, yaml.MappingNode):
            hint = "write `cells:`, `defaults:` or `vars:` in it"
            self._add_problem(own, (), "a file that is taken in must be a mapping", hint)
            return own
        included = make_mapping(own, [])
        bases: list[Any] = []
        left = []
        for key, value in own.value:
            name = text_of(key)
            if name == "include":
                for path, node in self._list_names(value):
                    found = self._read_part(node, path, source, chain, part=True)
                    if found is not None:
                        included = self._add_part(included, found)
            elif name == "extends" and not part:
                bases += self._list_names(value, several=False)
            else:
                if part and name not in PART_FIELDS:
                    message = "unknown field of an included file"
                    nearest = suggest_name(name or "", PART_FIELDS)
                    self._add_problem(key, (name or "?",), message, nearest)
                    continue
                left.append((key, value))
        whole = self._add_part(included, make_mapping(own, left))
        for path, node in bases[:1]:
            base = self._read_part(node, path, source, chain, part=False)
            if isinstance(base, yaml.MappingNode):
                whole = merge_mappings(base, whole)
        return whole

    def _list_names(self, value: Any, *, several: bool = True) -> list[tuple[Path_, Any]]:
        """The nodes that name files, with their field."""
        field: Path_ = ("include",) if several else ("extends",)
        many = several and isinstance(value, yaml.SequenceNode)
        nodes = value.value if many else [value]
        good = []
        for index, node in enumerate(nodes):
            path = (*field, index) if many else field
            if not isinstance(node, yaml.ScalarNode):
                hint = "write `extends: parts/base.yaml`"
                if several:
                    hint = "write `include: [parts/common.yaml]`"
                self._add_problem(node, path, "must be the path of a file", hint)
            elif not node.value.strip():
                self._add_problem(node, path, *EMPTY)
            else:
                good.append((path, node))
        return good

    def _read_part(
        self,
        node: Any,
        field: Path_,
        source: Source,
        chain: tuple[Path, ...],
        *,
        part: bool,
    ) -> Any:
        """The merged node of a file that ``source`` names, or None."""
        if self._root is None:
            self._add_problem(node, field, "there is no workspace to read it from")
            return None
        root = Path(os.path.normpath(self._root.absolute()))
        text: str = node.value
        path = Path(os.path.normpath((root / source.file).parent / text))
        problem = _path_problem(root, path, text)
        if problem is None and path.resolve() in chain:
            steps = [*(_name(root, step) for step in chain), _name(root, path.resolve())]
            problem = (f"takes in itself: {' -> '.join(steps)}", "remove one of them")
        if problem is None and (len(chain) >= MAX_CHAIN or self._count >= MAX_FILES):
            most = f"{MAX_CHAIN} files deep" if len(chain) >= MAX_CHAIN else f"{MAX_FILES} files"
            problem = (f"a spec takes in at most {most}", "write fewer, larger files")
        if problem is not None:
            self._add_problem(node, field, f"{quote_value(text)} {problem[0]}", problem[1])
            return None
        self._count += 1
        return self._open_part(path, _name(root, path), node, field, chain, part=part)

    def _open_part(
        self,
        path: Path,
        name: str,
        node: Any,
        field: Path_,
        chain: tuple[Path, ...],
        *,
        part: bool,
    ) -> Any:
        try:
            with path.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            self._add_problem(node, field, f"{name} cannot be read: {why}")
            return None
        self.parts[name] = hashlib.sha256(data).hexdigest()
        try:
            source = Source(name, data)
        except SpecError as error:
            self.problems += (replace(problem, spec=self.spec) for problem in error.problems)
            return None
        if name not in self.lines:  # a file may be taken in twice
            self.problems += source.list_split_texts()
        self.lines[name] = source.lines
        _place_nodes(source.root, name)
        return self._merge_file(source, (*chain, path.resolve()), part=part)

    def _add_part(self, base: Any, top: Any) -> Any:
        """``top`` over ``base``; a cell of both is a mistake."""
        if not isinstance(top, yaml.MappingNode):
            return base
        for section in SECTIONS:
            old, new = value_of(base, section), value_of(top, section)
            if not isinstance(old, yaml.MappingNode) or not isinstance(new, yaml.MappingNode):
                continue
            first = {text_of(key): key for key, _ in old.value}
            for key, _ in new.value:
                cell = text_of(key)
                if cell is not None and cell in first:
                    place = place_of(first[cell].start_mark, self.spec)
                    message = f"cell {quote_value(cell)} is in {place.file}:{place.line} already"
                    hint = "rename one; `extends:` takes in a file whose cells may be changed"
                    self._add_problem(key, (section, cell), message, hint)
        return merge_mappings(base, top)

    def _add_problem(self, node: Any, path: Path_, message: str, hint: str | None = None) -> None:
        self.problems.append(make_problem_of_node(node, self.spec, path, message, hint))


def merge_mappings(base: Any, top: Any) -> Any:
    """``top`` over ``base``: mappings are merged, everything else is replaced.

    The order is that of ``base``, then what only ``top`` has. A key that ``top`` has twice stays
    twice: that is reported later.
    """
    own: dict[str | None, tuple[Any, Any]] = {}
    for pair in top.value:
        own.setdefault(text_of(pair[0]), pair)
    pairs: list[tuple[Any, Any]] = []
    used: set[int] = set()
    for key, value in base.value:
        pair = own.get(text_of(key))
        if pair is None or text_of(key) is None or id(pair[0]) in used:
            pairs.append((key, value))
            continue
        used.add(id(pair[0]))
        both = isinstance(value, yaml.MappingNode) and isinstance(pair[1], yaml.MappingNode)
        pairs.append((pair[0], merge_mappings(value, pair[1]) if both else pair[1]))
    pairs += [pair for pair in top.value if id(pair[0]) not in used]
    return make_mapping(top, pairs)


def names_parts(root: Any) -> bool:
    """Whether the top of a file has `include` or `extends`."""
    return any(value_of(root, name) is not None for name in ("include", "extends"))


def _path_problem(root: Path, path: Path, text: str) -> tuple[str, str | None] | None:
    """What is wrong with the path of a file that shall be taken in."""
    relative = "write a path relative to this file, like parts/common.yaml"
    if Path(text).is_absolute() or text.startswith("~") or "\\" in text or "\0" in text:
        return "is not a relative path", relative
    inside = path.is_relative_to(root) and path.resolve().is_relative_to(root.resolve())
    if not inside:
        return "leaves the workspace", "copy the file into the workspace"
    if any(step.startswith(".") for step in path.relative_to(root).parts):
        return "lies in a hidden folder", "move the file to a folder of its own"
    if path.suffix not in (".yaml", ".yml"):
        return "is not a YAML file", "its name must end with .yaml"
    if not path.is_file():
        return "is not there", f"it would be {_name(root, path)}"
    return None


def _name(root: Path, path: Path) -> str:
    for folder in (root, root.resolve()):
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return str(path)


def _place_nodes(root: Any, file: str) -> None:
    """Give every node below ``root`` marks that name their file."""
    for node in iter_nodes(root):
        start, end = node.start_mark, node.end_mark
        node.start_mark = OtherMark(file, start.line, start.column)
        node.end_mark = OtherMark(file, end.line, end.column)
