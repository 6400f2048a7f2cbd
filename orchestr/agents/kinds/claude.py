"""Claude Code: `claude -p`, stream-json, permissions by a settings file of ours.

Tried with 2.1.197. Only the user's own settings are read (`--setting-sources user`) and no MCP
servers of the repository (`--strict-mcp-config`): a repository's `.claude/settings.json` may run
hooks and set `ANTHROPIC_BASE_URL`, which would send the key elsewhere. Its instructions
(CLAUDE.md) are left out by that, too, so a system prompt asks the agent to read them.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from orchestr.agents.base import AgentLaunch, AgentRequest, ToolPermissions
from orchestr.agents.cli_agent import READ_FIRST, CliAgent
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
    SubagentEvent,
    TokenUsage,
    ToolResult,
    ToolUse,
    UsageLimit,
    UsageScope,
    amount_or_none,
    count_or_zero,
    mapping_or_empty,
    mappings,
    note_record,
    read_blocks,
    read_edits,
    summarize_value,
    text_or_empty,
)
from orchestr.agents.mcp import write_mcp_config
from orchestr.agents.repo_parts import copy_part, find_part, list_files, read_json_table
from orchestr.agents.session_records import SessionRecords
from orchestr.agents.trouble import LIMITING, is_final
from orchestr.files import write_atomic
from orchestr.sandbox.config_copies import ConfigFolder
from orchestr.settings.kinds import AgentKind

# Tools that leave the worktree, wait for a person or for a later day.
UNWANTED = ("AskUserQuestion", "EnterWorktree", "CronCreate", "ScheduleWakeup", "EnterPlanMode")
# Of its settings folder: what it reads there, and what it renews.
SETTINGS = ("settings.json", "settings.local.json", "CLAUDE.md", "agents", "commands", "skills",
            "output-styles", "rules", ".claude.json")  # fmt: skip
LOGINS = (".credentials.json",)
SHOWN = ("hooks", "plugins")


def _count_answer(record: Record) -> tuple[str, TokenUsage] | None:
    """The tokens of an answer; the stream knows its output only at the end of all."""
    message = mapping_or_empty(record.get("message"))
    key = text_or_empty(message.get("id"))
    if record.get("type") != "assistant" or not key:
        return None
    return key, _parse_usage(mapping_or_empty(message.get("usage")))


class Claude(CliAgent):
    """`[agents.NAME] kind = "claude"`."""

    kind = "claude"
    program = "claude"
    own = (
        "ANTHROPIC_*", "CLAUDE_CODE_*", "CLAUDE_CONFIG_DIR", "MAX_THINKING_TOKENS",
        "API_TIMEOUT_MS", "BASH_DEFAULT_TIMEOUT_MS", "BASH_MAX_TIMEOUT_MS",
    )  # fmt: skip
    # A claude that runs us speaks to its children by these.
    without = ("CLAUDE_CODE_ENTRYPOINT", "CLAUDE_CODE_SSE_PORT", "CLAUDE_CODE_SESSION_ID")
    tells = True
    tells_while_working = True
    part_files = (
        (".mcp.json", "mcp"), (".claude/agents", "agents"), (".claude/commands", "skills"),
        (".claude/skills", "skills"), (".claude/rules", "rules"),
    )  # fmt: skip
    inner_parts = ((".claude/settings.json", "hooks"), (".claude/settings.local.json", "hooks"))
    repo_files = (".claude/settings.json", ".claude/settings.local.json",
                  *(name for name, _ in part_files))  # fmt: skip
    guides = ("CLAUDE.md", "AGENTS.md")
    records = SessionRecords(lambda session: f"projects/*/{session}.jsonl", _count_answer)

    def prepare_launch(self, request: AgentRequest) -> AgentLaunch:
        """Prompt on stdin; permissions in `claude.json` beside the attempt."""
        argv = [
            self.resolved_program, "-p", "--output-format", "stream-json", "--verbose",
            "--permission-mode", "acceptEdits" if request.tools.edit else "default",
            "--setting-sources", "user,project" if request.trust else "user",
        ]  # fmt: skip
        configs = []
        if request.mcp and request.folder is not None:
            configs.append(str(write_mcp_config(request.mcp, request.folder)))
        if "mcp" in request.trusted and find_part(request.worktree, ".mcp.json") is not None:
            configs.append(str(request.worktree / ".mcp.json"))
        if configs:
            argv += ["--mcp-config", *configs]
        if not request.trust:
            argv += ["--strict-mcp-config"]
        if request.folder is not None:
            path = request.folder / "claude.json"
            servers = [server.name for server in request.mcp]
            if "mcp" in request.trusted:
                servers += read_json_table(request.worktree, ".mcp.json", "mcpServers")
            given = permission_settings(request.tools, tuple(servers))
            given |= trusted_settings(request)
            write_atomic(path, json.dumps(given, indent=2).encode())
            argv += ["--settings", str(path)]
            argv += copy_trusted_parts(request, request.folder / "repository-parts")
        guides = [*self.list_guides(request), *list_rules(request)]
        if guides:
            argv += ["--append-system-prompt", READ_FIRST.format(", ".join(guides))]
        if request.budget_usd is not None:
            argv += ["--max-budget-usd", f"{max(request.budget_usd, 0.01):.4f}"]
        if request.effort is not None:
            argv += ["--effort", request.effort]
        if request.fallback_model is not None:
            argv += ["--fallback-model", request.fallback_model]
        if request.max_turns is not None:
            argv += ["--max-turns", str(request.max_turns)]
        if request.schema is not None:
            argv += ["--json-schema", json.dumps(request.schema)]
        env = {
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_ERROR_REPORTING": "1",
        }
        if request.walled:  # with it `.claude.json` lies in the folder, where it can be replaced
            env["CLAUDE_CONFIG_DIR"] = os.environ.get("CLAUDE_CONFIG_DIR") or str(
                Path(os.environ.get("HOME", "/"), ".claude")
            )
        return self.make_launch(request, argv, env, resume="--resume")

    def find_config(self, environ: Mapping[str, str]) -> tuple[ConfigFolder, ...]:
        """`CLAUDE_CONFIG_DIR`, else `~/.claude` and the `~/.claude.json` beside it."""
        named, home = environ.get("CLAUDE_CONFIG_DIR"), Path(environ.get("HOME", "/"))
        folder = self.locate_settings(environ)
        found = self.make_config_folder(folder, SETTINGS, LOGINS, SHOWN)
        beside = home / ".claude.json"
        if named or not beside.is_file():
            return (found,)
        return (replace(found, copies=(*found.copies, (beside, beside.name))),)

    def locate_settings(self, environ: Mapping[str, str]) -> Path:
        """See `CliAgent.locate_settings`."""
        named = environ.get("CLAUDE_CONFIG_DIR")
        return Path(named) if named else Path(environ.get("HOME", "/"), ".claude")

    @staticmethod
    def translate_record(record: Record) -> tuple[Event, ...]:
        """system, assistant, user, rate_limit_event, result."""
        match record.get("type"):
            case "system":
                return _parse_system_record(record)
            case "assistant" if isinstance(record.get("message"), dict):
                return _parse_assistant_record(record)
            case "user" if isinstance(record.get("message"), dict):
                return _parse_tool_results(record)
            case "stream_event":
                return ()
            case "rate_limit_event":
                info = mapping_or_empty(record.get("rate_limit_info"))
                if info.get("status") != "rejected" or info.get("isUsingOverage") is True:
                    return ()
                until = amount_or_none(info.get("resetsAt"))
                return (
                    UsageLimit(until, text_or_empty(info.get("rateLimitType")) or "usage limit"),
                )
            case "result" if "is_error" in record:
                return _parse_result_record(record)
            case _:
                return note_record(record)


def permission_settings(tools: ToolPermissions, servers: tuple[str, ...] = ()) -> dict[str, object]:
    """The settings of ours that go over the user's: allow and deny, no word about a trailer.
    ``servers`` are the MCP servers whose tools it may call."""
    allow = [f"Bash({command}:*)" for command in tools.allowed]
    allow += [f"mcp__{name}" for name in servers]
    allow += [f"Read(/{folder}/**)" for folder in tools.read]
    deny = [f"Bash({command}:*)" for command in tools.denied]
    closed = [] if tools.edit else ["Edit", "Write", "NotebookEdit"]
    return {"permissions": {"allow": allow, "deny": [*deny, *UNWANTED, *closed]}}


def trusted_settings(request: AgentRequest) -> dict[str, object]:
    """Hooks of the repository, where they alone are trusted; else its skills start no programs."""
    if request.trust:
        return {}
    if "hooks" in request.trusted:
        hooks: dict[str, list[object]] = {}
        for name in (".claude/settings.json", ".claude/settings.local.json"):
            for event, entries in read_json_table(request.worktree, name, "hooks").items():
                if isinstance(entries, list):
                    hooks.setdefault(event, []).extend(entries)
        return {"hooks": hooks} if hooks else {}
    return {"disableSkillShellExecution": True} if "skills" in request.trusted else {}


def copy_trusted_parts(request: AgentRequest, plugin: Path) -> list[str]:
    """The options for a plugin of the repository's skills, commands and sub-agents that are trusted
    without the rest. It is made anew for each start."""
    shutil.rmtree(plugin, ignore_errors=True)
    if request.trust:
        return []
    if "skills" in request.trusted:
        copy_part(request.worktree, ".claude/skills", plugin / "skills")
        copy_part(request.worktree, ".claude/commands", plugin / "commands")
    if "agents" in request.trusted:
        copy_part(request.worktree, ".claude/agents", plugin / "agents")
    if not plugin.is_dir():
        return []
    manifest = {"name": "repository", "version": "1.0.0", "description": "of this repository"}
    write_atomic(plugin / ".claude-plugin" / "plugin.json", json.dumps(manifest).encode())
    return ["--plugin-dir", str(plugin)]


def list_rules(request: AgentRequest) -> list[str]:
    """The repository's rules that it is to read, where they are trusted without the rest."""
    folder = find_part(request.worktree, ".claude/rules") if "rules" in request.trusted else None
    if request.trust or folder is None:
        return []
    root = request.worktree.resolve()
    return [str(path.relative_to(root)) for path in list_files(folder) if path.suffix == ".md"]


