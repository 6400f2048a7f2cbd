"""Heads of HTTP requests to a proxy. Pure.

Owns the strict reading of a head (RFC 9112) and the head that goes on to the server. Leaves what
may be reached to `orchestr.sandbox.network_rules`, sockets to `orchestr.sandbox.proxy`.

What two readers might understand differently is refused: bare line feeds, folded lines, control
characters, spaces before a colon, two lengths, user names in addresses, several hosts.
"""

from __future__ import annotations

from orchestr.sandbox.network_rules import normalise_host, split_port

LONGEST_HEAD = 16 * 1024
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_TEXT = frozenset(range(0x20, 0x7F)) | {0x09} | frozenset(range(0x80, 0x100))
_TARGET = frozenset(range(0x21, 0x7F))
# About one connection only (RFC 9110, 7.6.1), or for the proxy itself.
_HOP_BY_HOP = frozenset(
    ("connection", "proxy-connection", "keep-alive", "proxy-authorization", "te", "upgrade", "host")
)


class BadHead(Exception):
    """A request that is not understood, or on purpose not taken; ``status`` is the answer.

    ``host`` is what stood where a host should be, when that is what is wrong.
    """

    def __init__(self, reason: str, status: str = "400 Bad Request", host: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.host = host


class RequestHead:
    """One request: a tunnel (`CONNECT host:port`), or `GET http://host/path`."""

    __slots__ = ("body_length", "headers", "host", "method", "path", "port")

    def __init__(
        self, method: str, host: str, port: int, path: str, headers: list[tuple[str, str]]
    ) -> None:
        self.method = method
        self.host = host
        self.port = port
        self.path = path
        self.headers = headers
        self.body_length = _read_body_length(headers)

    @property
    def is_tunnel(self) -> bool:
        """Whether the connection becomes a tunnel."""
        return self.method == "CONNECT"

    @property
    def authority(self) -> str:
        """`host:port` as it stands in a request; an IPv6 address in brackets."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def format_forwarded(self, *, credentials: str | None) -> bytes:
        """The head for the server, or with ``credentials`` (perhaps empty) for the next proxy.

        The connection ends after the answer: the bytes that follow belong to this request only, so
        no second request can go to another name of the same server.
        """
        host = self.authority.removesuffix(":80")
        where = self.path if credentials is None else f"http://{host}{self.path}"
        lines = [f"{self.method} {where} HTTP/1.1", f"Host: {host}", "Connection: close"]
        if credentials:
            lines.append(f"Proxy-Authorization: Basic {credentials}")
        named = {
            word.strip().lower()
            for name, value in self.headers
            if name.lower() == "connection"
            for word in value.split(",")
        }
        dropped = _HOP_BY_HOP | (named - {"content-length"})
        lines += [f"{name}: {value}" for name, value in self.headers if name.lower() not in dropped]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def parse_request_head(head: bytes) -> RequestHead:
    """Read a head that ends with an empty line; raises BadHead."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    parts = first.split(b" ")
    if len(parts) != 3 or parts[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise BadHead("not a request of HTTP/1.1")
    method, target = parts[0], parts[1]
    if not method or not _TOKEN.issuperset(method) or not _TARGET.issuperset(target):
        raise BadHead("odd characters in the request line")
    headers = [_parse_header(line) for line in lines]
    if method == b"CONNECT":
        authority, path = target.decode("ascii"), ""
    else:
        scheme, separator, rest = target.decode("ascii").partition("://")
        if not separator or scheme.lower() != "http":
            raise BadHead("neither CONNECT nor an address that begins with http://")
        ends = [at for at in map(rest.find, "/?") if at >= 0]
        cut = min(ends, default=len(rest))
        authority, path = rest[:cut], rest[cut:]
        if "#" in rest:
            raise BadHead("a fragment in the address")
        path = path if path.startswith("/") else f"/{path}"
    try:
        host, port = split_port(authority)
        host = normalise_host(host)
    except ValueError as error:
        raise BadHead(str(error), "403 Forbidden", authority or "-") from None
    if port is None and method == b"CONNECT":
        raise BadHead("CONNECT without a port")
    return RequestHead(method.decode("ascii"), host, port or 80, path, headers)


def _parse_header(line: bytes) -> tuple[str, str]:
    name, colon, value = line.partition(b":")
    if not colon or not name or not _TOKEN.issuperset(name) or not _TEXT.issuperset(value):
        raise BadHead("a header that is not `name: value`")
    return name.decode("ascii"), value.strip(b" \t").decode("latin-1")


def _read_body_length(headers: list[tuple[str, str]]) -> int:
    lengths = [value for name, value in headers if name.lower() == "content-length"]
    if any(name.lower() == "transfer-encoding" for name, _value in headers):
        raise BadHead("a body without a length", "411 Length Required")
    if not lengths:
        return 0
    if len(lengths) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
        raise BadHead("an odd Content-Length")
    if len(lengths[0]) > 18:
        raise BadHead("an odd Content-Length")
    return int(lengths[0])
