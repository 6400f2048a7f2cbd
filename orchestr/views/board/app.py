"""The board as an ASGI application: pages, events, actions. Serving it is `commands.board`'s.

Written to the protocol itself, because it has six routes and no framework would make them safer.
Who may do what, and why:

- The address holds a token; with it comes a cookie (HttpOnly, SameSite=Strict) of the same worth,
  so that the token leaves the address bar. Without one of them nothing is answered, not even names.
- Host must be the loopback address that we listen at: else a page of another site could make a name
  of its own point here (DNS rebinding) and read what it gets.
- Actions are POST only, JSON only, with Origin our own and a second token that is in the page: a
  page of another site can neither read it nor send such a request (there is no CORS here).
- An action is one of our own verbs with a target that the specs know, as words, without a shell.

Nothing is kept here but tokens: a board that is killed and started again shows the same.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from orchestr.errors import OrchestrError
from orchestr.views.html.page import BoardControls, security_policy

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

BODY_LIMIT = 4096
LOOK = 1.0  # s between two looks at what changed
TICK = 4.0  # s after which a running feature is drawn again although nothing was said
PING = 15.0  # s
STREAMS = 32  # open at once
HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_WORDS = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
          413: "Content Too Large", 415: "Unsupported Media Type",
          503: "Service Unavailable"}  # fmt: skip


class BoardSource:
    """What the application shows and does; `commands.board` has the real one."""

    actions: tuple[str, ...] = ()

    def render_index(self, live: BoardControls) -> str:
        raise NotImplementedError

    def render_page(self, feature: str, live: BoardControls) -> str:
        raise NotImplementedError

    def render_body(self, feature: str, live: BoardControls) -> str:
        raise NotImplementedError

    def read_version(self, feature: str) -> tuple[str, bool]:
        """What changes when something happened, and whether the feature runs."""
        raise NotImplementedError

    def perform_action(self, action: str, feature: str, cell: str, seen: str) -> tuple[bool, str]:
        """Whether it worked, and what was said. ``seen``: the digest of what is approved."""
        raise NotImplementedError


class HttpError(Exception):
    """An answer that is no page: status and one line."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


