"""A model that plays a script, on 127.0.0.1: what agent programs talk to when they are tried.

Speaks as much of four interfaces as the programs need (`dialects.py`), each streamed. A script is
a list of turns: `Run` a command, `Write` a file, `Say` the end. Which turn is due is counted in the
request itself (the calls the model has made so far), so a resumed conversation goes on where it
stopped, and two conversations at once do not disturb each other. A fault answers instead: 429,
500, nothing. It counts what it has answered, and it is a proxy that lets nothing through, so that
it sees whom else an agent wants to reach.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from orchestr.conformance.dialects import DIALECTS, Dialect
from orchestr.conformance.script import (
    CACHED,
    INPUT,
    OUTPUT,
    Asked,
    Fault,
    Run,
    Say,
    Turn,
    Use,
    Write,
)

Playing = Callable[[Asked, int], Fault | Turn | None]


class ModelServer:
    """Use it in ``with``; ``url`` is its root.

    ``scripts`` maps a text of the prompt (``cell `a` ``) to turns of its own; ``fault`` is asked
    before each turn, and what it returns is played instead. ``asked`` are the requests for a turn,
    ``other`` those for something else, ``answers`` counts all that were answered with tokens, each
    `INPUT`, `CACHED` and `OUTPUT`. ``prose``: a program that offers no tools gets the whole script
    as text. ``tunnels`` are the servers that it was a proxy for, with ``tls`` as one of these.
    """

    def __init__(self, script: Sequence[Turn], **scripts: Sequence[Turn]) -> None:
        self.script = list(script)
        self.scripts = {key: list(turns) for key, turns in scripts.items()}
        self.fault: Playing = lambda _asked, _number: None
        self.prose = False
        self.asked: list[Asked] = []
        self.other: list[str] = []
        self.tunnels: list[str] = []
        self.answers = 0
        self.tls: ssl.SSLContext | None = None
        self.ended = threading.Event()
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"model": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self.address = f"127.0.0.1:{self._http.server_address[1]}"
        self.url = f"http://{self.address}"

    def __enter__(self) -> ModelServer:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.ended.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def tokens(self) -> tuple[int, int, int]:
        """Input, of it cached, and output of all answers so far."""
        return (INPUT * self.answers, CACHED * self.answers, OUTPUT * self.answers)

    def choose_answer(self, asked: Asked, *, tools: bool = True) -> Turn | Fault:
        """What the model does now."""
        with self._lock:
            number = len(self.asked)
            self.asked.append(asked)
        played = self.fault(asked, number)
        if isinstance(played, Fault):
            self.ended.wait(played.hang)
        if played is not None:
            return played
        script = next((t for k, t in self.scripts.items() if k in asked.text), self.script)
        if not tools:
            return Say(write_prose(script))
        return script[min(asked.turn, len(script) - 1)]

    def count_answer(self) -> None:
        """Note an answer that reported its tokens."""
        with self._lock:
            self.answers += 1


def write_prose(script: Sequence[Turn]) -> str:
    """A script for a program whose model has no tools: its files as fenced blocks, then its words.

    That is the form that aider reads with `--edit-format whole`; commands have none.
    """
    files = [f"{turn.path}\n```\n{turn.text}```\n" for turn in script if isinstance(turn, Write)]
    words = [turn.text for turn in script if not isinstance(turn, Run | Write | Use)]
    return "\n".join([*files, *words])


class _Handler(BaseHTTPRequestHandler):
    model: ModelServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        if self._refuse_stray():
            return
        self.model.other.append(f"GET {self.path}")
        self._send(200, {"data": [], "models": []})

    def do_CONNECT(self) -> None:
        """As a proxy: whatever is asked for in the tunnel is asked of the model. A tunnel to the
        model itself is no stray: there are programs that know no `NO_PROXY`."""
        if self.path == self.model.address:
            self.send_response(200)
            self.end_headers()
            self.close_connection = False
            return
        self.model.tunnels.append(self.path)
        if self.model.tls is None:
            self._send(403, None)
            self.close_connection = True
            return
        self.send_response(200)
        self.end_headers()
        try:
            self.request = self.model.tls.wrap_socket(self.request, server_side=True)
        except OSError:
            self.close_connection = True
            return
        self.setup()

    def finish(self) -> None:
        """The server closes the socket that it accepted, not one around it."""
        with suppress(OSError):
            super().finish()
        if isinstance(self.request, ssl.SSLSocket):
            self.request.close()

    def do_HEAD(self) -> None:
        if not self._refuse_stray():
            self._send(200, None)

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self._refuse_stray():
            return
        try:
            body = json.loads(data)
        except ValueError:
            body = {}
        path = urlsplit(self.path).path
        with suppress(BrokenPipeError, ConnectionResetError):
            for ending, dialect in DIALECTS:
                if re.search(ending, path) and isinstance(body, dict):
                    self._talk(dialect(body), path)
                    return
            self.model.other.append(f"POST {self.path}")
            self._send(200, {"input_tokens": INPUT, "totalTokens": INPUT})

    def _refuse_stray(self) -> bool:
        """Refuse a request for another server that came to us as to a proxy."""
        host = urlsplit(self.path).netloc
        if not host or host == self.model.address:
            return False
        self.model.tunnels.append(host)
        self._send(403, None)
        return True

    def _talk(self, words: Dialect, path: str) -> None:
        tools = bool(words.tools())
        if tools or self.model.prose:
            headers = {k.lower(): v for k, v in self.headers.items()}
            text = json.dumps(words.body, ensure_ascii=False)
            asked = Asked(path, words.turn(), text, headers, words.body)
            turn = self.model.choose_answer(asked, tools=tools)
        else:
            # A title, a summary, a check of the quota: nothing of the script.
            self.model.other.append(f"POST {self.path}")
            turn = Say("ok")
        whole = not path.endswith(":streamGenerateContent") and (
            path.endswith(":generateContent") or words.body.get("stream") is False
        )
        if isinstance(turn, Fault) and not turn.drop:
            error = turn.body or words.error(turn.status, turn.message)
            self._send(turn.status, error, dict(turn.headers))
            return
        if isinstance(turn, Fault):
            self._drop_stream(words)
            return
        if whole or ("stream" not in words.body and words.streams_on_demand):
            self.model.count_answer()
            self._send(200, words.whole(turn))
            return
        events = list(words.events(turn))
        self._begin_stream()
        self.model.count_answer()
        for name, value in events:
            self._send_event(name, value)
        self.wfile.flush()

    def _drop_stream(self, words: Dialect) -> None:
        """The beginning of a stream, then the end of the connection."""
        events = list(words.events(Say("half of a sen")))
        self._begin_stream(length=1 << 20)  # so that the end is no end
        for name, value in events[: len(events) // 2]:
            self._send_event(name, value)
        self.wfile.flush()

    def _begin_stream(self, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.close_connection = True

    def _send_event(self, name: str, value: Any) -> None:
        head = f"event: {name}\n" if name else ""
        shown = value if isinstance(value, str) else json.dumps(value)
        self.wfile.write(f"{head}data: {shown}\n\n".encode())

    def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
