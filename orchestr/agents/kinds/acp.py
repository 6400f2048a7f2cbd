"""Any agent that speaks the Agent Client Protocol: `[agents.X] kind = "acp"`, `run = [...]`.

What is started is a client of ours (`orchestr.agents.acp`), with the agent beneath it: transcript,
limits, budgets, the end of all processes and adoption are as for every agent. Its events are ours,
so this translates them one to one.

An agent of the catalogue that one of our other kinds knows, too (`opencode acp`), has that kind's
environment, settings folders and rules for a repository's own settings.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestr.agents.acp.failures import explain_stop
from orchestr.agents.acp.request import ClientRequest
from orchestr.agents.base import AgentLaunch, AgentRequest
from orchestr.agents.catalogue import KnownAgent, find_by_command
from orchestr.agents.cli_agent import CliAgent
from orchestr.agents.events import (
    ActionDenied,
    AgentResult,
    ErrorReport,
    Event,
    Message,
    Note,
    NoteKind,
    OutputLine,
    Record,
    SessionStarted,
    TextEdit,
    TokenUsage,
    ToolResult,
    ToolUse,
    amount_or_none,
    count_or_zero,
    mappings,
    note_record,
    parse_record,
    summarize_value,
    text_or_empty,
)
from orchestr.agents.mcp import describe_acp, write_private
from orchestr.errors import OrchestrError
from orchestr.sandbox.config_copies import ConfigFolder
from orchestr.settings.kinds import AGENT_KINDS, AgentKind
from orchestr.settings.records import AgentSettings, WorkspaceSettings
from orchestr.supervisor.protocol import TRANSCRIPT

CLIENT = Path(__file__).parents[1] / "acp" / "program.py"
# Files outside the worktree that a cell's agent may be asked to write.
ANSWERS = ("ORCHESTR_PLAN_FILE", "ORCHESTR_OUTPUT_FILE")
END_TURN = "end_turn"
_MARKS = {"completed": "✓"}


TRUSTS = ("guides",)  # the parts of a repository's settings that it can be let obey alone


class AcpAgent(CliAgent):
    """The client, and the agent that it starts."""

    kind = "acp"
    lost = "session not found|no (conversation|rollout|session) found"

    def __init__(self, settings: AgentSettings, workspace: WorkspaceSettings) -> None:
        self.known = find_by_command((*settings.run, *settings.args))
        self.program = settings.run[0] if settings.run else ""
        self.own = self.known.variables if self.known else ()
        self.tells = self.known is not None and self.known.cost == "dollars"
        super().__init__(settings, workspace)
        self._like = _make_like(self.known, settings, workspace)
        self.live = self.known is None or self.known.live
        if self._like is not None:
            self.speaks = self._like.kind
            self.own = (*self._like.own, *self.own)
            self.without = self._like.without
            if self.known is not None and self.known.can_distrust:
                self.repo_files, self.guides = self._like.repo_files, self._like.guides

    def prepare_launch(self, request: AgentRequest) -> AgentLaunch:
        """The client with a file that says what is asked of it; the prompt on its stdin."""
        if request.folder is None:
            raise OrchestrError(f"agent {self.name}: kind acp needs a folder for its request")
        tools, known = request.tools, self.known
        asked = ClientRequest(
            run=(*self.resolve_command(), *request.args),
            worktree=str(request.worktree),
            session=request.session,
            model=request.model,
            allowed=tools.allowed,
            denied=tools.denied,
            read=tuple(map(str, tools.read)),
            write=tuple(request.variables[name] for name in ANSWERS if name in request.variables),
            edit=tools.edit,
            spent_usd=self._sum_session_cost(request),
            mode=self._choose_mode(request),
            meta={} if known is None or request.trust else known.untrusted_meta,
            files=known is None or known.files,
            refusal_ends_turn=known is not None and known.refusal_ends_turn,
            servers=describe_acp(request.mcp),
        )
        path = request.folder / "acp.json"
        write_private(path, asked.encode().decode())
        like = self._launch_like(request)
        more = {**(like.env if like else {}), **(known.env if known else {})}
        launch = self.describe_launch(request, [sys.executable, "-I", str(CLIENT), str(path)], more)
        if like is None:
            return launch
        return replace(launch, config=like.config, write=like.write)

    def _choose_mode(self, request: AgentRequest) -> str | None:
        """The session's mode: an agent's own sandbox cannot start within our wall."""
        if self.known is None:
            return None
        if not request.tools.edit and not request.walled:
            return self.known.reader_mode or None
        return (self.known.walled_mode if request.walled else self.known.mode) or None

    def _sum_session_cost(self, request: AgentRequest) -> float:
        """What earlier starts of the attempt have counted of the session that is resumed."""
        if request.folder is None or not request.session:
            return 0.0
        if self.known is None or not self.known.sums_session:
            return 0.0
        session, spent = "", 0.0
        with suppress(FileNotFoundError), (request.folder / TRANSCRIPT).open("rb") as stream:
            for line in stream:
                record = parse_record(line) or {}
                if record.get("type") == "acp_session":
                    session = text_or_empty(record.get("session_id"))
                elif record.get("type") == "acp_usage" and session == request.session:
                    spent += amount_or_none(record.get("cost_usd")) or 0.0
        return spent

    def _launch_like(self, request: AgentRequest) -> AgentLaunch | None:
        """How the kind that knows this agent starts it: its environment counts, not its words."""
        if self._like is None:
            return None
        # Parts of a repository's settings are handed over by words of the kind, which it has not.
        parts = tuple(part for part in request.trusted if part in TRUSTS)
        return self._like.prepare_launch(replace(request, trusted=parts))

    def find_config(self, environ: Mapping[str, str]) -> tuple[ConfigFolder, ...]:
        """The settings folder that the catalogue names."""
        if self.known is None or not self.known.config:
            return ()
        home = environ.get("HOME", "/")
        folder = Path(self.known.config.replace("~", home, 1))
        return (self.make_config_folder(folder, self.known.config_files, self.known.logins),)

    def resolve_command(self) -> tuple[str, ...]:
        """The agent's command; a program or script of the workspace is found there."""
        words = [*self.settings.run, *self.settings.args]
        return tuple(self._resolve_word(word) for word in words)

    def explain_unusable(self) -> str | None:
        """The program must be found; not every one of them can say its version."""
        if self._program_path is None:
            return f"program {self.resolved_program!r} is not on PATH"
        return None

    def program_version(self) -> str | None:
        """What `--version` says, for a program of the catalogue; of others it is not known
        whether they have such an option, or take it for a prompt."""
        if self.known is None or self.known.program != Path(self.program).name:
            return None
        return super().program_version() if self.known.version else None

    @property
    def resolved_program(self) -> str:
        """The first word of its command."""
        return self.resolve_command()[0]

    def _resolve_word(self, word: str) -> str:
        if word.startswith("~"):
            return str(Path(word).expanduser())
        relative = ("/" in word or word.endswith((".py", ".sh"))) and not word.startswith(
            ("-", "/")
        )
        return str(self.root / word) if relative and (self.root / word).exists() else word

    @staticmethod
    def translate_record(record: Record) -> tuple[Event, ...]:
        """The events of `orchestr.agents.acp.event_lines`."""
        text = text_or_empty(record.get("text"))
        match record.get("type"):
            case "acp_session":
                model = text_or_empty(record.get("model"))
                return (SessionStarted(text_or_empty(record.get("session_id")), model),)
            case "acp_message":
                return (Message(text, record.get("more") is True),)
            case "acp_thought":
                return (Note(text, NoteKind.THOUGHT),)
            case "acp_plan":
                lines = (f"{_MARKS.get(text_or_empty(one.get('status')), '·')} "
                         f"{text_or_empty(one.get('text'))}"
                         for one in mappings(record.get("entries")))  # fmt: skip
                return (Note("\n".join(lines), NoteKind.TASKS),)
            case "acp_tool":
                return (_parse_tool(record),)
            case "acp_tool_result":
                return _parse_tool_result(record)
            case "acp_usage":
                return (_parse_usage(record),)
            case "acp_permission":
                what = text_or_empty(record.get("what"))
                if record.get("allowed") is True:
                    return (Note(f"allowed: {what}"),)
                why = text_or_empty(record.get("why"))
                denied = ActionDenied(text_or_empty(record.get("tool")), what)
                return (denied, Note(f"refused: {what}: {why}"))
            case "acp_error":
                return (ErrorReport(text),)
            case "acp_output":
                return (OutputLine(text),)
            case "acp_note":
                return (Note(text),)
            case "acp_agent":
                name, version = (text_or_empty(record.get(key)) for key in ("name", "version"))
                return (Note(f"{name} {version}".strip() or "agent without a name"),)
            case "result" if record.get("acp") is True:
                return (_parse_result(record),)
            case _:
                return note_record(record)


