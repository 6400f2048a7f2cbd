"""[notify]: a command and a webhook hear of a run's news, and never get in its way."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both, nothing_to_do

DIRECT = {"no_proxy": "127.0.0.1"}  # the tests' own proxy answers nobody
CATCH = ["sh", "-c", "cat >> news.jsonl; echo >> news.jsonl; env > env.txt"]


def told(ws: Workspace) -> list[dict[str, Any]]:
    path = ws.root / "news.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Hook(HTTPServer):
    """A webhook on loopback; ``answer`` is its status, ``pause`` how long it thinks."""

    answer, pause = 204, 0.0

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), Answer)


class Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        hook = self.server
        assert isinstance(hook, Hook)
        hook.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        time.sleep(hook.pause)
        self.send_response(hook.answer)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[Hook]:
    server = Hook()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def url(hook: Hook) -> str:
    return f"http://127.0.0.1:{hook.server_port}/T0KEN-in-the-path"


def test_a_command_hears_of_failures_and_of_the_end(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {}}, settings={"notify": {"command": CATCH}})
    ws.script("a", "echo 'it is hunter2-secret'; exit 3\n")
    ws.run("run", "demo", env={"MY_TOKEN": "hunter2-secret"}, code=1)
    only, end = told(ws)
    assert (end["kind"], end["text"]) == (
        "failed",
        "demo: the run ended with exit 1: 1 done, 1 failed",
    )
    assert (end["exit"], end["next"]) == (1, "orchestr status demo")
    assert Path(end["report"]).read_text().startswith("<!doctype html>")
    assert {k: only[k] for k in ("v", "kind", "feature", "cell", "state", "phase")} == {
        "v": 1, "kind": "failed", "feature": "demo", "cell": "a", "state": "failed",
        "phase": "implement",
    }  # fmt: skip
    assert only["text"] == "demo:a: failed in implement: exit 3: it is ***"
    assert only["next"] == "orchestr explain demo:a"
    assert "hunter2" not in (ws.root / "env.txt").read_text()
    ws.script("a", None)
    ws.run("run", "demo", code=0)
    assert [n["kind"] for n in told(ws)] == ["failed", "failed", "done"]
    end = told(ws)[-1]
    assert (end["counts"], end["exit"], len(end["prs"])) == ({"done": 2}, 0, 2)
    nothing_to_do(ws)
    assert len(told(ws)) == 3  # a run that did nothing is no news


def test_a_webhook_hears_what_it_asked_for(workspace: MakeWorkspace, hook: Hook) -> None:
    ws = workspace(cells={"a": {}}, settings={"notify": {"url": url(hook), "on": ["done"]}})
    ws.script("a", "exit 3\n")
    ws.run("run", "demo", env=DIRECT, code=1)
    assert hook.got == []
    ws.script("a", None)
    ws.run("run", "demo", env=DIRECT, code=0)
    assert [n["text"] for n in hook.got] == ["demo: done"]


def test_a_usage_limit_is_told_once(workspace: MakeWorkspace) -> None:
    agents = {"sh": {"retry_after": "2s"}}
    ws = workspace(
        cells={"a": {}, "b": {}}, settings={"notify": {"command": CATCH}, "agents": agents}
    )
    for cell in ("a", "b"):
        was = f"$AGENT_DIR/{cell}.was"
        ws.script(cell, f"[ -e {was} ] || {{ touch {was}; exit 75; }}\necho x > {cell}.txt\n")
    ws.run("run", "demo", code=0)
    kinds = [n["kind"] for n in told(ws)]
    assert kinds[-1] == "done"
    assert 1 <= kinds.count("waiting") <= 2  # two, where the minute ends in between


@pytest.mark.parametrize(
    ("answer", "why"), [(500, "500"), (302, "302")], ids=["refused", "sent elsewhere"]
)
def test_a_webhook_that_fails_is_named_once_and_fails_nothing(
    workspace: MakeWorkspace, hook: Hook, answer: int, why: str
) -> None:
    hook.answer = answer
    ws = workspace(cells={"a": {}, "b": {}}, settings={"notify": {"url": url(hook)}})
    for cell in ("a", "b"):
        ws.script(cell, "exit 3\n")
    said = both(ws.run("run", "demo", env=DIRECT, code=1))
    assert len(hook.got) == 3, said
    assert said.count("warning: [notify] 127.0.0.1: ") == 1
    assert why in said
    assert "T0KEN" not in said


def test_nobody_waits_for_a_slow_command(workspace: MakeWorkspace) -> None:
    notify = {"command": ["sleep", "600"], "timeout": "1s"}
    ws = workspace(cells={"a": {}}, settings={"notify": notify})
    begun = time.monotonic()
    said = both(ws.run("run", "demo", code=0))
    assert time.monotonic() - begun < 60
    assert said.count("warning: [notify]") == 1
    assert ws.processes() == []


def test_a_command_that_is_not_there_fails_nothing(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}}, settings={"notify": {"command": ["no-such-program"]}})
    assert "warning: [notify] command 'no-such-program': " in both(ws.run("run", "demo", code=0))


def test_wrong_settings_are_named(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}}, settings={"notify": {"on": ["don"], "url": "ftp://x"}})
    said = both(ws.run("validate", code=2))
    assert "there is no news `don`" in said
    assert "must be an http address" in said


def test_a_gate_is_told_once_and_a_red_cross_check_too(
    workspace: MakeWorkspace, hook: Hook
) -> None:
    ws = workspace(
        cells={"a": {"approve": "publish"}, "b": {"depends_on": ["a"]}},
        settings={"notify": {"url": url(hook)}},
        cross_checks=[{"kind": "command", "repo": "app", "name": "whole", "run": ["false"]}],
    )
    ws.run("run", "demo", env=DIRECT, code=1)
    assert [(n["kind"], n["cell"], n["next"]) for n in hook.got] == [
        ("approval", "a", "orchestr approve demo:a")
    ], "b, behind it, asks nobody"
    ws.run("approve", "demo:a", "--yes", code=0)
    ws.run("run", "demo", env=DIRECT, code=1)
    red, end = hook.got[1:]
    assert (end["kind"], end["text"]) == ("failed", "demo: the run ended with exit 1: 2 done")
    assert red["kind"] == "failed"
    assert red["text"] == "demo: cross check whole in app is red: exit 1, not 0"
