"""From bytes to plain values with places: the only module that knows YAML.

Owns everything that can be wrong with the text itself: encoding, size, syntax, depth, aliases,
duplicate keys, tags. What the values mean is `orchestr.spec.models`' business.

Two passes, both by libyaml where PyYAML has it (1,000 cells: 16 ms to compose, 171 ms in
Python). First the events, which need no recursion: they give depth and aliases. Only then
``compose``, because its C code recurses without a limit and 100,000 times ``[`` ends the
process with a segmentation fault (seen with PyYAML 6.0.3, libyaml 0.2.5).

Scalars become text, whole numbers, decimals, true/false or None by YAML 1.1's rules, with
three exceptions on purpose: a date stays the text that was written, so do ``1:30`` and ``010``
(YAML would make them 90 and 8), and inside a list of `TextItems` (``todo``, ``scenarios``)
everything that is not empty stays text: it is meant for people.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import yaml

from orchestr.errors import Problem, SpecError
from orchestr.spec.declare import TextItems, list_marked_fields
from orchestr.spec.field_types import MAX_BYTES, escape_unprintable, quote_value
from orchestr.spec.places import (
    Path_,
    Place,
    field_name,
    make_problem_at,
    make_problem_of_node,
    place_of,
)
from orchestr.spec.product import Route
from orchestr.spec.records import Cell, Feature
from orchestr.spec.split_texts import SplitText, find_split_texts
from orchestr.spec.syntax_hints import NEEDS_QUOTES, explain_syntax_error

MAX_DEPTH = 50
TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"
FLATTEN = "a spec needs fewer than ten levels; look for a bracket or dash too many"
MAX_ALIASED = 10_000  # nodes that aliases may add: enough for shared lists, not for a bomb

EMPTY = ("is empty", "write a value, or leave the field out")

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_TEXT_LISTS = frozenset(list_marked_fields(TextItems, Feature, Cell, Route))
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})", re.ASCII)
_FLOAT = re.compile(r"[-+]?[0-9]{1,17}\.[0-9]{0,17}", re.ASCII)
# What YAML does not allow in a stream, by name, so that we can give line and column.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # what YAML 1.1 counts as the end of a line


class Source:
    """The text of one file as YAML's nodes, before its values are read.

    Raises SpecError when there is no single document in it.
    """

    def __init__(self, file: str, data: bytes) -> None:
        self.file = file
        text = _decode_text(file, data)
        self.lines = _BREAK.split(text)
        self.root = _compose_tree(file, text, self.lines)

    def list_split_texts(self) -> list[Problem]:
        """A warning for each text that a comma cut in two."""
        return [self._describe_split(found) for found in find_split_texts(self.root, self.lines)]

    def _describe_split(self, found: SplitText) -> Problem:
        line, column = found.mark.line + 1, found.mark.column + 1
        first = quote_value(found.first)
        message = f"a comma ends the text {first}: {found.opened} is not closed in it"
        hint = "close it, or put the whole text in quotes"
        if found.whole:
            hint = f"if it is one text, quote it: {found.whole}"
        return Problem(self.file, line, column, field_name(found.path), message, hint, "warning")


class Document:
    """A parsed file: its ``value`` and where each part of it stands.

    ``root`` is the node of the whole. ``lines`` are those of each file that nodes are from;
    ``file`` is the one whose nodes have YAML's own marks. ``problems`` are known already. ``parts``
    are the other files, each with the sha256 of its bytes; ``is_expanded`` says that one place in a
    file may have become several values.
    """

    def __init__(
        self,
        file: str,
        root: Any,
        lines: Mapping[str, Sequence[str]],
        problems: Iterable[Problem] = (),
        *,
        parts: tuple[tuple[str, str], ...] = (),
        is_expanded: bool = False,
    ) -> None:
        self.file = file
        self.parts = parts
        self.is_expanded = is_expanded
        self.problems: list[Problem] = []
        self._lines = lines
        self._index: dict[int, dict[Hashable, tuple[Any, Any]]] = {}
        self._root = root
        self.value = self._build_value(self._root, (), False)
        self.problems += problems

    def make_problem(
        self,
        path: Sequence[str | int],
        message: str,
        hint: str | None = None,
        *,
        at_key: bool = False,
        severity: str = "error",
    ) -> Problem:
        """A problem at the value of ``path`` (or at its key), else at its nearest parent."""
        place = self.find_place(path, at_key=at_key)
        return make_problem_at(place, self.file, path, message, hint, severity)

    def find_place(self, path: Sequence[str | int], *, at_key: bool = False) -> Place:
        """The place of a value, of its key, or of the nearest parent."""
        node, mark = self._root, self._root.start_mark
        for depth, step in enumerate(path):
            children = self._children_of(node)
            if step not in children:
                break
            key, child = children[step]
            last = depth == len(path) - 1
            mark = key.start_mark if at_key and last and key is not None else child.start_mark
            # An empty value stands where the next token starts, which may be lines later.
            if isinstance(child, yaml.ScalarNode) and not child.value and key is not None:
                mark = key.start_mark
            node = child
        return place_of(mark, self.file)

    def comment_after(self, path: Sequence[str | int]) -> str | None:
        """The ``#word`` that cut off a plain text, as in ``- Fix issue #12`` (it is a comment)."""
        node = self._root
        for step in path:
            children = self._children_of(node)
            if step not in children:
                return None
            node = children[step][1]
        if not isinstance(node, yaml.ScalarNode) or node.style:
            return None
        lines = self._lines[place_of(node.end_mark, self.file).file]
        rest = lines[node.end_mark.line][node.end_mark.column :]
        match = re.match(r"\s+(#\S.*)", rest)
        return match[1] if match else None

    def _children_of(self, node: Any) -> dict[Hashable, tuple[Any, Any]]:
        known = self._index.get(id(node))
        if known is None:
            known = {}
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if isinstance(key, yaml.ScalarNode):
                        known.setdefault(key.value, (key, value))
            elif isinstance(node, yaml.SequenceNode):
                known = {i: (None, value) for i, value in enumerate(node.value)}
            self._index[id(node)] = known
        return known

    def _build_value(self, node: Any, path: Path_, as_text: bool) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._read_scalar(node, path, as_text)
        if node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
            self._report_bad_tag(node, path)
        if isinstance(node, yaml.SequenceNode):
            texts = bool(path) and path[-1] in _TEXT_LISTS
            return [self._build_value(item, (*path, i), texts) for i, item in enumerate(node.value)]
        table: dict[str, Any] = {}
        first: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._add_problem(key, path, "a key must be a text, not a list or a mapping")
                continue
            name = key.value
            if key.tag == f"{_TAG}merge":
                hint = "write the fields out, or use `defaults:` for what all cells share"
                self._add_problem(key, path, "merge keys (`<<`) are not read", hint)
            elif name in first:
                here, before = (place_of(k.start_mark, self.file) for k in (key, first[name]))
                other = f" of {before.file}" if before.file != here.file else ""
                message = (
                    f"key {quote_value(name)} is here twice, first in line {before.line}{other}"
                )
                self._add_problem(key, (*path, name), message, "remove or rename one of them")
            else:
                first[name] = key
                built = table[name] = self._build_value(value, (*path, name), False)
                if built is None:
                    self._add_problem(key, (*path, name), *EMPTY)
        return table

    def _read_scalar(self, node: Any, path: Path_, as_text: bool) -> Any:
        text: str = node.value
        kind = node.tag.removeprefix(_TAG)
        if kind == "null":
            return None
        if kind not in ("str", "int", "float", "bool", "timestamp", "value", "merge"):
            self._report_bad_tag(node, path)
        elif not as_text:
            if kind == "bool":
                return text.lower() in ("true", "yes", "on")
            if kind == "int" and _INT.fullmatch(text):
                return int(text)
            if kind == "float" and _FLOAT.fullmatch(text):
                return float(text)
        return text

    def _report_bad_tag(self, node: Any, path: Path_) -> None:
        message = f"unknown tag {quote_value(node.tag)}"
        self._add_problem(node, path, message, f'{NEEDS_QUOTES} "..."')

    def _add_problem(self, node: Any, path: Path_, message: str, hint: str | None = None) -> None:
        self.problems.append(make_problem_of_node(node, self.file, path, message, hint))


