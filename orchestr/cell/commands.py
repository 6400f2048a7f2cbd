"""The commands of phases of one's own (`run:`), as agents of kind `command`.

So they work under the same supervisor, wall and limits as agents, and a kill is survived in the
same way. Their names begin with `COMMAND`, which no agent of the settings can have.
"""

from __future__ import annotations

from dataclasses import replace

from orchestr.settings.records import AgentSettings, Settings
from orchestr.spec.own_phases import COMMAND
from orchestr.spec.records import Feature


def declare_commands(settings: Settings, feature: Feature) -> Settings:
    """The settings with an agent for each command of the feature's phases."""
    found = {
        f"{COMMAND}{phase.name}": phase.run
        for cell in feature.cells
        for phase in cell.own_phases
        if phase.run
    }
    if not found:
        return settings
    made = {
        name: AgentSettings(name, "command", run=words, paid=False) for name, words in found.items()
    }
    return replace(settings, agents={**settings.agents, **made})
