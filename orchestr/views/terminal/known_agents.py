"""The known agents: their rows, as a table, one in full, and as JSON values. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from orchestr.agents.catalogue import KnownAgent
from orchestr.views.terminal.text import format_fitting_table

HEADER = ("AGENT", "KIND", "FOUND", "RESUMES", "COST", "PERMISSIONS", "INSTALL OR USED AS")
COSTS = {"dollars": "dollars", "tokens": "tokens", "none": "-"}
RULES = {"rules": "our rules", "sandbox": "its sandbox", "all": "may do all"}


@dataclass(frozen=True, slots=True)
class AgentRow:
    """A known agent. ``path`` is its program, None when it is not on PATH; ``version`` is None
    when it says none. ``names`` are its entries in the settings of the workspace."""

    known: KnownAgent
    path: str | None
    version: str | None = None
    names: tuple[str, ...] = ()


def known_agents_text(rows: Sequence[AgentRow], *, columns: int = 0) -> str:
    """The table: installed ones say their version, the others how they are installed."""
    table = [
        (
            row.known.name,
            row.known.kind,
            "no" if row.path is None else row.version or "yes",
            "yes" if row.known.resume else "-",
            COSTS[row.known.cost] + (", live" if row.known.live else ""),
            RULES[row.known.permissions],
            _describe_use(row),
        )
        for row in rows
    ]
    lines = format_fitting_table(HEADER, table, columns, ("PERMISSIONS", "COST", "RESUMES"))
    return "\n".join(lines) + "\n"


def known_agent_text(row: AgentRow) -> str:
    """All that is known of one, and its entry for `orchestr.toml`."""
    known = row.known
    facts = [
        ("program", row.path or f"{known.program}, not on PATH"),
        ("version", row.version or "unknown" if row.path else ""),
        ("install", known.install),
        ("log in", known.login),
        ("resumes", "its session after a limit, a kill, a red check" if known.resume
                    else "not tried" if known.kind == "acp" else "no"),
        ("cost", f"{COSTS[known.cost]}, {'while it works' if known.live else 'at the end'}"
                 if known.cost != "none" else "unknown, give prices or a budget of tokens"),
        ("permissions", RULES[known.permissions]),
        ("site", known.site),
        ("used as", ", ".join(row.names)),
    ]  # fmt: skip
    lines = [f"{known.name}: {known.title}"]
    lines += [f"  {name:<12} {value}" for name, value in facts if value]
    return "\n".join([*lines, "", settings_entry(known)]) + "\n"


def row_values(row: AgentRow) -> dict[str, object]:
    """A row for programs (docs/json.md); unknown is null."""
    known = row.known
    return {
        "name": known.name,
        "title": known.title,
        "kind": known.kind,
        "run": list(known.run) or None,
        "acp": list(known.acp_command) or None,
        "program": row.path,
        "found": row.path is not None,
        "version": row.version,
        "install": known.install,
        "login": known.login,
        "site": known.site,
        "resume": known.resume,
        "cost": known.cost,
        "live": known.live,
        "permissions": known.permissions,
        "agents": list(row.names),
    }


def settings_entry(known: KnownAgent) -> str:
    """The table for `orchestr.toml`."""
    lines = [f"[agents.{known.name}]", f'kind = "{known.kind}"']
    if known.run:
        lines.append(f"run = {json.dumps(list(known.run))}")
    if known.kind == "command":
        lines.append("paid = true")
    if known.acp:
        lines.append(f'# or by ACP: kind = "acp", run = {json.dumps(list(known.acp))}')
    return "\n".join(lines)


def _describe_use(row: AgentRow) -> str:
    if row.names:
        return "used as " + ", ".join(row.names)
    return "orchestr agents " + row.known.name if row.path else row.known.install
