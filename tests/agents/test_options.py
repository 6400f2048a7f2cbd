"""What each kind makes of options, and what it refuses."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from acp.schema import HttpMcpServer, McpServerStdio

from orchestr.agents.acp.failures import AcpFailure
from orchestr.agents.acp.permission_rules import judge_tool_call
from orchestr.agents.acp.request import ClientRequest, read_client_request
from orchestr.agents.acp.servers import make_servers
from orchestr.agents.base import AgentRequest
from orchestr.run.check_options import check_server
from orchestr.settings.agent_checks import list_refusals
from orchestr.settings.machine_records import McpServer
from orchestr.spec.agent_options import AgentOptions
from tests.agents.kit import KINDS, adapter

SERVERS = (
    McpServer("docs", ("docs-mcp", "--all"), env={"A": "hush one"}, pass_env=("DOCS_TOKEN",)),
    McpServer("far", url="https://mcp.example.org/x", token_env="FAR_TOKEN"),
)


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentRequest:
    monkeypatch.setenv("DOCS_TOKEN", "hush two")
    monkeypatch.setenv("FAR_TOKEN", "hush three")
    folder = tmp_path / "attempt"
    folder.mkdir()
    (folder / "prompt.md").write_text("do it")
    return AgentRequest(tmp_path, folder / "prompt.md", {}, folder=folder)


@pytest.mark.parametrize("kind", [*KINDS, "command", "acp"])
def test_no_secret_of_a_server_is_in_the_arguments(request_: AgentRequest, kind: str) -> None:
    run = {"run": ("x",)} if kind == "acp" else {}
    launch = adapter(kind, **run).prepare_launch(replace(request_, mcp=SERVERS))
    assert "hush" not in " ".join(launch.argv)
    assert (launch.env["DOCS_TOKEN"], launch.env["FAR_TOKEN"]) == ("hush two", "hush three")
    assert launch.hosts == ("mcp.example.org:443",)
    kept = [p for p in request_.prompt.parent.rglob("*") if p.is_file()]
    assert not [p for p in kept if "hush two" in p.read_text() or "hush three" in p.read_text()]
    own = [p for p in kept if "hush one" in p.read_text()]
    assert all(p.stat().st_mode & 0o077 == 0 for p in own)
    assert bool(own) == (kind != "opencode")  # it gets its settings in its environment


def test_claude(request_: AgentRequest) -> None:
    wanted = replace(
        request_, effort="high", fallback_model="haiku", max_turns=7, mcp=SERVERS, args=("--x",)
    )
    argv = adapter("claude", args=("--first",)).prepare_launch(wanted).argv
    text, folder = " ".join(argv), request_.prompt.parent
    assert f"--mcp-config {folder}/mcp.json --strict-mcp-config" in text
    assert "--effort high --fallback-model haiku --max-turns 7" in text
    assert argv[-2:] == ("--first", "--x")
    servers = json.loads((folder / "mcp.json").read_text())["mcpServers"]
    assert servers["docs"]["env"] == {"A": "hush one", "DOCS_TOKEN": "${DOCS_TOKEN}"}
    assert servers["far"]["headers"] == {"Authorization": "Bearer ${FAR_TOKEN}"}
    rules = json.loads((folder / "claude.json").read_text())["permissions"]["allow"]
    assert {"mcp__docs", "mcp__far"} <= set(rules)


def test_codex(request_: AgentRequest) -> None:
    argv = adapter("codex").prepare_launch(replace(request_, effort="high", mcp=SERVERS)).argv
    script = request_.prompt.parent / "mcp-docs.sh"
    assert 'model_reasoning_effort="high"' in argv
    assert f'mcp_servers.docs.command="{script}"' in argv
    assert 'mcp_servers.docs.env_vars=["DOCS_TOKEN"]' in argv
    assert 'mcp_servers.far.bearer_token_env_var="FAR_TOKEN"' in argv
    assert "export A='hush one'\nexec docs-mcp --all" in script.read_text()
    hidden = next(word for word in argv if word.startswith("shell_environment_policy"))
    assert "DOCS_TOKEN" in hidden


def test_gemini(request_: AgentRequest) -> None:
    adapter("gemini").prepare_launch(replace(request_, max_turns=7, mcp=SERVERS))
    folder = request_.prompt.parent
    given = json.loads((folder / "gemini-settings.json").read_text())
    assert given["model"] == {"maxSessionTurns": 7}
    assert given["mcpServers"]["docs"]["env"]["DOCS_TOKEN"] == "$DOCS_TOKEN"
    rules = tomllib.loads((folder / "gemini.toml").read_text())["rule"]
    assert [r["mcpName"] for r in rules if "mcpName" in r] == ["docs", "far"]


def test_opencode(request_: AgentRequest) -> None:
    launch = adapter("opencode").prepare_launch(replace(request_, effort="high", mcp=SERVERS))
    assert launch.argv[4:6] == ("--variant", "high")
    servers = json.loads(launch.env["OPENCODE_CONFIG_CONTENT"])["mcp"]
    assert servers["docs"]["command"] == ["docs-mcp", "--all"]
    assert servers["far"]["headers"] == {"Authorization": "Bearer {env:FAR_TOKEN}"}


def test_a_command_gets_them_as_variables(request_: AgentRequest) -> None:
    wanted = replace(
        request_, effort="high", fallback_model="small", max_turns=7, mcp=SERVERS, args=("-x",)
    )
    launch = adapter("command", args=("-a",)).prepare_launch(wanted)
    assert launch.argv == ("true", "-a", "-x")
    names = ("EFFORT", "FALLBACK_MODEL", "MAX_TURNS", "MCP_CONFIG")
    folder = request_.prompt.parent
    assert [launch.env[f"ORCHESTR_{n}"] for n in names] == ["high", "small", "7",
                                                            f"{folder}/mcp.json"]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "options", "refused"),
    [
        ("claude", AgentOptions(effort="minimal"), "kind `claude` knows no effort `minimal`"),
        ("codex", AgentOptions(effort="minimal"), ""),
        ("codex", AgentOptions(max_turns=4), "kind `codex` cannot be given `max_turns`"),
        (
            "codex",
            AgentOptions(fallback_model="x"),
            "kind `codex` cannot be given `fallback_model`",
        ),
        ("gemini", AgentOptions(effort="high"), "kind `gemini` cannot be given `effort`"),
        ("gemini", AgentOptions(model="x", args=("-y",), max_turns=4), ""),
        ("opencode", AgentOptions(max_turns=4), "kind `opencode` cannot be given `max_turns`"),
        ("claude", AgentOptions(mcp=("docs", "nix")), "there is no MCP server `nix`"),
        ("gemini", AgentOptions(mcp=()), ""),
        ("command", AgentOptions("m", "any", "f", ("docs",), ("-x",), 3), ""),
        ("acp", AgentOptions(mcp=("docs",)), ""),
        ("acp", AgentOptions(effort="high"), "kind `acp` cannot be given `effort`"),
    ],
)
def test_what_a_kind_cannot_be_given(kind: str, options: AgentOptions, refused: str) -> None:
    found = [why for _, why, _ in list_refusals(kind, options, ["docs"])]
    assert found == ([refused] if refused else [])


def test_a_server_that_cannot_work_is_a_warning() -> None:
    agent = adapter("claude").settings
    said = [one.what for server in SERVERS for one in check_server(server, agent, {})]
    assert said == [
        "agent claude: MCP server docs gets DOCS_TOKEN, which is not set here",
        "agent claude: MCP server docs: program 'docs-mcp' is not on PATH",
        "agent claude: MCP server far gets FAR_TOKEN, which is not set here",
    ]
    qwen = adapter("acp", run=("qwen", "--acp")).settings
    (only,) = check_server(McpServer("docs", ("sh",)), qwen, {})
    assert "MCP server docs: Qwen Code shows its tools to no model" in only.what


def test_acp(request_: AgentRequest) -> None:
    """Names of variables in the file, their values in what the agent is asked; a server at a url
    only where the agent says that it can reach one."""
    launch = adapter("acp", run=("x",)).prepare_launch(replace(request_, mcp=SERVERS))
    asked = read_client_request(Path(launch.argv[-1]))
    docs, far = make_servers(asked.servers, {"mcpCapabilities": {"http": True}}, launch.env)
    assert isinstance(docs, McpServerStdio) and isinstance(far, HttpMcpServer)
    given = {one.name: one.value for one in docs.env}
    assert given == {"A": "hush one", "DOCS_TOKEN": "hush two"}
    assert (docs.command, docs.args) == ("docs-mcp", ["--all"])
    assert far.headers[0].value == "Bearer hush three"
    with pytest.raises(AcpFailure, match="no MCP server at a url, as far is"):
        make_servers(asked.servers, {}, launch.env)


@pytest.mark.parametrize(
    ("call", "allowed"),
    [
        ({"title": "mcp__docs__look_up", "kind": "other"}, True),
        ({"title": "look_up (docs MCP Server)"}, True),
        ({"title": "Approve", "rawInput": {"server_name": "docs", "request": {}}}, True),
        ({"title": "mcp__other__look_up", "kind": "other"}, False),
        ({"title": "see mcp__docs__look_up", "kind": "other"}, False),
        ({"title": "mcp__docs__look_up", "kind": "fetch"}, False),
        ({"title": "mcp__docs__x", "rawInput": {"command": "curl x"}}, False),
    ],
)
def test_a_tool_of_a_given_server_is_allowed_by_acp(call: dict[str, Any], allowed: bool) -> None:
    asked = ClientRequest(("x",), "/tree", servers=({"name": "docs"},))
    assert judge_tool_call(call, asked).allowed is allowed
    assert not judge_tool_call(call, replace(asked, servers=())).allowed
