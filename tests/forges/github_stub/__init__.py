"""GitHub's API on loopback, for the real `gh`: an HTTP proxy that knows ``api.github.localhost``.

Serves REST and GraphQL (the part of the real schema in `schema.graphql`) over bare repositories in
folders, and behaves as GitHub does: an open pull request follows its branch, is merged when its
base contains it, closed when its branch is gone; a second open one of the same head and base is
refused with 422. What people and CI do later (`people`) is seen through both. Everything is kept in
`github.json`, so a stub may be ended and made again. It counts requests by kind and points by
GitHub's formula (`cost`), and fails as it is told to (`fail`).

By hand: ``python -m tests.forges.github_stub FOLDER o/r=BARE.git ...`` prints the environment for
`gh`; ends with Ctrl+C.
"""

from __future__ import annotations

import re
import ssl
import subprocess
import threading
from collections.abc import Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .common import GH, HOST, ME, NO_GH, SHA, TOKEN, Fault, Refusal
from .graph import GraphDoor
from .rest import RestDoor
from .server import Handler

__all__ = ["GH", "HOST", "ME", "NO_GH", "TOKEN", "Fault", "GitHub", "Refusal"]


class GitHub(RestDoor, GraphDoor):
    """The stub, served while it is entered."""

    def __enter__(self) -> GitHub:
        handler = type("Handler", (Handler,), {"github": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def env(self) -> dict[str, str]:
        """What makes `gh` speak with the stub and with nobody else."""
        assert self._server is not None
        proxy = f"http://127.0.0.1:{self._server.server_port}"
        names = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY")
        return {
            **dict.fromkeys(names, proxy),
            "no_proxy": "127.0.0.1",
            "NO_PROXY": "127.0.0.1",
            "GH_TOKEN": TOKEN,
            **dict.fromkeys(("GITHUB_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"), ""),
            "GH_CONFIG_DIR": str(self.file.parent / "gh-config"),
        }

    def serve_tls(self, host: str, folder: Path) -> None:
        """Be an enterprise host, too; `cert.pem` in ``folder`` is what a client has to trust."""
        cert, key = folder / "cert.pem", folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", f"/CN={host}", "-addext",
             f"subjectAltName=DNS:{host}", "-keyout", str(key), "-out", str(cert)],
            check=True, capture_output=True,
        )  # fmt: skip
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(cert, key)
        self.enterprise = host

    # --- one request -------------------------------------------------------------------------

    def answer(
        self, method: str, path: str, token: str, asked: Any
    ) -> tuple[int, Mapping[str, str], Any]:
        """Status (0: drop the connection), headers, body."""
        kind = (
            "graphql"
            if path == "/graphql"
            else f"{method} {path.partition('?')[0].split('/', 4)[-1]}"
        )
        kind = re.sub(r"\d+", "N", SHA.sub("SHA", kind))
        with self.lock:
            self.requests[kind] += 1
            fault = next((f for f in self.faults if f.times and kind.startswith(f.kind)), None)
            if fault is not None:
                fault.times -= 1
            if self.away:
                return 0, {}, None
            if fault is not None and not fault.late:
                return fault.status, fault.headers, fault.body or {"message": "told to fail"}
            if token != f"token {TOKEN}":
                return 401, {}, {"message": "Bad credentials"}
            headers: Mapping[str, str] = {}
            try:
                if path == "/graphql":
                    status, body = self.graphql(asked)
                else:
                    status, body = self.rest(method, path, asked)
            except Refusal as refusal:
                status, body, headers = refusal.status, refusal.body, refusal.headers
            if fault is not None:
                return fault.status, fault.headers, fault.body
        return status, {"X-RateLimit-Remaining": str(self.remaining), **headers}, body
