"""The server name is read from real ClientHellos, in pieces too, and from nothing else."""

from __future__ import annotations

import ssl

import pytest

from orchestr.sandbox.client_hello import NotTls, Unfinished, read_server_name


def make_hello(name: str | None) -> bytes:
    """What the ssl module would send first."""
    context = ssl.create_default_context()
    context.check_hostname = False
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


def split_records(hello: bytes, size: int) -> bytes:
    """The same handshake in records of ``size`` bytes."""
    body = hello[5:]
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(hello[:3] + len(p).to_bytes(2, "big") + p for p in pieces)


@pytest.mark.parametrize("name", ["api.example.org", None])
def test_the_name_of_a_hello_is_found(name: str | None) -> None:
    hello = make_hello(name)
    assert read_server_name(hello) == name
    assert read_server_name(hello + b"\x14\x03\x03\0\1\1") == name


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_a_hello_in_several_records_is_one(size: int) -> None:
    spread = split_records(make_hello("api.example.org"), size)
    assert read_server_name(spread) == "api.example.org"
    for end in range(len(spread)):
        with pytest.raises(Unfinished):
            read_server_name(spread[:end])


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"SSH-2.0-x\r\n",
        b"\x80\x2e\x01\x03\x01",
        b"\x16\x02\0\0\5\1\0\0\1\0",
        b"\x16\3\1\0\0\x16\3\1\0\1\1",  # an empty record
        b"\x16\3\1\0\4\2\0\0\0",  # a ServerHello
        b"\x16\3\1\0\4\1\xff\xff\xff",  # longer than any
        b"\x16\3\1\0\5\1\0\0\1\0",  # shorter than any
    ],
)
def test_anything_else_is_not_tls(data: bytes) -> None:
    with pytest.raises(NotTls):
        read_server_name(data)


def test_two_names_are_one_too_many() -> None:
    hello = make_hello("a.example.org")
    at = hello.index(b"a.example.org") - 9  # kind and four lengths stand before it
    extension = hello[at : at + 9 + 13]
    body = hello[9:at] + extension + hello[at:]
    start = body.index(extension) - 2
    # The extensions' block grew: find its length, the two bytes before its first extension.
    whole = hello[9:]
    for first in range(35, start + 1):
        if int.from_bytes(whole[first : first + 2], "big") == len(whole) - first - 2:
            grown = (len(whole) - first - 2 + len(extension)).to_bytes(2, "big")
            body = body[:first] + grown + body[first + 2 :]
            break
    message = b"\1" + len(body).to_bytes(3, "big") + body
    with pytest.raises(NotTls, match="several"):
        read_server_name(b"\x16\3\1" + len(message).to_bytes(2, "big") + message)
