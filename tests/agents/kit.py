"""Adapters without a workspace, ends of processes, and the recorded streams."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from orchestr.agents import AGENT_KINDS
from orchestr.agents.base import Agent
from orchestr.settings.records import AgentSettings, WorkspaceSettings
from orchestr.supervisor.protocol import ExitReason, ExitRecord

STREAMS = Path(__file__).parent / "streams"
KINDS = ("claude", "codex", "gemini", "opencode")


def adapter(kind: str, root: Path = Path("/ws"), **settings: Any) -> Agent:
    """The adapter of a kind with these settings, in a workspace at ``root``."""
    workspace = WorkspaceSettings(
        root, root / "specs", root / ".orchestr", root / ".orchestr" / "worktrees", root
    )
    if kind == "command":
        settings.setdefault("run", ("true",))
    agent: Agent = AGENT_KINDS.load(kind).make(AgentSettings(kind, kind, **settings), workspace)
    return agent


def exited(code: int = 0) -> ExitRecord:
    """An agent that ended by itself."""
    return ExitRecord(code, None, ExitReason.EXITED)


@cache
def stream(*names: str) -> bytes:
    """Recorded streams of the real programs, one after the other."""
    return b"".join((STREAMS / f"{name}.jsonl").read_bytes() for name in names)
