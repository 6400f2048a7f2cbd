"""What the last words of agents mean, what they took by their own records, what was refused."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestr.agents.base import AgentRequest, ToolPermissions
from orchestr.agents.cli_agent import CliAgent
from orchestr.agents.permissions import commands_for
from orchestr.agents.session_records import SessionMeter
from orchestr.agents.trouble import Trouble, find_trouble
from orchestr.agents.usage import tally_transcript
from orchestr.cell.agent.pauses import MOST_CUTS, TroubleRecord, decide_trouble
from orchestr.cell.agent.refused_commands import count_refused, explain_refused
from orchestr.cell.slots import ProviderPause
from orchestr.git.agent_environment import is_dropping
from orchestr.supervisor.client import LaunchRecord
from orchestr.supervisor.protocol import ExitReason, ExitRecord
from orchestr.supervisor.transcript import matches_event
from orchestr.views.logs.events import EventFormatter
from tests.agents.kit import adapter, exited, stream

# The last words of the real programs (claude 2.1.332, codex 0.171.0, gemini 0.61.0, opencode
# 1.18.33) when a scripted server refused, failed or was gone.
SAID = [
    ("claude", "API Error: 503 status 503. This is a server-side", "passing"),
    ("claude", "API Error: Unable to connect to API (ConnectionRefused)", "passing"),
    ("claude", "API Error: 529 status 529. This is a server-side issue", "limit"),
    ("claude", "You've hit your limit · resets 11:04pm (UTC)", "limit"),
    ("claude", "Credit balance is too low", "final"),
    ("codex", "unexpected status 503 Service Unavailable: status 503, url: http://x", "passing"),
    ("codex", "stream disconnected before completion: error sending request", "passing"),
    ("codex", "We’re currently experiencing high demand", "passing"),
    ("codex", "Quota exceeded. Check your plan and billing details.", "final"),
    ("codex", "You’ve hit your usage limit. Try again at 4:05 PM.", "limit"),
    ("gemini", "[API Error: status 503]", "passing"),
    ("gemini", "[API Error: exception TypeError: fetch failed sending request]", "passing"),
    ("gemini", "[API Error: Model stream ended with an invalid chunk]", "passing"),
    ("gemini", "[API Error: You exceeded your current quota, please check your plan and billing "
     "details. Please retry in 3600s.", "limit"),
    ("gemini", "[API Error: API key not valid. status 400 INVALID_ARGUMENT]", "other"),
    ("opencode", "AI_APICallError: status 429", "limit"),
    ("opencode", "status 503 (status 503)", "passing"),
    ("opencode", "Unable to connect. Is the computer able to access the url?", "passing"),
    ("opencode", "status 401 (status 401)", "final"),
    ("", "the tests failed in line 503 of 3", "other"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "words", "found"), SAID)
def test_what_the_last_words_mean(kind: str, words: str, found: str) -> None:
    assert find_trouble(words, kind) is Trouble(found)


@pytest.mark.parametrize("name", ["claude-500", "codex-500", "opencode-500"])
def test_a_failing_server_is_no_failure_of_the_agent(tmp_path: Path, name: str) -> None:
    path = tmp_path / "transcript.jsonl"
    path.write_bytes(stream(name))
    verdict = adapter(name.partition("-")[0]).judge_end(exited(1), path)
    assert (verdict.ok, verdict.limited, verdict.passing, verdict.final) == (
        False, False, True, False,
    )  # fmt: skip
    assert verdict.session_id


def test_a_refused_key_is_final(tmp_path: Path) -> None:
    path = tmp_path / "transcript.jsonl"
    path.write_bytes(stream("codex-401"))
    verdict = adapter("codex").judge_end(exited(1), path)
    assert (verdict.passing, verdict.final) == (False, True)


def gemini_end(**error: Any) -> bytes:
    record = {"type": "result", "status": "error", "error": {"type": "unknown", **error}}
    return json.dumps(record).encode() + b"\n"


def test_the_time_in_the_text_wins_over_the_exit_code(tmp_path: Path) -> None:
    path = tmp_path / "transcript.jsonl"
    text = "You exceeded your current quota, please check your plan and billing details."
    path.write_bytes(gemini_end(message=f"[API Error: {text} Please retry in 3600s.]"))
    verdict = adapter("gemini").judge_end(exited(173), path)
    assert verdict.limited
    assert verdict.limited_until == pytest.approx(time.time() + 3600, abs=60)
    path.write_bytes(gemini_end(message="[API Error: who knows]"))
    silent = adapter("gemini").judge_end(exited(173), path)
    assert (silent.limited, silent.limited_until) == (True, None)
    assert adapter("gemini").judge_end(exited(503 % 256), path).passing


def test_opencode_that_waits_in_silence_waits_for_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "transcript.jsonl"
    *lines, _last = stream("opencode-ok").splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]))
    log = tmp_path / "opencode" / "data" / "opencode" / "log" / "opencode.log"
    log.parent.mkdir(parents=True)
    log.write_text(
        'timestamp=2026-11-30T02:42:30.576Z level=ERROR run=1 message="stream error" '
        'providerID=loop error.error="AI_APICallError: status 429"\n'
    )
    idle = ExitRecord(None, 2, ExitReason.IDLE)
    assert adapter("opencode").judge_end(idle, path).limited
    log.write_text("")
    assert not adapter("opencode").judge_end(idle, path).limited


def test_an_agent_that_tries_again_in_silence_is_in_trouble(tmp_path: Path) -> None:
    """codex tries a refused connection again for minutes; its idle limit is no failure of its."""
    path = tmp_path / "transcript.jsonl"
    again = {"type": "error", "message": "Reconnecting... waiting for network (Connection failed)"}
    done = {"type": "item.completed", "item": {"type": "agent_message", "text": "I go on."}}
    idle = ExitRecord(None, 2, ExitReason.IDLE)
    path.write_text(f"{json.dumps(again)}\n")
    assert adapter("codex").judge_end(idle, path).passing
    path.write_text(f"{json.dumps(again)}\n{json.dumps(done)}\n")
    assert not adapter("codex").judge_end(idle, path).passing


def test_opencode_is_judged_by_its_last_step(tmp_path: Path) -> None:
    """A full context is an error that it gets over: its exit code stays 1."""
    path = tmp_path / "transcript.jsonl"
    error = {"type": "error", "sessionID": "s", "error": {"name": "ContextOverflowError"}}
    path.write_bytes(json.dumps(error).encode() + b"\n" + stream("opencode-ok"))
    assert adapter("opencode").judge_end(exited(1), path).ok
    path.write_bytes(stream("opencode-ok") + json.dumps(error).encode() + b"\n")
    assert not adapter("opencode").judge_end(exited(1), path).ok


@pytest.mark.parametrize("kind", ["claude", "codex", "gemini", "opencode"])
def test_the_last_event_of_each_kind_is_known(tmp_path: Path, kind: str) -> None:
    """The last line of a good stream is an end, none before it is."""
    request = AgentRequest(tmp_path, tmp_path / "prompt.md", {}, tools=ToolPermissions())
    request.prompt.write_text("do it")
    ends = adapter(kind).prepare_launch(request).ends
    *before, last = map(json.loads, stream(f"{kind}-ok").splitlines())
    assert any(matches_event(last, words) for words in ends)
    assert not any(matches_event(event, words) for event in before for words in ends)


# ---- trouble that lasts ------------------------------------------------------------------------


def test_trouble_is_waited_for_from_its_first_sign_until_the_agent_got_on() -> None:
    first = decide_trouble(None, 100, 1000.0, 60.0)
    assert first == TroubleRecord(1000.0, 100)
    assert decide_trouble(first, 100, 1059.0, 60.0) == first
    assert decide_trouble(first, 100, 1060.0, 60.0) is None
    assert decide_trouble(first, 150, 1100.0, 60.0) == TroubleRecord(1100.0, 150, cuts=1)


# ---- sessions by the agents' own records -------------------------------------------------------

USAGE = {"input_tokens": 3000, "cached_input_tokens": 600, "output_tokens": 150}
ROLLOUT = {"type": "event_msg", "payload": {"type": "token_count",
           "info": {"total_token_usage": USAGE}}}  # fmt: skip
CHAT = {"type": "gemini", "id": "m", "tokens": {"input": 1000, "cached": 200, "output": 50}}
ANSWER = {"type": "assistant", "message": {"id": "msg_0", "usage": {
    "input_tokens": 800, "cache_read_input_tokens": 200, "output_tokens": 50}}}  # fmt: skip
KEPT = {
    "codex": (".codex/sessions/2026/11/30/rollout-2026-11-30T02-38-32-{id}.jsonl",
              [{"type": "session_meta"}, ROLLOUT], (3000, 600, 150)),
    "gemini": (".gemini/tmp/w/chats/session-2026-11-30T02-42-{id8}.jsonl",
               [CHAT, {**CHAT, "toolCalls": []}, {**CHAT, "id": "n"}], (2000, 400, 100)),
    "claude": (".claude/projects/-w/{id}.jsonl",
               [ANSWER, ANSWER, {"type": "user"}], (1000, 200, 50)),
}  # fmt: skip
BEGINS = {
    "codex": {"type": "thread.started", "thread_id": "abcdef0123-9"},
    "gemini": {"type": "init", "session_id": "abcdef0123-9"},
    "claude": {"type": "system", "subtype": "init", "session_id": "abcdef0123-9"},
}


@pytest.mark.parametrize("walled", [False, True], ids=["home", "copy"])
@pytest.mark.parametrize("kind", sorted(KEPT))
def test_what_a_session_took_is_known_while_it_works_and_after_a_kill(
    tmp_path: Path, kind: str, walled: bool
) -> None:
    name, records, tokens = KEPT[kind]
    home, folder = tmp_path / "home", tmp_path / "attempt"
    folder.mkdir()
    LaunchRecord((kind,), "/", {"HOME": str(home)}, "m").write(folder)
    named = name.format(id="abcdef0123-9", id8="abcdef01")
    path = folder / "config-0" / named.partition("/")[2] if walled else home / named
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(map(json.dumps, records)) + '\n{"torn')
    transcript = folder / "transcript.jsonl"
    transcript.write_text(json.dumps(BEGINS[kind]) + "\n")
    priced = {"price_input_usd": 1.0, "price_output_usd": 10.0, "price_cached_usd": 0.0}

    verdict = adapter(kind, **priced).judge_end(ExitRecord(None, 9, ExitReason.STOPPED), transcript)
    assert verdict.tokens is not None
    assert (verdict.tokens.input, verdict.tokens.cached, verdict.tokens.output) == tokens
    fresh = tokens[0] - tokens[1]
    assert verdict.cost_known_usd == pytest.approx((fresh + tokens[2] * 10) / 1e6)
    unpriced = adapter(kind).judge_end(ExitRecord(None, 9, ExitReason.STOPPED), transcript)
    assert (unpriced.cost_usd, unpriced.tokens) == (None, verdict.tokens)


def test_a_result_and_the_record_of_the_same_session_count_once(tmp_path: Path) -> None:
    path = tmp_path / "transcript.jsonl"
    path.write_bytes(stream("codex-ok"))
    agent = adapter("codex")
    alone = tally_transcript(path, agent.parse_line)
    both = tally_transcript(path, agent.parse_line, files=lambda _sessions: alone.total_usage)
    assert both.total_usage == alone.total_usage


# ---- commands that were refused ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "refused"),
    [
        ("claude", "claude-ok", {"git push origin main"}),
        ("opencode", "opencode-ok", {"git push origin main", "curl http://127.0.0.1:1"}),
        ("gemini", "gemini-ok", {"git push origin main", "curl http://127.0.0.1:1"}),
    ],
)
def test_refused_commands_are_counted(
    tmp_path: Path, kind: str, name: str, refused: set[str]
) -> None:
    path = tmp_path / "transcript.jsonl"
    path.write_bytes(stream(name))
    assert set(adapter(kind).judge_end(exited(), path).refused) == refused


def test_codex_reports_what_its_sandbox_kept_from_the_network(tmp_path: Path) -> None:
    def item(command: str, output: str) -> str:
        return json.dumps({"type": "item.completed", "item": {
            "id": "1", "type": "command_execution", "command": f"/bin/bash -lc '{command}'",
            "aggregated_output": output, "exit_code": 6}})  # fmt: skip

    path = tmp_path / "transcript.jsonl"
    path.write_text("\n".join([item("curl https://x", "curl: (6) Could not resolve host: x"),
                    item("git commit", "index.lock: Read-only file system"),
                    item("make", "1 test failed")]) + "\n")  # fmt: skip
    assert adapter("codex").judge_end(exited(1), path).refused == (
        "/bin/bash -lc 'curl https://x'",
    )


def test_refused_commands_are_named_with_the_line_that_allows_them() -> None:
    commands = ["cd services/api && python3 -m pytest", "python3 x.py", "docker ps | head",
                "git push origin main", "/bin/bash -lc 'FOO=1 ./run.sh all'"]  # fmt: skip
    found = count_refused(commands, ("git", "head"))
    assert found == Counter({"python3": 2, "docker": 1, "./run.sh": 1})
    assert explain_refused(found, ("make",), "app") == (
        "its agent was not let run python3 (2 times), docker, ./run.sh; to allow that: "
        'tools = ["make", "python3", "docker", "./run.sh"] in [repos.app] of orchestr.toml'
    )


def test_kinds_are_found_in_sub_folders(tmp_path: Path) -> None:
    for name in ("services/api/pyproject.toml", "node_modules/x/Cargo.toml", ".git/x/go.mod",
                 "a/b/c/d/pom.xml"):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert "python3" in commands_for(tmp_path)
    assert not {"cargo", "go", "mvn"} & set(commands_for(tmp_path))


# ---- droppings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "yes"),
    [
        (".aider.chat.history.md", True),
        ("sub/.aider.tags.cache.v4/cache.db", True),
        (".aider.conf.yml", False),
        ("docs/aider.chat.history.md", False),
        (".claude/settings.local.json", True),
        (".claude/settings.json", False),
        (".crush/crush.db", True),
        ("src/crush/x.py", False),
    ],
)
def test_what_agents_leave_beside_the_work(path: str, yes: bool) -> None:
    assert is_dropping(path) is yes


# ---- guides, contacts, terminal ------------------------------------------------------------------


@pytest.fixture
def guided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentRequest:
    """A request in a repository with a guide that most agents do not read by themselves."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GEMINI_CLI_HOME", raising=False)
    for name in ("tree", "attempt", "home/.gemini"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "tree" / "AGENTS.md").write_text("Be kind.\n")
    (tmp_path / "home/.gemini/oauth_creds.json").write_text("{}")
    (tmp_path / "home/.gemini/settings.json").write_text('{"general": {"vimMode": true}}')
    prompt = tmp_path / "attempt" / "prompt.md"
    prompt.write_text("do it")
    return AgentRequest(tmp_path / "tree", prompt, {}, folder=tmp_path / "attempt")


