"""Gemini CLI: edits approved by mode, commands by a policy file of ours.

Tried with 0.61.0. `auto_edit` approves edits; what our policy does not allow needs a person, and
there is none. A version without policies offers no shell in this mode.
Errors of the API end with the HTTP status modulo 256: 173 is 429.

Its shell sets `GIT_CONFIG_GLOBAL=/dev/null`; an identity reaches its git by our settings in the
environment. It says nothing of costs.
"""

from __future__ import annotations

import json

from orchestr.agents.base import Launch, Request, Tools
from orchestr.agents.cli_agent import CliAgent
from orchestr.agents.events import (
    Error,
    Event,
    Limit,
    Message,
    Record,
    Result,
    Started,
    ToolUse,
    Usage,
    brief,
    count_of,
    table,
    text_of,
)
from orchestr.files import write_atomic
from orchestr.settings.records import AgentSettings, WorkspaceSettings
from orchestr.supervisor.client import Exit

LIMITED = 429 % 256
# The weakest of its settings files: the user's own go over it.
DEFAULTS = {
    "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
}


class Gemini(CliAgent):
    """`[agents.NAME] kind = "gemini"`."""

    kind = "gemini"
    program = "gemini"
    own = ("GEMINI_*", "GOOGLE_*")
    lost = "error resuming session|session not found|no previous sessions|invalid session"

    def launch(self, request: Request) -> Launch:
        """Prompt on stdin; the policy in `gemini.toml` beside the attempt."""
        mode = "auto_edit" if request.tools.edit else "default"
        argv = [self.command, "--approval-mode", mode, "--skip-trust", "-o", "stream-json"]
        env = {"GEMINI_CLI_NO_RELAUNCH": "true"}
        if request.folder is not None:
            policy, defaults = request.folder / "gemini.toml", request.folder / "gemini.json"
            write_atomic(policy, policy_of(request.tools).encode())
            write_atomic(defaults, json.dumps(DEFAULTS, indent=2).encode())
            argv += ["--policy", str(policy)]
            env["GEMINI_CLI_SYSTEM_DEFAULTS_PATH"] = str(defaults)
        if request.model:
            argv += ["--model", request.model]
        if request.session:
            argv += ["--resume", request.session]
        words = (*argv, *self.settings.args)
        return Launch(words, self.env(request, env), stdin=request.prompt, format="json")

    @staticmethod
    def events(record: Record) -> tuple[Event, ...]:
        """init, message, tool_use, error, result."""
        match record.get("type"):
            case "init":
                return (Started(text_of(record.get("session_id"))),)
            case "message" if record.get("role") == "assistant":
                more = record.get("delta") is True
                return (Message(text_of(record.get("content")), more),)
            case "tool_use":
                name = text_of(record.get("tool_name"))
                return (ToolUse(name, brief(record.get("parameters"))),)
            case "error":
                text = text_of(record.get("message"))
                return (Error(text, final=record.get("severity") != "warning"),)
            case "result":
                stats = table(record.get("stats"))
                total = Usage(
                    count_of(stats.get("input_tokens")),
                    count_of(stats.get("cached")),
                    count_of(stats.get("output_tokens")),
                )
                text = text_of(table(record.get("error")).get("message"))
                ok = record.get("status") == "success"
                return (Result(ok, text, total=total or None),)
            case _:
                return ()

    def limit_of(self, end: Exit) -> Limit | None:
        """429 modulo 256."""
        return Limit(kind="exit 173 (HTTP 429)") if end.code == LIMITED else None


def policy_of(tools: Tools) -> str:
    """A policy file: allowed commands, and over them the denied ones.

    `git push` is written as a prefix of words, so `git pushy` is no match for it.
    """
    rules = [("allow", 100, list(tools.allowed)), ("deny", 500, list(tools.denied))]
    parts = ["# Written by orchestr for one attempt.\n"]
    for decision, priority, prefixes in rules:
        if prefixes:
            parts.append(
                f'[[rule]]\ntoolName = "run_shell_command"\ndecision = "{decision}"\n'
                f"priority = {priority}\ncommandPrefix = {json.dumps(prefixes)}\n"
            )
    if not tools.edit:
        parts += [
            f'[[rule]]\ntoolName = "{name}"\ndecision = "deny"\npriority = 500\n'
            for name in ("write_file", "replace")
        ]
    return "\n".join(parts)


def make(settings: AgentSettings, workspace: WorkspaceSettings) -> Gemini:
    """The adapter for one `[agents.NAME]` table of kind `gemini`."""
    return Gemini(settings, workspace)
