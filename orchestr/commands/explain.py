"""`explain FEATURE:CELL`: why it runs, waits, is skipped or failed, and the next command."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

from orchestr.commands import proofs
from orchestr.commands.facts import feature_status
from orchestr.commands.plain_verb import PlainVerb
from orchestr.commands.session import Session, still
from orchestr.commands.stale import foresee
from orchestr.errors import UsageError, as_typed
from orchestr.render.explain import explain_text


class Explain(PlainVerb):
    """Reads files only."""

    doc_purpose = "why a cell runs, waits, is skipped or failed; the next command"
    doc_usage = "FEATURE:CELL"

    def act(self, session: Session, params: Any, args: list[str]) -> int:
        """Print the story of each named cell."""
        if not args:
            raise UsageError("which cell?", hint="orchestr explain FEATURE:CELL")
        for target in session.targets(args):
            run = session.run(target.feature)
            status = feature_status(run)
            forecasts = {found.name: found for found in foresee(run, still(run))}
            for ctx in session.cells([target]):
                now = datetime.now(UTC)
                sys.stdout.write(
                    as_typed(explain_text(status, ctx.cell.name, now, forecasts, proofs.lines(ctx)))
                )
        return 0
