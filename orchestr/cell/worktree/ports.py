"""A cell's ports: leased from the first need to its end, written where its programs look.

Leasing itself is `orchestr.state.ports`; this waits for a free block without holding an agent slot,
and writes `.ports.env` into the worktree (our excludes keep it out of every diff). The lease is in
the registry, so it survives a kill together with the agent or the service that uses it;
`release_ports` is called when the cell has ended, well or badly, and nothing of it runs any more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from orchestr.cell.context import CellContext
from orchestr.errors import NotEvaluated
from orchestr.files import write_if_changed
from orchestr.git.repo import Repo
from orchestr.process.lease import read_lease
from orchestr.spec.phases import Action, Phase
from orchestr.state.events import EventKind
from orchestr.state.host_ports import PortOwner, is_agent_running
from orchestr.state.ports import (
    FILE,
    SHORTAGE_HINT,
    env_file_content,
    explain_shortage,
    lease_ports,
    port_env_variables,
)

POLL = 0.5  # s between two looks for a free block
FOREIGN_PATIENCE = 60.0  # s for which programs that are not ours may keep every block


def lease_cell_ports(ctx: CellContext, phase: Phase = Phase.IMPLEMENT) -> tuple[int, ...]:
    """The ten ports of a cell with `ports: true`, leased now if they were not; none for others.

    Waits while no block is free; the cell's worktree must be there. Raises Interrupted when it
    is stopped meanwhile, PhaseFailed for a cell without a worktree of its own, NotEvaluated when
    other programs keep every block.
    """
    if not ctx.cell.proof.ports:
        return ()
    if ctx.cell.action is Action.PUSH:
        raise ctx.fail("`ports: true` needs a worktree of the cell's own, and it has a person's",
                       hint=f"leave `ports` out in {ctx.run.feature.path}")  # fmt: skip
    settings = ctx.run.settings.ports
    waits: list[str] = []

    def report_busy(shortage: str | None) -> None:
        last = settings.base + settings.slots * 10 - 1
        usual = f"all {settings.slots} blocks of ports ({settings.base} to {last}) are in use"
        waits.append(shortage or usual)
        hint = SHORTAGE_HINT if shortage else None
        ctx.emit(EventKind.CELL_WAITING, phase=phase, reason=waits[-1], hint=hint)

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
    ctx: CellContext,
    busy: Callable[[str | None], None],
    look: Callable[[], None],
    stop: threading.Event,
) -> tuple[int, ...]:
    """A block for the cell, leased. While none is free: calls ``busy`` once with who keeps the
    ports (None: cells, which end), waits (less, when ``stop`` is set) and calls ``look``, which
    raises when it is enough.

    Raises KeyError without a claim in the registry, and NotEvaluated when other programs have kept
    all blocks for `FOREIGN_PATIENCE`: nothing of ours ends that.
    """
    settings, owner = ctx.run.settings.ports, port_owner(ctx)
    told: list[str | None] = []
    foreign_since: float | None = None
    while True:
        ports = lease_ports(ctx.run.registry, ctx.key, settings.base, settings.slots, owner=owner)
        if ports is not None:
            return ports
        shortage = explain_shortage(ctx.run.registry, owner, settings.base, settings.slots)
        if not told or (told[-1] is None) != (shortage is None):
            told.append(shortage)
            busy(shortage)
        now = time.monotonic()
        foreign_since = None if shortage is None else foreign_since or now
        if foreign_since is not None and now - foreign_since > FOREIGN_PATIENCE:
            waited = f"{shortage} (waited {FOREIGN_PATIENCE:g} s)"
            raise NotEvaluated(waited, hint=SHORTAGE_HINT, cell=ctx.name)
        look()
        if not reclaim_ports(ctx):
            stop.wait(POLL)


def port_owner(ctx: CellContext) -> PortOwner:
    """The cell as other workspaces of this user see it."""
    layout = ctx.run.layout
    return PortOwner(ctx.dir, layout.lease_file(ctx.run.feature.name), layout.state)


def port_variables(ctx: CellContext) -> dict[str, str]:
    """The variables of the ports that a cell holds now; leases nothing."""
    if not ctx.cell.proof.ports:
        return {}
    entry = ctx.run.registry.lookup_active(ctx.key)
    return port_env_variables(entry.ports) if entry is not None else {}


def release_ports(ctx: CellContext) -> None:
    """The cell has ended: others may have its ports, unless its agent lives still."""
    if is_agent_running(ctx.dir):
        return
    port_owner(ctx).release_ports()
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
        alive = is_agent_running(ctx.run.layout.cell_dir(feature, cell))
        if not alive and read_lease(ctx.run.layout.lease_file(feature)) is None:
            freed |= bool(ctx.run.registry.free_ports(entry.key))
    return freed


def write_ports_file(tree: Repo, ports: tuple[int, ...]) -> bool:
    """`.ports.env`, unless the repository has a file of that name itself; whether it is ours."""
    ours = not _is_tracked(tree)
    if ours:
        write_if_changed(tree.path / FILE, env_file_content(ports).encode())
    return ours


def _is_tracked(tree: Repo) -> bool:
    return bool(tree.run_readonly("ls-files", "--", FILE).text.strip())
