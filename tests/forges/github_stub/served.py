"""A stub of a forge that is served over HTTP: its server, and one request with faults and counts.

Shared by the stubs of all forges: what a request means is the part of each.
"""

from __future__ import annotations

import sys
import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Self

from .common import Refusal
from .people import People


class Served(People):
    """Served on a free port of this machine while it is entered."""

    handler: ClassVar[type[BaseHTTPRequestHandler]]
    remaining_header = "X-RateLimit-Remaining"

    def __enter__(self) -> Self:
        handler = type("Handler", (self.handler,), {"github": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @property
    def port(self) -> int:
        """The port that it is served on."""
        assert self._server is not None
        return int(self._server.server_port)

    @abstractmethod
    def env(self) -> dict[str, str]:
        """What makes a client speak with the stub and with nobody else."""

    @abstractmethod
    def accepts(self, token: str) -> bool:
        """Whether a header with a login is ours."""

    @abstractmethod
    def name_request(self, method: str, path: str) -> str:
        """The kind that a request is counted as."""

    @abstractmethod
    def carry_out(self, method: str, path: str, asked: Any) -> tuple[int, Any]:
        """The status and the body of an answer. Raises Refusal."""

    def answer(
        self, method: str, path: str, token: str, asked: Any
    ) -> tuple[int, Mapping[str, str], Any]:
        """Status (0: drop the connection), headers, body."""
        kind = self.name_request(method, path)
        with self.lock:
            self.requests[kind] += 1
            fault = next((f for f in self.faults if f.times and kind.startswith(f.kind)), None)
            if fault is not None:
                fault.times -= 1
            if self.away:
                return 0, {}, None
            if fault is not None and not fault.late:
                return fault.status, fault.headers, fault.body or {"message": "told to fail"}
            if not self.accepts(token):
                return 401, {}, {"message": "Bad credentials"}
            headers: Mapping[str, str] = {}
            try:
                status, body = self.carry_out(method, path, asked)
            except Refusal as refusal:
                status, body, headers = refusal.status, refusal.body, refusal.headers
            if fault is not None:
                return fault.status, fault.headers, fault.body
        return status, {self.remaining_header: str(self.remaining), **headers}, body


def serve_by_hand(make: Callable[[Path, dict[str, Path]], Served]) -> None:
    """The stub of a command line, `FOLDER NAME=BARE.git ...`, until Ctrl+C."""
    folder, *pairs = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    repos = {slug: Path(bare) for slug, _, bare in (pair.partition("=") for pair in pairs)}
    with make(Path(folder), repos) as stub:
        print("\n".join(f"export {k}={v}" for k, v in stub.env().items()), flush=True)
        threading.Event().wait()
