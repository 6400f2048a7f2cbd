"""What the recorded streams of the real programs mean, and that nothing they say raises."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr.agents.events import (
    ErrorReport,
    Message,
    Note,
    NoteKind,
    OutputLine,
    SessionStarted,
    TextEdit,
    TokenUsage,
    ToolResult,
    ToolUse,
)
from orchestr.agents.limits import find_limit, reset_time
from orchestr.agents.usage import TokenPrices, UsageMeter, tally_transcript
from tests.agents.kit import KINDS, STREAMS, adapter, exited, stream

# stream, exit code -> what the verdict says: ok, limited, its tokens, its cost, words of its reason
MEANT = [
    ("claude-ok", 0, "ok", (3000, 600, 150), 0.00963, ""),
    ("claude-limit", 1, "limited", (1000, 200, 50), 0.00321, "hit your limit"),
    ("claude-429", 1, "limited", (1000, 200, 50), 0.00321, "Request rejected (429)"),
    ("claude-529", 1, "limited", None, 0.0, "529"),
    ("claude-500", 1, "passing", None, 0.0, "API Error: 500"),
    ("claude-401", 1, "failed", None, 0.0, "Failed to authenticate"),
    ("claude-billing", 1, "failed", None, 0.0, "Credit balance is too low"),
    ("claude-budget", 1, "failed", (2000, 400, 100), 0.00642, "budget"),
    ("claude-lost", 1, "lost", None, 0.0, "No conversation found"),
    ("codex-ok", 0, "ok", (3000, 600, 150), None, ""),
    ("codex-usage-limit", 1, "limited", None, None, "hit your usage limit"),
    ("codex-429", 1, "limited", None, None, "429 Too Many Requests"),
    ("codex-overloaded", 1, "limited", None, None, "at capacity"),
    ("codex-quota", 1, "failed", None, None, "Quota exceeded. Check your plan and billing"),
    ("codex-500", 1, "passing", None, None, "high demand"),
    ("codex-401", 1, "failed", None, None, "401 Unauthorized"),
    ("gemini-ok", 0, "ok", (5000, 1000, 250), None, ""),
    ("claude-503", 1, "passing", (1000, 200, 50), 0.00321, "API Error: 503"),
    ("claude-away", 1, "passing", None, 0.0, "Unable to connect"),
    ("codex-503", 1, "passing", None, None, "503 Service Unavailable"),
    ("gemini-503", 247, "passing", (1000, 200, 50), None, "status 503"),
    ("gemini-away", 1, "passing", None, None, "fetch failed"),
    ("gemini-quota", 173, "limited", None, None, "Please retry in 3600s"),
    ("gemini-429", 173, "limited", (1000, 200, 50), None, "API Error: status 429"),
    ("opencode-ok", 0, "ok", (5000, 1000, 250), 0.0045, ""),
    ("opencode-500", 1, "passing", None, None, "status 500"),
    ("opencode-401", 1, "failed", (1000, 200, 50), 0.0009, "status 401"),
]


@pytest.mark.parametrize(("name", "code", "how", "tokens", "cost", "reason"), MEANT)
def test_every_recorded_end(
    tmp_path: Path, name: str, code: int, how: str, tokens: tuple[int, int, int] | None,
    cost: float | None, reason: str,
) -> None:  # fmt: skip
    path = tmp_path / "transcript.jsonl"
    path.write_bytes(stream(name))
    verdict = adapter(name.split("-", maxsplit=1)[0]).judge_end(exited(code), path)

    said = [w for w, yes in [("ok", verdict.ok), ("limited", verdict.limited),
                             ("lost", verdict.session_lost),
                             ("passing", verdict.passing)] if yes]  # fmt: skip
    assert (said or ["failed"]) == [how], verdict
    used = verdict.tokens
    assert (used and (used.input, used.cached, used.output)) == tokens
    assert verdict.cost_usd == (None if cost is None else pytest.approx(cost))
    assert reason in verdict.reason
    assert verdict.session_id or how == "lost"


def test_every_recorded_stream_is_in_the_table() -> None:
    names = {path.stem for path in STREAMS.glob("*.jsonl")}
    assert names - {name for name, *_ in MEANT} == {
        n for n in names if n.endswith("-resumed")
    }  # fmt: skip


@pytest.mark.parametrize(
    ("first", "code", "tokens", "cost"),
    [
        # claude and gemini tell of each start alone, codex of the whole session.
        ("claude-ok", 0, (4000, 800, 200), 0.01284),
        ("claude-limit", 1, (3000, 600, 150), 0.00963),
        ("codex-ok", 0, (4000, 800, 200), None),
        ("codex-usage-limit", 1, (3000, 600, 150), None),
        ("gemini-ok", 0, (6000, 1200, 300), None),
        ("opencode-ok", 0, (6000, 1200, 300), 0.0054),
    ],
)
def test_a_resumed_session_counts_once(
    tmp_path: Path, first: str, code: int, tokens: tuple[int, int, int], cost: float | None
) -> None:
    path = tmp_path / "transcript.jsonl"
    path.write_bytes(stream(first, f"{first}-resumed"))
    agent = adapter(first.split("-", maxsplit=1)[0])
    verdict = agent.judge_end(exited(), path, since=len(stream(first)))

    assert verdict.ok, verdict
    assert verdict.tokens is not None
    assert (verdict.tokens.input, verdict.tokens.cached, verdict.tokens.output) == tokens
    assert verdict.cost_usd == (None if cost is None else pytest.approx(cost))


def test_a_claude_that_sums_up_the_whole_conversation_counts_once(tmp_path: Path) -> None:
    """Some versions do (agents tried elsewhere did): the second total holds the first."""
    path = tmp_path / "transcript.jsonl"
    *lines, last = stream("claude-limit-resumed").splitlines(keepends=True)
    result = json.loads(last)
    result["total_cost_usd"] += 0.00321
    model = result["modelUsage"]["claude-sonnet-5"]
    for key, more in (("inputTokens", 800), ("cacheReadInputTokens", 200), ("outputTokens", 50)):
        model[key] += more
    first = stream("claude-limit")
    path.write_bytes(first + b"".join(lines) + json.dumps(result).encode() + b"\n")
    verdict = adapter("claude").judge_end(exited(), path, since=len(first))

    assert verdict.tokens is not None
    assert (verdict.tokens.input, verdict.tokens.output) == (3000, 150)
    assert verdict.cost_usd == pytest.approx(0.00963)


@pytest.mark.parametrize("kind", KINDS)
def test_success_needs_a_result_and_a_good_exit(tmp_path: Path, kind: str) -> None:
    """Exit 0 alone is no success, nor is a good result before a crash (D100, trap 1)."""
    path = tmp_path / "transcript.jsonl"
    *lines, _last = stream(f"{kind}-ok").splitlines(keepends=True)
    path.write_bytes(b"".join(lines))
    torn = adapter(kind).judge_end(exited(), path)
    path.write_bytes(stream(f"{kind}-ok"))
    crashed = adapter(kind).judge_end(exited(2), path)

    assert (torn.ok, torn.limited) == (False, False)
    assert "without a result" in torn.reason
    assert (crashed.ok, crashed.limited) == (False, False)
    assert crashed.reason == "exit 2 after a result that said success"


@pytest.mark.parametrize("kind", KINDS)
def test_a_start_that_says_nothing_is_not_judged_by_the_one_before(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "transcript.jsonl"
    first = stream(f"{kind}-ok")
    path.write_bytes(first)
    verdict = adapter(kind).judge_end(exited(1), path, since=len(first))
    assert (verdict.ok, verdict.reason) == (False, "exit 1 without a result")
    assert verdict.tokens is not None  # what was paid stays counted


def test_what_the_program_says_on_stderr_is_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "transcript.jsonl"
    said = ["WARNING: something", "Error: thread/resume failed: no rollout found for thread id 1"]
    lines = [json.dumps({"ts": "x", "stream": "stderr", "text": text}) for text in said]
    path.write_text("\n".join(lines) + "\n")
    verdict = adapter("codex").judge_end(exited(1), path)
    assert verdict.reason.startswith("exit 1 without a result: Error: thread/resume")
    assert verdict.session_lost


def test_no_change_needed_is_read_from_the_last_line(tmp_path: Path) -> None:
    path = tmp_path / "transcript.jsonl"
    text = stream("codex-ok").decode().replace(
        "All done.", "I looked.\\n\\nORCHESTR no_change_needed: it is there already"
    )  # fmt: skip
    path.write_text(text)
    assert adapter("codex").judge_end(exited(), path).no_change == "it is there already"


def test_a_message_in_pieces_is_put_together(tmp_path: Path) -> None:
    path = tmp_path / "transcript.jsonl"
    *lines, message, result = stream("gemini-ok").decode().splitlines()
    pieces = [message.replace("All done.", piece)
              for piece in ("I see.\\nORCHESTR no_ch", "ange_needed: it is", " there")]  # fmt: skip
    path.write_text("\n".join([*lines, *pieces, result]) + "\n")
    assert adapter("gemini").judge_end(exited(), path).no_change == "it is there"


def test_the_end_of_a_long_message_counts(tmp_path: Path) -> None:
    path = tmp_path / "transcript.jsonl"
    end = "x" * 9000 + "\\nORCHESTR no_change_needed: done before"
    path.write_text(stream("claude-ok").decode().replace("All done.", end))
    assert adapter("claude").judge_end(exited(), path).no_change == "done before"


def test_prices_make_a_cost_of_tokens(tmp_path: Path) -> None:
    path = tmp_path / "transcript.jsonl"
    path.write_bytes(stream("codex-ok"))
    agent = adapter("codex", price_input_usd=3.0, price_output_usd=15.0)
    assert agent.tells_cost
    assert agent.judge_end(exited(), path).cost_usd == pytest.approx(3000 * 3e-6 + 150 * 15e-6)
    cheap = adapter("codex", price_input_usd=3.0, price_output_usd=15.0, price_cached_usd=0.3)
    cost = 2400 * 3e-6 + 600 * 0.3e-6 + 150 * 15e-6
    assert cheap.judge_end(exited(), path).cost_usd == pytest.approx(cost)


def test_a_meter_reads_on_and_ends_where_one_pass_does(tmp_path: Path) -> None:
    path = tmp_path / "transcript.jsonl"
    agent, data = adapter("claude"), stream("claude-limit", "claude-limit-resumed")
    since = len(stream("claude-limit"))
    prices = TokenPrices(3.0, 15.0)
    meter = UsageMeter(path, agent.parse_line, since=since, prices=prices)
    assert meter.read_new_lines().known_usd == 0
    seen = []
    for cut in range(0, len(data) + 700, 700):
        path.write_bytes(data[:cut])
        seen.append(meter.read_new_lines().known_usd)
    assert seen == sorted(seen)
    whole = tally_transcript(path, agent.parse_line, since=since, prices=prices)
    assert meter.sums.known_usd == whole.known_usd == pytest.approx(0.00963)
    assert meter.sums.total_usage == whole.total_usage


def test_the_events_of_a_line() -> None:
    claude, codex = adapter("claude"), adapter("codex")
    lines = stream("claude-ok").splitlines()
    assert isinstance(claude.parse_line(lines[0])[0], SessionStarted)
    usage, tool = claude.parse_line(lines[1])
    assert usage == TokenUsage(1000, 200, 1, id="msg_0")
    assert tool == ToolUse("Bash", "echo one > a.txt", "toolu_0")
    assert claude.parse_line(lines[2]) == (ToolResult("toolu_0"),)
    denied = "Permission to use Bash with command git push origin main has been denied."
    assert claude.parse_line(lines[4]) == (ToolResult("toolu_1", denied, failed=True),)
    assert Message("All done.") in claude.parse_line(lines[-2])
    again = b'{"type":"error","message":"Reconnecting... 1/5 (stream closed)"}'
    assert codex.parse_line(again) == (
        ErrorReport("Reconnecting... 1/5 (stream closed)", final=False),
    )
    assert codex.parse_line(b'{"ts":"x","stream":"stderr","text":"hm"}') == (OutputLine("hm"),)
    for line in (b"", b"plain", b'{"type":"turn.comp', b"[1]"):
        assert codex.parse_line(line) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_of_a_later_version_is_a_note_that_changes_no_judgement(
    tmp_path: Path, kind: str
) -> None:
    unknown = b'{"type":"of-tomorrow","text":"ORCHESTR no_change_needed: no"}'
    assert adapter(kind).parse_line(unknown) == (Note("of-tomorrow"),)
    path = tmp_path / "transcript.jsonl"
    path.write_bytes(stream(f"{kind}-ok"))
    before = adapter(kind).judge_end(exited(), path)
    path.write_bytes(stream(f"{kind}-ok") + unknown + b"\n")
    assert adapter(kind).judge_end(exited(), path) == before


EDITS = {
    "claude": {"type": "assistant", "message": {"content": [
        {"type": "tool_use", "id": "1", "name": "Edit",
         "input": {"file_path": "a.go", "old_string": "a", "new_string": "b"}}]}},
    "gemini": {"type": "tool_use", "tool_id": "1", "tool_name": "replace",
               "parameters": {"file_path": "a.go", "old_string": "a", "new_string": "b"}},
    "opencode": {"type": "tool_use", "part": {"callID": "1", "tool": "edit", "state": {
        "status": "completed", "output": "Edit applied.",
        "input": {"filePath": "a.go", "oldString": "a", "newString": "b"}}}},
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(EDITS))
def test_an_edit_is_the_same_event_whatever_the_agent(kind: str) -> None:
    tool, *_ = adapter(kind).parse_line(json.dumps(EDITS[kind]).encode())
    assert isinstance(tool, ToolUse)
    assert (tool.what, tool.id, tool.edits) == ("a.go", "1", (TextEdit("a", "b"),))


def test_codex_reports_commands_changes_thoughts_and_tasks() -> None:
    def parse(**item: object) -> tuple[object, ...]:
        line = json.dumps({"type": "item.completed", "item": {"id": "7", **item}})
        return adapter("codex").parse_line(line.encode())

    command = parse(type="command_execution", command="make", aggregated_output="no", exit_code=2)
    assert command == (ToolUse("$", "make", "7"), ToolResult("7", "no", failed=True, exit_code=2))
    changes = [{"kind": "add", "path": "a", "diff": "+one"}, {"kind": "update", "path": "b"}]
    assert parse(type="file_change", changes=changes) == (
        ToolUse("add", "a", "7", diff="+one"),
        ToolUse("update", "b", "7"),
    )
    assert parse(type="reasoning", text="I think") == (Note("I think", NoteKind.THOUGHT),)
    items = [{"text": "look", "completed": True}, {"text": "write"}]
    assert parse(type="todo_list", items=items) == (Note("✓ look\n· write", NoteKind.TASKS),)
    assert parse(type="web_search", query="q") == (ToolUse("web_search", "q", "7"),)


def test_a_sub_agent_that_says_the_last_word_does_not_answer_for_the_agent(tmp_path: Path) -> None:
    path = tmp_path / "transcript.jsonl"
    inner = {"type": "assistant", "parent_tool_use_id": "toolu_0", "message": {"content": [
        {"type": "text", "text": "ORCHESTR no_change_needed: says a helper"}]}}  # fmt: skip
    *lines, last = stream("claude-ok").decode().splitlines()
    end = json.loads(last) | {"result": ""}
    path.write_text("\n".join([*lines, json.dumps(inner), json.dumps(end)]) + "\n")
    assert adapter("claude").judge_end(exited(), path).no_change is None
    assert adapter("claude").read_answer(path) == "All done."


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_answer_is_read_whole(tmp_path: Path, kind: str) -> None:
    answer = json.dumps({"verdict": "approve", "issues": ["x" * 90] * 300})
    path = tmp_path / "transcript.jsonl"
    quoted = json.dumps(answer)[1:-1]
    path.write_text(stream(f"{kind}-ok").decode().replace("All done.", quoted))
    assert adapter(kind).read_answer(path) == answer


def test_a_long_answer_in_pieces_is_read_whole(tmp_path: Path) -> None:
    *lines, message, result = stream("gemini-ok").decode().splitlines()
    pieces = [message.replace("All done.", f"{number:04}" * 25) for number in range(300)]
    path = tmp_path / "transcript.jsonl"
    path.write_text("\n".join([*lines, *pieces, result]) + "\n")
    assert adapter("gemini").read_answer(path) == "".join(f"{n:04}" * 25 for n in range(300))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(st.sampled_from(KINDS), st.data())
def test_no_event_in_any_form_raises(kind: str, data: st.DataObject) -> None:
    """Recorded events with any of their values replaced by anything."""
    names = [path.stem for path in STREAMS.glob(f"{kind}-*.jsonl")]
    record = json.loads(
        data.draw(st.sampled_from(stream(*sorted(names)).splitlines()), label="line")
    )
    place = record
    for _ in range(data.draw(st.integers(1, 4))):
        key = data.draw(st.sampled_from(sorted(place)))
        if isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
            place = place[key]
        else:
            place[key] = data.draw(JSON)
            break
    adapter(kind).parse_line(json.dumps(record).encode())


@given(st.sampled_from(KINDS), st.binary(max_size=60))
def test_no_bytes_raise(kind: str, line: bytes) -> None:
    adapter(kind).parse_line(line)
    adapter(kind).parse_line(b'{"type":' + line)


# ---- the words of limits ---------------------------------------------------------------------

NOW = datetime(2026, 11, 20, 15, 30, 20, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("You've hit your usage limit. Try again at 4:05 PM.", timedelta(minutes=35, seconds=40)),
        ("hit your limit · resets 3pm (CET)", timedelta(hours=23, minutes=30, seconds=40)),
        ("usage limit, or try again at Nov 21st, 2026 1:03 AM.",
         timedelta(hours=9, minutes=33, seconds=40)),
        ("usage limit. Try again in 2 days 3 hours 5 minutes.",
         timedelta(days=2, hours=3, minutes=5)),
        ("rate limit reached. Please try again in 1.5s", timedelta(seconds=1.5)),
        ("exhausted your capacity on this model. Your quota will reset after 2h13m9s.",
         timedelta(hours=2, minutes=13, seconds=9)),
        ("Claude AI usage limit reached|1795191000",
         timedelta(seconds=1795191000 - NOW.timestamp())),
        ("status 429", None),
        ("usage limit; try again in a while", None),
    ],
)  # fmt: skip
def test_when_a_limit_ends(text: str, after: timedelta | None) -> None:
    limit = find_limit(text, NOW)
    assert limit is not None
    until = reset_time(text, NOW)
    assert limit.until == until
    assert until == (None if after is None else pytest.approx((NOW + after).timestamp(), abs=1))


@pytest.mark.parametrize(
    "text",
    ["exit 1: error in line 429", "insufficient_quota: rate limit", "401: check the usage limit",
     "Credit balance is too low", "the tests failed", "API Error: 500"],
)  # fmt: skip
def test_what_is_no_limit(text: str) -> None:
    assert find_limit(text, NOW) is None


@given(st.text(max_size=80))
def test_no_text_raises(text: str) -> None:
    find_limit("usage limit " + text, NOW)
    find_limit(f"429 too many requests, try again at {text}", datetime.now(UTC))


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("hit your limit · resets Nov 25, 1am (Europe/London)", "2026-11-25T01:01:00+00:00"),
        ("hit your limit · resets 3am (America/New_York)", "2026-11-21T08:01:00+00:00"),
        ("usage limit, try again at Jan 2 5:00 PM (UTC)", "2027-01-02T17:01:00+00:00"),
        ("usage limit, resets 3pm (Nowhere/Land)", "2026-11-21T14:01:00+00:00"),
        ("rate limit, again in 2 weeks", "2026-12-04T14:30:20+00:00"),
    ],
)
def test_a_day_a_year_and_a_zone_of_a_reset(text: str, at: str) -> None:
    assert reset_time(text, NOW) == datetime.fromisoformat(at).timestamp()
