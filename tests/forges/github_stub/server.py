"""The door of the stub: an HTTP proxy on loopback that knows ``api.github.localhost``."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .common import HOST, LOGS, Refusal

if TYPE_CHECKING:
    from . import GitHub


class Handler(BaseHTTPRequestHandler):
    github: GitHub
    protocol_version = "HTTP/1.1"
    tunnel = ""  # the host that is spoken with inside of CONNECT

    def do_CONNECT(self) -> None:
        """A tunnel to the enterprise host, which ends here."""
        host = self.path.partition(":")[0]
        if self.github.tls is None or host != self.github.enterprise:
            self.send_error(502)
            return
        self.send_response(200)
        self.end_headers()
        try:
            self.connection = self.github.tls.wrap_socket(self.connection, server_side=True)
        except OSError:  # it does not trust us
            self.close_connection = True
            return
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)
        self.tunnel = host
        self.close_connection = False

    def finish(self) -> None:
        super().finish()
        if self.tunnel:
            self.connection.close()

    def _serve(self) -> None:
        path = self.path
        if self.tunnel:
            path = path.removeprefix("/api").removeprefix("/v3")
            path = f"http://api.{HOST}{path}"
        asked = urlsplit(path)
        target = f"{asked.path}?{asked.query}" if asked.query else asked.path
        raw = self._body()
        if asked.hostname == LOGS:
            self._send_log(asked.path)
            return
        if asked.hostname != f"api.{HOST}":
            self._send(502, {}, {"message": f"the stub is not {asked.hostname}"})
            return
        token = self.headers.get("Authorization", "")
        value = json.loads(raw) if raw else None
        status, headers, body = self.github.answer(self.command, target, token, value)
        if status == 0:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._send(status, headers, body)

    def _send_log(self, path: str) -> None:
        """The store of logs; a login that is shown to it is a fault."""
        if self.headers.get("Authorization"):
            self._send(400, {}, {"message": "a token was sent to another host"})
            return
        try:
            self._send(200, {}, self.github.log_text(int(path.strip("/"))))
        except Refusal as refusal:
            self._send(refusal.status, {}, refusal.body)

    do_GET = do_POST = do_PATCH = do_PUT = _serve

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _send(self, status: int, headers: Mapping[str, str], body: Any) -> None:
        text = isinstance(body, str)
        data = body.encode() if text else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "text/html" if text else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the counts tell."""
