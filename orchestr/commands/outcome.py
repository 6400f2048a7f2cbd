"""The end of a run on stdout: what came out, what was done, what to do next."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from orchestr.commands.build import Goals
from orchestr.commands.facts import feature_status
from orchestr.render.summary import summary_text


def summary(goals: Sequence[Goals], built: int) -> str:
    """The text for all features of a run; ``built`` counts the phases that made something."""
    found = [feature_status(goal.run) for goal in goals]
    selected = {(g.run.feature.name, name) for g in goals for name in g.cells}
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    done = all(s.cell_state(n).value == "done" for s in found for f, n in selected
               if f == s.feature.name)  # fmt: skip
    if not built and done:
        cells = len(selected)
        return (
            f"nothing to be done: {cells} {'cell is' if cells == 1 else 'cells are'} up to date\n"
        )
    return summary_text(found, selected=selected, colour=colour)
