"""Cells whose agent speaks ACP: done, repaired in the session, killed, at the end of a budget."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestr.agents.kinds.acp import CLIENT
from tests.e2e.workspace import Workspace, wait_for

AGENT = Path(__file__).with_name("acp_agent.py")
MakeWorkspace = Callable[..., Workspace]


def scripted(
    workspace: MakeWorkspace, *turns: list[Any], settings: Any = None, **cell: Any
) -> Workspace:
    """A workspace with the cell `a`, whose agent plays ``turns``."""
    ws = workspace(cells={"a": cell}, defaults={"agent": "acp"})
    place = ws.agents
    run = [sys.executable, str(AGENT), str(place)]
    ws.settings(agents={"acp": {"kind": "acp", "run": run, "paid": False}}, **(settings or {}))
    (place / "script.json").write_text(json.dumps(turns))
    return ws


def noted(ws: Workspace, name: str) -> list[Any]:
    path = ws.agents / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_cell_is_built_and_repaired_in_its_session(workspace: MakeWorkspace) -> None:
    """A red check is repaired by `session/load`; the file lands; `logs` shows what was done."""
    ws = scripted(
        workspace,
        [["write", "a.txt", "wrong\n"], ["ask", "execute", {"command": "curl x"}],
         ["say", "first"], ["took", 100, 0.5]],
        [["terminal", "echo right > a.txt", []], ["say", "mended"], ["took", 100, 0.75]],
        checks=[{"kind": "command", "run": ["grep", "-q", "right", "a.txt"]}],
    )  # fmt: skip
    ws.run("run", "demo", code=0)
    assert ws.show("a", "a.txt") == "right"
    assert noted(ws, "sessions") == ["s-1"]
    assert "ORCHESTR" not in " ".join(noted(ws, "prompts")[1].split()[:3])
    view = ws.status()["a"]
    # The agent says at the load that $0.25 of the session are known: 0.5, then 0.75 - 0.25.
    assert view["cost_usd"] == pytest.approx(1.0)
    logs = ws.run("logs", "demo:a").stdout
    assert "first" in logs and "mended" in logs and "refused: curl x" in logs
    assert "old words" not in logs


def test_a_killed_client_leaves_no_agent_and_the_cell_goes_on(workspace: MakeWorkspace) -> None:
    ws = scripted(
        workspace,
        [["own", "setsid sleep 600 & echo $! > pid"], ["think", 600]],
        [["write", "a.txt", "done\n"], ["say", "done"]],
    )
    run = ws.spawn("run", "demo")
    wait_for(lambda: noted(ws, "got"), "the agent's first step")
    client = next(p for p in ws.processes() if str(CLIENT) in p.cmdline()[2:3])
    assert any(str(AGENT) in p.cmdline() for p in client.children())
    client.send_signal(signal.SIGKILL)
    assert run.ended() == 1
    assert ws.processes() == []
    reason = ws.status()["a"]["reason"]
    assert "killed by signal 9" in reason or "exit 137" in reason  # behind a wall
    (ws.worktree("a") / "pid").unlink()
    ws.run("run", "demo", code=0)
    assert ws.show("a", "a.txt") == "done"


def test_a_budget_ends_it_within_one_message(workspace: MakeWorkspace) -> None:
    ws = scripted(
        workspace,
        [["took", 1000, 0.4], ["took", 1000, 0.8], ["took", 1000, 1.2], ["think", 600]],
        settings={"limits": {"attempt_usd": 1.0}},
    )
    ws.run("run", "demo", code=1)
    view = ws.status()["a"]
    assert "the budget of attempt 1 is reached: $1.20 of $1.00" in view["reason"]
    assert view["cost_known_usd"] == pytest.approx(1.2)
    assert ws.processes() == []


def test_a_missing_program_names_how_it_is_installed(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}}, defaults={"agent": "q"})
    ws.settings(agents={"q": {"kind": "acp", "run": ["qwen", "--acp"], "paid": False}})
    path = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep)
                           if not (Path(p) / "qwen").exists())  # fmt: skip
    done = ws.run("run", "demo", code=2, env={"PATH": path})
    assert "npm install -g @qwen-code/qwen-code" in done.stderr
