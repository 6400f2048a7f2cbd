"""Agents by kind. A new one is a file, a line here, and the shared contract tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from orchestr.agents import command
from orchestr.agents.base import Agent, Launch, Request, Verdict
from orchestr.config import AgentSettings, Settings

__all__ = ["AGENTS", "Agent", "Launch", "Request", "Verdict", "make_agent"]

AGENTS: Mapping[str, Callable[[AgentSettings, Path], Agent]] = {"command": command.make}


def make_agent(settings: Settings, name: str) -> Agent:
    """The agent that `[agents.NAME]` describes. Names were validated with the spec."""
    chosen = settings.agents[name]
    return AGENTS[chosen.kind](chosen, settings.workspace.root)
