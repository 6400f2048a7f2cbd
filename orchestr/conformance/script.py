"""What a scripted model is to do: its turns, its faults, and the requests that it has seen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

INPUT, CACHED, OUTPUT = 1000, 200, 50  # tokens that every answer reports


@dataclass(frozen=True)
class Run:
    """The model runs a shell command."""

    command: str


@dataclass(frozen=True)
class Write:
    """The model writes a file (with the agent's own tool, where it has one)."""

    path: str
    text: str


@dataclass(frozen=True)
class Say:
    """The model ends its turn with this; ``cut``: at the greatest length of an answer."""

    text: str
    cut: bool = False


@dataclass(frozen=True)
class Answer:
    """The model ends with JSON of a form, by the tool for that where it is offered one."""

    value: Any

    @property
    def text(self) -> str:
        """The same as text."""
        return json.dumps(self.value)


@dataclass(frozen=True)
class Use:
    """The model calls the offered tool whose name ends with this: one of an MCP server."""

    tool: str


Turn = Run | Write | Use | Say | Answer


@dataclass(frozen=True)
class Fault:
    """An answer that is none. ``hang`` seconds pass before it; ``body`` is JSON, by default an
    error of the interface with ``message``. ``drop``: a stream that breaks off in its middle."""

    status: int = 500
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: float = 0.0
    message: str = ""
    drop: bool = False


@dataclass(frozen=True)
class Asked:
    """A request of an agent: the ``turn`` it wants, all text in it, and the headers."""

    path: str
    turn: int
    text: str
    headers: dict[str, str]
    body: dict[str, Any]
