"""`agents [NAME]`: the known agents, which are installed, how they are, what they can."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestr.commands.base.options import JSON
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import UsageError
from orchestr.run.workspace import Session, suggest_name
from orchestr.settings.loader import find_workspace
from orchestr.settings.records import AgentSettings, WorkspaceSettings
from orchestr.views.terminal.output import terminal_columns, write_stdout


class Agents(PlainVerb):
    """Needs no workspace; in one it names the entries of its settings, too."""

    doc_purpose = "list the known coding agents: installed or how to install, version, abilities"
    doc_usage = "[NAME]"
    help_group = "workspace"
    only_reads = True
    needs_workspace = False
    examples = (
        ("agents", "all of them"),
        ("agents qwen", "one in full, with its entry for orchestr.toml"),
        ("agents --json", "for programs"),
    )
    cmd_options = (JSON,)

    def run_verb(self, session: Session | None, params: Any, args: list[str]) -> int:
        """Print the table, one agent, or JSON. Raises UsageError for an unknown name."""
        from orchestr.agents.catalogue import read_catalogue
        from orchestr.views.query.known_agents import list_known_agents
        from orchestr.views.terminal.known_agents import (
            known_agent_text,
            known_agents_text,
            row_values,
        )

        if len(args) > 1:
            raise UsageError("`agents` wants one name at most", hint="orchestr agents")
        for name in args:
            if name not in read_catalogue():
                hint = suggest_name(name, list(read_catalogue())) or "orchestr agents"
                raise UsageError(f"there is no known agent {name!r}", hint=hint)
        workspace, agents = _read_settings()
        rows = list_known_agents(workspace, agents, args)
        if params["json"]:
            table = {"agents": [row_values(row) for row in rows]}
            write_stdout(json.dumps(table, indent=2, ensure_ascii=False) + "\n")
        elif args:
            write_stdout(known_agent_text(rows[0]))
        else:
            write_stdout(known_agents_text(rows, columns=terminal_columns()))
        return 0


def _read_settings() -> tuple[WorkspaceSettings, dict[str, AgentSettings]]:
    """The workspace around the current folder, else a place where nothing is kept."""
    try:
        find_workspace(Path.cwd())
    except UsageError:
        nowhere = Path("/nonexistent")
        return WorkspaceSettings(nowhere, nowhere, nowhere, nowhere, nowhere), {}
    settings = Session.from_cwd().settings
    return settings.workspace, dict(settings.agents)
