"""The client's side of a connection to a sandbox's proxy: what it says first, and our own answers.

Owns patience: a head or a ClientHello that is too long or too slow ends the connection. Leaves
their meaning to `orchestr.sandbox.http_head` and `orchestr.sandbox.client_hello`.
"""

from __future__ import annotations

import select
from _socket import SHUT_WR, socket
from time import monotonic

from orchestr.sandbox.client_hello import LONGEST_HELLO, NotTls, Unfinished, read_server_name
from orchestr.sandbox.http_head import LONGEST_HEAD, BadHead

HEAD_PATIENCE = 10.0  # seconds for a whole head, and for a whole ClientHello


def receive_head(client: socket) -> tuple[bytes, bytes]:
    """The head of a request, and what came behind it; raises BadHead for a long or slow one."""
    end = monotonic() + HEAD_PATIENCE
    data = b""
    while b"\r\n\r\n" not in data:
        left = end - monotonic()
        if len(data) >= LONGEST_HEAD:
            raise BadHead("a head that is too long", "431 Request Header Fields Too Large")
        if left <= 0:
            raise BadHead("a head that takes too long", "408 Request Timeout")
        client.settimeout(left)
        try:
            more = client.recv(LONGEST_HEAD - len(data))
        except TimeoutError:
            continue
        if not more:
            raise ConnectionError("the connection ended within the head")
        data += more
    client.settimeout(None)
    cut = data.index(b"\r\n\r\n") + 4
    return data[:cut], data[cut:]


def receive_opening(client: socket, server: socket, data: bytes, *, wait_for_client: bool) -> bytes:
    """The client's first bytes, up to a whole ClientHello if they begin one.

    Empty when the client ends without a word, or when the server speaks first and need not wait.
    """
    poller = select.poll()
    poller.register(client, select.POLLIN)
    if not wait_for_client:
        poller.register(server, select.POLLIN)
    end = None if not data else monotonic() + HEAD_PATIENCE
    while len(data) <= LONGEST_HELLO + 2048:
        if data:
            if not wait_for_client:
                poller.unregister(server)
                wait_for_client = True
            try:
                read_server_name(data)
                return data
            except NotTls:
                return data
            except Unfinished:
                pass
        left = None if end is None else (end - monotonic()) * 1000
        events = dict(poller.poll(left if left is None or left > 0 else 0))
        if client.fileno() not in events:
            return data
        more = client.recv(LONGEST_HELLO)
        if not more:
            return data
        data += more
        end = end or monotonic() + HEAD_PATIENCE
    return data


def send_answer(client: socket, status: str, text: str) -> None:
    """Send an answer of our own, and see that it arrives."""
    body = text.encode("utf-8", "replace")
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    client.settimeout(HEAD_PATIENCE)
    client.sendall(head.encode("ascii") + body)
    close_gently(client)


def close_gently(client: socket) -> None:
    """End our side and read what is still coming: unread bytes would reset the connection, and
    the client would lose the answer.
    """
    client.shutdown(SHUT_WR)
    end = monotonic() + 2.0
    while (left := end - monotonic()) > 0:
        client.settimeout(left)
        if not client.recv(65536):
            return
