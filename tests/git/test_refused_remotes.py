"""A remote that says no is not one that does not answer: the one is final, the other waited for."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orchestr.errors import Unavailable
from orchestr.git.errors import (
    PushResult,
    PushStatus,
    RemoteAway,
    RemoteOutOfOrder,
    RemoteRefused,
    remote_failed,
)
from orchestr.git.repo import Branch, Repo
from orchestr.process.back_off import try_until_available
from orchestr.process.run import CompletedCommand
from tests.conftest import MakeRepo, Sandbox, git


class Door(BaseHTTPRequestHandler):
    """Answers each request with the next status of the server's list, the last one for ever."""

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Host)
        if server.origin is not None and "receive-pack" in self.path:
            self._advertise(server.origin)
            return
        status = server.statuses.pop(0) if len(server.statuses) > 1 else server.statuses[0]
        server.asked += 1
        body = b"You may not push to o/app: ask its owner"
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _advertise(self, origin: Path) -> None:
        refs = ("git", "receive-pack", "--stateless-rpc", "--advertise-refs", str(origin))
        body = b"001f# service=git-receive-pack\n0000"
        body += subprocess.run(refs, capture_output=True, check=True).stdout
        self.send_response(200)
        self.send_header("Content-Type", "application/x-git-receive-pack-advertisement")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        server = self.server
        assert isinstance(server, Host)
        if server.statuses[0]:
            self.send_error(server.statuses[0])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Host(ThreadingHTTPServer):
    """A host whose answers a test chooses."""

    statuses: list[int]  # 0: the connection is dropped
    asked = 0
    origin: Path | None = None  # a push gets as far as to send its commits to it


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


@pytest.mark.parametrize("status", [502, 429, 0])
def test_a_push_that_breaks_off_in_its_middle_is_not_refused(
    box: Sandbox, host: Host, status: int
) -> None:
    host.statuses, host.origin = [status], box.origin
    with pytest.raises(RemoteOutOfOrder):
        Repo(box.path).push("origin", Repo(box.path).require_head(), Branch("x"))


def test_a_push_that_is_too_large_is_refused(box: Sandbox, host: Host) -> None:
    host.statuses, host.origin = [413], box.origin
    done = Repo(box.path).push("origin", Repo(box.path).require_head(), Branch("x"))
    assert done.status is PushStatus.REJECTED and "HTTP 413" in done.reason


@pytest.mark.parametrize(
    "reason",
    ["[remote failure] (remote failed to report status)",
     "[remote rejected] (Internal Server Error)"],
)  # fmt: skip
def test_a_push_whose_answer_got_lost_is_tried_again(reason: str) -> None:
    with pytest.raises(RemoteOutOfOrder, match="did not take x"):
        PushResult(PushStatus.REJECTED, reason).raise_if_not_stored("x")
    PushResult(PushStatus.REJECTED, "[remote rejected] (hook declined)").raise_if_not_stored("x")


def failed(said: str, *, answered: bool) -> Unavailable:
    done = CompletedCommand(("git", "fetch"), 128, b"", said.encode(), 0.0)
    error = remote_failed(done, "/w", "origin", True, answered=answered)
    assert isinstance(error, Unavailable)
    return error


def test_what_was_there_a_moment_ago_is_waited_for_longer() -> None:
    lost = "fatal: unable to access 'https://h/x/': Could not resolve host: h"
    storm = "fatal: unable to access 'https://h/x/': The requested URL returned error: 503"
    gone = "fatal: '/x' does not appear to be a git repository"
    assert failed(storm, answered=False).is_passing
    assert [failed(lost, answered=known).is_passing for known in (True, False)] == [True, False]
    assert not failed(gone, answered=True).is_passing

    def count(said: str, patience: float, retries: int = 3) -> float:
        waits: list[float] = []

        def work() -> None:
            raise failed(said, answered=False)

        with pytest.raises(RemoteAway):
            try_until_available(
                work, retries=retries, patience=patience, pause=lambda _, s: waits.append(s)
            )
        return sum(waits)

    assert count(gone, patience=300) == 14  # 2, 4, 8: its retries
    assert 240 <= count(storm, patience=300) <= 300
    assert count(storm, patience=300, retries=0) == 0
