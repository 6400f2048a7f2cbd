"""The first program inside a sandbox's network: makes the listeners, then becomes the real one.

    python -I -S listen.py FD PLAN -- ARGV...

Only loopback exists in there. FD is an inherited unix socket to the proxy outside
(`orchestr.sandbox.proxy`); PLAN is `PORT,PORT,...`: the port of the HTTP proxy (0 for a free one),
then the ports of the machine's loopback that are forwarded, on the same numbers. The listeners'
descriptors go to the proxy, which accepts on them from outside; a socket stays in the network
that it was made in. When the proxy has acknowledged, everything is closed, the variables of a
proxy are set, and ARGV is executed: it has no descriptor of ours.

Runs as a bare file before every agent and check, so it imports builtin modules only (`socket`
takes longer than the interpreter itself).

Exit codes before ARGV runs: 125 when the network could not be made, 126 and 127 as in a shell.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import os
import sys

LOOPBACK = "127.0.0.1"
NOT_PROXIED = "127.0.0.1,localhost,::1"
PROXY_VARIABLES = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
)
MOST_FORWARDS = 100  # two listeners each; one message carries at most 253 descriptors
ACCEPTED = b"+"
PROXY, FORWARD = b"p", b"f"  # one for each descriptor of a message, in its order
FAILED, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127


def main(arguments: list[str]) -> int:
    """Make the network, then become ARGV; returns an exit code only when that failed."""
    fd, plan, _separator, *argv = arguments
    try:
        proxy_port = hand_over_listeners(int(fd), [int(port) for port in plan.split(",")])
    except (OSError, ValueError) as error:
        print(f"orchestr: the network of the sandbox: {error}", file=sys.stderr)
        return FAILED
    # The interpreter ignores these two, and a new program would inherit that.
    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    _signal.signal(_signal.SIGXFSZ, _signal.SIG_DFL)
    try:
        os.execvpe(argv[0], argv, {**os.environ, **proxy_environment(proxy_port)})
    except OSError as error:
        print(f"orchestr: {argv[0]}: {error.strerror}", file=sys.stderr)
        missing = isinstance(error, FileNotFoundError)
        return NOT_FOUND if missing else NOT_EXECUTABLE


def proxy_environment(port: int) -> dict[str, str]:
    """The variables that lead programs to the proxy at ``port``."""
    url = f"http://{LOOPBACK}:{port}"
    return {
        **dict.fromkeys(PROXY_VARIABLES, url),
        "NO_PROXY": NOT_PROXIED,
        "no_proxy": NOT_PROXIED,
        "NODE_USE_ENV_PROXY": "1",  # node 22.21 and 24: fetch, http and https read the variables
    }


def hand_over_listeners(fd: int, ports: list[int]) -> int:
    """Give listeners on ``ports`` to the proxy at ``fd``, close all; returns the proxy's port."""
    proxy_port, *forwarded = ports
    if len(forwarded) > MOST_FORWARDS:
        raise ValueError(f"more than {MOST_FORWARDS} forwarded ports")
    control = _socket.socket(fileno=fd)
    listeners: list[_socket.socket] = []
    kinds = b""
    for port in forwarded:
        for family, host in ((_socket.AF_INET, LOOPBACK), (_socket.AF_INET6, "::1")):
            try:
                listeners.append(make_listener(family, host, port))
            except OSError as error:
                if family == _socket.AF_INET6:
                    continue  # a kernel without IPv6: no program inside can use it
                raise OSError(f"cannot listen on {host}:{port}: {error.strerror}") from None
            kinds += FORWARD
    wanted = 0 if proxy_port in forwarded else proxy_port
    listeners.append(make_listener(_socket.AF_INET, LOOPBACK, wanted))
    kinds += PROXY
    made = int(listeners[-1].getsockname()[1])
    descriptors = b"".join(one.fileno().to_bytes(4, sys.byteorder) for one in listeners)
    control.sendmsg([kinds], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)])
    answer = control.recv(1000)
    if answer != ACCEPTED:
        raise OSError(answer[1:].decode("utf-8", "replace") or "the proxy has ended")
    for one in (*listeners, control):
        one.close()
    return made


def make_listener(family: int, host: str, port: int) -> _socket.socket:
    """A listening socket on the loopback of this network."""
    listener = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    if family == _socket.AF_INET6:
        listener.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
    listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(512)
    return listener


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