def _parse_system_record(record: Record) -> tuple[Event, ...]:
    match record.get("subtype"):
        case "init":
            model = text_or_empty(record.get("model"))
            return (SessionStarted(text_or_empty(record.get("session_id")), model),)
        case "api_retry":
            status = record.get("error_status")
            return (ErrorReport(f"the server answered {status}, it tries again", final=False),)
        case "permission_denied":
            return (Note(f"permission denied: {summarize_value(record.get('tool_name'))}"),)
        case str(other):
            return (Note(other),)
        case _:
            return note_record(record)


def _parse_assistant_record(record: Record) -> tuple[Event, ...]:
    message = mapping_or_empty(record.get("message"))
    content = message.get("content")
    blocks = mappings(content)
    if message.get("model") == "<synthetic>":  # the program itself speaks, of an error
        return tuple(
            ErrorReport(text_or_empty(b.get("text"))) for b in blocks if b.get("type") == "text"
        )
    usage = _parse_usage(mapping_or_empty(message.get("usage")), text_or_empty(message.get("id")))
    said: list[Message | ToolUse | Note] = []
    if isinstance(content, str):
        said.append(Message(content))
    for block in blocks:
        match block.get("type"):
            case "text":
                said.append(Message(text_or_empty(block.get("text"))))
            case "thinking":
                said.append(Note(text_or_empty(block.get("thinking")), NoteKind.THOUGHT))
            case "tool_use":
                said.append(_parse_tool_use(block))
            case _:
                pass
    events = map(SubagentEvent, said) if record.get("parent_tool_use_id") else said
    return (*((usage,) if usage else ()), *events)


