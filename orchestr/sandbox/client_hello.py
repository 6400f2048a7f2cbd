"""The server name in the first bytes of a TLS connection. Pure.

Owns the parsing of a ClientHello (RFC 8446, 4.1.2; RFC 6066, 3), also one that is spread over
several records. Leaves what a name means to `orchestr.sandbox.proxy`.

An encrypted ClientHello shows its outer name only; that is the one that is compared.
"""

from __future__ import annotations

LONGEST_HELLO = 16 * 1024
HANDSHAKE, CLIENT_HELLO, SERVER_NAME, HOST_NAME = 22, 1, 0, 0
# A fatal alert "unrecognized_name", so that a refused client says something sensible.
REFUSED_NAME = bytes((21, 3, 1, 0, 2, 2, 112))


class Unfinished(Exception):
    """More bytes are needed."""


class NotTls(Exception):
    """These bytes do not begin a TLS connection."""


class _Reader:
    """Takes numbers and blocks from bytes, in order."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.data):
            raise NotTls("a block is longer than what holds it")
        self.at += count
        return self.data[self.at - count : self.at]

    def take_block(self, width: int) -> bytes:
        """A block after its length of ``width`` bytes."""
        return self.take(int.from_bytes(self.take(width), "big"))

    @property
    def finished(self) -> bool:
        return self.at >= len(self.data)


def read_server_name(data: bytes) -> str | None:
    """The server name of the ClientHello that ``data`` begins with; None when it names none.

    Raises Unfinished when more bytes are needed, NotTls for anything else.
    """
    body = _Reader(_join_records(data))
    body.take(4)  # kind and length of the message
    body.take(2 + 32)  # version, random
    body.take_block(1)  # session
    body.take_block(2)  # ciphers
    body.take_block(1)  # compression
    if body.finished:
        return None
    extensions = _Reader(body.take_block(2))
    names: list[str] = []
    while not extensions.finished:
        kind = int.from_bytes(extensions.take(2), "big")
        content = extensions.take_block(2)
        if kind == SERVER_NAME:
            listed = _Reader(_Reader(content).take_block(2))
            while not listed.finished:
                if listed.take(1)[0] != HOST_NAME:
                    raise NotTls("a server name of unknown kind")
                names.append(listed.take_block(2).decode("latin-1"))
    if len(names) > 1:
        raise NotTls("several server names")
    return names[0] if names else None


def _join_records(data: bytes) -> bytes:
    """The handshake message at the start of ``data``, without the records around it."""
    message = b""
    at = 0
    while not _is_complete(message):
        header = data[at : at + 5]
        if header[:1] not in (b"", b"\x16") or header[1:2] not in (b"", b"\x03"):
            raise NotTls("not a TLS handshake")
        if len(header) < 5:
            raise Unfinished
        size = int.from_bytes(header[3:5], "big")
        if size == 0:
            raise NotTls("an empty record")
        record = data[at + 5 : at + 5 + size]
        message += record
        at += 5 + size
        if len(record) < size and not _is_complete(message):
            raise Unfinished
    return message


def _is_complete(message: bytes) -> bool:
    if message and message[0] != CLIENT_HELLO:
        raise NotTls("not a ClientHello")
    if len(message) < 4:
        return False
    length = 4 + int.from_bytes(message[1:4], "big")
    if length > LONGEST_HELLO:
        raise NotTls("a ClientHello that is too long")
    return len(message) >= length
