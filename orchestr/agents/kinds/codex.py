"""Codex: `codex exec --json` in its own sandbox; the agent edits, the engine commits.

Tried with 0.169.0. `sandbox = "workspace-write"` (the default) lets it write in the worktree and in
temporary folders only and gives its commands no network; git's data of a linked worktree is
read-only then, so it cannot commit, and need not. Where builds need the network or caches in the
home folder, `sandbox = "danger-full-access"` switches all of that off, by setting only.

A refused command leaves no item in the stream. Usage is reported at the end
of a turn, for the whole session, and not for a turn that failed.
"""

from __future__ import annotations

import json

from orchestr.agents.base import AgentLaunch, AgentRequest
from orchestr.agents.cli_agent import CliAgent
from orchestr.agents.events import (
    AgentResult,
    ErrorReport,
    Event,
    Message,
    Record,
    SessionStarted,
    TokenUsage,
    ToolUse,
    UsageScope,
    count_or_zero,
    mapping_or_empty,
    text_or_empty,
)
from orchestr.files import write_atomic
from orchestr.settings.kinds import AgentKind

# An agent that tries to commit all the same may give up in the middle of its work.
NO_COMMITS = (
    "In this sandbox git's data may only be read, so you cannot commit. Edit the files and leave "
    "them: they are committed for you."
)
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp")  # what a model takes for one
KEYS = ("OPENAI_API_KEY", "CODEX_API_KEY")


class Codex(CliAgent):
    """`[agents.NAME] kind = "codex"`."""

    kind = "codex"
    program = "codex"
    own = ("CODEX_HOME", "CODEX_CA_CERTIFICATE", *KEYS, "OPENAI_BASE_URL", "OPENAI_ORGANIZATION",
           "OPENAI_PROJECT")  # fmt: skip

    def prepare_launch(self, request: AgentRequest) -> AgentLaunch:
        """Prompt on stdin. Its keys are kept from the commands that it runs."""
        sandbox = self.settings.sandbox or "workspace-write"
        if not request.tools.edit:
            sandbox = "read-only"
        hidden = sorted({*KEYS, *self.settings.pass_env})
        settings = {
            "approval_policy": '"never"',
            "check_for_update_on_startup": "false",
            "analytics.enabled": "false",
            "feedback.enabled": "false",
            "shell_environment_policy.exclude": json.dumps(hidden),
        }
        if sandbox == "workspace-write":
            settings["developer_instructions"] = json.dumps(NO_COMMITS)
        argv = [
            self.resolved_program,
            "exec",
            "--json",
            "--skip-git-repo-check",
            "--sandbox",
            sandbox,
        ]
        for key, value in settings.items():
            argv += ["-c", f"{key}={value}"]
        if request.model:
            argv += ["--model", request.model]
        if request.schema is not None and request.folder is not None:
            schema = request.folder / "schema.json"
            write_atomic(schema, json.dumps(request.schema).encode())
            argv += ["--output-schema", str(schema)]
        shown = [p for p in request.pictures if p.suffix.lower() in PICTURES]
        argv += [f"--image={path}" for path in shown if "," not in str(path)]
        argv += self.settings.args
        argv += ["resume", request.session, "-"] if request.session else ["-"]
        return AgentLaunch(
            tuple(argv), self.build_environment(request, {}), stdin=request.prompt, format="json"
        )

    @staticmethod
    def translate_record(record: Record) -> tuple[Event, ...]:
        """thread.started, item.completed, turn.completed, turn.failed, error."""
        match record.get("type"):
            case "thread.started":
                return (SessionStarted(text_or_empty(record.get("thread_id"))),)
            case "item.completed":
                return _parse_item(mapping_or_empty(record.get("item")))
            case "turn.completed":
                raw = mapping_or_empty(record.get("usage"))
                total = TokenUsage(
                    count_or_zero(raw.get("input_tokens")),
                    count_or_zero(raw.get("cached_input_tokens")),
                    count_or_zero(raw.get("output_tokens")),
                )
                return (AgentResult(True, total=total or None, scope=UsageScope.SESSION),)
            case "turn.failed":
                return (
                    AgentResult(
                        False, text_or_empty(mapping_or_empty(record.get("error")).get("message"))
                    ),
                )
            case "error":
                text = text_or_empty(record.get("message"))
                return (ErrorReport(text, final=not text.startswith("Reconnecting")),)
            case _:
                return ()


def _parse_item(item: Record) -> tuple[Event, ...]:
    match item.get("type"):
        case "agent_message":
            return (Message(text_or_empty(item.get("text"))),)
        case "command_execution":
            return (ToolUse("shell", text_or_empty(item.get("command"))),)
        case "file_change":
            changes = item.get("changes")
            paths = [text_or_empty(mapping_or_empty(c).get("path")) for c in changes or ()]
            return (ToolUse("edit", ", ".join(paths)),)
        case "mcp_tool_call":
            return (ToolUse(text_or_empty(item.get("tool")) or "mcp"),)
        case "error":  # "Model metadata not found" and the like are no end
            return (ErrorReport(text_or_empty(item.get("message")), final=False),)
        case _:
            return ()


KIND = AgentKind(Codex, keys=("program", "sandbox"), provider="openai")
