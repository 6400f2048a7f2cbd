"""An agent that speaks ACP and plays a script; written with the library, as agents are.

`acp_agent.py FOLDER` takes its script from `FOLDER/script.json`: a list of turns, each a list of
steps (see `_Turn`); its sessions and what it saw lie in FOLDER, too. Before the first turn
`FOLDER/start.json` says how it begins: `{"silent": true}`, `{"garbage": true}`, `{"auth": [...]}`,
`{"load": false}`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from acp import (
    PROTOCOL_VERSION,
    RequestError,
    run_agent,
    start_tool_call,
    text_block,
    tool_diff_content,
    update_agent_message,
    update_tool_call,
)
from acp.interfaces import Client
from acp.schema import (
    AgentCapabilities,
    AuthenticateResponse,
    Cost,
    EnvVarAuthMethod,
    Implementation,
    InitializeResponse,
    LoadSessionResponse,
    NewSessionResponse,
    PermissionOption,
    PromptResponse,
    SessionConfigOptionSelect,
    SetSessionConfigOptionResponse,
    ToolCallUpdate,
    Usage,
    UsageUpdate,
)

PLACE = Path(sys.argv[1])
OPTIONS = [
    PermissionOption(option_id="y", name="Yes", kind="allow_once"),
    PermissionOption(option_id="yy", name="Always", kind="allow_always"),
    PermissionOption(option_id="n", name="No", kind="reject_once"),
]


def read(name: str, default: Any) -> Any:
    path = PLACE / name
    return json.loads(path.read_text()) if path.exists() else default


def note(name: str, value: Any) -> None:
    with (PLACE / name).open("a") as stream:
        stream.write(json.dumps(value) + "\n")


class ScriptedAgent:
    """What the library calls."""

    def __init__(self) -> None:
        self.start = read("start.json", {})
        self.conn: Client
        self.logged_in = False
        self.cancelled = asyncio.Event()

    def on_connect(self, conn: Client) -> None:
        self.conn = conn

    async def initialize(self, **asked: Any) -> InitializeResponse:
        if self.start.get("silent"):
            await asyncio.sleep(600)
        methods = [EnvVarAuthMethod.model_validate(one) for one in self.start.get("auth", ())]
        return InitializeResponse(
            protocol_version=self.start.get("version", PROTOCOL_VERSION),
            agent_capabilities=AgentCapabilities(load_session=self.start.get("load", True)),
            agent_info=Implementation(name="scripted", version="1.0"),
            auth_methods=methods,
        )

    async def authenticate(self, method_id: str, **_more: Any) -> AuthenticateResponse:
        note("logins", method_id)
        self.logged_in = True
        return AuthenticateResponse()

    def _check_login(self) -> None:
        if self.start.get("auth") and not self.logged_in:
            raise RequestError.auth_required()

    async def new_session(self, **_asked: Any) -> NewSessionResponse:
        self._check_login()
        key = f"s-{len(read_lines('sessions')) + 1}"
        note("sessions", key)
        return NewSessionResponse(session_id=key, config_options=[self._models("m-1")])

    async def load_session(self, session_id: str, **_asked: Any) -> LoadSessionResponse:
        if session_id not in read_lines("sessions"):
            raise RequestError.resource_not_found(session_id)
        await self._say(session_id, "ORCHESTR no_change_needed: old words, told again")
        await self.conn.session_update(session_id, UsageUpdate(
            session_update="usage_update", used=9, size=99,
            cost=Cost(amount=0.25, currency="USD")))  # fmt: skip
        return LoadSessionResponse(config_options=[self._models("m-1")])

    async def set_config_option(
        self, config_id: str, session_id: str, value: Any, **_more: Any
    ) -> SetSessionConfigOptionResponse:
        note("models", [config_id, value])
        return SetSessionConfigOptionResponse(config_options=[self._models(value)])

    async def cancel(self, session_id: str, **_more: Any) -> None:
        note("cancelled", session_id)
        self.cancelled.set()

    async def prompt(self, prompt: list[Any], session_id: str, **_more: Any) -> PromptResponse:
        script, turn = read("script.json", [[["say", "done"]]]), len(read_lines("prompts"))
        note("prompts", prompt[0].text)
        note("pids", os.getpid())
        steps = script[min(turn, len(script) - 1)]
        return await _Turn(self, session_id).play(steps)

    async def _say(self, session: str, text: str) -> None:
        await self.conn.session_update(session, update_agent_message(text_block(text)))

    @staticmethod
    def _models(current: str) -> SessionConfigOptionSelect:
        return SessionConfigOptionSelect.model_validate({
            "id": "model", "name": "Model", "category": "model", "type": "select",
            "currentValue": current,
            "options": [{"value": m, "name": m.upper()} for m in ("m-1", "big/m-2")],
        })  # fmt: skip


class _Turn:
    """The steps of one turn: `[name, *words]`, each a method. What they got is noted."""

    def __init__(self, agent: ScriptedAgent, session: str) -> None:
        self.agent = agent
        self.conn = agent.conn
        self.session = session
        self.count = 0
        self.usage: Usage | None = None

    async def play(self, steps: list[list[Any]]) -> PromptResponse:
        for name, *words in steps:
            if name == "stop":
                return PromptResponse(stop_reason=words[0], usage=self.usage)
            try:
                found = await getattr(self, name)(*words)
            except RequestError as error:
                if name == "fail":
                    raise
                found = f"{error.code} {error}"
            note("got", [name, *words[:1], found])
        return PromptResponse(stop_reason="end_turn", usage=self.usage)

    async def say(self, text: str) -> None:
        await self.agent._say(self.session, text)

    async def think(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def ask(self, kind: str | None, given: Any, path: str = "") -> str:
        """A tool that permission is asked for: the id of the answer."""
        self.count += 1
        key = f"call-{self.count}"
        content = [tool_diff_content(path, "new\n")] if path else []
        await self.conn.session_update(
            self.session,
            start_tool_call(key, "a tool", kind=kind, status="pending", raw_input=given,
                            content=content))  # fmt: skip
        answer = await self.conn.request_permission(
            self.session, ToolCallUpdate(tool_call_id=key, kind=kind), OPTIONS)  # fmt: skip
        outcome = answer.outcome
        chosen = getattr(outcome, "option_id", outcome.outcome)
        status = "completed" if chosen == "y" else "failed"
        await self.conn.session_update(self.session, update_tool_call(key, status=status))
        return str(chosen)

    async def write(self, path: str, text: str) -> str:
        await self.conn.write_text_file(self.session, path, text)
        return "written"

    async def read(self, path: str, line: int | None = None, limit: int | None = None) -> str:
        return (await self.conn.read_text_file(self.session, path, line, limit)).content

    async def terminal(self, command: str, args: list[str], cwd: str | None = None) -> Any:
        made = await self.conn.create_terminal(self.session, command, args, cwd=cwd)
        ended = await self.conn.wait_for_terminal_exit(self.session, made.terminal_id)
        output = await self.conn.terminal_output(self.session, made.terminal_id)
        await self.conn.release_terminal(self.session, made.terminal_id)
        return [ended.exit_code, output.output]

    async def own(self, line: str) -> int | None:
        """A command that it runs itself, without asking."""
        process = await asyncio.create_subprocess_shell(line)
        return await process.wait()

    async def took(self, used: int, cost: float | None = None) -> None:
        await self.conn.session_update(
            self.session,
            UsageUpdate(session_update="usage_update", used=used, size=100_000,
                        cost=None if cost is None else Cost(amount=cost, currency="USD")),
        )  # fmt: skip

    async def total(self, given: int, cached: int, output: int) -> None:
        self.usage = Usage(total_tokens=given + cached + output, input_tokens=given,
                           cached_read_tokens=cached, output_tokens=output)  # fmt: skip

    async def fail(self, code: int, text: str, details: str) -> None:
        raise RequestError(code, text, {"details": details})

    async def raw(self, text: str) -> None:
        """A line on its stdout that is no message of ACP, or of a later version."""
        os.write(1, text.encode() + b"\n")

    async def die(self, code: int, words: str) -> None:
        os.write(2, words.encode() + b"\n")
        os._exit(code)

    async def wait_for_cancel(self) -> None:
        await self.agent.cancelled.wait()


def read_lines(name: str) -> list[Any]:
    path = PLACE / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


if __name__ == "__main__":
    if read("start.json", {}).get("garbage"):
        os.write(1, b'Welcome!\n{"no": "message"}\n[1, 2]\n')
    asyncio.run(run_agent(ScriptedAgent()))  # type: ignore[arg-type]
