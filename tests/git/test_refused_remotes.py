"""A remote that says no is not one that does not answer: the one is final, the other waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from orchestr.errors import Unavailable
from orchestr.git.errors import RemoteAway, RemoteRefused
from orchestr.git.repo import Branch, Repo
from orchestr.process.back_off import try_until_available
from tests.conftest import MakeRepo, Sandbox, git


class Door(BaseHTTPRequestHandler):
    """Answers each request with the next status of the server's list, the last one for ever."""

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Host)
        status = server.statuses.pop(0) if len(server.statuses) > 1 else server.statuses[0]
        server.asked += 1
        body = b"You may not push to o/app: ask its owner"
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Host(ThreadingHTTPServer):
    """A host whose answers a test chooses."""

    statuses: list[int]
    asked = 0


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host(("127.0.0.1", 0), Door)
    made.statuses = [502]
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def box(make_repo: MakeRepo, host: Host, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file:http")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    made = make_repo(files={"a.txt": "a\n"})
    git(made.path, "remote", "set-url", "origin", f"http://127.0.0.1:{host.server_port}/app.git")
    return made


def test_a_bad_gateway_is_tried_again_and_a_refusal_is_not(box: Sandbox, host: Host) -> None:
    repo, waits = Repo(box.path), []

    def pause(error: Unavailable, seconds: float) -> None:
        waits.append(seconds)
        host.statuses = [403] if len(waits) == 2 else [502]

    with pytest.raises(RemoteRefused) as caught:
        try_until_available(lambda: repo.ls_remote("origin"), retries=5, pause=pause)
    assert waits == [2.0, 4.0]
    assert "does not let this login in" in caught.value.message
    assert "You may not push to o/app" in caught.value.message  # the remote's own words
    assert "error: 403" in caught.value.message


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_push_into_a_storm_is_unavailable(box: Sandbox, host: Host, status: int) -> None:
    host.statuses = [status]
    with pytest.raises(RemoteAway):
        Repo(box.path).push("origin", Repo(box.path).require_head(), Branch("x"))