def test_each_agent_is_told_of_the_repositorys_guide(guided: AgentRequest) -> None:
    told = "This repository keeps instructions for you: read AGENTS.md first."
    assert told in adapter("claude").prepare_launch(guided).argv
    assert any(told in word for word in adapter("codex").prepare_launch(guided).argv)
    gemini = adapter("gemini").prepare_launch(guided)
    assert gemini.stdin is not None
    assert gemini.stdin.read_text() == f"{told}\n\ndo it"
    config = json.loads(adapter("opencode").prepare_launch(guided).env["OPENCODE_CONFIG_CONTENT"])
    assert config["instructions"] == [str(guided.worktree / "AGENTS.md")]
    changed = replace(guided, changed_guides=("AGENTS.md",))
    for kind in ("claude", "codex", "gemini", "opencode"):
        launch = adapter(kind).prepare_launch(changed)
        said = f"{launch.argv} {launch.env} {launch.stdin and launch.stdin.read_text()}"
        assert "AGENTS.md" not in said


def test_nobody_is_contacted_who_need_not_be(guided: AgentRequest) -> None:
    assert "features.plugins=false" in adapter("codex").prepare_launch(guided).argv
    gemini = adapter("gemini").prepare_launch(guided).env
    home = Path(gemini["GEMINI_CLI_HOME"]) / ".gemini"
    settings = json.loads((home / "settings.json").read_text())
    assert settings["privacy"] == {"usageStatisticsEnabled": False}
    assert settings["general"] == {
        "enableAutoUpdate": False, "enableAutoUpdateNotification": False, "vimMode": True,
    }  # fmt: skip
    assert (home / "oauth_creds.json").read_text() == "{}"
    for kind in ("claude", "codex", "gemini", "opencode"):
        assert adapter(kind).prepare_launch(guided).env["GH_TELEMETRY"] == "false"
    assert gemini["TERM"] != "dumb"


