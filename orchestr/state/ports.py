"""Ports for cells: blocks of ten, leased in the registry, claimed on the host, tested by binding.

A lease lasts from the first need to the cell's end (`Registry.release`). It is made under the
registry's lock, so two cells never get the same block, whoever asks first. The block depends
on nothing random and not on the cell's name: it is the first free one, by the recorded
leases and by binding each of its ports.

What survives a crash: the lease is in the registry or it is not; asking again gives the same ports.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestr.state.host_ports import PortOwner
    from orchestr.state.registry import Registry

SIZE = 10  # ports of a block
BASE = 9000
SLOTS = 20
FILE = ".ports.env"


def lease_ports(
    registry: Registry,
    key: str,
    base: int = BASE,
    slots: int = SLOTS,
    *,
    owner: PortOwner | None = None,
) -> tuple[int, ...] | None:
    """Ten ports in a row for the cell ``key``, or None when no block is free (wait, ask again).

    The cell must hold its worktree (`Registry.reserve`). Its ports are kept when it has some
    already, even when they are busy: its own service may be running. With ``owner`` the block is
    claimed for all workspaces of this user. Raises KeyError for a cell without an entry,
    CorruptState.
    """
    if owner is not None:
        held = registry.lookup_active(key)
        if held is not None and held.ports and not owner.claim_ports(held.ports):
            registry.free_ports(key)  # left by a kill, and another workspace has them by now
    blocks = [port_block(base, slot) for slot in range(slots)]

    def is_usable(ports: tuple[int, ...]) -> bool:
        return are_all_free(ports) and (owner is None or owner.claim_ports(ports))

    return registry.lease_ports(key, blocks, is_usable)


def explain_shortage(
    registry: Registry, owner: PortOwner, base: int = BASE, slots: int = SLOTS
) -> str | None:
    """Which programs hold the ports, when none of the blocks can become free by itself.

    None when a block is free, or when a cell (of this workspace or another) holds one: that one
    ends. Raises CorruptState.
    """
    leased = {port for entry in registry.entries() if entry.is_active for port in entry.ports}
    taken: list[int] = []
    for slot in range(slots):
        ports = port_block(base, slot)
        busy = next((port for port in ports if not is_free(port)), None)
        if busy is None or not leased.isdisjoint(ports) or owner.is_held_elsewhere(ports):
            return None
        taken.append(busy)
    shown = ", ".join(f"{port} by {find_port_holder(port)}" for port in taken[:5])
    more = f", and {len(taken) - 5} more blocks" if len(taken) > 5 else ""
    last = base + slots * SIZE - 1
    return f"no block of ten ports ({base} to {last}) is free; other programs hold {shown}{more}"


SHORTAGE_HINT = "end these programs, or give other ports: [ports] base and slots in orchestr.toml"


def find_port_holder(port: int) -> str:
    """The program that listens on a port, as far as this user may know it."""
    import psutil

    with suppress(psutil.Error, OSError):
        for found in psutil.net_connections(kind="tcp"):
            listens = found.status == psutil.CONN_LISTEN and found.pid
            if found.laddr and found.laddr.port == port and listens:
                return f"{psutil.Process(found.pid).name()} (pid {found.pid})"
    return "a program of another user"


def port_block(base: int, slot: int) -> tuple[int, ...]:
    """The ports of one slot."""
    start = base + slot * SIZE
    return tuple(range(start, start + SIZE))


def are_all_free(ports: Sequence[int]) -> bool:
    """Whether every port can be bound on this machine."""
    return all(is_free(port) for port in ports)


def is_free(port: int) -> bool:
    """Whether a server could bind the port now, on 127.0.0.1 and on all addresses.

    Connections that a former server left in TIME_WAIT do not count: servers set SO_REUSEADDR.
    """
    hosts = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, ""), (socket.AF_INET6, "::1")]
    return all(_can_bind(family, host, port) for family, host in hosts)


def port_env_variables(ports: Sequence[int]) -> dict[str, str]:
    """The environment variables with a program's ports; none for no ports."""
    found = {f"ORCHESTR_PORT_{index}": str(port) for index, port in enumerate(ports)}
    if ports:
        found["BACKEND_PORT"] = str(ports[0])
        found["FRONTEND_PORT"] = str(ports[min(1, len(ports) - 1)])
        found["PORT_RANGE_START"] = str(min(ports))
        found["PORT_RANGE_END"] = str(max(ports))
        found["PORT_RANGE_SIZE"] = str(len(ports))
    return found


def env_file_content(ports: Sequence[int]) -> str:
    """What `.ports.env` holds: the same, and the backend's address."""
    lines = [f"{name}={value}" for name, value in port_env_variables(ports).items()]
    if ports:
        lines.append(f"VITE_BACKEND_URL=http://localhost:{ports[0]}")
    return "".join(f"{line}\n" for line in lines)


def _can_bind(family: socket.AddressFamily, host: str, port: int) -> bool:
    try:
        with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((host, port))
            return True
    except OSError as error:
        # On a machine without IPv6 no server listens there either.
        return error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
