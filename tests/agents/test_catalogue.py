"""The catalogue of known agents: that its data are right, and what is shown of them."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from orchestr.agents import AGENT_KINDS
from orchestr.agents.catalogue import (
    find_by_command,
    find_by_program,
    list_suggested,
    read_catalogue,
    suggest_install,
)
from orchestr.agents.cli_agent import CliAgent
from orchestr.agents.own_servers import list_own_servers
from orchestr.sandbox.hosts import AGENT_HOSTS
from orchestr.settings.new_workspace import Surroundings, write_workspace
from orchestr.settings.records import AgentSettings, WorkspaceSettings
from orchestr.views.query import known_agents
from tests.fork_server import run_process


@pytest.mark.parametrize("name", read_catalogue())
def test_each_entry_can_be_used_as_it_is_shown(name: str) -> None:
    known = read_catalogue()[name]
    kind = AGENT_KINDS.load(known.kind)
    assert all(known.run for key in kind.required if key == "run")
    assert bool(known.run) is ("run" in kind.keys)
    assert known.cost in ("dollars", "tokens", "none") and not (known.live and known.cost == "none")
    assert known.permissions in ("rules", "sandbox", "all")
    assert known.install and known.site.startswith("https://") and known.login
    if known.like:
        assert known.like in AGENT_KINDS.own_names
    for command in filter(None, (known.acp_command,)):
        assert find_by_command(command) is known


def test_an_agent_is_found_by_what_starts_it() -> None:
    def name(*words: str) -> str | None:
        known = find_by_command(words)
        return known.name if known else None

    assert name("/opt/bin/qwen", "--acp") == "qwen"
    assert name("npx", "-y", "@zed-industries/claude-code-acp@0.16.0") == "claude-agent-acp"
    assert name("uvx", "mistral-vibe") == "vibe"
    assert name("npx", "@qwen-code/qwen-code-other") is None
    assert name("python3", "agent.py") is None and name() is None
    assert find_by_program("mini") is read_catalogue()["mini-swe-agent"]


def test_a_missing_program_is_installed_by_its_own_command() -> None:
    qwen = AgentSettings("q", "acp", run=("qwen", "--acp"))
    assert suggest_install(qwen).startswith(
        "npm install -g @qwen-code/qwen-code, or change [agents.q]"
    )
    assert "@openai/codex" in suggest_install(AgentSettings("x", "codex"))
    other = AgentSettings("x", "command", run=("my-agent",))
    assert suggest_install(other) == "install it, or change [agents.x] in orchestr.toml"


def test_an_agent_reaches_its_own_servers() -> None:
    def servers(kind: str, *run: str) -> tuple[str, ...]:
        return list_own_servers(AgentSettings("x", kind, run=run))

    assert servers("claude") == AGENT_HOSTS["claude"]
    assert servers("acp", "claude-agent-acp") == AGENT_HOSTS["claude"]
    assert "portal.qwen.ai" in servers("acp", "qwen", "--acp")
    assert "api.anthropic.com" not in servers("acp", "qwen", "--acp")
    every = {host for hosts in AGENT_HOSTS.values() for host in hosts}
    assert set(servers("command", "x")) == set(servers("acp", "x")) == every


def test_a_new_workspace_has_what_was_found(tmp_path: Path) -> None:
    names = [known.name for known in list_suggested()]
    assert names == ["claude", "codex", "gemini", "opencode", "copilot", "qwen"]
    run = {"qwen": read_catalogue()["qwen"].run}
    write_workspace(tmp_path, Surroundings((), ("claude", "qwen"), acp_commands=run))
    text = (tmp_path / "orchestr.toml").read_text()
    assert '[agents.claude]\nkind = "claude"\n' in text
    assert '[agents.qwen]\nkind = "acp"\nrun = ["qwen", "--acp"]\n' in text


def test_a_program_that_hangs_keeps_no_other_from_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no version there; those of the others, asked at the same time, are all remembered."""
    monkeypatch.setattr(known_agents, "PATIENCE", 0.2)
    good = ("gemini", "opencode", "copilot", "qwen")
    for name, script in {**dict.fromkeys(good, "echo 1.2"), "claude": "sleep 600"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "agents.json").write_text('{"/other": [1, 2, "3.4"]}')
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr(CliAgent, "_ask_version", _meet_then_ask(CliAgent._ask_version, 5))
    place = WorkspaceSettings(tmp_path, tmp_path, tmp_path, tmp_path, tmp_path)
    rows = {row.known.name: row for row in known_agents.list_known_agents(place, {})}
    assert rows["claude"].path and rows["claude"].version is None
    noted = json.loads((tmp_path / "agents.json").read_text())
    assert set(noted) == {"/other", *(str(tmp_path / name) for name in good)}


def _meet_then_ask(ask: Any, number: int) -> Any:
    """`CliAgent._ask_version`, where each waits until so many are asked at once."""
    barrier = threading.Barrier(number, timeout=60)

    def wait_and_ask(agent: CliAgent, program: str) -> Any:
        barrier.wait()
        return ask(agent, program) if Path(program).name == "claude" else "1.2"

    return wait_and_ask


def test_agents_shows_what_is_found_and_how_the_others_are_installed(tmp_path: Path) -> None:
    """In a workspace and without one; programs are asked for nothing but their version."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "qwen"
    program.write_text('#!/bin/sh\n[ "$*" = --version ] && echo "Qwen 1.2.3."\n')
    program.chmod(0o755)
    env = {**os.environ, "PATH": str(programs), "COLUMNS": "160"}

    def said(*words: str) -> str:
        argv = [sys.executable, "-m", "orchestr", "agents", *words]
        done = run_process(argv, cwd=tmp_path, env=env, text=True)
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    lines = {line.split()[0]: line for line in said().splitlines()}
    assert "1.2.3 " in lines["qwen"]
    assert "npm install -g @github/copilot" in lines["copilot"]
    (tmp_path / "orchestr.toml").write_text(
        '[agents]\ndefault = "me"\n[agents.me]\nkind = "acp"\nrun = ["qwen", "--acp"]\n'
    )
    (row,) = json.loads(said("qwen", "--json"))["agents"]
    assert (row["found"], row["version"], row["agents"]) == (True, "1.2.3", ["me"])
    assert row["acp"] == ["qwen", "--acp"]
    assert 'kind = "acp"\nrun = ["qwen", "--acp"]' in said("qwen")
