"""`explain FEATURE:CELL [--if-changed UPSTREAM]`: the reasons, down to the field that changed."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

from orchestr.cell.context import Run
from orchestr.commands.base.options import value
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import UsageError, as_typed
from orchestr.files import one_look
from orchestr.run.workspace import Session, nearest
from orchestr.tasks.loader import still
from orchestr.tasks.stale import foresee
from orchestr.views.model import FeatureStatus
from orchestr.views.query import evidence
from orchestr.views.query.explain import grounds
from orchestr.views.query.status import feature_status
from orchestr.views.terminal.explain import explain_text, what_if_text
from orchestr.views.terminal.text import clean


class Explain(PlainVerb):
    """Reads files only."""

    doc_purpose = "why a cell runs, waits, is skipped or failed; the next command"
    doc_usage = "FEATURE:CELL"
    cmd_options = (value("if_changed", "what would happen if this upstream came out otherwise"),)

    @one_look()
    def act(self, session: Session, params: Any, args: list[str]) -> int:
        """Print the story of each named cell."""
        if not args:
            raise UsageError("which cell?", hint="orchestr explain FEATURE:CELL")
        parts: list[str] = []
        for target in session.targets(args):
            run = session.run(target.feature)
            status = feature_status(run)
            upstream = _cell_of(run, params["if_changed"]) if params["if_changed"] else None
            forced = [upstream] if upstream else []
            forecasts = {found.name: found for found in foresee(run, still(run), forced=forced)}
            for ctx in session.cells([target]):
                name = ctx.cell.name
                if upstream is not None:
                    parts.append(what_if_text(status, name, upstream, forecasts))
                    continue
                now = datetime.now(UTC)
                proof = [*evidence.lines(ctx, status.of(name).approvals),
                         *_crossed(status, ctx.cell.repo)]  # fmt: skip
                parts.append(explain_text(status, name, now, forecasts, grounds(ctx), proof))
        sys.stdout.write(as_typed("\n".join(parts)))
        return 0


def _crossed(status: FeatureStatus, repo: str) -> list[str]:
    """The cross checks that the cell's head is part of."""
    lines: list[str] = []
    for one in status.cross:
        if one.repo == repo and one.passed is not None:
            word = "passed" if one.passed else "RED"
            lines.append(f"cross checks in {repo}: {word} ({clean(one.told)})")
            lines += [f"    log:   {one.logs}"] if one.logs and not one.passed else []
    return lines


def _cell_of(run: Run, word: str) -> str:
    """A cell of the feature, named alone or with it. Raises UsageError."""
    name = word.removeprefix("feature:").removeprefix(f"{run.feature.name}:")
    names = [cell.name for cell in run.feature.cells]
    if name not in names:
        hint = nearest(name, names) or f"cells: {', '.join(names)}"
        raise UsageError(f"feature {run.feature.name} has no cell {name!r}", hint=hint)
    return name
