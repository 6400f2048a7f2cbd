"""The interfaces of models that agent programs speak: what a request asks, how a turn is sent.

Anthropic Messages, OpenAI Responses, OpenAI chat completions, Gemini generateContent. The tool of
a turn is chosen among those that the request offers, and its arguments by their schema, so that a
program that is not known here can be tried, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from orchestr.conformance.script import CACHED, INPUT, OUTPUT, Answer, Run, Say, Turn, Use, Write

STRUCTURED = "StructuredOutput"  # claude's tool for `--json-schema`
# Of several that are offered the first counts.
SHELLS = ("Bash", "bash", "exec_command", "shell_command", "run_shell_command", "execute_command",
          "run_commands", "run_terminal_command", "shell", "terminal",
          "developer__shell")  # fmt: skip
WRITERS = ("Write", "write", "write_file", "create", "create_file", "write_to_file")
COMMANDS = ("command", "cmd", "commands")
PATHS = ("file_path", "filePath", "path", "absolute_path", "fileName")
TEXTS = ("content", "file_text", "text", "contents")


class Dialect:
    """One interface: what is asked for in ``body``, and how a turn is sent.

    ``streams_on_demand``: without `stream` in the request the answer comes whole.
    """

    streams_on_demand: ClassVar[bool] = True

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body

    def tools(self) -> dict[str, Mapping[str, Any]]:
        """The tools that the model may call: name -> the JSON schema of their arguments."""
        found = {}
        for tool in self.body.get("tools") or ():
            name = str(tool.get("name") or tool.get("type"))
            found[name] = tool.get("input_schema") or tool.get("parameters") or {}
        return found

    def turn(self) -> int:
        """How many calls the model has made in this conversation."""
        raise NotImplementedError

    def events(self, turn: Turn) -> Iterator[tuple[str, Any]]:
        """The server-sent events of an answer."""
        raise NotImplementedError

    def whole(self, turn: Turn) -> Any:
        """The same without a stream."""
        raise NotImplementedError

    def error(self, status: int, message: str = "") -> Any:
        """The body of an error."""
        return {"error": {"message": message or f"status {status}", "type": "server_error"}}

    def choose_call(self, turn: Run | Write | Use) -> tuple[str, dict[str, Any]]:
        """The name of a tool that was offered for ``turn``, and its arguments."""
        tools = self.tools()
        if isinstance(turn, Use):
            return next((name for name in tools if name.endswith(turn.tool)), turn.tool), {}
        if isinstance(turn, Write):
            writer = next((name for name in WRITERS if name in tools), None)
            if writer is not None:
                values = dict.fromkeys(PATHS, turn.path) | dict.fromkeys(TEXTS, turn.text)
                return writer, fill_arguments(tools[writer], values)
            turn = Run(f"cat > {turn.path} <<'END'\n{turn.text}END")
        shell = next((name for name in SHELLS if name in tools), SHELLS[0])
        return shell, fill_arguments(tools.get(shell, {}), dict.fromkeys(COMMANDS, turn.command))


def fill_arguments(schema: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """The arguments of a tool: ``values`` where it has such, and something for what it requires."""
    properties = schema.get("properties") or {"command": {"type": "string"}}
    required = schema.get("required") or ()
    found: dict[str, Any] = {}
    for name, form in properties.items():
        kind = form.get("type") if isinstance(form, Mapping) else None
        if name in values:
            found[name] = _fit_value(values[name], form if isinstance(form, Mapping) else {})
        elif name in required or name == "description":
            default = {"boolean": False, "integer": 10_000, "number": 10_000, "array": []}
            found[name] = default.get(str(kind), "as scripted")
        elif name == "yield_time_ms":  # codex: how long it waits for the command
            found[name] = 10_000
    return found


def _fit_value(value: str, form: Mapping[str, Any]) -> Any:
    """A command as the words of an array, or as its only one, where a tool wants that."""
    choices = [form, *(f for f in form.get("anyOf") or () if isinstance(f, Mapping))]
    kinds = [choice.get("type") for choice in choices]
    if "string" in kinds or "array" not in kinds:
        return value
    return [value] if "items" in form and form.get("title") else ["sh", "-c", value]


class Anthropic(Dialect):
    """POST /v1/messages."""

    def turn(self) -> int:
        return sum(
            block.get("type") == "tool_use"
            for message in self.body.get("messages", ())
            if isinstance(message.get("content"), list)
            for block in message["content"]
        )

    def error(self, status: int, message: str = "") -> Any:
        kind = {429: "rate_limit_error", 529: "overloaded_error"}.get(status, "api_error")
        text = message or f"status {status}"
        return {"type": "error", "error": {"type": kind, "message": text}}

    def whole(self, turn: Turn) -> Any:
        block = self._block(turn)
        return {**self._message(OUTPUT), "content": [block], "stop_reason": self._why(turn)}

    def _message(self, output: int) -> dict[str, Any]:
        usage = {"input_tokens": INPUT - CACHED, "cache_read_input_tokens": CACHED,
                 "cache_creation_input_tokens": 0, "output_tokens": output}  # fmt: skip
        return {"id": f"msg_{self.turn()}", "type": "message", "role": "assistant", "content": [],
                "model": self.body.get("model"), "stop_reason": None, "stop_sequence": None,
                "usage": usage}  # fmt: skip

    def _why(self, turn: Turn) -> str:
        if isinstance(turn, Say) and turn.cut:
            return "max_tokens"
        return "end_turn" if self._block(turn)["type"] == "text" else "tool_use"

    def _block(self, turn: Turn) -> dict[str, Any]:
        match turn:
            case Answer(value) if STRUCTURED in self.tools():
                name, given = STRUCTURED, value
            case Say() | Answer():
                return {"type": "text", "text": turn.text}
            case Run() | Write() | Use():
                name, given = self.choose_call(turn)
        return {"type": "tool_use", "id": f"toolu_{self.turn()}", "name": name, "input": given}

    def events(self, turn: Turn) -> Iterator[tuple[str, Any]]:
        yield "message_start", {"type": "message_start", "message": self._message(1)}
        block = self._block(turn)
        if block["type"] == "text":
            delta = {"type": "text_delta", "text": block["text"]}
            start = {**block, "text": ""}
        else:
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            start = {**block, "input": {}}
        at = {"index": 0}
        yield "content_block_start", {"type": "content_block_start", "content_block": start, **at}
        yield "content_block_delta", {"type": "content_block_delta", "delta": delta, **at}
        yield "content_block_stop", {"type": "content_block_stop", **at}
        stop = {"stop_reason": self._why(turn), "stop_sequence": None}
        yield (
            "message_delta",
            {"type": "message_delta", "delta": stop, "usage": {"output_tokens": OUTPUT}},
        )
        yield "message_stop", {"type": "message_stop"}


class Responses(Dialect):
    """POST /v1/responses."""

    def turn(self) -> int:
        items = self.body.get("input") or ()
        return sum(str(i.get("type")).endswith("_call") for i in items if isinstance(i, dict))

    def whole(self, turn: Turn) -> Any:
        return self._ended(turn)[1]

    def _ended(self, turn: Turn) -> tuple[str, dict[str, Any]]:
        """The name of the last event, and the response in it."""
        usage = {"input_tokens": INPUT, "input_tokens_details": {"cached_tokens": CACHED},
                 "output_tokens": OUTPUT, "output_tokens_details": {"reasoning_tokens": 0},
                 "total_tokens": INPUT + OUTPUT}  # fmt: skip
        answer = {"id": f"resp_{self.turn()}", "object": "response", "output": [self._item(turn)],
                  "status": "completed", "usage": usage}  # fmt: skip
        if isinstance(turn, Say) and turn.cut:
            why = {"reason": "max_output_tokens"}
            cut = {**answer, "status": "incomplete", "incomplete_details": why}
            return "response.incomplete", cut
        return "response.completed", answer

    def events(self, turn: Turn) -> Iterator[tuple[str, Any]]:
        answer = {"id": f"resp_{self.turn()}", "object": "response", "output": []}
        yield "response.created", {"type": "response.created", "response": answer}
        done = {"type": "response.output_item.done", "output_index": 0, "item": self._item(turn)}
        yield "response.output_item.done", done
        name, ended = self._ended(turn)
        yield name, {"type": name, "response": ended}

    def _item(self, turn: Turn) -> dict[str, Any]:
        if isinstance(turn, Say | Answer):
            content = [{"type": "output_text", "text": turn.text, "annotations": []}]
            return {"type": "message", "id": f"msg_{self.turn()}", "role": "assistant",
                    "status": "completed", "content": content}  # fmt: skip
        name, given = self.choose_call(turn)
        place = self._find_namespace(name)
        return {"type": "function_call", "id": f"fc_{self.turn()}", "name": name, **place,
                "call_id": f"call_{self.turn()}", "arguments": json.dumps(given)}  # fmt: skip

    def _find_namespace(self, tool: str) -> dict[str, str]:
        """Where codex offers the tool of an MCP server: among those of its server."""
        for group in self.body.get("tools") or ():
            if any(one.get("name") == tool for one in group.get("tools") or ()):
                return {"namespace": group["name"]}
        return {}


class Chat(Dialect):
    """POST /v1/chat/completions."""

    def tools(self) -> dict[str, Mapping[str, Any]]:
        functions = [t.get("function") or {} for t in self.body.get("tools") or ()]
        return {str(f.get("name")): f.get("parameters") or {} for f in functions}

    def turn(self) -> int:
        return sum(len(m.get("tool_calls") or ()) for m in self.body.get("messages", ()))

    def _usage(self) -> dict[str, Any]:
        return {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT,
                "prompt_tokens_details": {"cached_tokens": CACHED}}  # fmt: skip

    def _message(self, turn: Turn) -> tuple[dict[str, Any], str]:
        """The message, and why it ends there."""
        if isinstance(turn, Say | Answer):
            cut = isinstance(turn, Say) and turn.cut
            return {"role": "assistant", "content": turn.text}, "length" if cut else "stop"
        name, given = self.choose_call(turn)
        function = {"name": name, "arguments": json.dumps(given)}
        call = {"index": 0, "id": f"call_{self.turn()}", "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"

    def whole(self, turn: Turn) -> Any:
        message, why = self._message(turn)
        return {"id": "c", "object": "chat.completion", "created": 0,
                "model": self.body.get("model"), "usage": self._usage(),
                "choices": [{"index": 0, "message": message, "finish_reason": why}]}  # fmt: skip

    def events(self, turn: Turn) -> Iterator[tuple[str, Any]]:
        message, why = self._message(turn)
        delta = {key: value for key, value in message.items() if value is not None}
        head = {"id": "c", "object": "chat.completion.chunk", "created": 0,
                "model": self.body.get("model")}  # fmt: skip
        yield "", {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        yield "", {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": why}]}
        yield "", {**head, "choices": [], "usage": self._usage()}
        yield "", "[DONE]"


class Gemini(Dialect):
    """POST /v1beta/models/MODEL:streamGenerateContent."""

    streams_on_demand = False  # the path says it

    def tools(self) -> dict[str, Mapping[str, Any]]:
        return {
            str(f["name"]): f.get("parametersJsonSchema") or f.get("parameters") or {}
            for tool in self.body.get("tools") or ()
            for f in tool.get("functionDeclarations") or ()
        }

    def turn(self) -> int:
        parts = [p for c in self.body.get("contents", ()) for p in c.get("parts", ())]
        return sum("functionCall" in part for part in parts)

    def whole(self, turn: Turn) -> Any:
        del turn  # what it asks for whole is a choice of the model
        return self._answer({"text": '{"model_choice": "flash", "reasoning": "scripted"}'})

    def error(self, status: int, message: str = "") -> Any:
        words = {429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}
        text = message or f"status {status}"
        return {"error": {"code": status, "message": text, "status": words.get(status, "UNKNOWN")}}

    def events(self, turn: Turn) -> Iterator[tuple[str, Any]]:
        if isinstance(turn, Say | Answer):
            cut = isinstance(turn, Say) and turn.cut
            yield "", self._answer({"text": turn.text}, "MAX_TOKENS" if cut else "STOP")
            return
        name, given = self.choose_call(turn)
        yield "", self._answer({"functionCall": {"name": name, "args": given}})

    def _answer(self, part: dict[str, Any], why: str = "STOP") -> dict[str, Any]:
        usage = {"promptTokenCount": INPUT, "candidatesTokenCount": OUTPUT,
                 "cachedContentTokenCount": CACHED, "totalTokenCount": INPUT + OUTPUT}  # fmt: skip
        content = {"role": "model", "parts": [part]}
        return {"candidates": [{"content": content, "finishReason": why, "index": 0}],
                "usageMetadata": usage, "modelVersion": "scripted"}  # fmt: skip


DIALECTS: tuple[tuple[str, type[Dialect]], ...] = (
    (r"/v1/messages$", Anthropic),
    (r"/responses$", Responses),
    (r"/chat/completions$", Chat),
    (r":(streamG|g)enerateContent$", Gemini),
)