def test_opencode_asks_for_no_title(guided: AgentRequest) -> None:
    argv = adapter("opencode").prepare_launch(guided).argv
    assert argv[argv.index("--title") + 1] == "orchestr"


# ---- command agents that speak a known dialect ---------------------------------------------------


def test_a_command_agent_is_judged_by_the_stream_it_writes(tmp_path: Path) -> None:
    path = tmp_path / "transcript.jsonl"
    path.write_bytes(stream("claude-limit"))
    words = ("--resume", "{session}")
    agent = adapter("command", run=("qwen",), stream="claude", resume=words)
    assert agent.tells_cost
    verdict = agent.judge_end(exited(1), path)
    assert (verdict.limited, verdict.cost_usd) == (True, pytest.approx(0.00321))
    assert verdict.limited_until is not None
    prompt = tmp_path / "prompt.md"
    prompt.write_text("do it")
    request = AgentRequest(tmp_path, prompt, {}, session=verdict.session_id)
    launch = agent.prepare_launch(request)
    assert launch.argv == ("qwen", "--resume", verdict.session_id)
    assert (launch.format, launch.ends) == ("json", ("result",))
    # Without words to resume it, there is no session to go on with.
    assert adapter("command", stream="claude").judge_end(exited(1), path).session_id is None
    path.write_bytes(stream("codex-ok"))
    done = adapter("command", stream="codex").judge_end(exited(), path)
    assert done.ok
    assert done.tokens is not None
    assert done.tokens.output == 150


