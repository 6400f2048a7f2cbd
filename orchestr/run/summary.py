"""The end of a run on stdout: what came out, what was done, what to do next."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from orchestr.errors import ExitCode
from orchestr.files import display_path
from orchestr.registry import substitute_program_name
from orchestr.run.goals import FeatureGoals
from orchestr.settings.kinds import FORGE_KINDS
from orchestr.views.model import FeatureStatus
from orchestr.views.query.status import feature_status
from orchestr.views.terminal.output import terminal_columns
from orchestr.views.terminal.summary import summary_text


def summarize_run(goals: Sequence[FeatureGoals], built: int, code: ExitCode) -> str:
    """The text for all features of a run; ``built`` counts the phases that made something,
    and the audits.

    When doit found all up to date, no result file is read again: with 1,000 cells that would
    cost more than the rest of the run.
    """
    if not built and code is ExitCode.DONE and not any(goal.selection.still for goal in goals):
        cells = sum(len(goal.cells) for goal in goals)
        if not cells:
            return "nothing to be done: no cell has failed\n"
        return (
            f"nothing to be done: {cells} {'cell is' if cells == 1 else 'cells are'} up to date\n"
        )
    found = [feature_status(goal.run) for goal in goals]
    selected = {(g.run.feature.name, name) for g in goals for name in g.cells}
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    text = summary_text(found, selected=selected, colour=colour, columns=terminal_columns())
    return substitute_program_name(text + _next_steps(goals, found, code))


def _next_steps(
    goals: Sequence[FeatureGoals], found: Sequence[FeatureStatus], code: ExitCode
) -> str:
    """After a run that ended well: where the drafts are, if there are any, and the verbs that go
    on."""
    if code is not ExitCode.DONE:
        return ""
    run = goals[0].run
    name = run.feature.name
    shown = display_path(run.layout.forge_dir, run.layout.root)
    forge, repos = run.settings.forge.kind, {cell.repo for cell in run.feature.cells}
    kinds = dict.fromkeys(run.settings.repo_settings(name).forge or forge for name in repos)
    places = dict.fromkeys(FORGE_KINDS.load(kind).where for kind in kinds or (forge,))
    where = "\n".join(places).format(forge_dir=shown)
    links = [
        status.pull_request(cell)
        for goal, status in zip(goals, found, strict=True)
        for cell in goal.cells
    ]
    drafts = any(link is not None and link[1:] == ("open", True) for link in links)
    following = f"orchestr status {name}, orchestr logs {name}:CELL, orchestr clean {name}"
    return f"{where}\nnext: {following}\n" if drafts else f"next: {following}\n"