def make_document(source: Source) -> Document:
    """The document of a file that takes in no others."""
    problems = source.list_split_texts()
    return Document(source.file, source.root, {source.file: source.lines}, problems)


def _decode_text(file: str, data: bytes) -> str:
    if len(data) > MAX_BYTES:
        size = f"{len(data) / (1 << 20):.1f} MiB"
        raise _make_error(file, 0, 0, f"the file has {size}, a spec has at most 4 MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise _make_error(file, line, column, message, "save the file as UTF-8") from None
    bad = _FORBIDDEN.search(text)
    if bad:
        before_text = text[: bad.start()]
        line = before_text.count("\n") + 1
        column = len(before_text.rpartition("\n")[2]) + 1
        message = f"control character U+{ord(bad[0]):04X} in the file"
        raise _make_error(file, line, column, message, "remove it")
    return text


def _compose_tree(file: str, text: str, lines: list[str]) -> Any:
    try:
        _check_structure(file, text)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # PyYAML from 6.0.4 has a limit of its own, which its scanner may meet before
        # `_check_structure`.
        if mark is not None and "nesting depth" in (error.problem or ""):
            raise _make_error_at(file, mark, TOO_DEEP, FLATTEN) from None
        raise SpecError([_syntax_problem(file, error, lines)]) from None
    except yaml.YAMLError as error:
        raise _make_error(file, 0, 0, f"this is not YAML: {error}") from None
    if root is None:
        raise _make_error(
            file, 0, 0, "the file is empty", "`orchestr init` writes an example to copy"
        )
    return _check_aliases(file, root)


def _check_structure(file: str, text: str) -> None:
    """Refuse what is too deep or not one document, before anything recurses."""
    depth = 0
    documents = 0
    events: Iterable[Any] = yaml.parse(text, Loader=_Loader)
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _make_error_at(file, event.start_mark, TOO_DEEP, FLATTEN)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                message = "a second document (`---`) starts here"
                hint = "one feature, one file: move it to a file of its own"
                raise _make_error_at(file, event.start_mark, message, hint)


def _check_aliases(file: str, root: Any) -> Any:
    """Refuse loops and bombs: count what aliases would expand to, each node once."""
    sizes: dict[int, int] = {}
    open_: set[int] = set()
    real = 0

    def expanded_size(node: Any) -> int:
        nonlocal real
        if id(node) in sizes:
            return sizes[id(node)]
        if id(node) in open_:
            raise _make_error_at(file, node.start_mark, "an alias leads back into itself")
        real += 1
        total = 1
        if not isinstance(node, yaml.ScalarNode):
            open_.add(id(node))
            for item in node.value:
                total += (
                    sum(map(expanded_size, item))
                    if isinstance(item, tuple)
                    else expanded_size(item)
                )
            open_.discard(id(node))
        sizes[id(node)] = total
        if total - real > MAX_ALIASED:
            message = f"aliases (`*name`) would add more than {MAX_ALIASED:,} values"
            raise _make_error_at(file, node.start_mark, message, "write them out")
        return total

    expanded_size(root)
    return root


def _syntax_problem(file: str, error: yaml.MarkedYAMLError, lines: list[str]) -> Problem:
    """A YAML error in words, with the line quoted as it should be."""
    mark, start = error.problem_mark or error.context_mark, error.context_mark
    what = error.problem or error.context or "it cannot be read"
    if error.context and error.problem:
        what += f" ({error.context})"
    # What never ends (a quote, a bracket) is wrong where it starts, not where the file stops.
    endless = "scalar" in (error.context or "") or "flow" in (error.context or "")
    if start is not None and mark is not None and endless and start.line != mark.line:
        what += f", started here and not ended by line {mark.line + 1}"
        mark = start
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    written = lines[line - 1] if 0 < line <= len(lines) else ""
    hint = explain_syntax_error(written, column, error.context or "", ends_later=mark is start)
    return Problem(file, line, column, "", f"this is not YAML: {escape_unprintable(what)}", hint)


def _make_error(
    file: str, line: int, column: int, message: str, hint: str | None = None
) -> SpecError:
    return SpecError([Problem(file, line, column, "", message, hint)])


def _make_error_at(file: str, mark: Any, message: str, hint: str | None = None) -> SpecError:
    return _make_error(file, mark.line + 1, mark.column + 1, message, hint)
