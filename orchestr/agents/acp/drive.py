"""The talk with an agent over ACP: `initialize`, a session, its model, one prompt, its end.

Owns the order of the requests and what each failure means. Our own messages are made with the
library's models, which know the form; what the agent sends is read as it comes (see `updates`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from typing import Any

from acp import PROTOCOL_VERSION, RequestError, text_block
from acp.connection import Connection
from acp.meta import AGENT_METHODS, CLIENT_METHODS
from acp.schema import (
    AuthenticateRequest,
    CancelNotification,
    ClientCapabilities,
    FileSystemCapabilities,
    Implementation,
    InitializeRequest,
    LoadSessionRequest,
    NewSessionRequest,
    PromptRequest,
)
from pydantic import BaseModel

from orchestr import __version__
from orchestr.agents.acp.event_lines import EventWriter
from orchestr.agents.acp.failures import (
    AcpFailure,
    describe_request_error,
    explain_login,
    explain_unloaded,
    find_key_method,
    is_login_wanted,
)
from orchestr.agents.acp.files import FileRefused, read_text_file, write_text_file
from orchestr.agents.acp.models import choose_model, describe_models
from orchestr.agents.acp.permission_rules import Decision, choose_option, judge_tool_call
from orchestr.agents.acp.request import ClientRequest
from orchestr.agents.acp.servers import make_servers
from orchestr.agents.acp.terminals import Terminals, UnknownTerminal
from orchestr.agents.acp.updates import UpdateReader, read_turn_usage
from orchestr.agents.acp.wire import MessageWire

AGENT, CLIENT = AGENT_METHODS, CLIENT_METHODS
MOST_TURNS = 20  # of one start, for an agent that stops at each refusal
REFUSED = (
    "That command is not allowed here, and there is no person who could allow it. Go on with your "
    "task without it, and say at the end what you could not do."
)
SET_MODEL = "session/set_model"  # in the protocol before options had categories; still in use


class AcpTalk:
    """One session with one agent, whose process speaks on ``wire``."""

    def __init__(self, asked: ClientRequest, wire: MessageWire, out: EventWriter) -> None:
        self._asked = asked
        self._wire = wire
        self._out = out
        self._updates = UpdateReader(out, asked.spent_usd)
        self._terminals = Terminals(asked)
        self._session = ""
        self._cancelled = False
        self._refused_last = False  # the newest tool of this turn was not permitted
        self._connection = Connection(self._handle, wire)

    async def run_turn(self, prompt: str) -> str:
        """From the first message to the end of the turn; its stop reason.

        Raises AcpFailure with the reason, ConnectionError when the agent ended before.
        """
        hello = await self._ask_soon(
            AGENT["initialize"],
            InitializeRequest(
                protocol_version=PROTOCOL_VERSION,
                client_capabilities=ClientCapabilities(
                    fs=FileSystemCapabilities(
                        read_text_file=self._asked.files, write_text_file=self._asked.files
                    ),
                    terminal=True,
                ),
                client_info=Implementation(name="orchestr", title="orchestr", version=__version__),
            ),
        )
        if hello.get("protocolVersion") != PROTOCOL_VERSION:
            raise AcpFailure(
                f"it speaks version {hello.get('protocolVersion')!r} of ACP, not {PROTOCOL_VERSION}"
            )
        name = _as_mapping(hello.get("agentInfo"))
        self._out.write("acp_agent", name=name.get("name") or "", version=name.get("version") or "")
        opened = await self._open_session(hello)
        await self._set_mode(opened)
        await self._set_model(opened)
        self._out.write("acp_session", session_id=self._session, resumed=bool(self._asked.session),
                        model=describe_models(opened)[1])  # fmt: skip
        usage: dict[str, int] = {}
        for _ in range(MOST_TURNS):
            self._refused_last = False
            answer = await self._ask(
                AGENT["session_prompt"],
                PromptRequest(session_id=self._session, prompt=[text_block(prompt)]),
            )
            usage = read_turn_usage(answer) or usage  # of all turns of this start
            stop = str(answer.get("stopReason") or "")
            if not (self._refused_last and self._asked.refusal_ends_turn) or self._cancelled:
                break
            prompt = REFUSED
        self._out.write_result(stop, usage, self._updates.usage.cost_usd)
        return stop

    async def cancel(self) -> None:
        """Ask the agent to end its turn; what it still asks for is answered with that."""
        self._cancelled = True
        if self._session:
            await self._connection.send_notification(
                AGENT["session_cancel"], _encode(CancelNotification(session_id=self._session))
            )

    async def close(self) -> None:
        """End the terminals, and say that no more comes."""
        await self._terminals.end_all()
        await self._connection.close()

    # ---- before the turn ---------------------------------------------------------------------

    async def _open_session(self, hello: Mapping[str, Any]) -> Mapping[str, Any]:
        """Load the session that is to be resumed, else begin one; log in with a key if need be."""
        try:
            return await self._load_or_begin(hello)
        except RequestError as error:
            if not is_login_wanted(error):
                raise AcpFailure(
                    f"it cannot open a session: {describe_request_error(error)}"
                ) from error
            methods = hello.get("authMethods") or []
            key = find_key_method(methods, os.environ)
            if key is None:
                raise AcpFailure(explain_login(methods, error)) from error
            self._out.write("acp_note", text=f"it wants a login: {key} is used")
            try:
                await self._ask_soon(AGENT["authenticate"], AuthenticateRequest(method_id=key))
                return await self._load_or_begin(hello)
            except RequestError as again:
                raise AcpFailure(explain_login(methods, again)) from again

    async def _load_or_begin(self, hello: Mapping[str, Any]) -> Mapping[str, Any]:
        cwd, meta = self._asked.worktree, dict(self._asked.meta) or None
        wanted = self._asked.session
        can = _as_mapping(hello.get("agentCapabilities"))
        servers = make_servers(self._asked.servers, can, os.environ)
        if wanted is None:
            opened = await self._ask_soon(
                AGENT["session_new"],
                NewSessionRequest(cwd=cwd, mcp_servers=servers, field_meta=meta),
            )
            self._session = str(opened.get("sessionId") or "")
            if not self._session:
                raise AcpFailure("it opened a session without an id")
            return opened
        resumes = _as_mapping(can.get("sessionCapabilities")).get("resume") is not None
        if not can.get("loadSession") and not resumes:
            raise AcpFailure(
                f"session not found: it cannot load sessions, so {wanted} is not resumed"
            )
        method = AGENT["session_load" if can.get("loadSession") else "session_resume"]
        self._updates.quiet = True
        try:
            opened = await self._ask_soon(
                method,
                LoadSessionRequest(
                    session_id=wanted, cwd=cwd, mcp_servers=servers, field_meta=meta
                ),
            )
            await asyncio.sleep(0)  # what it repeated is in the handlers by now
        except RequestError as error:
            if is_login_wanted(error):
                raise
            raise AcpFailure(explain_unloaded(error)) from error
        finally:
            self._updates.quiet = False
        self._session = wanted
        return opened

    async def _set_mode(self, opened: Mapping[str, Any]) -> None:
        """The mode that the catalogue names, where the session has it."""
        modes = opened.get("modes")
        if not isinstance(modes, dict) or modes.get("currentModeId") == self._asked.mode:
            return
        known = [
            one.get("id") for one in modes.get("availableModes") or () if isinstance(one, dict)
        ]
        if self._asked.mode not in known:
            return
        params = {"sessionId": self._session, "modeId": self._asked.mode}
        method = AGENT["session_set_mode"]
        try:
            await self._within(method, self._connection.send_request(method, params))
        except RequestError as error:
            why = describe_request_error(error)
            raise AcpFailure(f"it does not take the mode {self._asked.mode!r}: {why}") from error

    async def _set_model(self, opened: Mapping[str, Any]) -> None:
        """The model that was asked for. Raises AcpFailure when the agent does not have it."""
        if not self._asked.model:
            return
        choice = choose_model(opened, self._asked.model)
        if choice.problem:
            raise AcpFailure(choice.problem)
        if choice.is_set:
            return
        params: dict[str, Any] = {"sessionId": self._session}
        if choice.option:
            method = AGENT["session_set_config_option"]
            params |= {"configId": choice.option, "value": choice.value}
        else:
            method, params["modelId"] = SET_MODEL, choice.value
        try:
            await self._within(method, self._connection.send_request(method, params))
        except RequestError as error:
            why = describe_request_error(error)
            raise AcpFailure(f"it does not take the model {choice.value!r}: {why}") from error

    # ---- requests of ours --------------------------------------------------------------------

    async def _ask_soon(self, method: str, params: BaseModel) -> Mapping[str, Any]:
        """Send a request that is answered without work. Raises AcpFailure after ``patience``."""
        answer: Mapping[str, Any] = await self._within(method, self._ask(method, params))
        return answer

    async def _within(self, method: str, answer: Awaitable[Any]) -> Any:
        try:
            return await asyncio.wait_for(answer, self._asked.patience)
        except TimeoutError:
            said = f"; it printed {self._wire.last_noise!r}" if self._wire.noise else ""
            raise AcpFailure(
                f"it did not answer `{method}` within {self._asked.patience:g} s{said}"
            ) from None

    async def _ask(self, method: str, params: BaseModel) -> Mapping[str, Any]:
        try:
            answer = await self._connection.send_request(method, _encode(params))
        except RequestError as error:
            if method in (AGENT["session_prompt"], AGENT["initialize"]):
                raise AcpFailure(describe_request_error(error)) from error
            raise
        return answer if isinstance(answer, dict) else {}

    # ---- requests of the agent ---------------------------------------------------------------

    async def _handle(self, method: str, params: Any, is_notification: bool) -> Any:
        """Answer a request, or take a notification. Raises RequestError, which is sent back."""
        given = params if isinstance(params, dict) else {}
        if method == CLIENT["session_update"]:
            update = given.get("update")
            if isinstance(update, dict):
                with suppress(TypeError, AttributeError):  # of a form that none of ours knows
                    self._updates.read(update)
                if update.get("sessionUpdate") == "tool_call":
                    self._refused_last = False
            return None
        if is_notification:
            return None
        try:
            return await self._serve(method, given)
        except FileRefused as refused:
            self._note_decision(refused.decision, method)
            raise RequestError(-32602, f"refused: {refused}") from None
        except FileNotFoundError as error:
            raise RequestError.resource_not_found(
                str(given.get("path") or error.filename)
            ) from None
        except UnknownTerminal as error:
            raise RequestError(-32602, str(error)) from None
        except (OSError, ValueError) as error:
            raise RequestError(-32603, str(error)) from None
        except (TypeError, AttributeError, LookupError) as error:
            raise RequestError(-32602, f"invalid parameters of {method}: {error}") from None

    async def _serve(self, method: str, given: Mapping[str, Any]) -> Any:
        path, key = str(given.get("path") or ""), str(given.get("terminalId") or "")
        if method == CLIENT["session_request_permission"]:
            return self._answer_permission(given)
        if method == CLIENT["fs_read_text_file"]:
            text = read_text_file(self._asked, path, given.get("line"), given.get("limit"))
            return {"content": text}
        if method == CLIENT["fs_write_text_file"]:
            content = given.get("content")
            if not isinstance(content, str):  # an empty file in its place would be lost work
                raise RequestError(-32602, "`content` is not a text")
            write_text_file(self._asked, path, content)
            return {}
        if method == CLIENT["terminal_create"]:
            terminal = await self._terminals.create(given)
            self._out.write("acp_permission", allowed=True, tool=method,
                            what=self._terminals.describe(given), why="")  # fmt: skip
            return {"terminalId": terminal}
        if method == CLIENT["terminal_output"]:
            return self._terminals.output(key)
        if method == CLIENT["terminal_wait_for_exit"]:
            return await self._terminals.wait(key)
        if method == CLIENT["terminal_kill"]:
            self._terminals.kill(key)
            return {}
        if method == CLIENT["terminal_release"]:
            await self._terminals.release(key)
            return {}
        raise RequestError.method_not_found(method)

    def _answer_permission(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """By our rules; after a cancel as the protocol wants it."""
        if self._cancelled:
            return {"outcome": {"outcome": "cancelled"}}
        call, options = given.get("toolCall"), given.get("options")
        call = self._updates.learn_asked_call(call if isinstance(call, dict) else {})
        decision = judge_tool_call(call, self._asked)
        option = choose_option(options if isinstance(options, list) else [], decision)
        self._note_decision(decision, str(call.get("kind") or "tool"))
        self._refused_last = not decision.allowed
        if option is None:
            return {"outcome": {"outcome": "cancelled"}}
        return {"outcome": {"outcome": "selected", "optionId": option}}

    def _note_decision(self, decision: Decision, tool: str) -> None:
        self._out.write("acp_permission", allowed=decision.allowed, tool=tool,
                        what=decision.what, why=decision.why)  # fmt: skip


def _as_mapping(value: Any) -> Mapping[str, Any]:
    """What an agent sent as an object; empty for what is none."""
    return value if isinstance(value, Mapping) else {}


def _encode(params: BaseModel) -> dict[str, Any]:
    return params.model_dump(mode="json", by_alias=True, exclude_none=True)
