"""Transcripts for people: any agent's events, only the end of huge files, nothing hostile."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr.views.logs import transcript
from orchestr.views.logs.transcript import (
    GrowingFile,
    format_line,
    last_words,
    read_lines,
    read_tail,
)


def line(**record: Any) -> str:
    return json.dumps(record)


TOOL = {"type": "tool_use", "name": "Bash", "input": {"command": "go test ./..."}}
TEXT = {"type": "text", "text": "I add the key type."}
SAID = {"type": "tool_result", "content": "FAIL", "is_error": True}


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (line(ts="2026-05-18T12:35:01Z", stream="stdout", text="hello"), "12:35:01 hello"),
        (
            line(ts="2026-05-18T12:35:01Z", stream="stderr", text="\x1b[31moh\x1b[0m"),
            "12:35:01 ! oh",
        ),
        (line(type="assistant", message={"content": [TEXT, TOOL]}), None),
        (line(type="user", message={"content": [SAID]}), "failed: FAIL"),
        (line(type="system", subtype="init", session_id="s", model="sonnet"), "session s sonnet"),
        (line(type="rate_limit_event", rate_limit_info={"status": "rejected"}), None),
        (
            line(type="result", is_error=True, num_turns=3, total_cost_usd=0.5, result="no"),
            "ended with an error, 3 turns, $0.50: no",
        ),
        (
            line(
                type="item.completed",
                item={"type": "command_execution", "command": "ls", "exit_code": 0},
            ),
            "$ ls",
        ),
        (line(type="item.completed", item={"type": "agent_message", "text": "done"}), "done"),
        (line(type="error", message="Reconnecting... 1/5"), "note: Reconnecting... 1/5"),
        (line(type="error", message="at capacity"), "error: at capacity"),
        (line(type="text", part={"text": "hi"}), "hi"),
        (line(type="something.new", x=1), "something.new"),
        ("no json at all \x1b[2J", "no json at all"),
    ],
)
def test_a_line_for_people(raw: str, shown: str | None) -> None:
    expected = shown or {
        "assistant": "I add the key type. | Bash go test ./...",
        "rate_limit_event": "… limit: usage limit",
    }.get(json.loads(raw)["type"])
    assert format_line(raw) == expected == format_line(raw.encode())


@pytest.mark.parametrize("raw", ["", "  ", line(type="turn.started"), line(type="turn.completed")])
def test_what_says_nothing_is_left_out(raw: str) -> None:
    assert format_line(raw) is None


KINDS = st.sampled_from(
    ["assistant", "user", "system", "result", "item.completed", "tool_use", "error", "text"]
)
FIELDS = st.sampled_from(
    ["type", "text", "content", "message", "item", "part", "input", "changes", "name"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=8,
)


@given(KINDS, st.dictionaries(st.sampled_from(["message", "item", "part", "ts"]), JSON), JSON)
def test_no_event_however_odd_stops_the_log(kind: str, record: dict[str, Any], odd: Any) -> None:
    for value in ({"type": kind, **record}, odd):
        shown = format_line(json.dumps(value))
        assert shown is None or "\n" not in shown


@given(st.binary(max_size=80))
def test_no_bytes_stop_the_log(raw: bytes) -> None:
    format_line(raw)


@given(st.lists(st.binary(max_size=9).filter(lambda b: b"\n" not in b), max_size=30), st.data())
def test_the_tail_is_the_tail(lines: list[bytes], data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 35))
    rest = data.draw(st.sampled_from([b"", b"torn"]))
    block = data.draw(st.integers(1, 16))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder, "transcript.jsonl")
        path.write_bytes(b"".join(one + b"\n" for one in lines) + rest)
        patch.setattr(transcript, "_BLOCK", block)
        assert read_tail(path, count) == (lines[-count:] if count else [])


def test_the_tail_of_a_huge_file_reads_its_end_only(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with path.open("wb") as stream:
        stream.truncate(20 << 30)  # sparse: 20 GB that nobody could read
        stream.seek(0, 2)
        stream.write(b"\n" + line(stream="stdout", text="the end").encode() + b"\n")
    assert [format_line(one) for one in read_tail(path, 1)] == ["the end"]
    assert last_words(path) == "the end"


def test_last_words_of_a_transcript_that_is_not_there(tmp_path: Path) -> None:
    assert last_words(tmp_path / "none.jsonl") is None


def test_an_absurdly_long_line_is_cut_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"x" * (3 << 20) + b"\nshort\nunfinished")
    assert [len(one) for one in read_lines(path)] == [1 << 20, 5, 10]
    assert len(format_line(b"x" * (3 << 20)) or "") == 500


def test_a_growing_file_gives_its_new_lines_and_a_torn_one_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"one\ntwo\nthr")
    seen = GrowingFile(path, len(b"one\n"))
    assert list(seen.read_new_lines()) == [b"two"]
    with path.open("ab") as stream:
        stream.write(b"ee\nfour\nfi")
    assert list(seen.read_new_lines()) == [b"three", b"four"]
    with path.open("ab") as stream:
        stream.write(b"ve")
    assert list(seen.read_new_lines()) == []
    assert list(seen.read_torn_end()) == [b"five"] and not list(seen.read_torn_end())


def test_a_growing_file_need_not_be_there_and_may_be_made_again(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    seen = GrowingFile(path)
    assert list(seen.read_new_lines()) == []
    path.write_bytes(b"first attempt\n")
    assert list(seen.read_new_lines()) == [b"first attempt"]
    path.write_bytes(b"second\n")
    assert list(seen.read_new_lines()) == [b"second"]


def test_parts_of_a_file_are_read_alone(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"one\ntwo\nthree\nfour\n")
    cut = len(b"one\ntwo\n")
    assert read_tail(path, 1, 0, cut) == [b"two"] and read_tail(path, 9, 0, cut) == [b"one", b"two"]
    assert read_tail(path, 9, cut) == [b"three", b"four"] and read_tail(path, 1, cut) == [b"four"]
    assert list(read_lines(path, 0, cut)) == [b"one", b"two"]
    seen = GrowingFile(path)
    assert (
        list(seen.read_new_lines(cut)) == [b"one", b"two"] and list(seen.read_new_lines(cut)) == []
    )
    assert list(seen.read_new_lines()) == [b"three", b"four"]
