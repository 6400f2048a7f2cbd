"""The end of a run on stdout: what came out, what was done, what to do next."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from orchestr.commands.build import Goals
from orchestr.commands.facts import feature_status
from orchestr.errors import Exit
from orchestr.render.summary import summary_text


def summary(goals: Sequence[Goals], built: int, code: Exit) -> str:
    """The text for all features of a run; ``built`` counts the phases that made something.

    When doit found all up to date, no result file is read again: with 1,000 cells that would
    cost more than the rest of the run.
    """
    if not built and code is Exit.DONE and not any(goal.selection.still for goal in goals):
        cells = sum(len(goal.cells) for goal in goals)
        return (
            f"nothing to be done: {cells} {'cell is' if cells == 1 else 'cells are'} up to date\n"
        )
    found = [feature_status(goal.run) for goal in goals]
    selected = {(g.run.feature.name, name) for g in goals for name in g.cells}
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return summary_text(found, selected=selected, colour=colour)
