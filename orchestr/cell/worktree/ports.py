"""A cell's ports: leased from the first need to its end, written where its programs look.

Leasing itself is `orchestr.state.ports`; this waits for a free block without holding an agent slot,
and writes `.ports.env` into the worktree (our excludes keep it out of every diff). The lease is in
the
registry, so it survives a kill together with the agent or the service that uses it; `release_ports`
is called when the cell has ended, well or badly, and nothing of it runs any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.files import write_if_changed
from orchestr.git.repo import Repo
from orchestr.process.lease import read_lease
from orchestr.spec.phases import Action, Phase
from orchestr.state import attempts
from orchestr.state.events import EventKind
from orchestr.state.ports import FILE, env_file_content, lease_ports, port_env_variables
from orchestr.supervisor import client

POLL = 0.5  # s between two looks for a free block


def lease_cell_ports(ctx: CellContext, phase: Phase = Phase.IMPLEMENT) -> tuple[int, ...]:
    """The ten ports of a cell with `ports: true`, leased now if they were not; none for others.

    Waits while no block is free; the cell's worktree must be there. Raises Interrupted when it
    is stopped meanwhile, PhaseFailed for a cell without a worktree of its own.
    """
    if not ctx.cell.proof.ports:
        return ()
    if ctx.cell.action is Action.PUSH:
        raise ctx.fail("`ports: true` needs a worktree of the cell's own, and it has a person's",
                       hint=f"leave `ports` out in {ctx.run.feature.path}")  # fmt: skip
    settings = ctx.run.settings.ports
    waits: list[str] = []

    def report_busy() -> None:
        last = settings.base + settings.slots * 10 - 1
        waits.append(f"all {settings.slots} blocks of ports ({settings.base} to {last}) are in use")
        ctx.emit(EventKind.CELL_WAITING, phase=phase, reason=waits[0])

    try:
        ports = lease_free_block(ctx, report_busy, ctx.check_cancelled, ctx.run.stop)
    except KeyError:
        raise ctx.fail("it has no worktree to lease ports for",
                       hint=f"orchestr run {ctx.name}") from None  # fmt: skip
    if waits:
        ctx.emit(EventKind.CELL_WAITING, phase=phase, over=True)
    write_ports_file(ctx.worktree_repo, ports)
    return ports


def lease_free_block(
    ctx: CellContext, busy: Callable[[], None], look: Callable[[], None], stop: threading.Event
) -> tuple[int, ...]:
    """A block for the cell, leased. While none is free: ``busy`` once, then waits (less, when
    ``stop`` is set) and calls ``look``, which raises when it is enough. Raises KeyError without a
    claim in the registry.
    """
    settings, told = ctx.run.settings.ports, False
    while True:
        ports = lease_ports(ctx.run.registry, ctx.key, settings.base, settings.slots)
        if ports is not None:
            return ports
        if not told:
            told = True
            busy()
        look()
        if not reclaim_ports(ctx):
            stop.wait(POLL)


def port_variables(ctx: CellContext) -> dict[str, str]:
    """The variables of the ports that a cell holds now; leases nothing."""
    if not ctx.cell.proof.ports:
        return {}
    entry = ctx.run.registry.lookup_active(ctx.key)
    return port_env_variables(entry.ports) if entry is not None else {}


def release_ports(ctx: CellContext) -> None:
    """The cell has ended: others may have its ports, unless its agent lives still."""
    if _is_agent_running(ctx.dir):
        return
    if ctx.run.registry.free_ports(ctx.key):
        path = ctx.worktree / FILE
        with suppress(OSError):
            if not _is_tracked(ctx.worktree_repo):
                path.unlink(missing_ok=True)


def reclaim_ports(ctx: CellContext) -> bool:
    """Free the ports of cells whose run was killed: no run has their feature, no agent lives.

    What still listens on them keeps them all the same: a block is tested before it is leased.
    """
    freed = False
    for entry in ctx.run.registry.entries():
        feature, _, cell = entry.key.partition("/")
        if not entry.is_active or not entry.ports or feature == ctx.run.feature.name:
            continue
        alive = _is_agent_running(ctx.run.layout.cell_dir(feature, cell))
        if not alive and read_lease(ctx.run.layout.lease_file(feature)) is None:
            freed |= bool(ctx.run.registry.free_ports(entry.key))
    return freed


def _is_agent_running(cell_dir: Path) -> bool:
    newest = attempts.newest_attempt(cell_dir)
    if newest is None or not newest.is_open:
        return False
    folder = attempts.attempt_folder(cell_dir, newest.number)
    return client.read_attempt_state(folder) is client.AttemptState.RUNNING


def write_ports_file(tree: Repo, ports: tuple[int, ...]) -> bool:
    """`.ports.env`, unless the repository has a file of that name itself; whether it is ours."""
    ours = not _is_tracked(tree)
    if ours:
        write_if_changed(tree.path / FILE, env_file_content(ports).encode())
    return ours


def _is_tracked(tree: Repo) -> bool:
    return bool(tree.run_readonly("ls-files", "--", FILE).text.strip())
