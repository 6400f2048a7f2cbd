"""A day with trouble: limits, a 503 storm, a lost network, a budget, a refused key, at once.

Scripted agents of four dialects. Every cell ends done or with the true reason, no session is paid
twice, and the sums are those that the servers counted.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MakeWorkspace
from tests.e2e.trouble_agent import CACHED, INPUT, OUTPUT, USD
from tests.e2e.workspace import PATIENCE, Workspace

QUICK = {"retry_after": "200ms", "retry_max": "300ms", "retry_for": "20s"}
PRICES = {"price_input_usd": 1.0, "price_output_usd": 10.0, "price_cached_usd": 1.0}
PRICED = (INPUT + OUTPUT * 10) / 1e6
KINDS = {"claude": {}, "codex": PRICES, "gemini": PRICES, "opencode": {}}


def house(workspace: MakeWorkspace, plans: dict[str, tuple[str, list[Any]]], *,
          limits: dict[str, Any] | None = None, cells: dict[str, Any] | None = None,
          **quick: str) -> Workspace:  # fmt: skip
    """A workspace with the scripted agents; ``plans``: cell -> agent and a step for each start."""
    agents: dict[str, Any] = {"default": "claude"}
    for kind, more in KINDS.items():
        agents[kind] = {"kind": kind, "program": f"bin/{kind}", **more, **QUICK, **quick}
    agents["qwen"] = {
        "kind": "command", "run": ["bin/qwen/claude"], "stream": "claude",
        "resume": ["--resume", "{session}"], **QUICK, **quick,
    }  # fmt: skip
    made: dict[str, Any] = {
        name: {"agent": agent, "repo": "app", **(cells or {}).get(name, {})}
        for name, (agent, _) in plans.items()
    }
    ws = workspace(cells=made, settings={"agents": agents, "limits": {"jobs": 8, **(limits or {})}})
    place = ws.root / "trouble"
    place.mkdir()
    (place / "server.jsonl").touch()
    for agent in agents.values():
        if isinstance(agent, dict):
            agent.setdefault("env", {})["TROUBLE_DIR"] = str(place)
    ws.settings(agents=agents, limits={"jobs": 8, **(limits or {})}, sandbox={"mode": "none"})
    source = Path(__file__).with_name("trouble_agent.py")
    for name in ("claude", "codex", "gemini", "opencode", "qwen/claude"):
        program = ws.root / "bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!{sys.executable}\n{source.read_text()}")
        program.chmod(0o755)
    for name, (_, steps) in plans.items():
        (place / f"{name}.json").write_text(json.dumps(steps))
    (ws.root / "home").mkdir()
    return ws


def env(ws: Workspace) -> dict[str, str]:
    """A home of its own: there the agents keep their sessions."""
    return {"HOME": str(ws.root / "home"), "CLAUDE_CONFIG_DIR": "", "CODEX_HOME": ""}


def counted(ws: Workspace) -> Counter[str]:
    """What the servers counted: answers of each cell."""
    lines = (ws.root / "trouble" / "server.jsonl").read_text().splitlines()
    return Counter(json.loads(line)["cell"] for line in lines)


def starts(ws: Workspace, cell: str) -> list[str]:
    """Each start of a cell's agent: `new` or `resumed`; all of one session."""
    lines = (ws.root / "trouble" / f"{cell}.starts").read_text().splitlines()
    assert len({line.split()[0] for line in lines}) == 1, lines
    return [line.split()[1] for line in lines]


def test_every_cell_ends_done_or_with_the_true_reason(workspace: MakeWorkspace) -> None:
    plans: dict[str, tuple[str, list[Any]]] = {
        "limit": ("claude", [[2, "limit 0.5"], [1, "ok"]]),
        "quota": ("gemini", [[1, "limit 0.5"], [2, "ok"]]),
        "storm": ("codex", [[1, "503"], [0, "503"], [1, "503"], [2, "ok"]]),
        "network": ("opencode", [[1, "lost"], [0, "lost"], [2, "ok"]]),
        "refused": ("qwen", [[0, "refused"]]),
        "budget": ("claude", [[0, "on"]]),
        "flaky": ("sh", []),
    }
    ws = house(workspace, plans, limits={"attempt_tokens": 9000},
               cells={"flaky": {"retry": 1}, "refused": {"retry": 2}})  # fmt: skip
    ws.script("flaky", 'if test "$ORCHESTR_ATTEMPT" = 1; then echo no; exit 3; fi; date > f.txt')
    ws.run("run", "demo", "--yes", code=1, env=env(ws))

    cells = ws.status()
    assert {name: cell["state"] for name, cell in cells.items()} == {
        **dict.fromkeys(("limit", "quota", "storm", "network", "flaky"), "done"),
        **dict.fromkeys(("refused", "budget"), "failed"),
    }  # fmt: skip
    assert "401 Unauthorized" in cells["refused"]["reason"]
    assert "the budget of attempt 1 is reached" in cells["budget"]["reason"]
    # No session is paid twice: each has one, which goes on.
    assert starts(ws, "limit") == ["new", "resumed"]
    assert starts(ws, "quota") == ["new", "resumed"]
    assert starts(ws, "storm") == ["new", "resumed", "resumed", "resumed"]
    assert starts(ws, "network") == ["new", "resumed", "resumed"]
    assert starts(ws, "refused") == ["new"]
    opened = Counter(event["cell"] for event in ws.journal(kind="attempt.opened"))
    assert opened == {**dict.fromkeys(plans, 1), "flaky": 2}
    # The sums are those that the servers counted, those of turns that failed and of the budget too.
    for name, number in counted(ws).items():
        assert cells[name]["tokens"] == {
            "input": number * INPUT, "cached": number * CACHED, "output": number * OUTPUT,
        }, name  # fmt: skip
    assert cells["limit"]["cost_usd"] == pytest.approx(3 * USD)
    assert cells["network"]["cost_usd"] == pytest.approx(3 * USD)
    assert cells["storm"]["cost_usd"] == pytest.approx(4 * PRICED)
    assert cells["quota"]["cost_usd"] == pytest.approx(3 * PRICED)
    why = [e["data"].get("reason", "") for e in ws.journal(kind="attempt.limited")]
    assert any("openai in trouble: API Error: 503" in one for one in why)


