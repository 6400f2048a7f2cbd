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
from pathlib import Path
from typing import Any

from .common import GH, HOST, ME, NO_GH, SHA, TOKEN, Fault, Refusal
from .graph import GraphDoor
from .rest import RestDoor
from .served import Served
from .server import Handler

__all__ = ["GH", "HOST", "ME", "NO_GH", "TOKEN", "Fault", "GitHub", "Refusal"]


class GitHub(Served, RestDoor, GraphDoor):
    """The stub, served while it is entered."""

    handler = Handler

    def env(self) -> dict[str, str]:
        """What makes `gh` speak with the stub and with nobody else."""
        proxy = f"http://127.0.0.1:{self.port}"
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

    def accepts(self, token: str) -> bool:
        """Whether a header with a login is ours."""
        return token == f"token {TOKEN}"

    def name_request(self, method: str, path: str) -> str:
        """The kind that a request is counted as."""
        if path == "/graphql":
            return "graphql"
        kind = f"{method} {path.partition('?')[0].split('/', 4)[-1]}"
        return re.sub(r"\d+", "N", SHA.sub("SHA", kind))

    def carry_out(self, method: str, path: str, asked: Any) -> tuple[int, Any]:
        """The status and the body of an answer. Raises Refusal."""
        return self.graphql(asked) if path == "/graphql" else self.rest(method, path, asked)