def _parse_tool(record: Record) -> ToolUse:
    given, name = record.get("input"), text_or_empty(record.get("name"))
    title = text_or_empty(record.get("title"))
    what = summarize_value(given) if isinstance(given, dict | str) and given else title
    key = text_or_empty(record.get("id"))
    return ToolUse("$" if name == "execute" else name, what, key)


def _parse_tool_result(record: Record) -> tuple[Event, ...]:
    """What a tool gave back; the changes of files that it reports are shown as its use."""
    key, code = text_or_empty(record.get("id")), record.get("exit_code")
    uses = tuple(
        ToolUse(
            "edit", text_or_empty(one.get("path")), key,
            (TextEdit(text_or_empty(one.get("before")), text_or_empty(one.get("after"))),),
        )
        for one in mappings(record.get("edits"))
    )  # fmt: skip
    result = ToolResult(
        key,
        "" if uses else text_or_empty(record.get("text")),
        record.get("failed") is True,
        code if isinstance(code, int) and not isinstance(code, bool) else None,
    )
    return (*uses, result)


def _parse_result(record: Record) -> AgentResult:
    """The end of the turn, with what this start took where the agent says it."""
    total = _parse_usage(record)
    stop = text_or_empty(record.get("stop_reason"))
    return AgentResult(
        stop == END_TURN,
        "" if stop == END_TURN else explain_stop(stop),
        total.cost_usd,
        total if total.input or total.output else None,
    )


def _parse_usage(record: Record) -> TokenUsage:
    return TokenUsage(
        count_or_zero(record.get("input")),
        count_or_zero(record.get("cached")),
        count_or_zero(record.get("output")),
        amount_or_none(record.get("cost_usd")),
    )


def _make_like(
    known: KnownAgent | None, settings: AgentSettings, workspace: WorkspaceSettings
) -> CliAgent | None:
    """The adapter of the kind that knows the program of ``known``; its command is not used."""
    if known is None or not known.like:
        return None
    made: Any = AGENT_KINDS.load(known.like).make(replace(settings, run=(), args=()), workspace)
    return made if isinstance(made, CliAgent) else None


KIND = AgentKind(AcpAgent, keys=("run",), required=("run",), options=("mcp",), trusts=TRUSTS)