def test_trouble_that_does_not_end_fails_with_its_reason(workspace: MakeWorkspace) -> None:
    ws = house(workspace, {"a": ("codex", [[0, "503"]])}, retry_for="500ms")
    ws.run("run", "demo", "--yes", code=1, env=env(ws))
    reason = ws.status()["a"]["reason"]
    assert "503 Service Unavailable" in reason
    assert "did not recover in 0.5 s" in reason
    assert len(starts(ws, "a")) > 1


def test_a_killed_run_goes_on_with_the_session_in_trouble(workspace: MakeWorkspace) -> None:
    ws = house(workspace, {"a": ("codex", [[1, "503"], [1, "ok"]])},
               retry_after="1h", retry_max="1h", retry_for="2h")  # fmt: skip
    child = ws.spawn("run", "demo", "--yes", env=env(ws))
    aside = ws.cell_dir("a") / "attempts" / "1" / "exit.1.json"
    wait_until(aside.exists, child)
    child.kill()
    child.wait()
    (ws.root / ".orchestr" / "locks" / "pause-openai.json").unlink()
    ws.run("run", "demo", "--yes", code=0, env=env(ws))
    assert starts(ws, "a") == ["new", "resumed"]
    assert ws.status()["a"]["tokens"]["input"] == 2 * INPUT


def test_a_stopped_agent_goes_on_with_its_session(workspace: MakeWorkspace) -> None:
    ws = house(workspace, {"a": ("opencode", [[0, "on"], [1, "ok"]])})
    child = ws.spawn("run", "demo", "--yes", env=env(ws))
    wait_until(lambda: counted(ws)["a"] >= 2, child)
    child.send_signal(signal.SIGINT)
    assert child.wait() == 130, child.said()
    assert ws.states() == {"a": "aborted"}
    ws.run("run", "demo", "--yes", code=0, env=env(ws))
    assert starts(ws, "a") == ["new", "resumed"]
    assert [e["attempt"] for e in ws.journal(kind="attempt.opened")] == [1]
    assert ws.status()["a"]["tokens"]["input"] == counted(ws)["a"] * INPUT


def test_what_is_known_late_is_said_before_the_run(workspace: MakeWorkspace) -> None:
    agents = {"late": {"kind": "command", "run": ["sh", "agent.sh"], "stream": "codex",
                       "paid": False, **PRICES}}  # fmt: skip
    ws = workspace(cells={"a": {"agent": "late"}},
                   settings={"agents": agents, "limits": {"attempt_usd": 1.0}})  # fmt: skip
    said = ws.run("plan", "demo").stderr
    assert "agent late tells its cost at the end: a budget ends what would start after it" in said
    assert "agent late tells its cost at the end" in ws.run("doctor", "demo").stdout


def test_refused_commands_are_shown_with_the_line_that_allows_them(
    workspace: MakeWorkspace,
) -> None:
    denied = {"tool_name": "Bash", "tool_use_id": "1",
              "tool_input": {"command": "cd x && docker ps"}}  # fmt: skip
    end = {"type": "result", "subtype": "success", "is_error": False, "session_id": "1",
           "result": "done", "permission_denials": [denied]}  # fmt: skip
    agents = {"claude": {"kind": "command", "run": ["sh", "agent.sh"], "stream": "claude"}}
    ws = workspace(cells={"a": {"agent": "claude"}}, settings={"agents": agents})
    (ws.root / "agent.sh").write_text(f"echo x > a.txt\necho '{json.dumps(end)}'\n")
    ws.run("run", "demo", code=0)
    (warning,) = ws.journal(kind="cell.warned")
    reason = warning["data"]["reason"]
    assert "was not let run docker; to allow that: tools = [" in reason
    assert '"docker"] in [repos.app] of orchestr.toml' in reason


def test_files_of_an_agent_alone_are_no_work(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.script("a", "echo prompt > .aider.chat.history.md; mkdir .aider.tags.cache.v4; "
              "echo x > .aider.tags.cache.v4/cache.db")  # fmt: skip
    ws.run("run", "demo", code=1)
    assert "nothing was changed" in ws.status()["a"]["reason"]
    ws.script("a", "echo prompt > .aider.chat.history.md; git add -f .aider.chat.history.md; "
              "git -c user.name=a -c user.email=a@b commit -qm aider")  # fmt: skip
    ws.run("run", "demo", code=1)
    reason = ws.status()["a"]["reason"]
    assert "nothing was changed but files of the agent's own: .aider.chat.history.md" in reason


def wait_until(ready: Any, child: Any) -> None:
    """Wait for a condition; fails with what the run has said when that ends before."""
    end = time.monotonic() + PATIENCE
    while not ready():
        assert child.poll() is None, child.said()
        assert time.monotonic() < end, child.said()
        time.sleep(0.05)