def _parse_tool_use(block: Record) -> ToolUse:
    given = block.get("input")
    return ToolUse(
        text_or_empty(block.get("name")),
        summarize_value(given),
        text_or_empty(block.get("id")),
        read_edits(given),
    )


def _parse_tool_results(record: Record) -> tuple[Event, ...]:
    """What the tools gave back; other words of the user are the prompt."""
    results = [
        ToolResult(
            text_or_empty(block.get("tool_use_id")),
            _drop_empty_output(read_blocks(block.get("content"))),
            block.get("is_error") is True,
        )
        for block in mappings(mapping_or_empty(record.get("message")).get("content"))
        if block.get("type") == "tool_result"
    ]
    return tuple(map(SubagentEvent, results) if record.get("parent_tool_use_id") else results)


def _drop_empty_output(text: str) -> str:
    """Nothing, where the program says in words that there was no output."""
    return "" if text.strip() in ("(no output)", "(Bash completed with no output)") else text


def _parse_usage(raw: Record, id_: str = "") -> TokenUsage:
    cached = count_or_zero(raw.get("cache_read_input_tokens"))
    fresh = count_or_zero(raw.get("input_tokens")) + count_or_zero(
        raw.get("cache_creation_input_tokens")
    )
    return TokenUsage(fresh + cached, cached, count_or_zero(raw.get("output_tokens")), id=id_)


