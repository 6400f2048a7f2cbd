"""Agents by kind. A new one is a file, a line here, and the shared contract tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestr.agents import claude, codex, command, gemini, opencode
from orchestr.agents.base import Agent, AgentLaunch, AgentRequest, AgentVerdict, ToolPermissions
from orchestr.settings.records import AgentSettings, Settings, WorkspaceSettings

__all__ = [
    "AGENTS",
    "Agent",
    "AgentLaunch",
    "AgentRequest",
    "AgentVerdict",
    "ToolPermissions",
    "make_agent",
]

AGENTS: Mapping[str, Callable[[AgentSettings, WorkspaceSettings], Agent]] = {
    "claude": claude.make_claude,
    "codex": codex.make_codex,
    "command": command.make_command_agent,
    "gemini": gemini.make_gemini,
    "opencode": opencode.make_opencode,
}


def make_agent(settings: Settings, name: str) -> Agent:
    """The agent that `[agents.NAME]` describes. Names were validated with the spec."""
    chosen = settings.agents[name]
    return AGENTS[chosen.kind](chosen, settings.workspace)
