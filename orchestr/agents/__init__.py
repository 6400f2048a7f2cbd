"""Agents by kind: `AGENT_KINDS` finds the file, or the package, that declares a kind."""

from __future__ import annotations

from orchestr.agents.base import Agent, AgentLaunch, AgentRequest, AgentVerdict, ToolPermissions
from orchestr.settings.kinds import AGENT_KINDS
from orchestr.settings.records import Settings

__all__ = [
    "AGENT_KINDS",
    "Agent",
    "AgentLaunch",
    "AgentRequest",
    "AgentVerdict",
    "ToolPermissions",
    "make_agent",
]


def make_agent(settings: Settings, name: str) -> Agent:
    """The agent that `[agents.NAME]` describes. Names were validated with the spec."""
    chosen = settings.agents[name]
    agent: Agent = AGENT_KINDS.load(chosen.kind).make(chosen, settings.workspace)
    return agent
