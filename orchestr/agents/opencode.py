"""opencode: `opencode run --format json`, permissions by a configuration in its environment.

Tried with 1.18.33. The repository's own `opencode.json` is not read
(`OPENCODE_DISABLE_PROJECT_CONFIG`): it could start MCP commands and send the key to another
`baseURL`; not read, it is not rewritten with a `$schema` either. Data and state lie in folders of
the attempt, because six at once on one database fail with "database is locked"; the user's login
is linked in.

It has no event for its end: the last step's reason is it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from orchestr.agents.base import Launch, Request, Tools
from orchestr.agents.cli_agent import CliAgent
from orchestr.agents.events import (
    Event,
    Message,
    Record,
    Result,
    Started,
    ToolUse,
    Usage,
    brief,
    count_of,
    money_of,
    table,
    text_of,
)
from orchestr.settings.records import AgentSettings, WorkspaceSettings

LOGINS = ("auth.json", "mcp-auth.json", "account.json")


class OpenCode(CliAgent):
    """`[agents.NAME] kind = "opencode"`. Providers' keys go by `pass_env` or its own login."""

    kind = "opencode"
    program = "opencode"
    own = ("OPENCODE_API_KEY", "OPENCODE_CONFIG", "OPENCODE_CONFIG_DIR", "OPENCODE_MODELS_*",
           "OPENCODE_DISABLE_*")  # fmt: skip
    tells = True

    def launch(self, request: Request) -> Launch:
        """Prompt on stdin (arguments with spaces would be quoted)."""
        argv = [self.command, "run", "--format", "json"]
        env = {
            "OPENCODE_CONFIG_CONTENT": json.dumps(config_of(request.tools)),
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_PROJECT_CONFIG": "1",
            "OPENCODE_DISABLE_SHARE": "1",
        }
        if request.folder is not None:
            env |= homes(request.folder / "opencode", os.environ)
        if request.model:
            argv += ["--model", request.model]
        if request.session:
            argv += ["--session", request.session]
        words = (*argv, *self.settings.args)
        return Launch(words, self.env(request, env), stdin=request.prompt, format="json")

    @staticmethod
    def events(record: Record) -> tuple[Event, ...]:
        """step_start, text, tool_use, step_finish, error."""
        part = table(record.get("part"))
        match record.get("type"):
            case "step_start":
                return (Started(text_of(record.get("sessionID"))),)
            case "text":
                return (Message(text_of(part.get("text"))),)
            case "tool_use":
                state = table(part.get("state"))
                return (ToolUse(text_of(part.get("tool")), brief(state.get("input"))),)
            case "step_finish":
                usage = _usage(part)
                if part.get("reason") == "tool-calls":
                    return (usage,)
                ok = part.get("reason") == "stop"
                why = "" if ok else f"its last step ended with {text_of(part.get('reason'))!r}"
                return (usage, Result(ok, why))
            case "error":
                error = table(record.get("error"))
                data = table(error.get("data"))
                status = data.get("statusCode")
                what = text_of(data.get("message")) or text_of(error.get("name"))
                text = f"{what} (status {status})" if status else what
                return (Started(text_of(record.get("sessionID"))), Result(False, text))
            case _:
                return ()


def _usage(part: Record) -> Usage:
    """Tokens of a step; a cost of 0 is a model whose price it does not know."""
    tokens = table(part.get("tokens"))
    cache = table(tokens.get("cache"))
    cached = count_of(cache.get("read"))
    fresh = count_of(tokens.get("input")) + count_of(cache.get("write"))
    output = count_of(tokens.get("output")) + count_of(tokens.get("reasoning"))
    return Usage(fresh + cached, cached, output, money_of(part.get("cost")) or None)


def config_of(tools: Tools) -> dict[str, object]:
    """Configuration that goes over the user's: of several rules that match, the last one counts."""
    shell = {"*": "deny"}
    for command in tools.allowed:
        shell |= {command: "allow", f"{command} *": "allow"}
    for command in tools.denied:
        shell |= {command: "deny", f"{command} *": "deny"}
    outside = {"*": "deny"} | {f"{folder}/**": "allow" for folder in tools.read}
    edit = "allow" if tools.edit else "deny"
    permission = {"edit": edit, "bash": shell, "external_directory": outside}
    return {"permission": permission, "share": "disabled", "autoupdate": False}


def homes(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Folders of the attempt's own for data and state, with the user's login linked in."""
    theirs = environ.get("XDG_DATA_HOME") or str(Path(environ.get("HOME", "/"), ".local/share"))
    data = folder / "data" / "opencode"
    data.mkdir(parents=True, exist_ok=True)
    for name in LOGINS:
        source = Path(theirs, "opencode", name)
        if source.exists():
            with suppress(FileExistsError):
                (data / name).symlink_to(source)
    return {"XDG_DATA_HOME": str(folder / "data"), "XDG_STATE_HOME": str(folder / "state")}


def make(settings: AgentSettings, workspace: WorkspaceSettings) -> OpenCode:
    """The adapter for one `[agents.NAME]` table of kind `opencode`."""
    return OpenCode(settings, workspace)
