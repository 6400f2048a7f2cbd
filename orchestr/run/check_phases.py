"""Before a run: what its phases of one's own need is there, their prompts and programs."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator

from orchestr.cell.context import CellContext
from orchestr.run.diagnostic import Diagnostic


def list_phase_agents(cells: Iterable[CellContext]) -> set[str]:
    """The agents that phases of one's own name."""
    return {p.agent for ctx in cells for p in ctx.cell.own_phases if p.agent is not None}


def check_own_phases(cells: Iterable[CellContext]) -> Iterator[Diagnostic]:
    """Prompts that are not in the workspace, programs that are not on PATH; each once."""
    prompts: dict[str, list[str]] = {}
    programs: dict[str, list[str]] = {}
    for ctx in cells:
        root = ctx.run.settings.workspace.root
        for phase in ctx.cell.own_phases:
            user = f"{ctx.cell.name} ({phase.name})"
            if phase.prompt is not None and not (root / phase.prompt).is_file():
                prompts.setdefault(phase.prompt, []).append(user)
            program = phase.run[0] if phase.run else ""
            if program and "/" not in program and shutil.which(program) is None:
                programs.setdefault(program, []).append(user)
    for name, users in prompts.items():
        what = f"{name} is not in the workspace, and phases need it: {', '.join(users)}"
        yield Diagnostic("error", what, f"write {name}, or correct `prompt` in the spec")
    for name, users in programs.items():
        what = f"{name} is not there, and phases need it: {', '.join(users)}"
        yield Diagnostic("error", what, f"install {name}, or put its folder on PATH")