@dataclass(slots=True)
class BoardApp:
    """The application. ``port`` is where it is served; tokens are made anew with each start."""

    source: BoardSource
    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    closing: bool = False
    _streams: int = 0

    @property
    def address(self) -> str:
        """What a person opens."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    @property
    def cookie_name(self) -> str:
        """Cookies know no ports: the name keeps two boards apart."""
        return f"orchestr_board_{self.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        head = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        try:
            await self._route_request(scope, head, receive, send)
        except HttpError as no:
            await _send_response(
                send, no.status, f"{_WORDS[no.status]}: {no.words}\n", "text/plain"
            )
        except OrchestrError as error:
            hint = f"\nhint: {error.hint}" if error.hint else ""
            await _send_response(send, 503, f"error: {error.message}{hint}\n", "text/plain")

    async def _route_request(self, scope: Scope, head: Mapping[str, str], receive: Receive,
                     send: Send) -> None:  # fmt: skip
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        self._check_host(head)
        self._check_token(head, query)
        path, method = scope["path"], scope["method"]
        parts = path.strip("/").split("/") if path != "/" else []
        if method == "POST":
            if len(parts) != 3 or parts[0] != "f" or parts[2] != "do":
                raise HttpError(404, "there is nothing to post to")
            self._check_origin(head)
            await self._handle_action(parts[1], head, receive, send)
            return
        if method not in ("GET", "HEAD"):
            raise HttpError(405, "GET shows, POST acts")
        live = BoardControls(secrets.token_urlsafe(16), self.form_token, self.source.actions)
        match parts:
            case []:
                html = await asyncio.to_thread(self.source.render_index, live)
            case ["f", feature]:
                html = await asyncio.to_thread(self.source.render_page, feature, live)
            case ["f", feature, "body"]:
                html = await asyncio.to_thread(self.source.render_body, feature, live)
            case ["f", feature, "events"]:
                await self._stream_events(feature, receive, send)
                return
            case _:
                raise HttpError(404, "there is no such page")
        more = {"content-security-policy": f"{security_policy(live)}; frame-ancestors 'none'"}
        if query.get("token"):
            flags = "Path=/; HttpOnly; SameSite=Strict"
            more["set-cookie"] = f"{self.cookie_name}={self.token}; {flags}"
        await _send_response(send, 200, html, "text/html", more, body=method == "GET")

    def _check_host(self, head: Mapping[str, str]) -> None:
        if head.get("host", "").lower() not in self._allowed_hosts():
            raise HttpError(403, f"this board is at 127.0.0.1:{self.port}, under no other name")

    def _allowed_hosts(self) -> tuple[str, ...]:
        return f"127.0.0.1:{self.port}", f"localhost:{self.port}"

    def _check_token(self, head: Mapping[str, str], query: Mapping[str, list[str]]) -> None:
        given = list(query.get("token", [])[:1])
        try:
            jar: SimpleCookie = SimpleCookie(head.get("cookie", ""))
            given += [jar[self.cookie_name].value] if self.cookie_name in jar else []
        except CookieError:
            pass
        if not any(_tokens_match(value, self.token) for value in given):
            raise HttpError(403, "open the address that `orchestr board` printed, with its token")

    def _check_origin(self, head: Mapping[str, str]) -> None:
        """Of a page of ours, and of no other: checked on everything that changes something."""
        if head.get("origin", "").lower() not in {
            f"http://{host}" for host in self._allowed_hosts()
        }:
            raise HttpError(403, "this did not come from the board's own page")
        if head.get("sec-fetch-site", "same-origin") != "same-origin":
            raise HttpError(403, "this came from another site")
        if not _tokens_match(head.get("x-orchestr-token", ""), self.form_token):
            raise HttpError(403, "the page is older than this board: load it again")
        if head.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise HttpError(415, "actions are JSON")

    async def _handle_action(
        self, feature: str, head: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
        data = b""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return
            data += message.get("body", b"")
            if len(data) > BODY_LIMIT:
                raise HttpError(413, "that is no action of ours")
            if not message.get("more_body"):
                break
        try:
            wanted = json.loads(data)
            action, cell = str(wanted["action"]), str(wanted.get("cell") or "")
            seen = str(wanted.get("seen") or "")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise HttpError(400, "an action has `action` and `cell`") from None
        if action not in self.source.actions:
            raise HttpError(400, "there is no such action")
        good, words = await asyncio.to_thread(
            self.source.perform_action, action, feature, cell, seen
        )
        await _send_response(send, 200, json.dumps({"ok": good, "said": words}), "application/json")

    async def _stream_events(self, feature: str, receive: Receive, send: Send) -> None:
        """Server-sent events: `changed` with a version when the page should be asked for anew."""
        if self._streams >= STREAMS:
            raise HttpError(503, "too many pages watch already")
        known, _ = await asyncio.to_thread(self.source.read_version, feature)
        self._streams += 1
        gone = asyncio.ensure_future(_wait_for_disconnect(receive))
        try:
            start = {**HEADERS, "content-type": "text/event-stream; charset=utf-8"}
            await send(
                {"type": "http.response.start", "status": 200, "headers": _encode_headers(start)}
            )
            await _send_chunk(send, f"retry: 2000\nevent: hello\ndata: {known}\n\n")
            drawn = pinged = 0.0
            while not gone.done() and not self.closing:
                await asyncio.wait({gone}, timeout=LOOK)
                drawn, pinged = drawn + LOOK, pinged + LOOK
                version, runs = await asyncio.to_thread(self.source.read_version, feature)
                if version != known or (runs and drawn >= TICK):
                    known, drawn, pinged = version, 0.0, 0.0
                    await _send_chunk(send, f"event: changed\ndata: {version}\n\n")
                elif pinged >= PING:
                    pinged = 0.0
                    await _send_chunk(send, ": still here\n\n")
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._streams -= 1
            gone.cancel()


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_chunk(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _send_response(
    send: Send, status: int, text: str, kind: str, more: Mapping[str, str] | None = None,
    *, body: bool = True,
) -> None:  # fmt: skip
    data = text.encode("utf-8", "replace")
    head = {**HEADERS, "content-type": f"{kind}; charset=utf-8", "content-length": str(len(data))}
    head |= more or {}
    if status == 405:
        head["allow"] = "GET, HEAD, POST"
    await send({"type": "http.response.start", "status": status, "headers": _encode_headers(head)})
    await send({"type": "http.response.body", "body": data if body else b""})


def _encode_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]


def _tokens_match(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
