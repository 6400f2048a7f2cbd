"""The options of agents in words, for `plan` and `explain`. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from orchestr.spec.agent_options import AgentOptions, OptionSource
from orchestr.views.terminal.text import clean_line

WORDS = {"fallback_model": "fallback model", "mcp": "MCP servers", "max_turns": "turns at most"}


def format_options(options: AgentOptions, sources: Mapping[str, OptionSource] | None = None) -> str:
    """`model large, effort high`; with ``sources`` each with where it is stated."""
    parts = []
    for name, value in options.stated.items():
        shown = ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
        where = f" ({sources[name]})" if sources and name in sources else ""
        parts.append(f"{WORDS.get(name, name)} {clean_line(shown)}{where}")
    return ", ".join(parts)
