"""The known agents: `catalogue.toml` as records, and which of them a command starts.

Owns reading the file; its head says what the fields mean. A new agent is a table there, nothing
else: the list, install hints and kind `acp` read it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from orchestr.settings.records import AgentSettings

FILE = Path(__file__).with_name("catalogue.toml")
_RUNNERS = ("npx", "uvx", "bunx", "pnpm", "pnpx")


@dataclass(frozen=True, slots=True)
class KnownAgent:
    """One table of the file; see its head."""

    name: str
    title: str
    kind: str
    program: str
    install: str
    run: tuple[str, ...] = ()
    acp: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    site: str = ""
    version: bool = True
    login: str = ""
    resume: bool = False
    cost: str = "none"
    live: bool = False
    permissions: str = "rules"
    like: str = ""
    sums_session: bool = False
    can_distrust: bool = False
    mode: str = ""
    walled_mode: str = ""
    reader_mode: str = ""
    files: bool = True
    refusal_ends_turn: bool = False
    mcp: bool = True
    variables: tuple[str, ...] = ()
    config: str = ""
    config_files: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    untrusted_meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def acp_command(self) -> tuple[str, ...]:
        """How it is started for ACP; empty for one that does not speak it."""
        return self.run if self.kind == "acp" else self.acp


@cache
def read_catalogue() -> Mapping[str, KnownAgent]:
    """The known agents by name, in the order of the file."""
    tables = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {name: KnownAgent(name, **_freeze(table)) for name, table in tables.items()}


def find_by_program(program: str) -> KnownAgent | None:
    """The known agent whose program has this name or path."""
    name = Path(program).name
    return next((one for one in read_catalogue().values() if one.program == name), None)


def find_by_command(words: Sequence[str]) -> KnownAgent | None:
    """The known agent that a command starts, also by `npx`, `uvx` and the like."""
    if not words:
        return None
    if Path(words[0]).name in _RUNNERS:
        for word in words[1:]:
            for one in read_catalogue().values():
                if any(
                    word == package or word.startswith(f"{package}@") for package in one.packages
                ):
                    return one
        return None
    return find_by_program(words[0])


def find_configured(agent: AgentSettings) -> KnownAgent | None:
    """The known agent that an entry of the settings starts."""
    if agent.run:
        return find_by_command((*agent.run, *agent.args))
    return read_catalogue().get(agent.kind)


def list_suggested() -> tuple[KnownAgent, ...]:
    """Those that a new workspace may begin with: each program once, those that were tried only."""
    return tuple(
        known for known in read_catalogue().values()
        if known.resume and not (known.kind == "acp" and known.like)
    )  # fmt: skip


def suggest_install(agent: AgentSettings) -> str:
    """What to do when the program of an entry of the settings is missing."""
    known = find_configured(agent)
    how = known.install if known is not None else "install it"
    return f"{how}, or change [agents.{agent.name}] in orchestr.toml"


def _freeze(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
