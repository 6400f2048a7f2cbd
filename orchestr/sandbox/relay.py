"""Bytes between two connected sockets, both ways at once.

Owns the copying: each direction ends by itself (a half-closed connection stays open the other
way), and a slow reader holds back its own writer only. Leaves what may be connected to
`orchestr.sandbox.proxy`.
"""

from __future__ import annotations

import select
from _socket import SHUT_WR, socket

CHUNK = 128 * 1024
_READ_ENDED = select.POLLIN | select.POLLHUP | select.POLLERR


class _Direction:
    """What flows from ``source`` to ``sink``: at most one chunk is held."""

    __slots__ = ("limit", "open", "sink", "source", "waiting")

    def __init__(
        self, source: socket, sink: socket, waiting: bytes = b"", limit: int | None = None
    ) -> None:
        self.source = source
        self.sink = sink
        self.waiting = waiting
        self.limit = limit  # bytes that may still be read; None: until the source ends
        self.open = True

    @property
    def wants_bytes(self) -> bool:
        return self.open and not self.waiting and self.limit != 0

    def read_some(self) -> None:
        """Take what is there and pass on what fits; the end of the source is passed on, too."""
        size = CHUNK if self.limit is None else min(CHUNK, self.limit)
        try:
            self.waiting = self.source.recv(size)
        except BlockingIOError:
            return
        if self.limit is not None:
            self.limit -= len(self.waiting)
        if self.waiting:
            self.write_some()
        else:
            self.open = False
            try:
                self.sink.shutdown(SHUT_WR)
            except OSError:
                pass  # the other side is gone already

    def write_some(self) -> None:
        """Pass on what waits; a sink that takes no more ends this direction only."""
        try:
            self.waiting = self.waiting[self.sink.send(self.waiting) :]
        except BlockingIOError:
            pass
        except OSError:
            self.waiting = b""
            self.open = False


def relay_both_ways(client: socket, server: socket, waiting: bytes, limit: int | None) -> None:
    """Copy until both directions have ended; ``waiting`` goes to the server first.

    With a ``limit``, so many more bytes of the client are passed on; then the server's answer is
    awaited. Raises OSError when one side is cut off; the caller closes both.
    """
    client.setblocking(False)
    server.setblocking(False)
    upwards = _Direction(client, server, waiting, limit)
    downwards = _Direction(server, client)
    poller = select.poll()
    shown: dict[int, int] = {}
    ways = ((client, upwards, downwards), (server, downwards, upwards))
    while downwards.open or downwards.waiting or (upwards.open and upwards.limit is None):
        for end, out, back in ways:
            wanted = (select.POLLIN if out.wants_bytes else 0) | (
                select.POLLOUT if back.waiting else 0
            )
            number = end.fileno()
            if shown.get(number) == wanted:
                continue
            shown[number] = wanted
            if wanted:
                poller.register(number, wanted)
            else:  # a registered end that is closed would be reported all the time
                try:
                    poller.unregister(number)
                except KeyError:
                    pass
        events = dict(poller.poll())
        for end, out, back in ways:
            event = events.get(end.fileno(), 0)
            if back.waiting and event & ~select.POLLIN:
                back.write_some()
            if out.wants_bytes and event & _READ_ENDED:
                out.read_some()
