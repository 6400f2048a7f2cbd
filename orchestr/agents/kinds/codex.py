"""Codex: `codex exec --json` in its own sandbox; the agent edits, the engine commits.

Tried with 0.169.0 and 0.171.0. `sandbox = "workspace-write"` (the default) lets it write in the
worktree and in temporary folders only and gives its commands no network; git's data of a linked
worktree is read-only then, so it cannot commit, and need not. Where builds need the network or
caches in the home folder, `sandbox = "danger-full-access"` switches all of that off, by setting
only; behind our wall it is off.

A refused command leaves no item in the stream. Usage is reported at the end
of a turn, for the whole session, and not for a turn that failed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from orchestr.agents.base import AgentLaunch, AgentRequest
from orchestr.agents.cli_agent import PATIENCE, READ_FIRST, CliAgent
from orchestr.agents.environment import QUIET, agent_env
from orchestr.agents.events import (
    ActionDenied,
    AgentResult,
    ErrorReport,
    Event,
    Message,
    Note,
    NoteKind,
    Record,
    SessionStarted,
    TokenUsage,
    ToolResult,
    ToolUse,
    UsageScope,
    count_or_zero,
    mapping_or_empty,
    mappings,
    note_record,
    read_blocks,
    summarize_value,
    text_or_empty,
)
from orchestr.agents.mcp import describe_codex
from orchestr.agents.repo_settings import find_trust_places
from orchestr.agents.session_records import SessionRecords
from orchestr.errors import OrchestrError
from orchestr.files import write_atomic
from orchestr.process.run import run_command
from orchestr.sandbox.config_copies import ConfigFolder
from orchestr.settings.kinds import AgentKind

# An agent that tries to commit all the same may give up in the middle of its work.
NO_COMMITS = (
    "In this sandbox git's data may only be read, so you cannot commit. Edit the files and leave "
    "them: they are committed for you."
)
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp")  # what a model takes for one
# Of its settings folder: what it reads there, and what it renews.
SETTINGS = ("config.toml", "AGENTS.md", "AGENTS.override.md", "prompts", "skills", "rules",
            "agents", "hooks.json", ".env", "version.json", "models_cache.json")  # fmt: skip
LOGINS = ("auth.json",)
SKILLS = (".agents/skills", ".codex/skills")  # of a repository
# What a command says that its sandbox keeps from the network or from other folders. git's data is
# read-only there on purpose.
_WALLED_OFF = re.compile(
    r"Read-only file system|Could not resolve host|Network is unreachable|codex-linux-sandbox"
)
_NO_SANDBOX = re.compile(r"bwrap|bubblewrap|sandbox|landlock|seccomp|namespace", re.IGNORECASE)
KEYS = ("OPENAI_API_KEY", "CODEX_API_KEY")


def _count_rollout(record: Record) -> tuple[str, TokenUsage] | None:
    """The session's sum after an answer, those of turns that fail included."""
    payload = mapping_or_empty(record.get("payload"))
    if payload.get("type") != "token_count":
        return None
    total = mapping_or_empty(mapping_or_empty(payload.get("info")).get("total_token_usage"))
    return ("", _parse_usage(total)) if total else None


