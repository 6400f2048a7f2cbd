"""Who may look and who may act: the board's application, asked as a server asks it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from orchestr.views.board.app import BoardApp, BoardSource
from orchestr.views.html.page import BoardControls

PORT = 4321
HOME = f"127.0.0.1:{PORT}"


class Fake(BoardSource):
    """Notes what it was asked to do."""

    actions = ("abort", "force")

    def __init__(self) -> None:
        self.done: list[tuple[str, str, str]] = []
        self.turn = 0

    def render_index(self, live: BoardControls) -> str:
        return "the features"

    def render_page(self, feature: str, live: BoardControls) -> str:
        return f"<p>{feature} {live.token}"

    def render_body(self, feature: str, live: BoardControls) -> str:
        return f"<p>{feature}"

    def read_version(self, feature: str) -> tuple[str, bool]:
        self.turn += 1
        return str(self.turn), True

    def perform_action(self, action: str, feature: str, cell: str, seen: str) -> tuple[bool, str]:
        self.done.append((action, feature, cell))
        return True, "done"


@pytest.fixture
def board() -> BoardApp:
    return BoardApp(Fake(), PORT)


def ask(
    board: BoardApp,
    method: str,
    path: str,
    query: str = "",
    body: bytes = b"",
    **headers: str | None,
) -> tuple[int, dict[str, str], str]:
    """One request. Headers in words with `_`; None takes one away."""
    given: dict[str, str | None] = {"host": HOME, **{k.replace("_", "-"): v
                                                     for k, v in headers.items()}}  # fmt: skip
    scope = {
        "type": "http", "method": method, "path": path, "query_string": query.encode(),
        "headers": [(k.encode(), v.encode()) for k, v in given.items() if v is not None],
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(board(scope, receive, send))
    head = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    return sent[0]["status"], head, b"".join(m.get("body", b"") for m in sent[1:]).decode()


def cookie(board: BoardApp) -> str:
    return f"{board.cookie_name}={board.token}"


def act(board: BoardApp, **headers: str | None) -> int:
    """What a click sends, changed by ``headers``."""
    usual: dict[str, str | None] = {
        "cookie": cookie(board),
        "origin": f"http://{HOME}",
        "content_type": "application/json",
        "x_orchestr_token": board.form_token,
        "sec_fetch_site": "same-origin",
    }
    body = json.dumps({"action": "abort", "cell": "a"}).encode()
    return ask(board, "POST", "/f/demo/do", body=body, **{**usual, **headers})[0]


def test_the_address_opens_the_board_and_leaves_a_strict_cookie(board: BoardApp) -> None:
    status, head, text = ask(board, "GET", "/", f"token={board.token}")
    assert (status, text) == (200, "the features")
    assert head["set-cookie"] == f"{cookie(board)}; Path=/; HttpOnly; SameSite=Strict"
    assert ask(board, "GET", "/f/demo", cookie=cookie(board))[0] == 200


def test_pages_may_load_nothing_and_be_framed_nowhere(board: BoardApp) -> None:
    _, head, _ = ask(board, "GET", "/f/demo", cookie=cookie(board))
    policy = head["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2]
    assert (head["cache-control"], head["referrer-policy"]) == ("no-store", "no-referrer")


@pytest.mark.parametrize("path", ["/", "/f/demo", "/f/demo/body", "/f/demo/events", "/nowhere"])
def test_nothing_is_told_without_the_token(board: BoardApp, path: str) -> None:
    for query, given in (("", None), ("token=wrong", None), ("", f"{board.cookie_name}=wrong")):
        status, _, text = ask(board, "GET", path, query, cookie=given)
        assert status == 403
        assert "demo" not in text and board.token not in text


def test_another_name_for_this_machine_is_refused(board: BoardApp) -> None:
    for host in ("evil.example:4321", "127.0.0.1:80", "", None):
        assert ask(board, "GET", "/", f"token={board.token}", host=host)[0] == 403
    assert ask(board, "GET", "/", f"token={board.token}", host=f"localhost:{PORT}")[0] == 200


def test_a_click_acts(board: BoardApp) -> None:
    assert act(board) == 200
    assert board.source.done == [("abort", "demo", "a")]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "headers",
    [
        {"cookie": None},
        {"origin": None},
        {"origin": "null"},
        {"origin": "http://evil.example"},
        {"origin": f"https://{HOME}"},
        {"origin": "http://127.0.0.1:80"},
        {"host": "evil.example"},
        {"x_orchestr_token": None},
        {"x_orchestr_token": "wrong"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"content_type": "text/plain"},
        {"content_type": "application/x-www-form-urlencoded"},
    ],
    ids=str,
)
def test_another_site_cannot_act(board: BoardApp, headers: dict[str, str | None]) -> None:
    assert act(board, **headers) in (403, 415)
    assert board.source.done == []  # type: ignore[attr-defined]


def test_only_post_acts(board: BoardApp) -> None:
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        status, _, _ = ask(board, method, "/f/demo/do", cookie=cookie(board))
        assert status in (404, 405)
    assert board.source.done == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"nonsense", b'{"action": "rm"}', b'{"cell": "a"}', b"x" * 5000]
)
def test_what_is_no_action_is_refused(board: BoardApp, body: bytes) -> None:
    status, _, _ = ask(
        board, "POST", "/f/demo/do", body=body, cookie=cookie(board), origin=f"http://{HOME}",
        content_type="application/json", x_orchestr_token=board.form_token,
    )  # fmt: skip
    assert status in (400, 413)
    assert board.source.done == []  # type: ignore[attr-defined]


def test_events_say_when_something_changed_and_end_with_the_board(
    board: BoardApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestr.views.board.app.LOOK", 0.01)
    sent: list[bytes] = []

    async def watch() -> None:
        async def receive() -> dict[str, Any]:
            await asyncio.sleep(60)
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message.get("body", b""))
            board.closing = len(sent) > 3

        scope = {
            "type": "http", "method": "GET", "path": "/f/demo/events", "query_string": b"",
            "headers": [(b"host", HOME.encode()), (b"cookie", cookie(board).encode())],
        }  # fmt: skip
        await asyncio.wait_for(board(scope, receive, send), 10)

    asyncio.run(watch())
    assert sent[1].startswith(b"retry: 2000\nevent: hello\n")
    assert sent[2:4] == [b"event: changed\ndata: 2\n\n", b"event: changed\ndata: 3\n\n"]
