"""Heads that go through the proxy, and those that two readers might take for two things."""

from __future__ import annotations

import pytest

from orchestr.sandbox.http_head import BadHead, parse_request_head


def test_a_tunnel_names_its_host_and_port() -> None:
    request = parse_request_head(b"CONNECT API.Example.org.:443 HTTP/1.1\r\nHost: evil\r\n\r\n")
    assert (request.is_tunnel, request.authority) == (True, "api.example.org:443")


def test_a_request_goes_on_with_the_host_of_its_own_address() -> None:
    request = parse_request_head(
        b"POST http://api.example.org/a?b=c HTTP/1.1\r\nHost: other.example.org\r\n"
        b"Content-Length: 3\r\nProxy-Authorization: Basic x\r\nConnection: X-Hop, keep-alive\r\n"
        b"X-Hop: 1\r\nAccept: */*\r\n\r\n"
    )
    assert request.body_length == 3
    assert request.format_forwarded(credentials=None) == (
        b"POST /a?b=c HTTP/1.1\r\nHost: api.example.org\r\nConnection: close\r\n"
        b"Content-Length: 3\r\nAccept: */*\r\n\r\n"
    )
    through = request.format_forwarded(credentials="dTpw")
    assert through.startswith(
        b"POST http://api.example.org/a?b=c HTTP/1.1\r\nHost: api.example.org\r\n"
        b"Connection: close\r\nProxy-Authorization: Basic dTpw\r\n"
    )
    short = parse_request_head(b"GET http://[2606:4700::1]:81?q HTTP/1.1\r\n\r\n")
    assert short.format_forwarded(credentials=None).startswith(
        b"GET /?q HTTP/1.1\r\nHost: [2606:4700::1]:81\r\n"
    )


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"CONNECT api.example.org HTTP/1.1", "400"),
        (b"CONNECT api.example.org:443 HTTP/2", "400"),
        (b"CONNECT  api.example.org:443 HTTP/1.1", "400"),
        (b"CONNECT api.example.org:443\nX: y HTTP/1.1", "400"),
        (b"CONNECT user@api.example.org:443 HTTP/1.1", "403"),
        (b"CONNECT api.example.org:443/x HTTP/1.1", "403"),
        (b"CONNECT api.example.org:443:443 HTTP/1.1", "403"),
        (b"CONNECT 2130706433:80 HTTP/1.1", "403"),
        (b"CONNECT 0x7f.1:80 HTTP/1.1", "403"),
        (b"CONNECT [::ffff:127.0.0.1]:80 HTTP/1.1", "403"),
        (b"CONNECT b\xc3\xbccher.example:443 HTTP/1.1", "400"),
        (b"GET / HTTP/1.1\r\nHost: api.example.org", "400"),
        (b"GET https://api.example.org/ HTTP/1.1", "400"),
        (b"GET http:///x HTTP/1.1", "403"),
        (b"GET http://a@api.example.org/ HTTP/1.1", "403"),
        (b"GET http://api.example.org\\@evil/ HTTP/1.1", "403"),
        (b"GET http://api.example.org/#x HTTP/1.1", "400"),
        (b"GET http://api.example.org/ HTTP/1.1\r\nA : b", "400"),
        (b"GET http://api.example.org/ HTTP/1.1\r\n folded", "400"),
        (b"GET http://api.example.org/ HTTP/1.1\r\nA: b\nEvil: c", "400"),
        (b"GET http://api.example.org/ HTTP/1.1\r\nA: b\0", "400"),
        (b"POST http://api.example.org/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2", "400"),
        (b"POST http://api.example.org/ HTTP/1.1\r\nContent-Length: +1", "400"),
        (b"POST http://api.example.org/ HTTP/1.1\r\nTransfer-Encoding: chunked", "411"),
    ],
)
def test_an_odd_head_is_refused(head: bytes, status: str) -> None:
    with pytest.raises(BadHead) as caught:
        parse_request_head(head + b"\r\n\r\n")
    assert caught.value.status.startswith(status)
