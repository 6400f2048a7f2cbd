"""Connections of a sandbox's proxy to the world: look-ups, addresses, the user's own proxy.

Owns the sockets that lead out. Leaves what may be reached to `orchestr.sandbox.network_rules`:
whoever calls this has asked there, and gives the very addresses that were checked.
"""

from __future__ import annotations

import _socket
from _socket import socket

from orchestr.sandbox.http_head import LONGEST_HEAD

CONNECT_PATIENCE = 10.0  # seconds for each address, and for the answer of the user's own proxy


class Unreachable(Exception):
    """An allowed host that cannot be reached now."""


def tune_socket(one: socket) -> None:
    """No waiting for more bytes, and a peer that vanished is noticed at some time."""
    one.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    one.setsockopt(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, 1)


def open_tunnel(server: socket, authority: str, credentials: str) -> None:
    """Ask the user's own proxy for a tunnel; raises Unreachable with its answer."""
    login = f"Proxy-Authorization: Basic {credentials}\r\n" if credentials else ""
    server.settimeout(CONNECT_PATIENCE)
    request = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{login}\r\n"
    server.sendall(request.encode("latin-1"))
    head = b""
    while not head.endswith(b"\r\n\r\n"):  # byte by byte: what follows belongs to the tunnel
        byte = server.recv(1)
        if not byte or len(head) >= LONGEST_HEAD:
            raise Unreachable("the proxy of HTTPS_PROXY gave no whole answer")
        head += byte
    status = head.split(b"\r\n", 1)[0].decode("latin-1")
    words = status.split(" ")
    if len(words) < 2 or not words[1].startswith("2"):
        raise Unreachable(f"the proxy of HTTPS_PROXY answered {status[:100]!r}")
    server.settimeout(None)


def look_up(host: str, port: int) -> list[tuple[str, int]]:
    """The addresses of a name, in the order in which they are tried."""
    try:  # as bytes: a text would bring in the codec for names beyond ASCII
        answers = _socket.getaddrinfo(
            host.encode("ascii"), port, _socket.AF_UNSPEC, _socket.SOCK_STREAM
        )
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"{host}: {error}") from None
    # Without the zone of a link-local address: those are refused, whatever their zone.
    return [(str(answer[4][0]).partition("%")[0], port) for answer in answers]


def loopback_addresses(port: int) -> list[tuple[str, int]]:
    """Where a forwarded port is outside."""
    return [("127.0.0.1", port), ("::1", port)]


def connect_to_one(addresses: list[tuple[str, int]]) -> socket:
    """A connection to the first address that takes one; raises Unreachable."""
    problem = "it has no address"
    for address in addresses:
        family = _socket.AF_INET6 if ":" in address[0] else _socket.AF_INET
        server = socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            server.settimeout(CONNECT_PATIENCE)
            server.connect(address)
            server.settimeout(None)
            tune_socket(server)
            return server
        except OSError as error:
            server.close()
            problem = f"{address[0]}: {error.strerror or error}"
    raise Unreachable(problem)
