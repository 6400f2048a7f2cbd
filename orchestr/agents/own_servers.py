"""The servers that an agent needs for its model and login, by its entry in the settings. Pure."""

from __future__ import annotations

from orchestr.agents.catalogue import find_configured
from orchestr.sandbox.hosts import AGENT_HOSTS
from orchestr.settings.records import AgentSettings


def list_own_servers(agent: AgentSettings) -> tuple[str, ...]:
    """Rules for a sandbox. Of a program of any kind, and of one that the catalogue knows no servers
    of, it is not known which are its own: it may reach those of every kind."""
    if AGENT_HOSTS.get(agent.kind):
        return AGENT_HOSTS[agent.kind]
    known = find_configured(agent)
    if agent.kind == "acp" and known is not None:
        found = (*AGENT_HOSTS.get(known.like, ()), *known.hosts)
        if found:
            return found
    return tuple(dict.fromkeys(host for hosts in AGENT_HOSTS.values() for host in hosts))
