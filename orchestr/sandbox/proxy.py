"""The only way out of a sandbox's network: an HTTP proxy that lets through what the rules allow.

    python -I -S -c BOOT ROOT FD RULES-FILE LOG-FILE PARENT-PID  (`network_commands`)

Runs outside, one for each sandbox. FD is a unix socket; its other end is inherited by
`orchestr.sandbox.listen` inside, which sends listening sockets made in the sandbox's network.
**The starter keeps its own copy of that other end for as long as the sandbox lives**: the proxy
ends when all copies are closed and no connection is left, and at once when the starter dies.

Owns connections: heads, look-up of names, the check of addresses and TLS server names, the
answer that names the setting. Leaves the decisions to `orchestr.sandbox.network_rules`, the
copying to `orchestr.sandbox.relay`, the log's form to `orchestr.sandbox.refusals`.

- A name is looked up once, here; the connection goes to the very address that was checked.
- A tunnel to a name must carry TLS for exactly that name: always on port 443; on other ports if it
  is TLS at all. A tunnel to an address may carry any name that is not denied, or none.
- Plain HTTP: one request a connection, with the name of its own address as `Host`.
- With a proxy of the user's own, names are looked up by that one: only their text is checked here.
- Not seen: what is inside TLS (the `Host` there, an encrypted ClientHello), and `Host` in plain
  HTTP through a tunnel to port 80.

Imports builtin modules and what costs as little (`orchestr.sandbox.network_rules`).
"""

from __future__ import annotations

import _thread
import os
import resource
import select
import sys
from _socket import CMSG_SPACE, SCM_RIGHTS, socket
from time import sleep

from orchestr.sandbox.client_hello import (
    HANDSHAKE,
    REFUSED_NAME,
    NotTls,
    Unfinished,
    read_server_name,
)
from orchestr.sandbox.http_head import BadHead, RequestHead, parse_request_head
from orchestr.sandbox.incoming import close_gently, receive_head, receive_opening, send_answer
from orchestr.sandbox.listen import ACCEPTED, FORWARD, MOST_FORWARDS, PROXY
from orchestr.sandbox.network_rules import (
    DEFAULT_PORTS,
    NetworkRules,
    Upstream,
    is_address,
    is_loopback,
    normalise_host,
    parse_network_rules,
)
from orchestr.sandbox.outgoing import (
    Unreachable,
    connect_to_one,
    look_up,
    loopback_addresses,
    open_tunnel,
    tune_socket,
)
from orchestr.sandbox.refusals import RefusalLog
from orchestr.sandbox.relay import relay_both_ways

MOST_CONNECTIONS = 512  # more wait in the kernel's queue
STACK = 256 * 1024  # bytes of a thread's stack


