"""``logs`` tells the recorded streams of real agents, folds what is long, and survives the rest."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr.commands.base.section_printer import parse_since
from orchestr.errors import UsageError
from orchestr.views.logs.seek import find_offset, time_of_line
from orchestr.views.logs.transcript import read_lines
from orchestr.views.logs.transcript_events import TranscriptFormatter, paint_lines
from tests.agents.kit import adapter

STREAMS = Path(__file__).parents[1] / "agents" / "streams"


def told(*records: dict[str, Any], full: bool = False) -> list[str]:
    teller = TranscriptFormatter(full)
    return [t for r in records for t, _ in teller.format_record(json.dumps(r).encode())]


def stream(name: str) -> list[str]:
    teller = TranscriptFormatter()
    return [
        t for line in read_lines(STREAMS / f"{name}.jsonl") for t, _ in teller.format_record(line)
    ]


def tool(key: str, name: str, **given: Any) -> dict[str, Any]:
    block = {"type": "tool_use", "id": key, "name": name, "input": given}
    return {"type": "assistant", "message": {"content": [block]}}


def result(key: str, text: str, *, bad: bool = False) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": key, "content": text, "is_error": bad}
    return {"type": "user", "message": {"content": [block]}}


def test_claude_is_told() -> None:
    assert stream("claude-ok")[1:] == [
        "▸ Bash echo one > a.txt",
        "▸ Bash git push origin main",
        "  │ Permission to use Bash with command git push origin main has been denied.",
        "All done.",
        "= ended, 3 turns, 3000 tokens in, 150 tokens out, $0.0096",
    ]


def test_a_limit_is_told_with_its_end() -> None:
    assert any(line.startswith("… limit: five hour, until ") for line in stream("claude-limit"))


def test_codex_is_told() -> None:
    assert stream("codex-ok")[2:] == [
        "▸ $ /bin/bash -lc 'echo one > a.txt'",
        "▸ $ /bin/bash -lc 'echo two > b.txt'",
        "All done.",
        "= ended, 3000 tokens in, 150 tokens out",
    ]
    assert stream("codex-429")[-2:] == [
        "✗ exceeded retry limit, last status: 429 Too Many Requests",  # codex reports it twice
        "= ended with an error",
    ]
    assert len(stream("codex-429")) == 10


def test_a_failed_command_shows_its_exit_code() -> None:
    item = {"id": "1", "type": "command_execution", "command": "make", "exit_code": 2,
            "aggregated_output": "no rule"}  # fmt: skip
    assert told({"type": "item.completed", "item": item}) == [
        "▸ $ make", "  │ no rule", "  │ exit 2",
    ]  # fmt: skip


def test_what_an_agent_of_the_agent_does_is_indented() -> None:
    record = tool("1", "Read", path="a") | {"parent_tool_use_id": "0"}
    assert told(record, result("1", "text") | {"parent_tool_use_id": "0"}) == [
        "  ▸ Read a", "    │ text",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["claude", "codex", "gemini", "opencode"])
def test_a_transcript_whose_agent_is_not_known_is_shown_as_with_its_adapter(kind: str) -> None:
    """The agent may be gone from the settings; each kind is asked whether it knows a record."""
    for path in sorted(STREAMS.glob(f"{kind}-*.jsonl")):
        known = TranscriptFormatter(parse=adapter(kind).parse_line)
        lines = [t for line in read_lines(path) for t, _ in known.format_record(line)]
        assert lines == stream(path.stem)


def test_gemini_and_opencode_are_told() -> None:
    assert [line[9:] for line in stream("gemini-ok") if "write_file" in line] == [
        "▸ write_file /worktree/b.txt"
    ]
    assert "  │ +two" in stream("gemini-ok")
    assert "  │ +two" in stream("opencode-ok")
    assert stream("opencode-ok")[-1].endswith("= ended, 5000 tokens in, 250 tokens out, $0.0045")


def test_long_results_are_folded_and_failures_keep_their_end() -> None:
    text = "\n".join(f"line {i}" for i in range(20))
    good = told(tool("1", "Bash", command="ls"), result("1", text))
    assert good[0] == "▸ Bash ls"
    assert good[1:] == [*(f"  │ line {i}" for i in range(6)), "  │ … 14 more lines"]
    bad = told(tool("1", "Bash", command="ls"), result("1", text, bad=True))
    assert bad[1:] == ["  │ … 14 earlier lines", *(f"  │ line {i}" for i in range(14, 20))]
    assert len(told(result("1", text), full=True)) == 20


def test_a_late_result_names_its_tool() -> None:
    lines = told(tool("1", "Read", path="a"), tool("2", "Read", path="b"), result("1", "text"))
    assert lines == ["▸ Read a", "▸ Read b", "↳ Read a", "  │ text"]


def test_an_edit_is_a_diff_with_its_indentation() -> None:
    edit = tool("1", "Edit", file_path="a.go", old_string="if x {\n\ta()\n}",
                new_string="if x {\n\tb()\n}")  # fmt: skip
    lines = [
        line for r in [edit] for line in TranscriptFormatter().format_record(json.dumps(r).encode())
    ]
    assert [t for t, _ in lines] == [
        "▸ Edit a.go", "  │  if x {", "  │ -    a()", "  │ +    b()", "  │  }",
    ]  # fmt: skip
    assert paint_lines(lines, 0, True)[2:4] == [
        "\x1b[31m  │ -    a()\x1b[0m", "\x1b[32m  │ +    b()\x1b[0m",
    ]  # fmt: skip


def test_a_diff_among_plain_lines_is_coloured() -> None:
    teller = TranscriptFormatter()
    texts = ["- a list", "diff --git a/x b/x", "@@ -1 +1 @@", "-old", "+new", "done", "- a list"]
    styles = [
        teller.format_record(json.dumps({"stream": "stdout", "text": text}).encode())[0][1]
        for text in texts
    ]
    assert styles == ["", "dim", "cyan", "red", "green", "", ""]


@given(st.text())
def test_nothing_an_agent_prints_drives_the_terminal(text: str) -> None:
    for record in (result("1", text), {"stream": "stdout", "text": text}):
        for line in told(record):
            assert "\x1b" not in line
            assert "\n" not in line
            assert "\r" not in line


KINDS = [
    "assistant", "user", "result", "rate_limit_event", "message", "tool_use", "tool_result",
    "item.completed", "turn.completed", "text", "step_finish", "error", "new.kind",
]  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda v: st.lists(v, max_size=2) | st.dictionaries(st.sampled_from(
        ["type", "text", "content", "input", "changes", "items", "edits", "tokens", "state"]), v),
    max_leaves=6,
)  # fmt: skip


@given(
    st.sampled_from(KINDS),
    st.dictionaries(
        st.sampled_from(["message", "item", "part", "timestamp", "usage", "rate_limit_info",
                         "parameters", "modelUsage", "total_cost_usd", "result"]),
        VALUES,
    ),
)  # fmt: skip
def test_no_event_however_odd_stops_the_story(kind: str, record: dict[str, Any]) -> None:
    for line in told({"type": kind, **record}):
        assert "\n" not in line


def test_a_time_is_found_in_a_long_transcript(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    begin = datetime(2026, 5, 18, tzinfo=UTC)
    with path.open("w") as out:
        for second in range(30_000):
            at = (begin + timedelta(seconds=second)).isoformat()
            out.write(json.dumps({"ts": at, "stream": "stdout", "text": f"line {second}"}) + "\n")
            out.write(json.dumps({"type": "item.started"}) + "\n")
    wanted = begin + timedelta(seconds=20_000)
    offset = find_offset(path, wanted)
    lines = list(read_lines(path, offset))
    assert next(t for t in map(time_of_line, lines) if t) <= wanted
    assert path.stat().st_size - offset < 10_000 * 100 + 600_000
    assert find_offset(path, begin) == 0


def test_since_in_words() -> None:
    now = datetime(2026, 5, 18, 12, 0, tzinfo=UTC)
    assert parse_since("10m", now) == now - timedelta(minutes=10)
    assert parse_since("2026-05-18T11:00:00+00:00", now) == now - timedelta(hours=1)
    assert parse_since("11:30", now) == now - timedelta(minutes=30)
    assert parse_since("12:30", now) == now - timedelta(hours=23, minutes=30)
    with pytest.raises(UsageError):
        parse_since("25:99", now)