class Codex(CliAgent):
    """`[agents.NAME] kind = "codex"`."""

    kind = "codex"
    program = "codex"
    own = ("CODEX_HOME", "CODEX_CA_CERTIFICATE", *KEYS, "OPENAI_BASE_URL", "OPENAI_ORGANIZATION",
           "OPENAI_PROJECT")  # fmt: skip
    repo_files = (".codex", ".agents/skills")
    inner_parts = ((".codex", "skills"),)
    part_files = ((".agents/skills", "skills"),)
    guides = ("AGENTS.md",)
    ends = ("turn.completed", "turn.failed")
    goes_on = ("turn.started",)
    records = SessionRecords(
        lambda session: f"sessions/*/*/*/rollout-*-{session}.jsonl",
        _count_rollout,
    )

    def prepare_launch(self, request: AgentRequest) -> AgentLaunch:
        """Prompt on stdin. Its keys are kept from the commands that it runs."""
        # Its sandbox would stand inside of ours, which holds more: one wall is enough.
        sandbox = "danger-full-access" if request.walled else "workspace-write"
        if self.settings.sandbox is not None:
            sandbox = self.settings.sandbox
        if not request.tools.edit and not request.walled:
            sandbox = "read-only"
        hidden = sorted({*KEYS, *self.settings.pass_env, *request.passed_variables})
        settings = {
            "approval_policy": '"never"',
            "check_for_update_on_startup": "false",
            "analytics.enabled": "false",
            "feedback.enabled": "false",
            "shell_environment_policy.exclude": json.dumps(hidden),
        }
        # Its own record of trust, for this start only: it may hold the clone for trusted.
        level = "trusted" if request.trust else "untrusted"
        places = (f"{json.dumps(str(place))} = {{ trust_level = \"{level}\" }}"
                  for place in find_trust_places(request.worktree))  # fmt: skip
        settings["projects"] = f"{{ {', '.join(places)} }}"
        if self.find_doubted_guides(request):
            settings["project_doc_max_bytes"] = "0"
        settings["features.plugins"] = "false"  # it would fetch a list of them from a forge
        words = [NO_COMMITS] if sandbox == "workspace-write" else []
        guides = self.list_guides(request)  # of a repository that it does not trust it reads none
        if guides and not request.trust:
            words.append(READ_FIRST.format(", ".join(guides)))
        if words:
            settings["developer_instructions"] = json.dumps("\n".join(words))
        if not request.obeys("skills") and any((request.worktree / n).exists() for n in SKILLS):
            settings["skills.include_instructions"] = "false"  # else it lists them untrusted, too
        if request.effort is not None:
            settings["model_reasoning_effort"] = json.dumps(request.effort)
        if request.folder is not None:
            settings |= describe_codex(request.mcp, request.folder)
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
        argv += [*self.settings.args, *request.args]
        argv += ["resume", request.session, "-"] if request.session else ["-"]
        return self.describe_launch(request, argv, {})

    def find_config(self, environ: Mapping[str, str]) -> tuple[ConfigFolder, ...]:
        """`CODEX_HOME`, else `~/.codex`."""
        return (self.make_config_folder(self.locate_settings(environ), SETTINGS, LOGINS),)

    def locate_settings(self, environ: Mapping[str, str]) -> Path:
        """See `CliAgent.locate_settings`."""
        return Path(environ.get("CODEX_HOME") or Path(environ.get("HOME", "/"), ".codex"))

    def explain_own_sandbox(self) -> str | None:
        """Every command would fail in a sandbox that does not start, and nothing be changed."""
        if self.settings.sandbox == "danger-full-access":
            return None
        own = agent_env(os.environ, self.own, pass_env=self.settings.pass_env)
        env = {**own, **QUIET, **self.settings.env}
        try:
            done = run_command(
                (self.resolved_program, "sandbox", "true"), cwd=Path("/"), env=env,
                timeout=PATIENCE, check=False,
            )  # fmt: skip
        except OrchestrError:
            return None
        if done.code in (0, 2):  # 2: a version that has no such command
            return None
        said = done.err.decode("utf-8", "replace").splitlines()
        lines = [line for line in said if "WARNING" not in line and _NO_SANDBOX.search(line)]
        return lines[-1] if lines else None

    @staticmethod
    def translate_record(record: Record) -> tuple[Event, ...]:
        """thread.started, item.completed, turn.completed, turn.failed, error."""
        match record.get("type"):
            case "thread.started":
                return (SessionStarted(text_or_empty(record.get("thread_id"))),)
            case "item.completed":
                return _parse_item(mapping_or_empty(record.get("item")))
            case "turn.completed":
                total = _parse_usage(mapping_or_empty(record.get("usage")))
                return (AgentResult(True, total=total or None, scope=UsageScope.SESSION),)
            case "turn.failed":
                error = mapping_or_empty(record.get("error"))
                return (AgentResult(False, text_or_empty(error.get("message"))),)
            case "error" if "message" in record:
                text = text_or_empty(record.get("message"))
                return (ErrorReport(text, final=not text.startswith("Reconnecting")),)
            case "turn.started" | "item.started" | "item.updated":
                return ()
            case _:
                return note_record(record)


def _parse_item(item: Record) -> tuple[Event, ...]:
    """An item that is complete: a tool and its result are one."""
    key = text_or_empty(item.get("id"))
    match item.get("type"):
        case "agent_message":
            return (Message(text_or_empty(item.get("text"))),)
        case "reasoning":
            return (Note(text_or_empty(item.get("text")), NoteKind.THOUGHT),)
        case "command_execution":
            code = item.get("exit_code")
            code = code if isinstance(code, int) else None
            output = text_or_empty(item.get("aggregated_output"))
            command = text_or_empty(item.get("command"))
            events = (
                ToolUse("$", command, key),
                ToolResult(key, output, failed=bool(code), exit_code=code),
            )
            if code and _WALLED_OFF.search(output) and "git " not in command:
                return (*events, ActionDenied("$", command, key))
            return events
        case "file_change":
            return tuple(_parse_change(key, change) for change in mappings(item.get("changes")))
        case "mcp_tool_call":
            name = text_or_empty(item.get("tool")) or "mcp"
            error = mapping_or_empty(item.get("error")).get("message")
            given = mapping_or_empty(item.get("result")).get("content")
            return (
                ToolUse(name, summarize_value(item.get("arguments")), key),
                ToolResult(key, text_or_empty(error) or read_blocks(given), failed=bool(error)),
            )
        case "web_search":
            return (ToolUse("web_search", text_or_empty(item.get("query")), key),)
        case "todo_list":
            marks = (
                f"{'✓' if task.get('completed') else '·'} {text_or_empty(task.get('text'))}"
                for task in mappings(item.get("items"))
            )
            return (Note("\n".join(marks), NoteKind.TASKS),)
        case "error":  # "Model metadata not found" and the like are no end
            return (ErrorReport(text_or_empty(item.get("message")), final=False),)
        case _:
            return note_record(item)


def _parse_usage(raw: Record) -> TokenUsage:
    return TokenUsage(
        count_or_zero(raw.get("input_tokens")),
        count_or_zero(raw.get("cached_input_tokens")),
        count_or_zero(raw.get("output_tokens")),
    )


def _parse_change(key: str, change: Record) -> ToolUse:
    kind = text_or_empty(change.get("kind")) or "change"
    path, diff = text_or_empty(change.get("path")), text_or_empty(change.get("diff"))
    return ToolUse(kind, path, key, diff=diff)


KIND = AgentKind(
    Codex,
    keys=("program", "sandbox"),
    provider="openai",
    options=("effort", "mcp"),
    trusts=("guides", "skills"),
    efforts=("none", "minimal", "low", "medium", "high", "xhigh"),
)