class Refused(Exception):
    """A connection that the rules do not allow."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(reason)
        self.host = host
        self.port = port


class Proxy:
    """One sandbox's proxy: its rules, its log, its connections."""

    def __init__(self, rules: NetworkRules, log: RefusalLog) -> None:
        self.rules = rules
        self._log = log
        self._lock = _thread.allocate_lock()
        self.connections = 0

    def start_connection(self, accepted: socket, forward: int | None) -> None:
        """Serve a connection in a thread of its own; to the loopback port ``forward`` if given."""
        with self._lock:
            self.connections += 1
        try:
            _thread.start_new_thread(self._serve_connection, (accepted, forward))
        except RuntimeError:  # no thread to be had: this connection ends, others go on
            accepted.close()
            with self._lock:
                self.connections -= 1

    def _serve_connection(self, client: socket, forward: int | None) -> None:
        try:
            tune_socket(client)
            if forward is None:
                self._serve_request(client)
            else:
                with_server(client, connect_to_one(loopback_addresses(forward)), b"", None)
        except (OSError, Unreachable):
            pass  # one side is gone: so is the connection
        finally:
            client.close()
            with self._lock:
                self.connections -= 1

    def _serve_request(self, client: socket) -> None:
        try:
            head, rest = receive_head(client)
            request = parse_request_head(head)
            self._check_host(request.host, request.port)
        except BadHead as error:
            if error.host:
                self._note_refusal(error.host, 0, str(error))
            send_answer(client, error.status, f"orchestr: {error}\n")
            return
        except Refused as error:
            self._answer_refusal(client, error)
            return
        scheme = "https" if request.is_tunnel else "http"
        upstream = self.rules.choose_upstream(scheme, request.host, request.port)
        try:
            server = self._connect(request, upstream)
        except Refused as error:
            self._answer_refusal(client, error)
            return
        except (OSError, Unreachable) as error:
            text = f"orchestr: {request.authority} cannot be reached: {error}\n"
            send_answer(client, "502 Bad Gateway", text)
            return
        if request.is_tunnel:
            self._serve_tunnel(client, server, request, rest)
            return
        credentials = None if upstream is None else upstream.credentials
        body = rest[: request.body_length]
        first = request.format_forwarded(credentials=credentials) + body
        with_server(client, server, first, request.body_length - len(body))

    def _serve_tunnel(
        self, client: socket, server: socket, request: RequestHead, rest: bytes
    ) -> None:
        try:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            strict = request.port == 443 and not is_address(request.host)
            opening = receive_opening(client, server, rest, wait_for_client=strict)
            reason = self.explain_bad_opening(request.host, request.port, opening)
        except OSError:
            server.close()
            raise
        if reason is not None:
            server.close()
            self._note_refusal(request.host, request.port, reason)
            client.sendall(REFUSED_NAME)
            close_gently(client)
            return
        with_server(client, server, opening, None)

    def explain_bad_opening(self, host: str, port: int, opening: bytes) -> str | None:
        """Why a tunnel that begins with these bytes of the client is refused; None: it is not."""
        named = not is_address(host)
        if not opening:
            return None  # the client said nothing, or the server spoke first on another port
        try:
            name = read_server_name(opening)
        except Unfinished:
            return "an unfinished TLS ClientHello"
        except NotTls as error:
            if opening[0] == HANDSHAKE:
                return f"an odd TLS ClientHello: {error}"
            return "port 443 without TLS" if named and port == 443 else None
        if name is None:
            return "TLS without a server name" if named else None
        try:
            name = normalise_host(name)
        except ValueError as error:
            return f"an odd TLS server name: {error}"
        if named:
            return None if name == host else f"another server name in TLS: {name}"
        denied = any(name == d or name.endswith(f".{d}") for d in self.rules.deny)
        listed = any(rule.host == name for rule in self.rules.allow)
        return f"a denied server name in TLS: {name}" if denied and not listed else None

    def _check_host(self, host: str, port: int) -> None:
        reason = self.rules.explain_refusal(host, port)
        if reason is not None:
            raise Refused(host, port, reason)

    def _connect(self, request: RequestHead, upstream: Upstream | None) -> socket:
        if upstream is None:
            return connect_to_one(self._find_addresses(request.host, request.port))
        server = connect_to_one(look_up(upstream.host, upstream.port))
        if not request.is_tunnel:
            return server
        try:
            open_tunnel(server, request.authority, upstream.credentials)
        except (OSError, Unreachable):
            server.close()
            raise
        return server

    def _find_addresses(self, host: str, port: int) -> list[tuple[str, int]]:
        """The checked addresses of a host; its name is not looked up again."""
        if is_loopback(host):
            return loopback_addresses(port)
        known = self.rules.resolve.get(host)
        found = look_up(host, port) if known is None else [(one, port) for one in known]
        bad = {one: self.rules.explain_bad_address(host, port, one[0]) for one in found}
        good = [one for one in found if bad[one] is None]
        if found and not good:
            raise Refused(host, port, f"it leads to a {bad[found[0]]}")
        return good

    def _answer_refusal(self, client: socket, error: Refused) -> None:
        self._note_refusal(error.host, error.port, str(error))
        host = f"[{error.host}]" if ":" in error.host else error.host
        rule = host if error.port in DEFAULT_PORTS else f"{host}:{error.port}"
        text = (
            f"orchestr: the sandbox refuses {host}:{error.port}: {error}.\n"
            f'What it may reach is set in orchestr.toml: {self.rules.setting} = ["{rule}", ...]\n'
        )
        send_answer(client, "403 Forbidden by the sandbox", text)

    def _note_refusal(self, host: str, port: int, reason: str) -> None:
        with self._lock:
            try:
                self._log.add_refusal(host, port, reason)
            except OSError:
                pass  # a full disk: the refusal stands, and the client hears of it