# ---- what is said of it -------------------------------------------------------------------------


def test_logs_do_not_sum_up_what_is_a_sum_already() -> None:
    """codex tells the figures of the whole session at the end of each turn."""
    view, agent = EventFormatter(), adapter("codex")
    ends = []
    for name in ("codex-ok", "codex-ok-resumed"):
        for line in stream(name).splitlines():
            shown = view.format_events(agent.parse_line(line))
            ends += [text for text, _ in shown if text.startswith("= ended")]
    assert ends == [
        "= ended, 3000 tokens in, 150 tokens out",
        "= ended, 1000 tokens in, 50 tokens out",
    ]


@pytest.mark.parametrize(
    ("code", "said", "why"),
    [
        (0, "", None),
        (2, "error: unrecognized subcommand 'sandbox'", None),
        (1, "WARNING: no aliases in codex_home\nbwrap: execvp codex-linux-sandbox: No such file",
         "bwrap: execvp codex-linux-sandbox: No such file"),
        (1, "Traceback: KeyError", None),
    ],
)  # fmt: skip
def test_codex_tries_its_own_sandbox(tmp_path: Path, code: int, said: str, why: str | None) -> None:
    program = tmp_path / "codex"
    program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{said}\nEND\nexit {code}\n")
    program.chmod(0o755)
    agent = adapter("codex", program=str(program))
    assert isinstance(agent, CliAgent)
    assert agent.explain_own_sandbox() == why
    off = adapter("codex", program=str(program), sandbox="danger-full-access")
    assert isinstance(off, CliAgent)
    assert off.explain_own_sandbox() is None


