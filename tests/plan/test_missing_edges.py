"""A todo that says it uses another cell's work, without an edge to it, is warned about."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.plan.missing_edges import find_missing_edges, missing_edge_problems
from orchestr.spec.reader import compile_spec
from orchestr.spec.records import Cell, Feature

NAMES = ("api", "client", "c0", "java-sdk", "tests", "docs", "far")


def edges_of(todo: str, **more: tuple[str, ...]) -> list[tuple[str, str]]:
    """What is told of a cell `mine` with this todo beside cells of common names."""
    cells = [
        Cell(name, f"repo-{name}", f"b-{name}", depends_on=more.get(name, ())) for name in NAMES
    ]
    cells.append(Cell("mine", "app", "b", todo=(todo,), depends_on=more.get("mine", ())))
    found = find_missing_edges(Feature("f", "f", "f", tuple(cells)))
    return [(edge.cell, edge.upstream) for edge in found]


@pytest.mark.parametrize(
    ("todo", "upstream"),
    [
        ("use what c0 makes", "c0"),
        ("Use what the api cell made", "api"),
        ("Use what `api` adds.", "api"),
        ("Show the list that client exports", "client"),
        ("Call the endpoint made by the api cell", "api"),
        ("Read the file written by docs", "docs"),
        ("import the module of c0", "c0"),
        ("Call c0's function apply()", "c0"),
        ("builds on java-sdk", "java-sdk"),
        ("Copy the generated stubs from java-sdk to lib/", "java-sdk"),
        ("Needs the types of cell api", "api"),
        ("After c0: switch the flag on", "c0"),
        ("Do not touch x.py. Use what c0 makes.", "c0"),
    ],
)
def test_use_without_an_edge_is_told(todo: str, upstream: str) -> None:
    assert edges_of(todo) == [("mine", upstream)]
    assert edges_of(todo, mine=(upstream,)) == []
    assert edges_of(todo, mine=("far",), far=(upstream,)) == [], "a way over another cell will do"


@pytest.mark.parametrize(
    "todo",
    [
        "Add tests to the api",
        "Use the api of the browser",
        "Document what the client sees in docs/",
        "Write docs and tests; run the tests",
        "Do not use what c0 makes",
        "Without the client that api builds",
        "Same wire format as java-sdk",
        "Keep it in line with java-sdk",
        "Edit api/c0.py and java-sdk/pom.xml",
        "Depends on the client library",
        "needs tests",
        "Use c0x and xc0",
        "Call api.get() from client.py",
    ],
)
def test_a_name_that_is_only_a_word_is_not_told(todo: str) -> None:
    assert edges_of(todo) == []


def test_the_name_of_a_repository_is_not_taken_for_its_cell() -> None:
    cells = (
        Cell("java-sdk", "java-sdk", "a"),
        Cell("web", "web", "b", todo=("Use the key type from java-sdk",)),
        Cell("go", "go", "c", todo=("Use what java-sdk adds",)),
    )
    assert find_missing_edges(Feature("f", "f", "f", cells)) == (("go", 0, "java-sdk"),)


def test_the_other_one_may_wait_for_this() -> None:
    assert edges_of("use what c0 makes", c0=("mine",)) == []


def test_the_warning_names_the_line_and_the_edge(tmp_path: Path) -> None:
    text = (
        "apiVersion: orchestr/v1\nkind: Feature\nmetadata: {name: demo}\ncells:\n"
        "  c0: {repo: r, todo: [x]}\n  c1:\n    repo: r\n    todo:\n      - first\n"
        "      - use what c0 makes\n"
    )
    (tmp_path / "demo.yaml").write_text(text)
    feature, _ = compile_spec(text.encode(), "demo.yaml", "", None)
    assert [str(p) for p in missing_edge_problems(feature, tmp_path)] == [
        "demo.yaml:10:9: warning: the todo of c1 seems to use what c0 makes, and does not wait "
        "for it\n"
        "  hint: write `depends_on: [c0]` in c1, or name it otherwise"
    ]
