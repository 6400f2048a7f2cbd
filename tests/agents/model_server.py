"""A model that plays a script, on 127.0.0.1: what the real agent programs talk to in tests.

Speaks as much of four interfaces as the programs need: Anthropic Messages, OpenAI Responses and
chat completions, Gemini generateContent, each streamed. A script is a list of turns: `Run` a
command, `Write` a file, `Say` the end. Which turn is due is counted in the request itself
(the calls the model has made so far), so a resumed conversation goes on where it stopped, and
two conversations at once do not disturb each other. A fault answers instead: 429, 500, nothing.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

STRUCTURED = "StructuredOutput"  # claude's tool for `--json-schema`
INPUT, CACHED, OUTPUT = 1000, 200, 50  # tokens that every answer says it took


@dataclass(frozen=True)
class Run:
    """The model runs a shell command."""

    command: str


@dataclass(frozen=True)
class Write:
    """The model writes a file (with the agent's own tool, where it has one)."""

    path: str
    text: str


@dataclass(frozen=True)
class Use:
    """The model calls the offered tool whose name ends with this (one of an MCP server)."""

    tool: str
    given: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Say:
    """The model ends its turn with this."""

    text: str


@dataclass(frozen=True)
class Answer:
    """The model ends with JSON of a form, by the tool for that where it is offered one."""

    value: Any

    @property
    def text(self) -> str:
        """The same as text."""
        return json.dumps(self.value)


Turn = Run | Write | Use | Say | Answer


@dataclass(frozen=True)
class Fault:
    """An answer that is none. ``hang`` seconds pass before it; ``body`` is JSON."""

    status: int = 500
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hang: float = 0.0


@dataclass(frozen=True)
class Asked:
    """A request of an agent: the ``turn`` it wants, all text in it, and the headers."""

    path: str
    turn: int
    text: str
    headers: dict[str, str]
    body: dict[str, Any]


class ModelServer:
    """``with ModelServer([...]) as server``: ``server.url`` is its root.

    ``scripts`` maps a text of the prompt (``cell `a` ``) to turns of its own; ``fault`` is asked
    before each turn. ``asked`` are the requests for a turn, ``other`` those for something else.
    It is a proxy, too: ``tunnels`` are the servers that it stood for, with ``tls`` as one of these.
    """

    def __init__(self, script: Sequence[Turn], **scripts: Sequence[Turn]) -> None:
        self.script = list(script)
        self.scripts = {key: list(turns) for key, turns in scripts.items()}
        self.fault: Callable[[Asked, int], Fault | None] = lambda _asked, _number: None
        self.asked: list[Asked] = []
        self.other: list[str] = []
        self.tunnels: list[str] = []
        self.tls: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        handler = type("Handler", (_Handler,), {"model": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> ModelServer:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._ended.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, asked: Asked) -> Turn | Fault:
        """What the model does now."""
        with self._lock:
            number = len(self.asked)
            self.asked.append(asked)
        fault = self.fault(asked, number)
        if fault is not None:
            self._ended.wait(fault.hang)
            return fault
        script = next((t for k, t in self.scripts.items() if k in asked.text), self.script)
        return script[min(asked.turn, len(script) - 1)]


class _Handler(BaseHTTPRequestHandler):
    model: ModelServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self.model.other.append(f"GET {self.path}")
        self._send(200, {"data": [], "models": []})

    def do_CONNECT(self) -> None:
        """As a proxy: whatever is asked for in the tunnel is asked of the model."""
        self.send_response(200)
        self.end_headers()
        self.model.tunnels.append(self.path)
        if self.model.tls is None:
            return
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
        self._send(200, None)

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(data)
        except ValueError:
            body = {}
        path = self.path.partition("?")[0]
        with suppress(BrokenPipeError, ConnectionResetError):
            for ending, talk in TALKS:
                if re.search(ending, path):
                    self._talk(talk, path, body)
                    return
            self.model.other.append(f"POST {self.path}")
            self._send(200, {"input_tokens": INPUT, "totalTokens": INPUT})

    def _talk(self, talk: type[Talk], path: str, body: dict[str, Any]) -> None:
        words = talk(body)
        if not words.tools():
            # A title, a summary, a check of the quota: nothing of the script.
            self.model.other.append(f"POST {self.path}")
            turn: Turn | Fault = Say("ok")
        else:
            headers = {k.lower(): v for k, v in self.headers.items()}
            text = json.dumps(body, ensure_ascii=False)
            turn = self.model.answer(Asked(path, words.turn(), text, headers, body))
        if isinstance(turn, Fault):
            self._send(turn.status, turn.body or words.error(turn.status), turn.headers)
            return
        events = list(words.events(turn))
        told_whole = path.endswith(":generateContent") or body.get("stream") is False
        if told_whole:
            self._send(200, words.whole(turn))
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for name, value in events:
            head = f"event: {name}\n" if name else ""
            shown = value if isinstance(value, str) else json.dumps(value)
            self.wfile.write(f"{head}data: {shown}\n\n".encode())
        self.wfile.flush()
        self.close_connection = True

    def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


class Talk:
    """One interface: what is asked for in ``body``, and how a turn is told."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body

    def tools(self) -> list[str]:
        """The names of the tools that the model may call."""
        return [str(t.get("name") or t.get("type")) for t in self.body.get("tools") or ()]

    def find_tool(self, ending: str) -> str:
        """The name of the offered tool that ends so; it itself where none does."""
        return next((name for name in self.tools() if name.endswith(ending)), ending)

    def turn(self) -> int:
        """How many calls the model has made in this conversation."""
        raise NotImplementedError

    def events(self, turn: Turn) -> Iterator[tuple[str, Any]]:
        """The server-sent events of an answer."""
        raise NotImplementedError

    def whole(self, turn: Turn) -> Any:
        """The same without a stream."""
        raise NotImplementedError

    def error(self, status: int) -> Any:
        return {"error": {"message": f"status {status}", "type": "server_error"}}


class Anthropic(Talk):
    """POST /v1/messages."""

    def turn(self) -> int:
        return sum(
            block.get("type") == "tool_use"
            for message in self.body.get("messages", ())
            if isinstance(message.get("content"), list)
            for block in message["content"]
        )

    def error(self, status: int) -> Any:
        kind = {429: "rate_limit_error", 529: "overloaded_error"}.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": f"status {status}"}}

    def whole(self, turn: Turn) -> Any:
        return {**self._message(), "content": [{"type": "text", "text": "ok"}],
                "stop_reason": "end_turn"}  # fmt: skip

    def _message(self) -> dict[str, Any]:
        usage = {"input_tokens": INPUT - CACHED, "cache_read_input_tokens": CACHED,
                 "cache_creation_input_tokens": 0, "output_tokens": 1}  # fmt: skip
        return {"id": f"msg_{self.turn()}", "type": "message", "role": "assistant", "content": [],
                "model": self.body.get("model"), "stop_reason": None, "stop_sequence": None,
                "usage": usage}  # fmt: skip

    def events(self, turn: Turn) -> Iterator[tuple[str, Any]]:
        yield "message_start", {"type": "message_start", "message": self._message()}
        match turn:
            case Answer(value) if STRUCTURED in self.tools():
                block: dict[str, Any] = self._call(STRUCTURED)
                delta = _json_delta(value)
            case Say() | Answer():
                block = {"type": "text", "text": ""}
                delta = {"type": "text_delta", "text": turn.text}
            case Run(command):
                block = self._call("Bash")
                delta = _json_delta({"command": command, "description": "as scripted"})
            case Write(path, text):
                block = self._call("Write")
                delta = _json_delta({"file_path": path, "content": text})
            case Use(tool, given):
                block = self._call(self.find_tool(tool))
                delta = _json_delta(given)
        at = {"index": 0}
        yield "content_block_start", {"type": "content_block_start", "content_block": block, **at}
        yield "content_block_delta", {"type": "content_block_delta", "delta": delta, **at}
        yield "content_block_stop", {"type": "content_block_stop", **at}
        why = "end_turn" if block["type"] == "text" else "tool_use"
        stop = {"stop_reason": why, "stop_sequence": None}
        yield (
            "message_delta",
            {"type": "message_delta", "delta": stop, "usage": {"output_tokens": OUTPUT}},
        )
        yield "message_stop", {"type": "message_stop"}

    def _call(self, name: str) -> dict[str, Any]:
        return {"type": "tool_use", "id": f"toolu_{self.turn()}", "name": name, "input": {}}


def _json_delta(value: Any) -> dict[str, str]:
    return {"type": "input_json_delta", "partial_json": json.dumps(value)}


class Responses(Talk):
    """POST /v1/responses."""

    def turn(self) -> int:
        items = self.body.get("input") or ()
        return sum(str(i.get("type")).endswith("_call") for i in items if isinstance(i, dict))

    def events(self, turn: Turn) -> Iterator[tuple[str, Any]]:
        answer = {"id": f"resp_{self.turn()}", "object": "response", "output": []}
        yield "response.created", {"type": "response.created", "response": answer}
        item = self._item(turn)
        done = {"type": "response.output_item.done", "output_index": 0, "item": item}
        yield "response.output_item.done", done
        usage = {"input_tokens": INPUT, "input_tokens_details": {"cached_tokens": CACHED},
                 "output_tokens": OUTPUT, "output_tokens_details": {"reasoning_tokens": 0},
                 "total_tokens": INPUT + OUTPUT}  # fmt: skip
        ended = {**answer, "output": [item], "status": "completed", "usage": usage}
        yield "response.completed", {"type": "response.completed", "response": ended}

    def _find_namespace(self, tool: str) -> dict[str, str]:
        """Where an MCP server's tool is offered among those of its server."""
        for group in self.body.get("tools") or ():
            if any(one.get("name") == tool for one in group.get("tools") or ()):
                return {"namespace": group["name"]}
        return {}

    def _item(self, turn: Turn) -> dict[str, Any]:
        place: dict[str, str] = {}
        match turn:
            case Say() | Answer():
                content = [{"type": "output_text", "text": turn.text, "annotations": []}]
                return {"type": "message", "id": f"msg_{self.turn()}", "role": "assistant",
                        "status": "completed", "content": content}  # fmt: skip
            case Run(command):
                name, given = self._shell(command)
            case Write(path, text):
                name, given = self._shell(f"cat > {path} <<'END'\n{text}END")
            case Use(tool, given):
                name = self.find_tool(tool)
                place = self._find_namespace(tool)
        return {"type": "function_call", "id": f"fc_{self.turn()}", "name": name, **place,
                "call_id": f"call_{self.turn()}", "arguments": json.dumps(given)}  # fmt: skip

    def _shell(self, command: str) -> tuple[str, dict[str, Any]]:
        tools = self.tools()
        if "exec_command" in tools:
            return "exec_command", {"cmd": command, "yield_time_ms": 10_000}
        if "shell_command" in tools:
            return "shell_command", {"command": command}
        return "shell", {"command": ["sh", "-c", command]}


class Chat(Talk):
    """POST /v1/chat/completions."""

    def tools(self) -> list[str]:
        return [t["function"]["name"] for t in self.body.get("tools") or ()]

    def turn(self) -> int:
        return sum(len(m.get("tool_calls") or ()) for m in self.body.get("messages", ()))

    def whole(self, turn: Turn) -> Any:
        message = {"role": "assistant", "content": "ok"}
        return {"id": "c", "object": "chat.completion", "model": self.body.get("model"),
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}  # fmt: skip

    def events(self, turn: Turn) -> Iterator[tuple[str, Any]]:
        match turn:
            case Say() | Answer():
                delta: dict[str, Any] = {"content": turn.text}
            case Run(command):
                delta = self._call("bash", {"command": command, "description": "as scripted"})
            case Write(path, text):
                delta = self._call("write", {"filePath": path, "content": text})
            case Use(tool, given):
                delta = self._call(self.find_tool(tool), given)
        head = {"id": "c", "object": "chat.completion.chunk", "created": 0,
                "model": self.body.get("model")}  # fmt: skip
        why = "stop" if "content" in delta else "tool_calls"
        delta = {"role": "assistant", **delta}
        yield "", {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        yield "", {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": why}]}
        usage = {"prompt_tokens": INPUT, "completion_tokens": OUTPUT,
                 "total_tokens": INPUT + OUTPUT,
                 "prompt_tokens_details": {"cached_tokens": CACHED}}  # fmt: skip
        yield "", {**head, "choices": [], "usage": usage}
        yield "", "[DONE]"

    def _call(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        function = {"name": name, "arguments": json.dumps(given)}
        call = {"index": 0, "id": f"call_{self.turn()}", "type": "function", "function": function}
        return {"tool_calls": [call]}


class Gemini(Talk):
    """POST /v1beta/models/MODEL:streamGenerateContent."""

    def tools(self) -> list[str]:
        return [
            f["name"]
            for tool in self.body.get("tools") or ()
            for f in tool.get("functionDeclarations") or ()
        ]

    def turn(self) -> int:
        parts = [p for c in self.body.get("contents", ()) for p in c.get("parts", ())]
        return sum("functionCall" in part for part in parts)

    def whole(self, turn: Turn) -> Any:
        return self._answer({"text": '{"model_choice": "flash", "reasoning": "scripted"}'})

    def error(self, status: int) -> Any:
        words = {429: "RESOURCE_EXHAUSTED", 500: "INTERNAL"}.get(status, "UNKNOWN")
        return {"error": {"code": status, "message": f"status {status}", "status": words}}

    def events(self, turn: Turn) -> Iterator[tuple[str, Any]]:
        match turn:
            case Say() | Answer():
                part: dict[str, Any] = {"text": turn.text}
            case Run(command):
                given = {"command": command, "description": "as scripted"}
                part = {"functionCall": {"name": "run_shell_command", "args": given}}
            case Write(path, text):
                given = {"file_path": path, "content": text}
                part = {"functionCall": {"name": "write_file", "args": given}}
            case Use(tool, given):
                part = {"functionCall": {"name": self.find_tool(tool), "args": given}}
        yield "", self._answer(part)

    def _answer(self, part: dict[str, Any]) -> dict[str, Any]:
        usage = {"promptTokenCount": INPUT, "candidatesTokenCount": OUTPUT,
                 "cachedContentTokenCount": CACHED, "totalTokenCount": INPUT + OUTPUT}  # fmt: skip
        content = {"role": "model", "parts": [part]}
        return {"candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
                "usageMetadata": usage, "modelVersion": "scripted"}  # fmt: skip


TALKS: tuple[tuple[str, type[Talk]], ...] = (
    (r"/v1/messages$", Anthropic),
    (r"/responses$", Responses),
    (r"/chat/completions$", Chat),
    (r":(streamG|g)enerateContent$", Gemini),
)
