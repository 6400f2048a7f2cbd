"""The known agents as they are on this machine: found or not, version, what each can.

Runs the found ones with `--version`, nothing else. What is known of them is
`orchestr.agents.catalogue`; versions are asked and remembered by the adapter.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from orchestr.agents import AGENT_KINDS
from orchestr.agents.catalogue import KnownAgent, find_configured, read_catalogue
from orchestr.settings.records import AgentSettings, WorkspaceSettings
from orchestr.views.terminal.known_agents import AgentRow

ASKED_AT_ONCE = 16
PATIENCE = 8.0  # seconds for a version; a list does not wait for a program that hangs


def list_known_agents(
    workspace: WorkspaceSettings,
    agents: Mapping[str, AgentSettings],
    wanted: Iterable[str] = (),
) -> list[AgentRow]:
    """All known agents in the catalogue's order, or those whose names are ``wanted``."""
    names = set(wanted)
    rows = [known for known in read_catalogue().values() if not names or known.name in names]
    uses: dict[str, list[str]] = {}
    for name, agent in agents.items():
        found = find_configured(agent)
        if found is not None:
            uses.setdefault(found.name, []).append(name)
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        return list(pool.map(lambda known: _look_up(known, workspace, uses), rows))


def _look_up(
    known: KnownAgent, workspace: WorkspaceSettings, uses: Mapping[str, list[str]]
) -> AgentRow:
    path = shutil.which(known.program)
    names = tuple(uses.get(known.name, ()))
    if path is None:
        return AgentRow(known, None, None, names)
    # Kind `acp` asks any program of the catalogue that has the option.
    settings = AgentSettings(known.name, "acp", run=(known.program,))
    agent = AGENT_KINDS.load("acp").make(settings, workspace)
    agent.patience = PATIENCE
    return AgentRow(known, path, agent.program_version(), names)
