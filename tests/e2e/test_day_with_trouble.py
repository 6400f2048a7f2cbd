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
          own: dict[str, Any] | None = None,
          **quick: str) -> Workspace:  # fmt: skip
    """A workspace with the scripted agents; ``plans``: cell -> agent and a step for each start,
    ``cells``: more of these or other cells, ``own``: more agents."""
    agents: dict[str, Any] = {"default": "claude"}
    for kind, more in KINDS.items():
        agents[kind] = {"kind": kind, "program": f"bin/{kind}", **more, **QUICK, **quick}
    agents["qwen"] = {
        "kind": "command", "run": ["bin/qwen/claude"], "stream": "claude",
        "resume": ["--resume", "{session}"], **QUICK, **quick,
    }  # fmt: skip
    agents |= own or {}
    made: dict[str, Any] = {name: {"agent": agent, "repo": "app"}
                            for name, (agent, _) in plans.items()}  # fmt: skip
    for name, more in (cells or {}).items():
        made[name] = {**made.get(name, {}), **more}
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


LATE = """\
echo x > late.txt
echo '{"type": "turn.completed", "usage": {"input_tokens": 2000000, "output_tokens": 1}}'
"""


def deny(cell: str) -> str:
    """A script that speaks claude's dialect and was not let run docker."""
    denied = {"tool_name": "Bash", "tool_use_id": "1",
              "tool_input": {"command": "cd x && docker ps"}}  # fmt: skip
    end = {"type": "result", "subtype": "success", "is_error": False, "session_id": "1",
           "result": "done", "permission_denials": [denied]}  # fmt: skip
    return f"echo x > {cell}.txt\necho '{json.dumps(end)}'\n"


def test_every_cell_ends_done_or_with_the_true_reason(workspace: MakeWorkspace) -> None:
    plans: dict[str, tuple[str, list[Any]]] = {
        "limit": ("claude", [[2, "limit 0.5"], [1, "ok"]]),
        "quota": ("gemini", [[1, "limit 0.5"], [2, "ok"]]),
        "storm": ("codex", [[1, "503"], [0, "503"], [1, "503"], [2, "ok"]]),
        "network": ("opencode", [[1, "lost"], [0, "lost"], [2, "ok"]]),
        "refused": ("qwen", [[0, "refused"]]),
        "budget": ("claude", [[0, "on"]]),
        "gone": ("gone", [[0, "503"]]),
    }
    cells = {
        "refused": {"retry": 2},
        "flaky": {"agent": "sh", "repo": "app", "retry": 1},
        "denied": {"agent": "denied", "repo": "app"},
        "late": {"agent": "late", "repo": "app"},
        "droppings": {"agent": "sh", "repo": "app"},
        "committed": {"agent": "sh", "repo": "app"},
    }
    own = {"denied": {"kind": "command", "run": ["sh", "denied.sh"], "stream": "claude"},
           "late": {"kind": "command", "run": ["sh", "late.sh"], "stream": "codex", **PRICES},
           "gone": {"kind": "codex", "program": "bin/codex", "provider": "gone", **PRICES,
                    **QUICK, "retry_for": "500ms"}}  # fmt: skip
    ws = house(workspace, plans, limits={"attempt_tokens": 9000, "attempt_usd": 1.0},
               cells=cells, own=own)  # fmt: skip
    (ws.root / "late.sh").write_text(LATE)
    (ws.root / "denied.sh").write_text(deny("denied"))
    ws.script("flaky", 'if test "$ORCHESTR_ATTEMPT" = 1; then echo no; exit 3; fi; date > f.txt')
    ws.script("droppings", "echo prompt > .aider.chat.history.md; mkdir .aider.tags.cache.v4; "
              "echo x > .aider.tags.cache.v4/cache.db")  # fmt: skip
    ws.script("committed", "echo prompt > .aider.chat.history.md; "
              "git add -f .aider.chat.history.md; "
              "git -c user.name=a -c user.email=a@b commit -qm aider")  # fmt: skip
    # What is known late is said before.
    late = "agent late tells its cost at the end"
    said = ws.run("run", "demo", "--yes", code=1, env=env(ws)).stderr
    assert f"{late}: a budget ends what would start after it" in said
    assert late in ws.run("doctor", "demo", env=env(ws)).stdout

    cells = ws.status()
    assert {name: cell["state"] for name, cell in cells.items()} == {
        **dict.fromkeys(("limit", "quota", "storm", "network", "flaky", "denied", "late"), "done"),
        **dict.fromkeys(("refused", "budget", "gone", "droppings", "committed"), "failed"),
    }  # fmt: skip
    assert "401 Unauthorized" in cells["refused"]["reason"]
    assert "the budget of attempt 1 is reached" in cells["budget"]["reason"]
    assert "503 Service Unavailable" in cells["gone"]["reason"]
    assert "did not recover in 0.5 s" in cells["gone"]["reason"]
    assert len(starts(ws, "gone")) > 1
    # Files of an agent alone are no work.
    assert "nothing was changed" in cells["droppings"]["reason"]
    assert ("nothing was changed but files of the agent's own: .aider.chat.history.md"
            in cells["committed"]["reason"])  # fmt: skip
    # No session is paid twice: each has one, which goes on.
    assert starts(ws, "limit") == ["new", "resumed"]
    assert starts(ws, "quota") == ["new", "resumed"]
    assert starts(ws, "storm") == ["new", "resumed", "resumed", "resumed"]
    assert starts(ws, "network") == ["new", "resumed", "resumed"]
    assert starts(ws, "refused") == ["new"]
    opened = Counter(event["cell"] for event in ws.journal(kind="attempt.opened"))
    assert opened == {**dict.fromkeys(cells, 1), "flaky": 2}
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
    # A budget that is found reached at the end is said then, too.
    (warned,) = [e["data"]["reason"] for e in ws.journal(kind="cell.warned") if e["cell"] == "late"]
    assert warned.startswith("the budget of attempt 1 is reached: $2.00 of $1.00; its agent had")
    # What it was not let run is shown with the line that allows it.
    warned = [e["data"]["reason"] for e in ws.journal(kind="cell.warned") if e["cell"] == "denied"]
    assert len(warned) == 1
    assert "was not let run docker; to allow that: tools = [" in warned[0]
    assert '"docker"] in [repos.app] of orchestr.toml' in warned[0]


