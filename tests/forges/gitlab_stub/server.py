"""The door of the stub, and git over HTTP below the same address."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from typing import Any

from tests.forges.github_stub.server import Handler as Door


class Handler(Door):
    """One connection."""

    def _serve(self) -> None:
        raw = self._body()
        if ".git/" in self.path:
            self._serve_git(raw)
            return
        login = self.headers.get("PRIVATE-TOKEN") or ""
        if not login:
            login = self.headers.get("Authorization", "").removeprefix("Bearer ")
        value = json.loads(raw) if raw else None
        status, headers, body = self.github.answer(self.command, self.path, login, value)
        if status == 0:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._send(status, headers, body)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve

    def _serve_git(self, raw: bytes) -> None:
        """`git http-backend` for the project's bare repository."""
        path, _, query = self.path.partition("?")
        slug, _, rest = path.lstrip("/").partition(".git/")
        bare = self.github.repos.get(slug)
        if bare is None or self.github.away:
            self.send_error(404)
            return
        env = {
            **os.environ, "GIT_HTTP_EXPORT_ALL": "1", "GIT_PROJECT_ROOT": str(bare),
            "PATH_INFO": f"/{rest}", "QUERY_STRING": query, "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(raw)),
            "REMOTE_USER": "tess",
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }  # fmt: skip
        env |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.receivepack",
                "GIT_CONFIG_VALUE_0": "true"}  # fmt: skip
        done = subprocess.run(
            ["git", "http-backend"], input=raw, env=env, capture_output=True, check=False
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers: dict[str, Any] = dict(
            line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line
        )
        self.send_response(int(str(headers.pop("Status", "200")).split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
