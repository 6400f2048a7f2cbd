"""What each kind makes of options, and what it refuses."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("kind", [*KINDS, "command"])
def test_no_secret_of_a_server_is_in_the_arguments(request_: AgentRequest, kind: str) -> None:
    launch = adapter(kind).prepare_launch(replace(request_, mcp=SERVERS))
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
