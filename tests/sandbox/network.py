"""Proxies, servers and sandboxes for the tests of a sandbox's network: real processes, loopback."""

from __future__ import annotations

import array
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from orchestr.sandbox.network_commands import build_listen_command, build_proxy_command
from orchestr.sandbox.refusals import Refusal, read_refusals

SEALED = (
    "bwrap", "--unshare-net", "--unshare-pid", "--die-with-parent", "--bind", "/", "/",
    "--dev", "/dev", "--proc", "/proc",
)  # fmt: skip
LONG = 60.0


@cache
def can_seal() -> bool:
    """Whether bubblewrap makes a network of its own here."""
    if shutil.which("bwrap") is None:
        return False
    return subprocess.run([*SEALED, "true"], capture_output=True, check=False).returncode == 0


needs_seal = pytest.mark.skipif(not can_seal(), reason="bubblewrap makes no network here")


class RunningProxy:
    """A proxy's process, its rules and its log; this process is its starter."""

    def __init__(
        self, folder: Path, rules: str, kind: socket.SocketKind = socket.SOCK_STREAM
    ) -> None:
        self.log = folder / "refused.jsonl"
        file = folder / "rules"
        file.write_text(rules)
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        with theirs:
            theirs.set_inheritable(True)
            command = build_proxy_command(theirs.fileno(), str(file), str(self.log), os.getpid())
            self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        self.control = ours

    def listen_here(self, *, forward: int | None = None) -> int:
        """Give it a listener of this network; returns the port."""
        with socket.create_server(("127.0.0.1", forward or 0)) as listener:
            fds = array.array("i", [listener.fileno()])
            kind = b"p" if forward is None else b"f"
            self.control.sendmsg([kind], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            answer = self.control.recv(1)
            assert answer == b"+", self.control.recv(1000)
            return int(listener.getsockname()[1])

    def run_inside(
        self, argv: list[str], ports: tuple[int, ...] = (0,), env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a network of its own, behind the listeners."""
        self.control.set_inheritable(True)
        return subprocess.run(
            [*SEALED, *build_listen_command(self.control.fileno(), list(ports), argv)],
            pass_fds=[self.control.fileno()],
            env=None if env is None else {**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=LONG,
            check=False,
        )

    def refusals(self) -> list[Refusal]:
        """What it refused until now."""
        return read_refusals(self.log)

    def stop(self) -> None:
        """End it."""
        self.control.close()
        self.process.kill()
        self.process.wait()


@contextmanager
def run_proxy(
    folder: Path, rules: str, kind: socket.SocketKind = socket.SOCK_STREAM
) -> Iterator[RunningProxy]:
    """A proxy for a while, at a socket of one kind or the other."""
    proxy = RunningProxy(folder, rules, kind)
    try:
        yield proxy
    finally:
        proxy.stop()


class Server:
    """A server on loopback whose connections are handled each in a thread by ``handle``."""

    def __init__(
        self, handle: Callable[[socket.socket], None], context: ssl.SSLContext | None = None
    ) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self._listener.getsockname()[1])
        self._handle = handle
        self._context = context
        self.accepted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                one, _address = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _serve(self, one: socket.socket) -> None:
        try:
            if self._context is not None:
                one = self._context.wrap_socket(one, server_side=True)
            with one:
                self._handle(one)
        except OSError:
            pass

    def close(self) -> None:
        """Take no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def run_server(
    handle: Callable[[socket.socket], None], context: ssl.SSLContext | None = None
) -> Iterator[Server]:
    """A server for a while."""
    server = Server(handle, context)
    try:
        yield server
    finally:
        server.close()


def answer_http(one: socket.socket) -> None:
    """Answer one request with its own head as the body."""
    head = receive_until(one, b"\r\n\r\n")
    text = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(head)
    one.sendall(text + head)


def echo_until_end(one: socket.socket) -> None:
    """Read everything, then send it back: works only when half of a connection can be closed."""
    one.sendall(receive_all(one))


def receive_all(one: socket.socket) -> bytes:
    """Everything up to the end."""
    parts = []
    while data := one.recv(1 << 20):
        parts.append(data)
    return b"".join(parts)


def receive_until(one: socket.socket, mark: bytes) -> bytes:
    """Everything up to and with ``mark``, and perhaps more."""
    data = b""
    while mark not in data and (more := one.recv(65536)):
        data += more
    return data


def connect(port: int) -> socket.socket:
    """A connection to loopback that does not wait for ever."""
    return socket.create_connection(("127.0.0.1", port), timeout=LONG)


def open_tunnel(proxy_port: int, authority: str) -> tuple[socket.socket, bytes]:
    """Ask for a tunnel; the connection, and the answer (whole unless it is 200)."""
    one = connect(proxy_port)
    one.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer and (byte := one.recv(1)):
        answer += byte
    return one, answer if b" 200 " in answer else answer + receive_all(one)


def make_certificate(folder: Path) -> Path:
    """A key and a certificate of its own for `api.test`, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650",
         "-subj", "/CN=api.test", "-addext", "subjectAltName=DNS:api.test",
         "-keyout", folder / "key", "-out", folder / "cert"],
        check=True, capture_output=True,
    )  # fmt: skip
    both = folder / "both.pem"
    both.write_text((folder / "key").read_text() + (folder / "cert").read_text())
    return both


def server_context(certificate: Path) -> ssl.SSLContext:
    """For a TLS server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def client_context(certificate: Path, *, check_name: bool = True) -> ssl.SSLContext:
    """For a TLS client that trusts only the certificate."""
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = check_name
    return context
