"""`explain FEATURE:CELL [--if-changed UPSTREAM]`: the reasons, down to the field that changed."""

from __future__ import annotations

import sys
from typing import Any

from orchestr.commands.base.explain_answer import explain_targets
from orchestr.commands.base.options import value_option
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import UsageError
from orchestr.files import cache_record_reads
from orchestr.registry import substitute_program_name
from orchestr.run.workspace import Session


class Explain(PlainVerb):
    """Reads files only."""

    doc_purpose = "why a cell runs, waits, is skipped or failed; the next command"
    doc_usage = "FEATURE:CELL"
    help_group = "view"
    only_reads = True
    examples = (
        ("explain mlkem:java-sdk", "why it runs, waits or failed; the next command"),
        ("explain mlkem:java-sdk --if-changed platform-proto", "what would happen"),
    )
    cmd_options = (
        value_option("if_changed", "what would happen if this upstream came out otherwise"),
    )

    @cache_record_reads()
    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Print the story of each named cell."""
        if not args:
            raise UsageError("which cell?", hint="orchestr explain FEATURE:CELL")
        targets = session.parse_targets(args, steps=True)
        parts = [text for _, text in explain_targets(session, targets, params["if_changed"])]
        sys.stdout.write(substitute_program_name("\n".join(parts)))
        return 0
