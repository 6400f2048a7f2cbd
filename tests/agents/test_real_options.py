"""The real programs with options: an MCP server of the settings that is started and called, its
variables, effort, turns. Skipped without the programs."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from tests.agents.conftest import MakeHouse, program
from tests.agents.kit import KINDS
from tests.agents.model_server import Run, Say, Use
from tests.sandbox.walls import BOTH_WALLS

pytestmark = pytest.mark.slow

SERVER = """\
import json, os, sys
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    method, answer = asked["method"], {}
    if method == "initialize":
        answer = {"protocolVersion": asked["params"]["protocolVersion"],
                  "capabilities": {"tools": {}}, "serverInfo": {"name": "d", "version": "1"}}
    if method == "tools/list":
        answer = {"tools": [{"name": "look_up", "description": "looks something up",
                             "inputSchema": {"type": "object", "properties": {}}}]}
    if method == "tools/call":
        seen = f"{os.environ.get('OWN')} and {os.environ.get('DOCS_TOKEN')}"
        answer = {"content": [{"type": "text", "text": f"found it with {seen}"}]}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": answer}), flush=True)
"""
EFFORTS = {"claude": "low", "codex": "low", "opencode": "high"}


@BOTH_WALLS
@pytest.mark.parametrize("cli", KINDS)
def test_an_mcp_server_of_the_settings_is_called(house: MakeHouse, cli: str, wall: str) -> None:
    program(cli)
    wanted: dict[str, Any] = {"mcp": ["docs"]}
    if cli in EFFORTS:
        wanted["effort"] = EFFORTS[cli]
    if cli in ("claude", "gemini"):
        wanted["max_turns"] = 30
    turns = [Use("look_up"), Run("echo one > a.txt"), Say("All is done.")]
    ws = house(cli, turns, agent=wanted)
    server = {"command": [sys.executable, str(ws.root / "server.py")], "env": {"OWN": "v2"},
              "pass_env": ["DOCS_TOKEN"]}  # fmt: skip
    (ws.root / "server.py").write_text(SERVER)
    with (ws.root / "orchestr.toml").open("a") as settings:
        settings.write("\n[mcp.docs]\n")
        settings.writelines(
            f"{key} = {{{', '.join(f'{k} = {json.dumps(v)}' for k, v in value.items())}}}\n"
            if isinstance(value, dict)
            else f"{key} = {json.dumps(value)}\n"
            for key, value in server.items()
        )
    ws.run("run", "demo", "--yes", code=0, env={"DOCS_TOKEN": "not-to-be-written-1"})

    assert ws.show("a", "a.txt") == "one"
    assert "found it with v2 and not-to-be-written-1" in ws.model.asked[1].text
    launch = json.loads((ws.cell_dir("a") / "attempts" / "1" / "launch.json").read_text())
    assert "v2" not in " ".join(launch["argv"])
    assert "not-to-be-written-1" not in " ".join(launch["argv"])
    body = ws.model.asked[0].body
    if cli == "claude":
        assert body["output_config"]["effort"] == "low"
    if cli == "codex":
        assert body["reasoning"]["effort"] == "low"
