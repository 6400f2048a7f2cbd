"""Before a run: whether there is a wall around what it starts, and which."""

from __future__ import annotations

from collections.abc import Sequence

from orchestr.cell.context import CellContext
from orchestr.cell.worktree.wall import is_walled
from orchestr.run.cell_agents import list_cell_agents
from orchestr.run.diagnostic import Diagnostic
from orchestr.sandbox.choose import INSTALL, ChosenSandbox, SandboxKind, choose_sandbox
from orchestr.sandbox.mounts import SandboxError
from orchestr.settings.limit_records import SandboxSettings


def check_sandbox(busy: Sequence[CellContext]) -> list[Diagnostic]:
    """The sandbox of the cells that have something to do; nothing where none is wanted."""
    return diagnose_sandbox(busy[0].run.settings.sandbox) if busy else []


def diagnose_sandbox(settings: SandboxSettings) -> list[Diagnostic]:
    """What a run would work in: said where there is one, warned of where it lacks."""
    try:
        found = choose_sandbox(settings)
    except SandboxError as error:
        return [Diagnostic("error", error.message, error.hint or INSTALL)]
    if found.kind is not SandboxKind.NONE:
        return [Diagnostic("note", describe_sandbox(found), "")]
    if not found.reason:
        return []
    what = f"no sandbox ({found.reason}): agents and checks reach whatever you can"
    return [Diagnostic("warning", what, found.hint)]


def check_own_sandboxes(busy: Sequence[CellContext]) -> list[Diagnostic]:
    """Agents with a sandbox of their own that does not start here: every command of theirs would
    fail, and nothing be changed. Behind our wall it is off."""
    try:
        if not busy or is_walled(busy[0].run):
            return []
    except SandboxError:
        return []  # `check_sandbox` reports it
    found = []
    for name in sorted(list_cell_agents(busy)):
        probe = getattr(busy[0].run.agent_adapter(name), "explain_own_sandbox", None)
        why = None if probe is None else probe()
        if why is not None:
            what = f"agent {name}: its own sandbox does not start: {why}"
            fix = (f'install bubblewrap and keep its home folder out of /tmp, or set '
                   f'[agents.{name}] sandbox = "danger-full-access"')  # fmt: skip
            found.append(Diagnostic("error", what, fix))
    return found


def describe_sandbox(found: ChosenSandbox) -> str:
    """One line for people."""
    if found.kind is SandboxKind.NONE:
        return f"none: {found.reason}" if found.reason else "none, as the settings say"
    return f"agents run in {found.kind}"