@pytest.mark.parametrize("text", ["[API Error: terminated]", "Internal error: terminated"])
def test_a_stream_that_node_calls_terminated_was_dropped(text: str) -> None:
    assert find_trouble(text) is Trouble.PASSING
    assert find_trouble("its tool was terminated") is Trouble.OTHER


NOTED = [
    ("claude", "tests/test_rate_limit.py::test_it FAILED", "other"),
    ("codex", "at index.js:403:12", "other"),
    ("codex", "unexpected status 500, request id req-401", "passing"),
    ("claude", "the authentication middleware has no test", "other"),
    ("opencode", "RateLimitError: slow down", "limit"),
    ("codex", "exceeded retry limit, last status: 401 Unauthorized", "final"),
]


@pytest.mark.parametrize(("kind", "words", "found"), NOTED)
def test_numbers_and_names_of_files_are_no_word_of_a_provider(
    kind: str, words: str, found: str
) -> None:
    assert find_trouble(words, kind) is Trouble(found)


def test_a_limit_that_only_a_line_of_output_names_is_not_waited_for_without_end(
    tmp_path: Path,
) -> None:
    """The line may be of a test; with a time it is a provider's."""
    path = tmp_path / "transcript.jsonl"
    path.write_text(json.dumps({"stream": "stderr", "text": "error: rate limit not kept"}) + "\n")
    verdict = adapter("claude").judge_end(exited(1), path)
    assert (verdict.limited, verdict.passing) == (False, True)
    path.write_text(json.dumps({"stream": "stderr", "text": "rate limit, retry in 1h"}) + "\n")
    assert adapter("claude").judge_end(exited(1), path).limited


