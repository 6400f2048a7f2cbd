"""What listens on the user's machine and its network, and notes what it was sent.

Unix sockets stand for docker, the ssh and gpg agents, D-Bus, X11 and a terminal multiplexer;
TCP and UDP on loopback and on the machine's own address for the forge and the internet.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

MOST = 8192
ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n"


class Servers:
    """Listeners by name; `received` is what each got. `close` ends them."""

    def __init__(self) -> None:
        self.received: dict[str, list[bytes]] = {}
        self._stack = ExitStack()

    def listen_unix(self, name: str, address: Path | str) -> None:
        """A stream socket at a path, or at an abstract name that begins with a zero byte."""
        if isinstance(address, Path):
            address.parent.mkdir(parents=True, exist_ok=True)
            self._stack.callback(address.unlink, missing_ok=True)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(str(address))
        self._serve(name, server, self._accept)

    def listen_tcp(self, name: str, host: str) -> int | None:
        """A TCP server; returns its port, None where there is no such address."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server = socket.socket(family, socket.SOCK_STREAM)
        try:
            server.bind((host, 0))
        except OSError:
            server.close()
            return None
        self._serve(name, server, self._accept)
        return int(server.getsockname()[1])

    def listen_udp(self, name: str, host: str) -> int:
        """A UDP server, as a name server is one; returns its port."""
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((host, 0))
        self._serve(name, server, self._receive)
        return int(server.getsockname()[1])

    def close(self) -> None:
        """End all of them."""
        self._stack.close()

    def _serve(
        self, name: str, server: socket.socket, loop: Callable[[str, socket.socket], None]
    ) -> None:
        self.received[name] = []
        if server.type == socket.SOCK_STREAM:
            server.listen(16)
        thread = threading.Thread(target=loop, args=(name, server), daemon=True)
        self._stack.callback(_close_socket, server)
        thread.start()

    def _accept(self, name: str, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                with client, suppress(OSError):
                    client.settimeout(2)
                    data = client.recv(MOST)
                    self.received[name].append(data)
                    client.sendall(ANSWER)

    def _receive(self, name: str, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                self.received[name].append(server.recv(MOST))


def _close_socket(server: socket.socket) -> None:
    with suppress(OSError):
        server.shutdown(socket.SHUT_RDWR)  # wakes its thread
    server.close()


def find_own_address() -> str:
    """The machine's address that others reach it at; loopback where it has no other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: UDP only looks for the way
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
