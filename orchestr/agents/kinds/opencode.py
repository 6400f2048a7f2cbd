"""opencode: `opencode run --format json`, permissions by a configuration in its environment.

Tried with 1.18.33. The repository's own `opencode.json` is not read unless it is trusted
(`OPENCODE_DISABLE_PROJECT_CONFIG`): it could start MCP commands and send the key to another
`baseURL`; not read, it is not rewritten with a `$schema` either. Data and state lie in folders of
the attempt, because six at once on one database fail with "database is locked"; the user's login
is linked in.

It has no event for its end: the last step's reason is it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from orchestr.agents.base import AgentLaunch, AgentRequest
from orchestr.agents.cli_agent import CliAgent
from orchestr.agents.events import (
    ActionDenied,
    AgentResult,
    Event,
    Message,
    Note,
    NoteKind,
    Record,
    SessionStarted,
    TokenUsage,
    ToolResult,
    ToolUse,
    amount_or_none,
    count_or_zero,
    mapping_or_empty,
    note_record,
    read_blocks,
    read_edits,
    summarize_value,
    text_or_empty,
)
from orchestr.agents.mcp import describe_opencode
from orchestr.agents.repo_parts import find_part, read_sub_agents
from orchestr.sandbox.config_copies import ConfigFolder
from orchestr.settings.kinds import AgentKind
from orchestr.supervisor.client import ExitReason, ExitRecord

# Of its settings folder, what it reads there.
SETTINGS = ("opencode.json", "opencode.jsonc", "config.json", "AGENTS.md", "agent", "agents",
            "command", "commands", "mode", "modes", "plugin", "plugins", "package.json", "tool",
            "tools", "themes")  # fmt: skip
SKILLS = (".claude/skills", ".agents/skills")  # in a repository, and in the home folder
TITLE = "orchestr"
TAIL = 1 << 16  # bytes of its log that are looked at
_STREAM_ERROR = re.compile(r'message="stream error".*?error(?:\.error)?="?([^"\n]*)')
REFUSALS = (
    "The user has specified a rule which prevents you",
    "The user rejected permission to use this specific tool",
)
LOGINS = ("auth.json", "mcp-auth.json", "account.json")


class OpenCode(CliAgent):
    """`[agents.NAME] kind = "opencode"`. Providers' keys go by `pass_env` or its own login."""

    kind = "opencode"
    program = "opencode"
    own = ("OPENCODE_API_KEY", "OPENCODE_CONFIG", "OPENCODE_CONFIG_DIR", "OPENCODE_MODELS_*",
           "OPENCODE_DISABLE_*")  # fmt: skip
    tells = True
    tells_while_working = True
    repo_files = ("opencode.json", "opencode.jsonc", ".opencode", ".claude/skills",
                  ".agents/skills")  # fmt: skip
    inner_parts = ((".opencode", "skills"), (".opencode", "agents"))
    part_files = ((".claude/skills", "skills"), (".agents/skills", "skills"))
    guides = ("AGENTS.md", "CLAUDE.md")
    ends = ("step_finish part.reason=stop",)
    goes_on = ("step_start",)
    # 1 says that there was an error at any time, one that it got over (a full context) among them.
    good_exits = (0, 1)

    def prepare_launch(self, request: AgentRequest) -> AgentLaunch:
        """Prompt on stdin (arguments with spaces would be quoted)."""
        # A title of ours: it would ask the model for one, paid and in no count.
        argv = [self.resolved_program, "run", "--format", "json"]
        if request.effort is not None:
            argv += ["--variant", request.effort]
        argv += [] if request.session else ["--title", TITLE]
        env = {
            "OPENCODE_CONFIG_CONTENT": json.dumps(self._build_config(request)),
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_SHARE": "1",
        }
        if not request.trust:
            env["OPENCODE_DISABLE_PROJECT_CONFIG"] = "1"
            if any((request.worktree / name).exists() for name in SKILLS):
                env["OPENCODE_DISABLE_EXTERNAL_SKILLS"] = "1"
        if request.folder is not None:
            env |= prepare_data_folders(request.folder / "opencode", os.environ)
        launch = self.make_launch(request, argv, env, resume="--session")
        if not request.walled or request.folder is None:
            return launch
        # Links lead nowhere in the sandbox: it gets copies of its logins beside its data.
        place = request.folder / "opencode"
        logins = tuple((find_data(os.environ) / name, name) for name in LOGINS)
        data = ConfigFolder(place / "data" / "opencode", logins=logins)
        return replace(launch, config=(*launch.config, data), write=(place / "state",))

    def _build_config(self, request: AgentRequest) -> dict[str, object]:
        """With the repository's guides, which it does not read without its configuration."""
        config = build_config(request)
        guides = [str(request.worktree / name) for name in self.list_guides(request)]
        if request.trust:
            return config
        return {**config, **({"instructions": guides} if guides else {}), **trusted_parts(request)}

    def find_config(self, environ: Mapping[str, str]) -> tuple[ConfigFolder, ...]:
        """`opencode` in `XDG_CONFIG_HOME`, else in `~/.config`."""
        config = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "/"), ".config"))
        return (self.make_config_folder(Path(config, "opencode"), SETTINGS),)

    def read_silent_trouble(self, folder: Path, end: ExitRecord) -> str:
        """The last error of a stream in its log: it waits for a limit without a word."""
        if end.reason != ExitReason.IDLE:
            return ""
        path = folder / "opencode" / "data" / "opencode" / "log" / "opencode.log"
        logs = [path, *sorted(path.parent.glob("*.log"))]
        for log in reversed([one for one in logs if one.is_file()]):
            found = _STREAM_ERROR.findall(_read_tail(log))
            if found:
                return str(found[-1])
        return ""

    @staticmethod
    def translate_record(record: Record) -> tuple[Event, ...]:
        """step_start, text, reasoning, tool_use, step_finish, error."""
        part = mapping_or_empty(record.get("part"))
        match record.get("type"):
            case "step_start":
                return (SessionStarted(text_or_empty(record.get("sessionID"))),)
            case "text":
                return (Message(text_or_empty(part.get("text"))),)
            case "reasoning":
                return (Note(text_or_empty(part.get("text")), NoteKind.THOUGHT),)
            case "tool_use" if part:
                return _parse_tool(part)
            case "step_finish":
                usage = _parse_usage(part)
                if part.get("reason") == "tool-calls":
                    return (usage,)
                ok = part.get("reason") == "stop"
                reason = text_or_empty(part.get("reason"))
                return (
                    usage,
                    AgentResult(ok, "" if ok else f"its last step ended with {reason!r}"),
                )
            case "error" if "error" in record:
                error = mapping_or_empty(record.get("error"))
                data = mapping_or_empty(error.get("data"))
                status = data.get("statusCode")
                what = text_or_empty(data.get("message")) or text_or_empty(error.get("name"))
                text = f"{what} (status {status})" if status else what
                return (
                    SessionStarted(text_or_empty(record.get("sessionID"))),
                    AgentResult(False, text),
                )
            case _:
                return note_record(record)


