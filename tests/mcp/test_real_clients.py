"""Real programs call a tool of `orchestr mcp`; their model plays a script.

Skipped without $ORCHESTR_TEST_AGENTS (tests/README.md). Both programs connect to their servers in
the background, so the script waits for the tools before it uses one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestr.conformance.model_server import ModelServer
from orchestr.conformance.script import Run, Say, Use
from tests.agents.conftest import program
from tests.e2e.workspace import PATIENCE, Workspace

pytestmark = pytest.mark.slow
pytest.importorskip("mcp")

CODEX = """\
model = "gpt-5"
model_provider = "played"
[model_providers.played]
name = "played"
base_url = "{url}/v1"
env_key = "PLAYED_KEY"
wire_api = "responses"
[mcp_servers.orchestr]
command = {command}
args = {args}
"""


@pytest.mark.parametrize("cli", ["claude", "codex"])
def test_a_real_client_reads_the_status(cli: str, tmp_path: Path) -> None:
    path = program(cli)
    ws = Workspace.make(tmp_path / "ws", cells={"only-cell": {}})
    home = tmp_path / "home"
    (home / ".codex").mkdir(parents=True)
    command, args = sys.executable, ["-m", "orchestr", "mcp", str(ws.root)]
    with ModelServer([Run("sleep 8"), Use("status"), Say("All is done.")]) as model:
        servers = {"mcpServers": {"orchestr": {"command": command, "args": args}}}
        argv = [path, "-p", "How far is it?", "--mcp-config", json.dumps(servers),
                "--allowedTools", "mcp__orchestr__status,Bash"]  # fmt: skip
        if cli == "codex":
            text = CODEX.format(url=model.url, command=json.dumps(command), args=json.dumps(args))
            (home / ".codex/config.toml").write_text(text)
            argv = [path, "exec", "--skip-git-repo-check",
                    "--dangerously-bypass-approvals-and-sandbox", "How far is it?"]  # fmt: skip
        env = {
            "HOME": str(home), "PATH": f"{Path(path).parent}{os.pathsep}{os.environ['PATH']}",
            "ANTHROPIC_BASE_URL": model.url, "ANTHROPIC_API_KEY": "fake", "PLAYED_KEY": "fake",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "NO_PROXY": "*",
        }  # fmt: skip
        done = subprocess.run(
            argv, cwd=home, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "only-cell" in model.asked[-1].text and "only-cell" not in model.asked[0].text