def _parse_result_record(record: Record) -> tuple[Event, ...]:
    """The end. API errors come as `subtype: success` with `is_error: true` (trap 1)."""
    ok = record.get("subtype") == "success" and record.get("is_error") is False
    text = text_or_empty(record.get("result"))
    if isinstance(record.get("structured_output"), dict):  # what `--json-schema` was met with
        text = json.dumps(record["structured_output"])
    if not text and isinstance(record.get("errors"), list):
        text = "; ".join(text_or_empty(e) for e in record["errors"])
    if not ok and not text:
        text = text_or_empty(record.get("subtype")).replace("_", " ")
    # `usage` is empty after some errors, `modelUsage` is not; see `Scope.UNSURE` for its reach.
    models = mappings(list(mapping_or_empty(record.get("modelUsage")).values()))
    total = TokenUsage()
    for model in models:
        cached = count_or_zero(model.get("cacheReadInputTokens"))
        fresh = count_or_zero(model.get("inputTokens")) + count_or_zero(
            model.get("cacheCreationInputTokens")
        )
        output = count_or_zero(model.get("outputTokens"))
        total = TokenUsage(
            total.input + fresh + cached, total.cached + cached, total.output + output
        )
    total = total or _parse_usage(mapping_or_empty(record.get("usage")))
    found: list[Event] = []
    session = text_or_empty(record.get("session_id"))
    if session and ok:
        found.append(SessionStarted(session))
    found.append(
        AgentResult(
            ok,
            text,
            amount_or_none(record.get("total_cost_usd")),
            total,
            UsageScope.UNSURE,
            count_or_zero(record.get("num_turns")),
        )
    )
    for denied in mappings(record.get("permission_denials")):
        name, given = text_or_empty(denied.get("tool_name")), denied.get("tool_input")
        key = text_or_empty(denied.get("tool_use_id"))
        found.append(ActionDenied(name, summarize_value(given), key))
    if not ok and record.get("api_error_status") in LIMITING and not is_final(text, Claude.kind):
        found.append(UsageLimit(None, text[:200]))
    return tuple(found)


KIND = AgentKind(
    Claude,
    provider="anthropic",
    options=("effort", "fallback_model", "mcp", "max_turns"),
    efforts=("low", "medium", "high", "xhigh", "max"),
    trusts=("guides", "skills", "agents", "rules", "hooks", "mcp"),
)
