"""Real agents by ACP with a model that plays a script; skipped where they are not installed.

What is measured here stands in docs/acp.md.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from orchestr.agents.catalogue import read_catalogue
from tests.agents.conftest import PROGRAMS, program
from tests.agents.house import AgentHouse
from tests.agents.model_server import CACHED, INPUT, OUTPUT, Run, Say, Use
from tests.agents.test_real_options import SERVER
from tests.sandbox.walls import BOTH_WALLS

# Catalogue's name -> the kind whose keys and settings it takes, in `AgentHouse`.
AGENTS = {"opencode": "opencode", "claude-agent-acp": "claude", "codex-acp": "codex",
          "gemini": "gemini", "qwen": "qwen", "copilot": "copilot"}  # fmt: skip
FIRST = [Run("echo one > a.txt"), Run("curl -s http://127.0.0.1:9/"), Say("The file is there.")]
REPAIR = [Run("echo two > a.txt"), Say("It says two.")]
NO_PROXY = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "")


def real(root: Path, name: str, script: list[Any], **more: Any) -> AgentHouse:
    """A workspace whose agent is ``name`` of the catalogue, by kind `acp`."""
    known, like = read_catalogue()[name], AGENTS[name]
    path = program(known.program)
    ws = AgentHouse.build(root, like, path, script, **more)
    table: dict[str, Any] = {"kind": "acp", "run": [path, *known.acp_command[1:]]}
    settings: dict[str, Any] = {"agents": {like: table}, "limits": {"timeout": "240s"}}
    url = ws.model.url
    match name:
        case "qwen":
            ws.keys = {"OPENAI_API_KEY": "sk-fake", "OPENAI_BASE_URL": f"{url}/v1",
                       "OPENAI_MODEL": "m", **NO_PROXY}  # fmt: skip
        case "copilot":
            ws.keys = {"COPILOT_PROVIDER_BASE_URL": f"{url}/v1", "COPILOT_OFFLINE": "true",
                       "COPILOT_PROVIDER_API_KEY": "sk-fake", "COPILOT_MODEL": "m",
                       "COPILOT_PROVIDER_TYPE": "openai"}  # fmt: skip
    ws.settings(**settings)
    return ws


@pytest.mark.slow
@pytest.mark.skipif(PROGRAMS not in os.environ, reason=f"{PROGRAMS} is not set")
@pytest.mark.parametrize("name", [name for name in AGENTS if read_catalogue()[name].mcp])
def test_an_mcp_server_of_the_settings_is_called(tmp_path: Path, name: str) -> None:
    turns = [Use("look_up"), Run("echo one > a.txt"), Say("All is done.")]
    ws = real(tmp_path / "h", name, turns)
    try:
        server = {"command": [sys.executable, str(ws.root / "server.py")], "env": {"OWN": "v2"},
                  "pass_env": ["DOCS_TOKEN"]}  # fmt: skip
        (ws.root / "server.py").write_text(SERVER)
        path = ws.root / "orchestr.toml"
        value = tomllib.loads(path.read_text())
        value["agents"][AGENTS[name]]["mcp"] = ["docs"]
        path.write_text(tomli_w.dumps({**value, "mcp": {"docs": server}}))
        ws.run("run", "demo", "--yes", code=0, env={"DOCS_TOKEN": "not-to-be-written-1"})
        assert ws.show("a", "a.txt") == "one"
        assert "found it with v2 and not-to-be-written-1" in ws.model.asked[1].text
        kept = (ws.cell_dir("a") / "attempts" / "1" / "acp.json").read_text()
        assert "not-to-be-written-1" not in kept
    finally:
        ws.close()


@pytest.mark.slow
@pytest.mark.skipif(PROGRAMS not in os.environ, reason=f"{PROGRAMS} is not set")
@BOTH_WALLS
@pytest.mark.parametrize("name", AGENTS)
def test_a_cell_is_built_and_repaired(tmp_path: Path, name: str, wall: str) -> None:
    """Work, a refused command, a red check, the repair in the same session; tokens as the server
    counts them."""
    check = [{"kind": "command", "run": ["grep", "-q", "two", "a.txt"]}]
    ws = real(tmp_path / "h", name, FIRST, cells={"a": {"checks": check}})
    left: list[Any] = []

    def repair_after_the_first_end(asked: Any, _number: int) -> Any:
        """By what was answered: qwen keeps no refused call, so its results cannot be counted."""
        if not asked.body.get("tools"):
            return None
        if left:
            return left.pop(0) if len(left) > 1 else left[0]
        if asked.turn >= len(FIRST) - 1:
            left.extend(REPAIR)
        return None

    ws.model.fault = repair_after_the_first_end
    try:
        ws.run("run", "demo", "--yes", code=0)
        assert ws.show("a", "a.txt") == "two"
        view = ws.status()["a"]
        lines = [json.loads(line) for line in ws.transcript().splitlines() if line[:1] == "{"]
        sessions = {e["session_id"] for e in lines if e.get("type") == "acp_session"}
        if name != "gemini":  # it does not find its session again
            assert len(sessions) == 1
        if name not in ("opencode", "codex-acp"):
            count = len(ws.model.asked)
            assert view["tokens"] == {"input": INPUT * count, "output": OUTPUT * count,
                                      "cached": view["tokens"]["cached"]}  # fmt: skip
            assert view["tokens"]["cached"] in (0, CACHED * count)
        assert ws.processes() == []
    finally:
        ws.close()
