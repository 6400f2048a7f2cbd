"""What leaves the server is bounded, and says what it left off. Pure."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestr.commands.mcp_tools.bounds import bound_answer, map_texts, render_json
from orchestr.commands.mcp_tools.stdio import MessageLines

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=400),
    lambda part: st.lists(part, max_size=12) | st.dictionaries(st.text(max_size=5), part),
    max_leaves=25,
)


def test_what_fits_is_what_it_was() -> None:
    value = {"cells": [{"name": "a", "cost": 1.5, "pr": None}], "good": True}
    assert bound_answer(value) == value


def test_a_long_list_loses_its_end_and_says_how_much() -> None:
    value = {"cells": [{"name": f"cell-{n:04}", "why": "x" * 80} for n in range(1000)]}
    answer = bound_answer(value, 10_000)
    kept = len(answer["cells"])
    assert answer["cells"] == value["cells"][:kept]
    assert answer["left_off"] == {"cells": 1000 - kept}
    assert 7_000 < len(render_json(answer)) <= 10_000


def test_a_long_text_loses_its_middle() -> None:
    answer = bound_answer({"text": "begin" + "x" * 90_000 + "end"}, 5_000)
    assert answer["text"].startswith("begin") and answer["text"].endswith("end")
    assert "[... left off ...]" in answer["text"] and answer["left_off"]["text"] > 80_000
    assert 3_500 < len(render_json(answer)) <= 5_000


def test_parts_of_what_fell_away_are_not_named() -> None:
    value = {"rows": [["y" * 30] * 200, *([["z" * 30] * 300] * 3)]}
    answer = bound_answer(value, 3_000)
    count = len(answer["rows"])
    assert all(int(key.split(".")[1]) < count for key in answer["left_off"] if "." in key)


def list_cuttable(value: object) -> list[object]:
    """The parts that could be shorter still."""
    parts = list(value.values()) if isinstance(value, dict) else value
    if isinstance(parts, list):
        below = [one for part in parts for one in list_cuttable(part)]
        return [*below, value] if isinstance(value, list) and len(value) > 1 else below
    return [value] if isinstance(value, str) and len(value) > 200 else []


@settings(max_examples=20, deadline=None)
@given(st.dictionaries(st.text(max_size=5), JSON, max_size=8))
def test_every_answer_is_bounded_and_keeps_its_types(value: dict[str, object]) -> None:
    before = json.dumps(value)
    answer = bound_answer(value, 1_500)
    assert json.dumps(value) == before
    rest = answer.pop("left_off", {}) if "left_off" not in value else {}
    assert len(render_json(answer)) <= 1_500 or not list_cuttable(answer)
    assert bool(rest) == (answer != value)
    for key, one in value.items():
        assert type(answer[key]) is type(one)


def test_every_text_is_changed_names_too() -> None:
    value = {"s3cret": ["a s3cret", {"b": ("s3cret", 1)}]}
    hidden = map_texts(value, lambda text: text.replace("s3cret", "***"))
    assert hidden == {"***": ["a ***", {"b": ["***", 1]}]}


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"a\nb\n", ["a\n", "b\n"]),
        (b"last", ["last"]),
        (b"123456789\nb\n", ["123456789\n", "b\n"]),
        (b"1234567890\nb\n", ["1234567890\n", "b\n"]),
        (b"12345678901\nb\n", ["a message of more than 10 bytes\n", "b\n"]),
        (b"x" * 200_000 + b"\nb\n", ["a message of more than 10 bytes\n", "b\n"]),
        (b"x" * 50, ["a message of more than 10 bytes\n"]),
        (b"\xff\xfe\n", ["��\n"]),
    ],
)
def test_lines_are_read_one_by_one_and_never_whole_when_they_are_long(
    data: bytes, lines: list[str]
) -> None:
    reader = MessageLines(io.BytesIO(data), most=10)
    assert list(iter(reader.readline, "")) == lines