def test_final_words_win_over_the_exit_code_of_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "transcript.jsonl"
    error = {"message": "You exceeded your current quota, please check your plan and billing"}
    path.write_text(json.dumps({"type": "result", "status": "error", "error": error}) + "\n")
    verdict = adapter("gemini").judge_end(exited(173), path)
    assert (verdict.limited, verdict.passing, verdict.final) == (False, False, True)


def test_what_is_paid_and_lost_again_and_again_comes_to_an_end() -> None:
    record = decide_trouble(None, 0, 0.0, 900.0)
    for number in range(1, MOST_CUTS + 2):
        record = decide_trouble(record, number * 1000, number * 60.0, 900.0)
        assert record is not None
        assert record.cuts == number
    assert record is not None
    assert record.cuts > MOST_CUTS


def test_a_pause_that_lasts_is_neither_made_shorter_nor_doubled(tmp_path: Path) -> None:
    pause = ProviderPause(tmp_path, "anthropic", 30.0, 600.0)
    until = pause.extend(time.time() + 3600, refusal="a/1", reason="")
    assert pause.extend(refusal="b/1", reason="in trouble") == until
    assert pause.reason == ""
    (tmp_path / "pause-anthropic.json").unlink()
    waits = [pause.extend(refusal=f"{name}/1") - time.time() for name in "abcd"]
    assert all(29 < wait <= 33 for wait in waits), waits


def test_a_time_that_was_not_enough_is_not_trusted_again(tmp_path: Path) -> None:
    """Else a daily quota that says `retry in 3s` starts a program every three seconds."""
    pause = ProviderPause(tmp_path, "google", 30.0, 600.0)
    assert pause.extend(time.time() + 3, refusal="a/1") - time.time() < 4
    assert pause.extend(time.time() + 3, refusal="a/2", again=True) - time.time() > 29


def test_a_pause_beyond_all_years_is_none(tmp_path: Path) -> None:
    for text in ('{"until": 1e300}', '{"until": Infinity}', '{"until": NaN}', "[]", ""):
        (tmp_path / "pause-x.json").write_text(text)
        assert ProviderPause(tmp_path, "x", 1.0, 2.0).paused_until() == 0


def test_session_files_that_an_agent_made_up_hold_nobody_up(tmp_path: Path) -> None:
    usage = {"input_tokens": 7, "output_tokens": 1}
    line = json.dumps({"type": "event_msg", "payload": {
        "type": "token_count", "info": {"total_token_usage": usage}}}) + "\n"  # fmt: skip
    records = adapter("codex").records
    assert records is not None
    folder = tmp_path / "sessions" / "2026" / "11" / "30"
    folder.mkdir(parents=True)
    meter = SessionMeter(records, (tmp_path,))
    good = folder / "rollout-x-abc-1.jsonl"
    good.write_text(line)
    found = meter.measure({"abc-1"})
    assert found is not None
    assert found.input == 7
    good.unlink()
    os.mkfifo(good)  # after it was found
    assert meter.measure({"abc-1"}) == found
    (tmp_path / "other.jsonl").write_text(line)
    (folder / "rollout-x-abc-2.jsonl").symlink_to(tmp_path / "other.jsonl")
    with (folder / "rollout-x-abc-3.jsonl").open("wb") as stream:
        stream.truncate(1 << 42)
    for session in ("abc-2", "abc-3"):
        assert SessionMeter(records, (tmp_path,)).measure({session}) is None
