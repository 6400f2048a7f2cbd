"""What is pure: differences of statements, and the commits that events account for."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.provenance.gather import read_landings
from orchestr.provenance.statements import (
    FoundStatement,
    encode_statements,
    find_differences,
    parse_statements,
)
from orchestr.provenance.traces import CommitLine, Role, trace_by_trailers
from orchestr.state.events import Event, EventKind


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ({"a": 1, "b": [1]}, {"b": [1], "a": 1}, []),
        ({"a": 1}, {"a": True}, ["a"]),
        ({"a": {"b": None}}, {"a": {}}, ["a.b"]),
        ({"a": [{"name": "x", "v": 1}]}, {"a": [{"name": "x", "v": 2}]}, ["a[x].v"]),
        ({"a": [{"name": "x"}]}, {"a": [{"name": "y"}]}, ["a[0].name"]),
        ({"a": [1, 2]}, {"a": [1]}, ["a"]),
        ({"a": "1"}, {"a": []}, ["a"]),
    ],
)
def test_differences_are_named(old: object, new: object, paths: list[str]) -> None:
    assert list(find_differences(old, new)) == paths


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"subject": 3, "predicate": 4, "predicateType": []},
        {"subject": [3, {"digest": 4}], "predicateType": "https://slsa.dev/provenance/v1"},
        {"subject": [{"digest": {"gitCommit": 5}}], "predicate": {"buildDefinition": "x"}},
    ],
)
def test_an_odd_statement_is_about_nothing(value: dict[str, object]) -> None:
    found = FoundStatement(Path("x"), 1, value)
    assert not any(found.commits) and not any(found.trees)
    assert found.cell == ("", "")


def test_lines_that_are_no_statements_are_named() -> None:
    good = {"_type": "https://in-toto.io/Statement/v1", "subject": []}
    data = encode_statements([good]) + b'[]\n{"a":\n\n' + encode_statements([good])
    found = list(parse_statements(Path("x.intoto.jsonl"), data))
    assert [(one.line, bool(one.error)) for one in found] == [
        (1, False), (2, True), (3, True), (5, False),
    ]  # fmt: skip


def test_a_landing_that_was_rolled_back_says_so_and_the_next_one_does_not() -> None:
    def event(kind: EventKind, commit: str) -> Event:
        return Event(kind, "2026-01-01T00:00:00+00:00", "r", "f", "c", data={"commit": commit})

    events = [event(EventKind.LAND_DONE, "1"), event(EventKind.LAND_UNDONE, "2"),
              event(EventKind.LAND_DONE, "3")]  # fmt: skip
    found = list(read_landings("f", events, {"3": True}))
    assert [(one.commit, one.undone, one.green) for one in found] == [
        ("1", True, None), ("3", False, True),
    ]  # fmt: skip


def test_trailers_name_a_cell_only_together() -> None:
    def line(**trailers: str) -> CommitLine:
        known = {f"Orchestr-{name}": value for name, value in trailers.items()}
        return CommitLine("1", "2", "a", "d", "s", known)

    assert trace_by_trailers(line(Feature="f")) is None
    found = trace_by_trailers(line(Feature="f", Cell="c", Attempt="x"))
    assert found is not None
    assert (found.role, found.attempt, found.known_by) == (Role.LANDING, 0, "trailers")
