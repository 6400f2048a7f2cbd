"""Ports for cells: blocks of ten, leased in the registry, tested by binding.

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
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestr.state.registry import Registry

SIZE = 10  # ports of a block
BASE = 9000
SLOTS = 20
FILE = ".ports.env"


def lease_ports(
    registry: Registry, key: str, base: int = BASE, slots: int = SLOTS
) -> tuple[int, ...] | None:
    """Ten ports in a row for the cell ``key``, or None when no block is free (wait, ask again).

    The cell must hold its worktree (`Registry.reserve`). Its ports are kept when it has some
    already, even when they are busy: its own service may be running. Raises KeyError for a cell
    without an entry, CorruptState.
    """
    return registry.lease_ports(
        key, [port_block(base, slot) for slot in range(slots)], are_all_free
    )


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
