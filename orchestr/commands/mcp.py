"""`mcp [FOLDER]`: the workspace as tools for an agent, by the Model Context Protocol over stdio."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import UsageError
from orchestr.run.workspace import Session
from orchestr.settings.loader import find_workspace
from orchestr.views.terminal.output import print_stderr


class Mcp(PlainVerb):
    """Looks, validates, and keeps drafts; stdout carries the protocol alone."""

    doc_purpose = "offer this workspace's tools to an agent (Model Context Protocol, stdio)"
    doc_usage = "[FOLDER]"
    help_group = "workspace"
    only_reads = True  # its tool `draft` refuses an attempt's agent by itself
    examples = (
        ("mcp", "started by an agent's program, not by hand (docs/mcp.md)"),
        ("mcp ~/ws", "the workspace around that folder"),
    )
    needs_workspace = False

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Serve until the client is gone. Raises UsageError without the library or a workspace."""
        if len(args) > 1:
            raise UsageError("`mcp` wants one folder", hint="orchestr mcp FOLDER")
        folder = Path(args[0]) if args else Path.cwd()
        if not folder.is_dir():
            raise UsageError(f"there is no folder {folder}", hint="orchestr mcp FOLDER")
        root = find_workspace(folder.resolve())
        if find_spec("mcp") is None or find_spec("mcp_types") is None:
            raise UsageError(
                "`orchestr mcp` needs the library mcp, 2.3 or newer",
                hint=f"{sys.executable} -m pip install 'mcp>=2.3'",
            )
        if sys.stdin.isatty():
            print_stderr(
                f"serving {root} to an agent's program, which speaks here in JSON (docs/mcp.md); "
                "Ctrl+C ends it"
            )
        from orchestr.commands.mcp_tools.server import serve_workspace

        return serve_workspace(root)
