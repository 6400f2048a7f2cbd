"""`init [FOLDER]`: a new workspace; nothing that is there is overwritten."""

from __future__ import annotations

from typing import Any

from orchestr.commands.plain_verb import PlainVerb
from orchestr.commands.report import tell
from orchestr.commands.session import Session


class Init(PlainVerb):
    """Needs no workspace."""

    doc_purpose = "make a new workspace"
    doc_usage = "[FOLDER]"
    needs_workspace = False

    def act(self, session: Session, params: Any, args: list[str]) -> int:
        """Write `orchestr.toml`, `specs/example.yaml`, `dodo.py`; say what was kept."""
        from orchestr.spec.workspace import write_workspace

        folder = self.folder(args)
        result = write_workspace(folder)
        for path in result.written:
            tell(f"made {path}\n")
        for path in result.kept:
            tell(f"kept {path}, it was there\n")
        there = f"cd {args[0]}, " if args else ""
        tell(f"next: {there}edit specs/example.yaml, then orchestr plan example\n")
        return 0
