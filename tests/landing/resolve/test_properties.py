"""Random conflicting edits: what a structural merge makes of them, and that nothing is lost.

An edit script works on what a file means (keys, blocks, imports, entries); the file of each side is
written from it. Where the merge is not refused, it means what both scripts make, in either order.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from orchestr.landing.resolve.conflict import FileConflict
from orchestr.landing.resolve.languages import find_language
from orchestr.landing.resolve.structure import merge_texts, resolve_structure
from orchestr.landing.resolve.texts import read_three_texts
from orchestr.landing.resolve.tree import Refused
from orchestr.landing.resolve.union import resolve_union

Data = dict[str, Any]
FEW = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))

NAMES = st.sampled_from("abcdefghij")
LEAVES = st.integers(0, 3) | st.sampled_from(["x", "y", "it's"])
OBJECTS = st.dictionaries(NAMES, LEAVES | st.dictionaries(NAMES, LEAVES, max_size=3), max_size=5)


@dataclass(frozen=True)
class Edit:
    """Set ``value`` below ``name`` (and ``inner``), or take it away; None."""

    name: str
    inner: str | None
    value: int | None


EDITS = st.lists(
    st.builds(Edit, NAMES, st.none() | NAMES, st.none() | st.integers(10, 19)), max_size=3
)


def edit_object(value: Data, edits: list[Edit]) -> Data:
    found: Data = json.loads(json.dumps(value))
    for edit in edits:
        place, key = found, edit.name
        if edit.inner is not None:
            if not isinstance(found.get(key), dict):
                continue
            place, key = found[key], edit.inner
        if edit.value is None:
            place.pop(key, None)
        else:
            place[key] = edit.value
    return found


def write_json(value: Data) -> str:
    return json.dumps(value, indent=2) + "\n"


def write_toml(value: Data) -> str:
    lines = [
        f"{key} = {json.dumps(item)}" for key, item in value.items() if not isinstance(item, dict)
    ]
    for key, item in value.items():
        if isinstance(item, dict):
            lines += ["", f"[{key}]"]
            lines += [f"{inner} = {json.dumps(leaf)}" for inner, leaf in item.items()]
    return "".join(line + "\n" for line in lines)


def write_yaml(value: Data) -> str:
    return yaml.safe_dump(value, sort_keys=False) if value else ""


def read_yaml(text: str) -> Data:
    return yaml.safe_load(text) or {}


def same_place(one: Edit, other: Edit) -> bool:
    return one.name == other.name and (one.inner is None or other.inner in (None, one.inner))


FORMATS: dict[str, tuple[Callable[[Data], str], Callable[[str], Data]]] = {
    "a.json": (write_json, json.loads),
    "a.toml": (write_toml, tomllib.loads),
    "a.yaml": (write_yaml, read_yaml),
}


@given(st.sampled_from(sorted(FORMATS)), OBJECTS, EDITS, EDITS)
@FEW
def test_keys_mean_both_edits(path: str, base: Data, ours: list[Edit], theirs: list[Edit]) -> None:
    write, read = FORMATS[path]
    texts = [write(value) for value in (base, edit_object(base, ours), edit_object(base, theirs))]
    merged = resolve_both(path, *texts)
    apart = not any(same_place(one, two) or same_place(two, one) for one in ours for two in theirs)
    if merged is None:
        return
    if apart:
        assert read(merged) == edit_object(edit_object(base, ours), theirs)
        assert read(merged) == edit_object(edit_object(base, theirs), ours)
    assert_nothing_lost(texts, merged)


def resolve_both(path: str, base: str, ours: str, theirs: str) -> str | None:
    """The merge; what one direction refuses, the other refuses."""
    data = [text.encode() for text in (base, ours, theirs)]
    conflict = FileConflict(path, data[0], data[1], data[2])
    merged = resolve_structure(conflict)
    three, language = read_three_texts(conflict), find_language(path)
    assert three and language
    with suppress(Refused):
        merge_texts(three, language)  # a fault in a rule is no refusal
    swapped = resolve_structure(FileConflict(path, data[0], data[2], data[1]))
    assert (merged is None) == (swapped is None)
    again = resolve_structure(FileConflict(path, data[0], data[1], data[2]))
    assert again == merged
    return None if merged is None else merged.decode()


def assert_nothing_lost(texts: list[str], merged: str) -> None:
    """Each word that one side added is there; what one deleted and the other left is not."""
    old, mine, other, new = (Counter(re.findall(r"\w+", text)) for text in (*texts, merged))
    for word in old | mine | other:
        assert new[word] or not (mine[word] > old[word] == 0 or other[word] > old[word] == 0)
        left = mine[word] <= old[word] and other[word] <= old[word]
        assert not new[word] or not left or (mine[word] and other[word])


@given(OBJECTS, NAMES, NAMES)
@FEW
def test_disjoint_keys_are_merged(base: Data, one: str, two: str) -> None:
    """The rung is of use: two new keys never conflict."""
    assume(one != two and one not in base and two not in base)
    texts = [write_json(value) for value in (base, {**base, one: 11}, {**base, two: 12})]
    merged = resolve_both("a.json", *texts)
    assert merged is not None
    assert json.loads(merged) == {**base, one: 11, two: 12}


# --- blocks of code -------------------------------------------------------------------------------

BLOCKS: dict[str, Callable[[str, int], str]] = {
    "a.py": lambda name, body: f"@wraps\ndef f_{name}(x):\n    # {name}\n    return {body}\n",
    "a.go": lambda name, body: f"// F{name} does.\nfunc F{name}() int {{\n\treturn {body}\n}}\n",
    "a.ts": lambda name, body: f"export function f_{name}() {{\n  return {body};\n}}\n",
    "a.rs": lambda name, body: f"#[test]\nfn f_{name}() {{\n    let x = {body};\n}}\n",
    "A.java": lambda name, body: f"@Test\nvoid f_{name}() {{\n    f({body});\n}}\n",
    "a.md": lambda name, body: f"## {name}\n\n- entry {body}\n",
}
FILES = st.dictionaries(NAMES, st.integers(0, 2), min_size=1, max_size=5)


def write_blocks(path: str, blocks: list[tuple[str, int]]) -> str:
    return "\n".join(BLOCKS[path](name, body) for name, body in blocks)


@st.composite
def block_edits(draw: st.DrawFn, base: dict[str, int]) -> list[tuple[str, int]]:
    """Blocks with some changed, some taken away, and new ones between them."""
    kept = [
        (name, draw(st.sampled_from([body, body, body, body + 5])))
        for name, body in base.items()
        if draw(st.integers(0, 4))
    ]
    for name in draw(st.lists(NAMES, max_size=2, unique=True)):
        if name not in base:
            kept.insert(draw(st.integers(0, len(kept))), (name, draw(st.integers(20, 22))))
    return kept


@given(st.data(), st.sampled_from(sorted(BLOCKS)), FILES)
@FEW
def test_blocks_of_both_sides(data: st.DataObject, path: str, base: dict[str, int]) -> None:
    ours, theirs = data.draw(block_edits(base)), data.draw(block_edits(base))
    texts = [write_blocks(path, blocks) for blocks in (list(base.items()), ours, theirs)]
    merged = resolve_both(path, *texts)
    wanted = merge_mappings(base, dict(ours), dict(theirs))
    if merged is None:
        return
    if wanted is None and path == "a.md":
        return  # the same heading from both: their entries stand below one
    assert wanted is not None
    assert_nothing_lost(texts, merged)
    for name, body in wanted.items():
        assert merged.count(BLOCKS[path](name, body).strip()) == 1
    order = re.findall(r"(?<=f_)\w(?=\()|(?<=func F)\w|(?<=## )\w", merged)
    assert sorted(order) == sorted(wanted)
    for side in (ours, theirs):
        names = [name for name, _ in side if name in wanted]
        assert [name for name in order if name in names] == names


def merge_mappings(
    base: dict[str, int], ours: dict[str, int], theirs: dict[str, int]
) -> dict[str, int] | None:
    """What both sides mean together; None: both changed the same block in other ways."""
    found: dict[str, int] = {}
    for name in {**base, **ours, **theirs}:
        old, mine, other = base.get(name), ours.get(name), theirs.get(name)
        if mine not in (old, other) and other != old:
            return None
        value = other if mine == old else mine
        if value is not None:
            found[name] = value
    return found


@given(FILES, NAMES, NAMES, st.sampled_from(sorted(BLOCKS)), st.integers(0, 5))
@FEW
def test_new_blocks_at_one_place(
    base: dict[str, int], one: str, two: str, path: str, place: int
) -> None:
    """The rung is of use: two new blocks with other names never conflict."""
    assume(one != two and one not in base and two not in base)
    blocks = list(base.items())
    place = min(place, len(blocks))
    sides = [[*blocks[:place], (name, 30), *blocks[place:]] for name in (one, two)]
    texts = [write_blocks(path, found) for found in (blocks, *sides)]
    merged = resolve_both(path, *texts)
    both = [*blocks[:place], (one, 30), (two, 30), *blocks[place:]]
    assert merged is not None
    assert re.sub(r"\n+", "\n", merged) == re.sub(r"\n+", "\n", write_blocks(path, both))


# --- lists: imports, entries, arguments -----------------------------------------------------------

LISTS: dict[str, Callable[[list[str]], str]] = {
    "names.py": lambda names: f"from m import {', '.join(names)}\n",
    "lines.py": lambda names: "".join(f"import {name}\n" for name in names),
    "tall.py": lambda names: "X = [\n" + "".join(f'    "{name}",\n' for name in names) + "]\n",
    "wide.py": lambda names: f"call({', '.join(f'{name}=1' for name in names)})\n",
    "a.ts": lambda names: f'import {{ {", ".join(names)} }} from "m";\n',
    "a.go": lambda names: "import (\n" + "".join(f'\t"{name}"\n' for name in names) + ")\n",
    "a.rst": lambda names: "".join(f"- entry {name}\n" for name in names),
    "a.json": lambda names: json.dumps({"a": names}) + "\n",
}


@given(
    st.sampled_from(sorted(LISTS)),
    st.sets(NAMES, min_size=2, max_size=6),
    st.sets(NAMES, max_size=3),
    st.sets(NAMES, max_size=3),
    st.integers(0, 3),
)
@FEW
def test_sorted_lists_are_sets(
    path: str, base: set[str], ours: set[str], theirs: set[str], keep: int
) -> None:
    left = base if keep == 3 else set(sorted(base)[:keep])
    assume(left)
    texts = [LISTS[path](sorted(names)) for names in (base, left | (ours - base), base | theirs)]
    merged = resolve_both(path, *texts)
    if merged is None:
        return
    wanted = left | (ours - base) | (theirs - base)
    found = re.findall(r"\b[a-j]\b", merged.replace('"a":', ""))
    assert sorted(found) == sorted(wanted)
    assert path in ("wide.py", "a.rst", "lines.py") or found == sorted(found)


# --- any lines ------------------------------------------------------------------------------------

LINES = st.lists(
    st.sampled_from(
        ["a", "b", "", "  c", "{", "}", "(", "d: 1", "- e", "# f", "x = (1,", ")", "'"]
    ),
    max_size=6,
)


@given(
    st.sampled_from(["a.py", "a.go", "a.ts", "a.json", "a.toml", "a.yaml", "a.md", "a.rst", "a.c"]),
    LINES,
    LINES,
    LINES,
)
@FEW
def test_any_lines_give_an_answer(
    path: str, base: list[str], ours: list[str], theirs: list[str]
) -> None:
    texts = ["".join(line + "\n" for line in lines) for lines in (base, ours, theirs)]
    merged = resolve_both(path, *texts)
    if merged is not None:
        assert_nothing_lost(texts, merged)
    data = [text.encode() for text in texts]
    united = resolve_union(FileConflict(path, data[0], data[1], data[2]))
    swapped = resolve_union(FileConflict(path, data[0], data[2], data[1]))
    assert (united is None) == (swapped is None)