def _read_tail(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - TAIL))
            return stream.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _parse_tool(part: Record) -> tuple[Event, ...]:
    """A tool and what it gave back; of an edit that was made the edit says it all."""
    state = mapping_or_empty(part.get("state"))
    key, given = text_or_empty(part.get("callID")), state.get("input")
    use = ToolUse(
        text_or_empty(part.get("tool")), summarize_value(given), key, edits=read_edits(given)
    )
    failed = state.get("status") == "error"
    said = text_or_empty(state.get("error")) or read_blocks(state.get("output"))
    if use.edits and not failed:
        said = ""
    result = ToolResult(key, "" if said == "(no output)" else said, failed)
    if failed and said.startswith(REFUSALS):
        return (use, result, ActionDenied(use.name, use.what, key))
    return (use, result)


def _parse_usage(part: Record) -> TokenUsage:
    """Tokens of a step; a cost of 0 is a model whose price it does not know."""
    tokens = mapping_or_empty(part.get("tokens"))
    cache = mapping_or_empty(tokens.get("cache"))
    cached = count_or_zero(cache.get("read"))
    fresh = count_or_zero(tokens.get("input")) + count_or_zero(cache.get("write"))
    output = count_or_zero(tokens.get("output")) + count_or_zero(tokens.get("reasoning"))
    return TokenUsage(fresh + cached, cached, output, amount_or_none(part.get("cost")) or None)


def build_config(request: AgentRequest) -> dict[str, object]:
    """Configuration that goes over the user's: of several rules that match, the last one counts."""
    tools = request.tools
    shell = {"*": "deny"}
    for command in tools.allowed:
        shell |= {command: "allow", f"{command} *": "allow"}
    for command in tools.denied:
        shell |= {command: "deny", f"{command} *": "deny"}
    outside = {"*": "deny"} | {f"{folder}/**": "allow" for folder in tools.read}
    edit = "allow" if tools.edit else "deny"
    permission = {"edit": edit, "bash": shell, "external_directory": outside}
    more = {"mcp": describe_opencode(request.mcp)} if request.mcp else {}
    return {"permission": permission, "share": "disabled", "autoupdate": False, **more}


def trusted_parts(request: AgentRequest) -> dict[str, object]:
    """Skills and sub-agents of the repository that are trusted without its configuration, and the
    user's skills, which are off together with the repository's."""
    found: dict[str, object] = {}
    places = [Path(os.environ.get("HOME", "/"), name) for name in SKILLS]
    if "skills" in request.trusted:
        inside = (find_part(request.worktree, name) for name in (*SKILLS, ".opencode/skills"))
        places += filter(None, inside)
    paths = [str(place) for place in places if place.is_dir()]
    if paths:
        found["skills"] = {"paths": paths}
    if "agents" in request.trusted:
        names = (".opencode/agent", ".opencode/agents")
        agents = read_sub_agents(request.worktree, names)
        if agents:
            found["agent"] = {name: {**one, "mode": "subagent"} for name, one in agents.items()}
    return found


def prepare_data_folders(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Folders of the attempt's own for data and state, with the user's login linked in."""
    data = folder / "data" / "opencode"
    data.mkdir(parents=True, exist_ok=True)
    (folder / "state").mkdir(exist_ok=True)
    for name in LOGINS:
        source = find_data(environ) / name
        if source.exists():
            with suppress(FileExistsError):
                (data / name).symlink_to(source)
    return {"XDG_DATA_HOME": str(folder / "data"), "XDG_STATE_HOME": str(folder / "state")}


def find_data(environ: Mapping[str, str]) -> Path:
    """Where the user's opencode keeps its logins."""
    data = environ.get("XDG_DATA_HOME") or str(Path(environ.get("HOME", "/"), ".local/share"))
    return Path(data, "opencode")


KIND = AgentKind(OpenCode, options=("effort", "mcp"), trusts=("guides", "skills", "agents"))
