"""`init [FOLDER]`: a new workspace; nothing that is there is overwritten."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Any

from orchestr.commands.base.verb import PlainVerb
from orchestr.run.workspace import Session
from orchestr.views.terminal.output import write_stdout


class Init(PlainVerb):
    """Needs no workspace."""

    doc_purpose = "make a new workspace"
    doc_usage = "[FOLDER]"
    help_group = "workspace"
    examples = (("init ws", "a new workspace with an example"),)
    needs_workspace = False

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Write `orchestr.toml`, `specs/example.yaml`, `dodo.py`; say what was kept."""
        from orchestr.settings.new_workspace import write_workspace

        came = os.environ.get("ORCHESTR_FROM")  # a wrapper that went to its own folder (`doitw`)
        folder = Path(came or ".", *args[:1])
        result = write_workspace(folder)
        for path in result.written:
            write_stdout(f"made {path}\n")
        for path in result.kept:
            write_stdout(f"kept {path}, it was there\n")
        there = f"cd {shlex.quote(str(folder if came else args[0]))}, " if args else ""
        # The wrapper is not in the new workspace; the program beside our python is everywhere.
        program = (
            shlex.quote(str(Path(sys.executable).with_name("orchestr"))) if came else "orchestr"
        )
        write_stdout(f"next: {there}edit specs/example.yaml, then {program} plan example\n")
        return 0
