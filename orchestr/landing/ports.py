"""Ports of candidates: the block of the cell, from the start of its checks to their end.

A candidate that is made again may come while the one before it is being let go, so a cell's block
has one user at a time here (one process lands in a workspace, so a lock of ours does). No block
free: wait, as a run does; that is no verdict. A cell whose worktree was tidied away has its claim
again for that while. A kill leaves a lease; `free_ports_left` ends it before the next landing.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.cell.worktree import ports as portlease
from orchestr.errors import Interrupted
from orchestr.git.repo import Repo
from orchestr.state.ports import FILE
from orchestr.state.registry import RegistryEntry

_turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


@contextmanager
def lease_ports(
    ctx: CellContext | None, place: Path, stop: threading.Event, warn: Callable[[str], None]
) -> Iterator[tuple[int, ...]]:
    """The ports of a cell, told to the programs in ``place``; none for no cell.

    Raises Interrupted when stopped meanwhile, NotEvaluated when other programs keep all ports,
    ClaimConflict when another cell has this cell's branch now.
    """
    if ctx is None:
        yield ()
        return
    turn = _turns[str(ctx.run.layout.state / ctx.key)]
    while not turn.acquire(timeout=portlease.POLL):
        _raise_if_stopped(stop)
    try:
        # Without its worktree the claim ends with the checks, also one that a kill has left.
        borrowed = ctx.run.registry.lookup_active(ctx.key) is None or not ctx.worktree.exists()
        if borrowed:
            stamp = datetime.now(UTC).isoformat(timespec="seconds")
            common, path = str(ctx.repo.common_dir()), str(ctx.worktree)
            ctx.run.registry.reserve(
                RegistryEntry(ctx.key, ctx.cell.repo, common, path, ctx.cell.branch, "", stamp)
            )
        try:
            slots = ctx.run.settings.ports.slots
            why = f"all {slots} blocks of ports are in use"

            def report_busy(shortage: str | None) -> None:
                warn(f"{ctx.name}: {shortage or why}; its checks wait")

            ports = portlease.lease_free_block(
                ctx, report_busy, lambda: _raise_if_stopped(stop), stop
            )
            ours = portlease.write_ports_file(Repo(place), ports)
            yield ports
            if ours:
                with suppress(OSError):
                    (place / FILE).unlink()
        finally:
            if borrowed:
                portlease.port_owner(ctx).release_ports()
                ctx.run.registry.release(ctx.key)
            else:
                portlease.release_ports(ctx)
    finally:
        turn.release()


def _raise_if_stopped(stop: threading.Event) -> None:
    if stop.is_set():
        raise Interrupted("stopped; the same command goes on")
