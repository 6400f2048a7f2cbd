"""Whatever the bytes are: a feature or a SpecError, never anything else."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestr.errors import SpecError
from orchestr.spec.field_types import BadValue, check_branch
from orchestr.spec.phases import Phase
from orchestr.spec.reader import compile_spec
from orchestr.spec.records import Feature

HEAD = "apiVersion: orchestr/v1\nkind: Feature\nmetadata: {name: demo}\ncells:\n"
FRAGMENTS = st.sampled_from(
    ["a", ": ", ":", "- ", "\n", "  ", "\t", "[", "]", "{", "}", "&a ", "*a", "!x ", "!!int ",
     "'", '"', "|\n", ">\n", "# c", "---\n", "...\n", "? ", ",", "<<", "%YAML 1.1\n", "null", "1",
     "1.5", "2026-01-01", "0x1", "yes", "é", "\r", "\u2028", "\x85", "repo: r", "todo: ", "cells:",
     "repos:", "metadata: ", "depends_on: [a]", "apiVersion: orchestr/v1\n", "kind: Feature\n"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["apiVersion", "kind", "metadata", "defaults", "scenarios", "delivery", "cells", "repos",
     "name", "jira", "title", "created", "repo", "path", "branch", "todo", "depends_on", "action",
     "agent", "model", "timeout", "phases", "owned_paths", "base", "track_base", "checks", "a",
     "reviewers", "repair", "approve", "screenshots", "cross_checks", "contracts", "run", "command",
     "pytest", "api_probe", "state_invariant", "expression", "probes", "env", "url", "owner",
     "orchestr/v1", "opentdf.io/v1alpha1", "Feature", "push", "implement", "30m", "tests"]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=25,
)


def read(data: bytes) -> Feature | None:
    try:
        feature, notes = compile_spec(data, "specs/demo.yaml", "", ("scripted",))
    except SpecError as error:
        assert any(problem.severity == "error" for problem in error.problems)
        assert all(problem.file == "specs/demo.yaml" for problem in error.problems)
        assert str(error).isprintable() or all(
            line.isprintable() for line in str(error).split("\n")
        )
        return None
    assert all(note.severity == "warning" for note in notes)
    return feature


@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    read(data)
    read(HEAD.encode() + data)


@given(st.lists(FRAGMENTS, max_size=30).map("".join))
def test_random_pieces_of_yaml(text: str) -> None:
    read(text.encode())
    read((HEAD + "  a: " + text).encode())


@given(TREES)
def test_random_trees(tree: Any) -> None:
    read(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "replace"))


@given(st.dictionaries(WORDS, TREES, max_size=8), st.dictionaries(WORDS, TREES, max_size=8))
def test_random_fields_in_a_spec_and_in_a_cell(top: dict[str, Any], cell: dict[str, Any]) -> None:
    spec = {
        "apiVersion": "orchestr/v1",
        "kind": "Feature",
        "metadata": {"name": "demo"},
        "cells": {"a": {"repo": "r", "todo": ["x"], **cell}, "b": {"repo": "r", "todo": ["x"]}},
    }
    read(yaml.safe_dump({**spec, **top}).encode("utf-8", "replace"))
    read(yaml.safe_dump({**top, **spec}).encode("utf-8", "replace"))


NAMES = st.sampled_from(["a", "b", "c", "d-1"])
CELLS = st.fixed_dictionaries(
    {"repo": st.sampled_from(["r", "s"]), "todo": st.lists(st.just("x"), min_size=1, max_size=2)},
    optional={
        "depends_on": st.lists(NAMES, max_size=3),
        "branch": st.sampled_from(["x", "x/y", "main", "z.lock", "-b"]),
        "phases": st.lists(st.sampled_from(Phase).map(str), max_size=5),
        "timeout": st.sampled_from(["30m", 5, "x", 0]),
        "action": st.sampled_from(["agent", "push"]),
        "base": st.sampled_from(["main", "dev"]),
    },
)


@given(st.dictionaries(NAMES, CELLS, min_size=1))
def test_what_passes_the_door_can_be_trusted(cells: dict[str, Any]) -> None:
    spec = {
        "apiVersion": "orchestr/v1",
        "kind": "Feature",
        "metadata": {"name": "demo"},
        "cells": cells,
    }

    feature = read(yaml.safe_dump(spec, sort_keys=False).encode())

    if feature is None:
        return
    assert [cell.name for cell in feature.cells] == list(cells)
    branches = [(cell.repo, cell.branch) for cell in feature.cells]
    assert len(set(branches)) == len(branches)
    done: set[str] = set()
    waiting = list(feature.cells)
    while waiting:  # every cell's turn comes: no cycle, nothing unknown
        ready = [cell for cell in waiting if done.issuperset(cell.depends_on)]
        assert ready
        done |= {cell.name for cell in ready}
        waiting = [cell for cell in waiting if cell.name not in done]
    for cell in feature.cells:
        assert check_branch(cell.branch) == cell.branch != cell.base
        assert list(cell.phases) == [phase for phase in Phase if phase in cell.phases]


@given(st.text(max_size=30))
def test_a_bad_value_is_the_only_way_to_say_no(text: str) -> None:
    try:
        assert check_branch(text) == text
    except BadValue as error:
        assert error.message.isprintable()