def with_server(client: socket, server: socket, first: bytes, limit: int | None) -> None:
    """Copy between the two until both have ended, then close the server's side."""
    try:
        relay_both_ways(client, server, first, limit)
    finally:
        server.close()


def serve_sandbox(proxy: Proxy, control: socket, parent: int) -> None:
    """Accept connections until the starter is gone, or its socket is and all connections ended."""
    watch = os.pidfd_open(parent)
    if os.getppid() != parent:
        return  # it died before we looked: that number may be another process by now
    listeners: dict[int, tuple[socket, int | None]] = {}
    poller = select.poll()
    poller.register(watch, select.POLLIN)
    poller.register(control, select.POLLIN)
    ended = paused = False
    while not (ended and proxy.connections == 0):
        full = proxy.connections >= MOST_CONNECTIONS
        if full != paused:
            paused = full
            for number in listeners:
                poller.modify(number, 0 if paused else select.POLLIN)
        for number, _event in poller.poll(100 if ended or paused else None):
            if number == watch:
                return
            if number == control.fileno():
                received = receive_listeners(control, proxy.rules.find_forwards())
                if received is None:
                    poller.unregister(control)
                    ended = True
                    continue
                for listener, forward in received:
                    listeners[listener.fileno()] = (listener, forward)
                    poller.register(listener, select.POLLIN)
            elif not ended:
                listener, forward = listeners[number]
                try:
                    accepted, _address = listener._accept()  # type: ignore[attr-defined]
                except OSError:  # the client has given up, or there are too many open files
                    sleep(0.01)
                    continue
                proxy.start_connection(socket(fileno=accepted), forward)


def receive_listeners(
    control: socket, allowed: list[int]
) -> list[tuple[socket, int | None]] | None:
    """The listeners of a sandbox, each with the port that it forwards to; None at the end.

    The numbers are read from the sockets: what came with them only says which is the proxy's.
    """
    room = 4 * (2 * MOST_FORWARDS + 1)
    try:
        kinds, extra, _flags, _address = control.recvmsg(2 * MOST_FORWARDS + 1, CMSG_SPACE(room))
    except OSError:  # the other side ended with an answer unread
        return None
    numbers = b"".join(data for _level, kind, data in extra if kind == SCM_RIGHTS)
    fds = [int.from_bytes(numbers[i : i + 4], sys.byteorder) for i in range(0, len(numbers), 4)]
    if not kinds:
        return None
    result: list[tuple[socket, int | None]] = []
    problem = "" if len(fds) == len(kinds) else "descriptors are missing"
    for fd, kind in zip(fds, kinds, strict=False):
        os.set_inheritable(fd, False)
        try:
            listener = socket(fileno=fd)
            listener.setblocking(False)
            port = int(listener.getsockname()[1])
        except (OSError, ValueError, IndexError):
            problem = "a descriptor is no listener"
            continue
        if kind == FORWARD[0] and port not in allowed:
            problem = f"the rules do not forward port {port}"
        result.append((listener, None if kind == PROXY[0] else port))
    if problem:
        for listener, _port in result:
            listener.close()
        control.sendall(b"-" + problem.encode())
        return []
    control.sendall(ACCEPTED)
    return result


def main() -> None:
    """Run one proxy; its arguments are those of `network_commands.build_proxy_command`."""
    fd, rules_file, log_file, parent = sys.argv[2:6]
    control = socket(fileno=int(fd))
    os.set_inheritable(int(fd), False)
    with open(rules_file, encoding="utf-8") as file:  # noqa: PTH123
        rules = parse_network_rules(file.read())
    _thread.stack_size(STACK)
    most, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MOST_CONNECTIONS + 4 * MOST_FORWARDS
    if most < wanted:
        bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (bound, hard))
    code = 1
    try:
        serve_sandbox(Proxy(rules, RefusalLog(log_file)), control, int(parent))
        code = 0
    except Exception:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)  # threads end with us