def test_killed_and_stopped_sessions_go_on(workspace: MakeWorkspace) -> None:
    """SIGKILL while one waits for its provider and one works; Ctrl-C when that was adopted."""
    plans: dict[str, tuple[str, list[Any]]] = {
        "waits": ("codex", [[1, "503"], [1, "ok"]]),
        "works": ("opencode", [[0, "on"], [1, "ok"]]),
    }
    ws = house(workspace, plans, retry_after="1h", retry_max="1h", retry_for="2h")
    child = ws.spawn("run", "demo", "--yes", env=env(ws))
    aside = ws.cell_dir("waits") / "attempts" / "1" / "exit.1.json"
    wait_until(lambda: aside.exists() and counted(ws)["works"] >= 2, child)
    child.kill()
    child.wait()
    (ws.root / ".orchestr" / "locks" / "pause-openai.json").unlink()

    child = ws.spawn("run", "demo", "--yes", env=env(ws))
    wait_until(lambda: ws.states()["waits"] == "done", child)
    child.send_signal(signal.SIGINT)
    assert child.wait() == 130, child.said()
    assert ws.states() == {"waits": "done", "works": "aborted"}
    ws.run("run", "demo", "--yes", code=0, env=env(ws))
    cells = ws.status()
    for name in plans:
        assert starts(ws, name) == ["new", "resumed"]
        assert cells[name]["tokens"]["input"] == counted(ws)[name] * INPUT
    assert [e["attempt"] for e in ws.journal(kind="attempt.opened")] == [1, 1]


def wait_until(ready: Any, child: Any) -> None:
    """Wait for a condition; fails with what the run has said when that ends before."""
    end = time.monotonic() + PATIENCE
    while not ready():
        assert child.poll() is None, child.said()
        assert time.monotonic() < end, child.said()
        time.sleep(0.05)
