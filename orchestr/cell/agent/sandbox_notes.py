"""What an agent is told of its sandbox beforehand, and what a person of it afterwards."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.sandbox.hosts import TELEMETRY_HOSTS
from orchestr.sandbox.refusals import read_refusals
from orchestr.sandbox.wall import REFUSED
from orchestr.spec.phases import Phase
from orchestr.state.events import EventKind

NAMED = 5  # hosts that one warning names
IN_A_SANDBOX = """
You work in a sandbox. You can write in your worktree and in /tmp, and read most of the rest;
the network leads to your model, to package registries and to nothing else. What is refused stays
refused: do not look for a way around it, say in your last message what you would have needed.
"""
UNSIGNED = """
Commits here are signed, and the key is not in the sandbox. Leave your changes uncommitted: the
engine commits and signs them.
"""


def describe_wall(ctx: CellContext, walled: bool) -> str:
    """The end of a prompt: what the sandbox allows; empty without one."""
    if not walled:
        return ""
    return IN_A_SANDBOX + (UNSIGNED if ctx.worktree_repo.signs_commits else "")


def is_telemetry(host: str) -> bool:
    """Whether a host only counts what its program does: refusing it harms nobody."""
    return any(host == one or host.endswith(f".{one}") for one in TELEMETRY_HOSTS)


def report_refused_hosts(ctx: CellContext, folder: Path, phase: Phase, attempt: int) -> None:
    """Warn of the hosts that an agent tried to reach in vain; each start's once."""
    log = folder / REFUSED
    found = [one for one in read_refusals(log) if one.host and not is_telemetry(one.host)]
    if not found:
        return
    hosts = list(dict.fromkeys(f"{one.host}:{one.port}" for one in found))
    more = f" and {len(hosts) - NAMED} more" if len(hosts) > NAMED else ""
    reason = (f"its sandbox refused {', '.join(hosts[:NAMED])}{more}: allow what it needs by "
              "network = [...] of its agent in orchestr.toml")  # fmt: skip
    ctx.emit(EventKind.CELL_WARNED, phase=phase, attempt=attempt, reason=reason)
    number = len(list(folder.glob(f"{log.stem}.*{log.suffix}"))) + 1
    with suppress(OSError):
        log.rename(log.with_name(f"{log.stem}.{number}{log.suffix}"))
