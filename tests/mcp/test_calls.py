"""Calls of tools without a wire: too many at once, a fault of ours, a kill while one writes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml

pytest.importorskip("mcp_types")

from mcp_types import CallToolRequestParams

from orchestr.commands.mcp_tools import server
from orchestr.commands.mcp_tools.tool import Arguments, Tool
from orchestr.process.inside import INSIDE, Surrounding, mark_inside
from orchestr.testing.killed_at import is_killed_at
from tests.e2e.workspace import Workspace
from tests.mcp.test_server import DRAFT

TRACED = ("draft/hand_in.py", "draft/files.py", "mcp_tools/spec_tools.py", "base/intent_file.py")


def test_calls_beyond_those_that_wait_are_refused_and_the_others_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    def answer(root: Path, name: str, given: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        gate.wait()
        return {"name": name}, True

    monkeypatch.setattr(server, "run_tool", answer)
    found: list[bool] = []

    async def call(caller: server.ToolCaller) -> None:
        done = await caller.call(None, CallToolRequestParams(name="status", arguments={}))
        found.append(done.is_error)
        if len(found) == 3:  # the refused ones come back at once
            gate.set()

    async def flood() -> None:
        caller = server.ToolCaller(tmp_path)
        async with anyio.create_task_group() as group:
            for _ in range(server.MOST_WAITING + 3):
                group.start_soon(call, caller)

    anyio.run(flood)
    assert found == [True] * 3 + [False] * server.MOST_WAITING


def test_a_fault_of_ours_is_an_error_that_quotes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(session: Any, given: Any) -> dict[str, Any]:
        raise KeyError("inner words")

    (tmp_path / "orchestr.toml").touch()
    tool: Tool[Any] = Tool("status", "t", "d", Arguments, fail, {})
    monkeypatch.setitem(server.load_tools(), "status", tool)
    value, good = server.run_tool(tmp_path, "status", {})
    assert not good
    assert value["error"]["message"] == "a fault in orchestr: KeyError"
    assert "inner words" in (tmp_path / ".orchestr/fault.log").read_text()
    assert capsys.readouterr().out == ""


def test_inside_an_attempt_it_looks_and_keeps_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = Workspace.make(tmp_path / "ws", cells={"a": {}})
    work = Surrounding(str(ws.root), str(ws.root / ".orchestr"), "demo/a", "the agent", 1)
    monkeypatch.setenv(INSIDE, mark_inside(work)[INSIDE])
    assert server.run_tool(ws.root, "status", {})[1]
    given = {"name": "greet", "intent": "Greet", "spec": yaml.safe_dump(DRAFT)}
    value, good = server.run_tool(ws.root, "draft", given)
    assert not good and "`orchestr draft` is for people" in value["error"]["message"]
    assert not (ws.root / "specs/greet.md").exists()


def test_a_refused_draft_leaves_no_intent(tmp_path: Path) -> None:
    """Its words would be taken for a person's, and other ones be refused from then on."""
    ws = Workspace.make(tmp_path / "ws", repos=("app", "lib"), cells={"a": {}},
                        settings={"repos": {"app": {}, "lib": {}}})  # fmt: skip
    given = {"name": "greet", "intent": "Greet, I guess", "spec": "kind: Feature\n"}
    value, good = server.run_tool(ws.root, "draft", given)
    assert not good and value["error"]["problems"]
    assert not (ws.root / "specs/greet.md").exists()
    given |= {"intent": "Greet", "spec": yaml.safe_dump(DRAFT)}
    value, good = server.run_tool(ws.root, "draft", given)
    assert good, value
    assert value["intent"] == "specs/greet.md"
    assert not server.run_tool(ws.root, "draft", given)[0]["made"]  # the same words: nothing to do


@pytest.mark.slow
def test_a_kill_while_a_draft_is_kept_leaves_the_former_one_or_the_new_one(tmp_path: Path) -> None:
    ws = Workspace.make(
        tmp_path / "ws", repos=("app", "lib"), cells={"a": {}},
        settings={"repos": {"app": {}, "lib": {}}},
    )  # fmt: skip
    folder = ws.root / ".orchestr/drafts/greet"
    first = yaml.safe_dump(DRAFT)
    second = first.replace("Write two", "Write two, better")
    words = {"name": "greet", "intent": "Greet everywhere"}

    def hand_in(spec: str) -> dict[str, Any]:
        value, good = server.run_tool(ws.root, "draft", {**words, "spec": spec})
        assert good, value
        return value

    kills = 0
    for line in range(0, 10_000, 11):
        hand_in(first)
        killed = is_killed_at(line, lambda: hand_in(second), lambda name: name.endswith(TRACED))
        assert (folder / "spec.yaml").read_text() in (first, second)
        assert hand_in(second)["cells"]
        assert (folder / "spec.yaml").read_text() == second
        if not killed:
            break
        kills += 1
    assert kills > 3
