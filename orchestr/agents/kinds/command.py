"""The command agent: any program. Prompt on stdin and in a file, the worktree as its folder.

Exit 0 is success, 75 (EX_TEMPFAIL) a usage limit, anything else a failure. A last line
`ORCHESTR no_change_needed: REASON` is that outcome (docs/agents.md). With `stream` its output is
the event stream of a known kind, and judged as that.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from orchestr.agents.base import AgentLaunch, AgentRequest, AgentVerdict
from orchestr.agents.cli_agent import (
    AMEND,
    NO_CHANGE,
    CliAgent,
    read_prices,
    text_after_keyword,
)
from orchestr.agents.environment import agent_env
from orchestr.agents.events import (
    Event,
    SessionStarted,
    make_line_parser,
    note_record,
    parse_record,
    text_or_empty,
)
from orchestr.agents.mcp import list_hosts, write_mcp_config
from orchestr.settings.kinds import AGENT_KINDS, AgentKind
from orchestr.settings.records import AgentSettings, WorkspaceSettings
from orchestr.supervisor.client import ExitRecord

EX_TEMPFAIL = 75
TAIL = 64 * 1024
ANSWER = 1 << 20  # bytes of a transcript that an answer is looked for in
SESSION = "{session}"  # in the words of `resume`
_parse_line = make_line_parser(note_record)


class CommandAgent:
    """Runs `[agents.NAME] run = [...]`. A word that is a file of the workspace is resolved.

    ``dialect`` is the adapter of the kind whose stream it writes (`stream`): then its events are
    read, it is judged by its result, and with words to resume one its sessions go on.
    """

    kind = "command"

    def __init__(
        self, settings: AgentSettings, root: Path, dialect: CliAgent | None = None
    ) -> None:
        self.name = settings.name
        self.paid = bool(settings.paid)
        self.prices = read_prices(settings)
        self.tells_cost = dialect is not None and (dialect.tells or self.prices is not None)
        self.live = dialect is None or dialect.tells_while_working  # it tells nothing, or at once
        self._dialect = dialect
        self._settings = settings
        self._root = root

    def prepare_launch(self, request: AgentRequest) -> AgentLaunch:
        """The program with an allow-list environment; see `Agent.prepare_launch`."""
        passed = (*self._settings.pass_env, *request.passed_variables)
        env = agent_env(os.environ, (), pass_env=passed)
        env |= self._settings.env
        env |= request.variables
        if request.schema is not None:
            env["ORCHESTR_SCHEMA"] = json.dumps(request.schema)
        if request.model:
            env["ORCHESTR_MODEL"] = request.model
        env |= describe_options(request)
        argv = (*self.resolve_argv(), *request.args)
        if request.session:
            argv += tuple(word.replace(SESSION, request.session) for word in self._settings.resume)
        hosts = list_hosts(request.mcp)
        if self._dialect is None:
            return AgentLaunch(argv, env, stdin=request.prompt, hosts=hosts)
        ends, goes_on = self._dialect.ends, self._dialect.goes_on
        return AgentLaunch(
            argv, env, stdin=request.prompt, format="json", hosts=hosts, ends=ends, goes_on=goes_on
        )

    def resolve_argv(self) -> tuple[str, ...]:
        """The command; its files are found in the workspace, as the cwd is the worktree."""
        words = (*self._settings.run, *self._settings.args)
        return tuple(self._resolve_word(word) for word in words)

    def parse_line(self, line: bytes) -> tuple[Event, ...]:
        """Its lines are for people: none of them is more than a line of output, unless it speaks
        a known dialect. A session that cannot be resumed is none."""
        if self._dialect is None:
            return _parse_line(line)
        found = self._dialect.parse_line(line)
        if self._settings.resume:
            return found
        return tuple(event for event in found if not isinstance(event, SessionStarted))

    def program_version(self) -> str | None:
        """Unknown: it may be any program."""
        return None

    def judge_end(self, end: ExitRecord, transcript: Path, since: int = 0) -> AgentVerdict:
        """By exit code and last line; the proof is the repository, see `Agent.judge_end`."""
        if self._dialect is not None and end.code != EX_TEMPFAIL:
            return self._dialect.judge_with(self.parse_line, end, transcript, since)
        if end.reason != "exited":
            return AgentVerdict(False, end.detail or end.reason)
        if end.code == EX_TEMPFAIL:
            return AgentVerdict(False, "usage limit (exit 75)", limited=True)
        if end.code != 0:
            return AgentVerdict(False, describe_exit(end, last_stderr_line(transcript)))
        line = end.last_line.strip()
        if line.startswith(NO_CHANGE):
            why = line.removeprefix(NO_CHANGE).strip()
            if not why:
                return AgentVerdict(False, "no_change_needed without a reason")
            return AgentVerdict(True, no_change=why)
        return AgentVerdict(True, amend=text_after_keyword(AMEND, line))

    def read_answer(self, transcript: Path, since: int = 0) -> str:
        """All that the last start wrote to stdout, its last mebibyte; of a stream its result."""
        if self._dialect is not None:
            return self._dialect.read_answer(transcript, since)
        try:
            with transcript.open("rb") as stream:
                size = stream.seek(0, os.SEEK_END)
                stream.seek(max(since, size - ANSWER))
                records = stream.read().splitlines()
        except OSError:
            return ""
        parts = []
        for raw in records:
            record = parse_record(raw)
            if record is not None and record.get("stream") == "stdout":
                end = "" if record.get("more") else "\n"  # a long line comes in pieces
                parts.append(text_or_empty(record.get("text")) + end)
        return "".join(parts).removesuffix("\n")

    def explain_unusable(self) -> str | None:
        """The program must be found, and a script it names must be there."""
        argv = self.resolve_argv()
        path = self._settings.env.get("PATH", os.environ.get("PATH"))
        if shutil.which(argv[0], path=path) is None:
            return f"program {argv[0]!r} is not on PATH"
        for word in self._settings.run[1:2]:
            looks_like_file = "/" in word or word.endswith((".py", ".sh"))
            if (
                looks_like_file
                and not word.startswith("-")
                and not Path(self._resolve_word(word)).exists()
            ):
                return f"{word!r} is not in {self._root}"
        return None

    def _resolve_word(self, word: str) -> str:
        relative = "/" in word or word.endswith((".py", ".sh"))
        if relative and not word.startswith(("-", "/")) and (self._root / word).exists():
            return str(self._root / word)
        return word


def describe_options(request: AgentRequest) -> dict[str, str]:
    """What it is asked for, as variables: only its author knows what the program can do."""
    found = {}
    if request.effort:
        found["ORCHESTR_EFFORT"] = request.effort
    if request.fallback_model:
        found["ORCHESTR_FALLBACK_MODEL"] = request.fallback_model
    if request.max_turns:
        found["ORCHESTR_MAX_TURNS"] = str(request.max_turns)
    if request.mcp and request.folder is not None:
        found["ORCHESTR_MCP_CONFIG"] = str(write_mcp_config(request.mcp, request.folder))
    return found


def describe_exit(end: ExitRecord, complaint: str = "") -> str:
    """`exit 3: what it said last` or `killed by signal 9`, for people."""
    what = f"killed by signal {end.signal}" if end.signal else f"exit {end.code}"
    said = (complaint or end.last_line).strip()[:200]
    return f"{what}: {said}" if said else what


def last_stderr_line(transcript: Path) -> str:
    """The last line that went to stderr, if it is among the last 64 KiB; else nothing."""
    try:
        with transcript.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - TAIL))
            lines = stream.read().splitlines()
    except OSError:
        return ""
    for line in reversed(lines):
        record = parse_record(line)
        if record is not None and record.get("stream") == "stderr":
            text = text_or_empty(record.get("text")).strip()
            if text:
                return text
    return ""


def make_command_agent(settings: AgentSettings, workspace: WorkspaceSettings) -> CommandAgent:
    """The adapter for one `[agents.NAME]` table of kind `command`."""
    dialect: CliAgent | None = None
    if settings.stream is not None:
        dialect = AGENT_KINDS.load(settings.stream).make(settings, workspace)
    return CommandAgent(settings, workspace.root, dialect)


KIND = AgentKind(
    make_command_agent,
    keys=("run", "stream", "resume"),
    required=("run",),
    options=("effort", "fallback_model", "mcp", "max_turns"),
)
