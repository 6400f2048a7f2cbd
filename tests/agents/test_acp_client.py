"""The client program with an agent that speaks ACP: what is served, and every end of a turn."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestr.agents.acp.failures import explain_stop
from orchestr.agents.acp.program import run_client
from orchestr.agents.acp.request import ClientRequest, read_client_request
from orchestr.agents.base import AgentVerdict
from orchestr.agents.kinds.acp import CLIENT
from orchestr.agents.permissions import DENIED, UNIVERSAL
from orchestr.supervisor.protocol import ExitReason, ExitRecord
from tests.agents.kit import adapter
from tests.e2e.workspace import wait_for
from tests.processes import wait_until_gone

AGENT = Path(__file__).with_name("acp_agent.py")
PROMPT = 'the "whole"\nprompt'
HELLO = {"protocolVersion": 1}
QUICK = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


@dataclass
class Played:
    """A turn that is over: exit code, events, the verdict, and what the agent got."""

    code: int
    events: list[dict[str, Any]]
    verdict: AgentVerdict
    got: list[Any]
    stderr: str = ""

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]


@dataclass
class Stage:
    """The folders of a client's test, and how it is started there."""

    root: Path
    capture: pytest.CaptureFixture[str]
    start: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in (self.place, self.tree):
            path.mkdir()

    @property
    def place(self) -> Path:
        return self.root / "agent"

    @property
    def tree(self) -> Path:
        return self.root / "tree"

    def command(self, *steps: list[Any], run: tuple[str, ...] = (), **asked: Any) -> list[str]:
        turns = steps if steps and isinstance(steps[0][0], list) else [steps]
        (self.place / "script.json").write_text(json.dumps(turns))
        (self.place / "start.json").write_text(json.dumps(self.start))
        words = run or (sys.executable, str(AGENT), str(self.place))
        request = ClientRequest(words, str(self.tree), allowed=UNIVERSAL, denied=DENIED, **asked)
        (self.root / "acp.json").write_bytes(request.encode())
        return [sys.executable, "-I", str(CLIENT), str(self.root / "acp.json")]

    def play(self, *steps: list[Any], **asked: Any) -> Played:
        """A turn with the client in this process, which has imported it already."""
        self.command(*steps, **asked)
        self.capture.readouterr()
        request = read_client_request(self.root / "acp.json")
        code = asyncio.run(run_client(request, PROMPT))
        out, err = self.capture.readouterr()
        return self.judge(code, out.encode(), err)

    def judge(self, code: int, stdout: bytes, stderr: str) -> Played:
        path = self.root / "transcript.jsonl"
        path.write_bytes(stdout)
        agent = adapter("acp", run=("scripted",))
        end = ExitRecord(code, None, ExitReason.EXITED)
        events = [json.loads(line) for line in stdout.splitlines()]
        return Played(code, events, agent.judge_end(end, path), self.noted("got"), stderr)

    def noted(self, name: str) -> list[Any]:
        path = self.place / name
        return [json.loads(x) for x in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Stage:
    return Stage(tmp_path, capsys)


def canned(*answers: Any, then: str = "cat > /dev/null") -> tuple[str, ...]:
    """An agent that gives these results, or errors, one a request; quicker than a real one."""
    lines = []
    for number, answer in enumerate(answers):
        kind = "error" if "code" in answer else "result"
        text = json.dumps({"jsonrpc": "2.0", "id": number, kind: answer})
        lines.append(f"read -r _; echo {shlex.quote(text)}")
    return ("sh", "-c", "\n".join([*lines, then]))


def test_the_end_of_a_turn_by_its_reason() -> None:
    assert explain_stop("end_turn") == ""
    assert "refused to go on" in explain_stop("refusal")
    assert "'later'" in explain_stop("later")


def test_a_turn_with_everything_that_an_agent_asks_of_us(stage: Stage) -> None:
    """Files and terminals inside the worktree only, permissions by our rules, usage as it comes."""
    (stage.tree / "out").symlink_to(stage.root)
    (stage.root / "secret").write_text("s")
    played = stage.play(
        ["say", "I "], ["say", "begin"],
        ["write", str(stage.tree / "sub" / "a.txt"), "one\ntwo\nthree\n"],
        ["read", str(stage.tree / "sub" / "a.txt")],
        ["read", str(stage.tree / "sub" / "a.txt"), 2, 1],
        ["read", str(stage.tree / "none")],
        ["read", str(stage.tree / "out" / "secret")],
        ["write", str(stage.root / "b.txt"), "x"],
        ["write", str(stage.tree / "out" / "c.txt"), "x"],
        ["terminal", "sh", ["-c", "echo hi; exit 3"]],
        ["terminal", "echo one && pwd", []],
        ["terminal", "ls", [], str(stage.root)],
        ["terminal", "curl", ["http://x"]],
        ["ask", "execute", {"command": "git status && ls"}],
        ["ask", "execute", {"command": "git push"}],
        ["ask", "edit", {}, str(stage.tree / "d.txt")],
        ["ask", "edit", {}, "/etc/passwd"],
        ["took", 1000, 0.5], ["took", 1200, 0.75], ["total", 1500, 500, 60],
        ["raw", '{"jsonrpc": "2.0", "method": "session/update", "params": {"update":'
                ' {"sessionUpdate": "of_a_later_version"}}}'],
        ["say", "ORCHESTR no_change_needed: it is there"],
        model="m-2",
    )  # fmt: skip
    got = [entry[2] for entry in played.got if entry[0] not in ("say", "took", "total", "raw")]
    assert got[:3] == ["written", "one\ntwo\nthree\n", "two\n"]
    assert got[3].startswith("-32002") and all("outside the worktree" in w for w in got[4:7])
    assert got[7:9] == [[3, "hi\n"], [0, f"one\n{stage.tree.resolve()}\n"]]
    assert all(word.startswith("-32602 refused") for word in got[9:11])
    assert got[11:] == ["y", "n", "y", "n"]
    assert not (stage.root / "b.txt").exists() and not (stage.root / "c.txt").exists()
    assert stage.noted("prompts") == [PROMPT]
    assert stage.noted("models") == [["model", "big/m-2"]]

    assert played.code == 0 and played.of("acp_message")[0]["text"] == "I begin"
    refused = [e["what"] for e in played.of("acp_permission") if not e["allowed"]]
    assert len(refused) == 7 and "git push" in refused
    used = [(e["input"], e["cost_usd"]) for e in played.of("acp_usage")]
    assert used == [(1000, 0.5), (1200, 0.25)]
    verdict = played.verdict
    assert verdict.ok and verdict.no_change == "it is there"
    assert (verdict.cost_usd, verdict.session_id) == (0.75, "s-1")
    assert verdict.tokens is not None
    assert (verdict.tokens.input, verdict.tokens.cached, verdict.tokens.output) == (2000, 500, 60)


@pytest.mark.parametrize(
    ("answer", "then", "reason"),
    [
        ({"stopReason": "max_tokens"}, "cat > /dev/null", "limit of tokens"),
        ({"stopReason": "refusal"}, "cat > /dev/null", "refused to go on"),
        (None, "read -r _; echo 'no memory' >&2; exit 7", "ended (exit 7) in the middle"),
        ({"code": -32603, "message": "Internal error", "data": {"details": "429 Too Many"}},
         "cat > /dev/null", "Internal error: 429"),
    ],
)  # fmt: skip
def test_ends_that_are_no_success(stage: Stage, answer: Any, then: str, reason: str) -> None:
    answers = [HELLO, {"sessionId": "s-1"}, *([answer] if answer else [])]
    played = stage.play(run=canned(*answers, then=then))
    assert played.code == 1 and not played.verdict.ok
    assert reason in played.verdict.reason
    assert played.verdict.limited is ("429" in reason)
    assert played.verdict.session_id == "s-1"


def test_a_session_goes_on_and_what_it_tells_again_is_not_said(stage: Stage) -> None:
    (stage.place / "sessions").write_text('"s-1"\n')
    played = stage.play(
        ["took", 10, 0.75], ["say", "ORCHESTR no_change_needed: new"], session="s-1"
    )
    assert (played.code, stage.noted("sessions")) == (0, ["s-1"])
    assert [e["text"] for e in played.of("acp_message")] == ["ORCHESTR no_change_needed: new"]
    assert (played.verdict.cost_usd, played.verdict.session_id) == (0.5, "s-1")  # 0.25 before


def test_a_session_that_is_gone_is_said_to_be_lost(stage: Stage) -> None:
    lost = stage.play(session="s-7")
    assert (
        lost.verdict.session_lost and "session not found: Resource not found" in lost.verdict.reason
    )
    never = stage.play(run=canned(HELLO), session="s-7")
    assert never.verdict.session_lost and "it cannot load sessions" in never.verdict.reason
    assert stage.noted("prompts") == []  # no model was asked


def test_what_is_wrong_before_the_turn(stage: Stage) -> None:
    missing = stage.play(run=("/no/such/program",))
    assert missing.code == 127 and "'/no/such/program' cannot be started" in missing.verdict.reason
    silent = stage.play(run=("sh", "-c", "echo Welcome; echo '[1, 2]'; sleep 600"), patience=0.5)
    assert "it did not answer `initialize` within 0.5 s" in silent.verdict.reason
    assert "it printed '[1, 2]'" in silent.verdict.reason
    assert "version 7 of ACP" in stage.play(run=canned({"protocolVersion": 7})).verdict.reason
    assert "it has no model 'm-9'; it has: m-1, big/m-2" in stage.play(model="m-9").verdict.reason
    assert stage.noted("prompts") == []


def test_a_login_is_made_by_a_key_or_asked_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = {"id": "key", "name": "API key", "type": "env_var", "vars": [{"name": "SCRIPTED_KEY"}]}
    wanted = {"code": -32000, "message": "Authentication required"}
    refused = stage.play(run=canned({**HELLO, "authMethods": [method]}, wanted))
    assert "authentication required" in refused.verdict.reason
    assert (
        "API key (SCRIPTED_KEY)" in refused.verdict.reason and "pass_env" in refused.verdict.reason
    )
    monkeypatch.setenv("SCRIPTED_KEY", "k")
    stage.start = {"auth": [method], "garbage": True}
    done = stage.play()
    assert done.verdict.ok and stage.noted("logins") == ["key"]
    assert done.of("acp_output")[0]["text"] == "Welcome!"  # garbage ends nothing


def test_an_interrupt_cancels_the_turn_and_leaves_nothing(stage: Stage) -> None:
    steps = [["own", "sleep 600 & echo $! > pid"], ["wait_for_cancel"], ["stop", "cancelled"]]
    client = subprocess.Popen(
        stage.command(*steps), cwd=stage.tree, env=QUICK, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_for(lambda: stage.noted("got"), "its first step")
    client.send_signal(signal.SIGINT)
    out, err = client.communicate(timeout=30)
    assert client.returncode == 130, err
    assert stage.noted("cancelled") == ["s-1"]
    played = stage.judge(130, out, "")
    assert played.of("result")[0]["stop_reason"] == "cancelled" and not played.verdict.ok
    assert wait_until_gone(int((stage.tree / "pid").read_text()))


def test_an_agent_that_stops_at_each_refusal_is_asked_to_go_on(stage: Stage) -> None:
    asks, ends = ["ask", "execute", {"command": "curl x"}], ["say", "done without it"]
    played = stage.play([asks], [ends], refusal_ends_turn=True)
    assert played.verdict.ok
    assert len(played.of("result")) == 1
    assert "Go on with your task without it" in stage.noted("prompts")[1]
