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
    make = AGENT_KINDS.load(chosen.kind).make
    agent: Agent = AGENT_KINDS.make_adapter(
        chosen.kind, lambda: make(chosen, settings.workspace), Agent
    )
    return agent
