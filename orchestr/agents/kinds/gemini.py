"""Gemini CLI: edits approved by mode, commands by a policy file of ours.

Tried with 0.61.0. `auto_edit` approves edits; what our policy does not allow needs a person, and
there is none. A version without policies offers no shell in this mode.
Errors of the API end with the HTTP status modulo 256: 173 is 429.

Its shell sets `GIT_CONFIG_GLOBAL=/dev/null`; an identity reaches its git by our settings in the
environment. It reports no costs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestr.agents.base import AgentLaunch, AgentRequest, ToolPermissions
from orchestr.agents.cli_agent import READ_FIRST, CliAgent
from orchestr.agents.events import (
    ActionDenied,
    AgentResult,
    ErrorReport,
    Event,
    Message,
    Record,
    SessionStarted,
    TokenUsage,
    ToolResult,
    ToolUse,
    UsageLimit,
    count_or_zero,
    mapping_or_empty,
    note_record,
    read_blocks,
    read_edits,
    summarize_value,
    text_or_empty,
)
from orchestr.agents.mcp import describe_gemini, write_private
from orchestr.agents.repo_parts import read_json_table
from orchestr.agents.session_records import SessionRecords
from orchestr.agents.trouble import GEMINI_MODULUS, PASSING
from orchestr.files import write_atomic
from orchestr.sandbox.config_copies import ConfigFolder
from orchestr.settings.kinds import AgentKind
from orchestr.supervisor.client import ExitRecord

# Of its settings folder: what it reads there, and what it renews.
SETTINGS = ("settings.json", "GEMINI.md", ".env", "commands", "extensions", "skills", "agents",
            "trustedFolders.json", "installation_id")  # fmt: skip
LOGINS = ("oauth_creds.json", "google_accounts.json", "gemini-credentials.json",
          "mcp-oauth-tokens.json")  # fmt: skip
NOTHING = "none-of-this-repository"  # an empty list would allow all
FIXED = {
    "GOOGLE_GEMINI_BASE_URL": "https://generativelanguage.googleapis.com",
    "GEMINI_SYSTEM_MD": "false",
}
LIMITED = 429 % GEMINI_MODULUS
MERGED = "gemini-settings.json"
# The user's own settings go over these.
DEFAULTS = {
    "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
}


def _count_message(record: Record) -> tuple[str, TokenUsage] | None:
    """The tokens of a message; it is written again with what its tools gave back."""
    raw, key = mapping_or_empty(record.get("tokens")), text_or_empty(record.get("id"))
    if record.get("type") != "gemini" or not key:
        return None
    output = count_or_zero(raw.get("output")) + count_or_zero(raw.get("thoughts"))
    return key, TokenUsage(
        count_or_zero(raw.get("input")), count_or_zero(raw.get("cached")), output
    )


class Gemini(CliAgent):
    """`[agents.NAME] kind = "gemini"`."""

    kind = "gemini"
    program = "gemini"
    own = ("GEMINI_*", "GOOGLE_*")
    repo_files = (".gemini/settings.json", ".gemini/.env", ".gemini/extensions", ".gemini/commands",
                  ".gemini/system.md", ".gemini/skills", ".agents/skills",
                  ".gemini/agents", ".gemini/policies")  # fmt: skip
    inner_parts = ((".gemini/settings.json", "hooks"), (".gemini/settings.json", "mcp"))
    part_files = ((".gemini/skills", "skills"), (".agents/skills", "skills"))
    guides = ("GEMINI.md",)
    records = SessionRecords(
        lambda session: f"tmp/*/chats/session-*-{session[:8]}.json*",
        _count_message,
    )
    lost = "error resuming session|session not found|no previous sessions|invalid session"

    def prepare_launch(self, request: AgentRequest) -> AgentLaunch:
        """Prompt on stdin; the policy in `gemini.toml` beside the attempt."""
        mode = "auto_edit" if request.tools.edit else "default"
        argv = [self.resolved_program, "--approval-mode", mode, "--skip-trust", "-o", "stream-json"]
        # A terminal that it takes for a good one: else each log begins with warnings of it.
        env = {"GEMINI_CLI_NO_RELAUNCH": "true", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        # Asked before it reads settings and `.env`; `--skip-trust` holds from then on.
        env["GEMINI_CLI_TRUST_WORKSPACE"] = "true" if request.trust else "false"
        if request.folder is not None:
            policy = request.folder / "gemini.toml"
            servers = describe_gemini(request.mcp)
            write_atomic(policy, render_policy(request.tools, tuple(servers)).encode())
            given = build_defaults(servers, request.max_turns)
            argv += ["--policy", str(policy)]
            settings = merge_settings(given, read_user_settings(os.environ))
            own = trusted_tables(request)
            settings = merge_settings(settings, own)
            if self.list_ignored(request):
                over = request.folder / "gemini-over.json"
                strict = build_overrides(
                    {**read_user_servers(os.environ), **servers, **own.get("mcpServers", {})},
                    without_guides=bool(self.find_doubted_guides(request)),
                    without_hooks="hooks" not in request.trusted,
                    without_skills=not request.obeys("skills") and has_skills(request.worktree),
                )
                settings = merge_settings(settings, strict)
                write_private(over, json.dumps(strict, indent=2))
                env["GEMINI_CLI_SYSTEM_SETTINGS_PATH"] = str(over)
                # What a `.env` of the repository would set, where the user has not.
                env |= {k: v for k, v in FIXED.items() if k not in os.environ}
            merged = request.folder / MERGED
            write_private(merged, json.dumps(settings, indent=2))
            if not request.walled:
                env["GEMINI_CLI_HOME"] = str(make_own_home(request.folder, merged))
        launch = self.make_launch(self._add_guides(request), argv, env, resume="--resume")
        if request.folder is None:
            return launch
        config = tuple(replace_settings(one, request.folder / MERGED) for one in launch.config)
        return replace(launch, config=config)

    def _add_guides(self, request: AgentRequest) -> AgentRequest:
        """The prompt with the names of the guides that it does not read by itself."""
        guides = [name for name in self.list_guides(request) if name not in self.guides]
        if not guides or request.folder is None or request.session or request.trust:
            return request
        prompt = request.folder / "gemini-prompt.md"
        text = request.prompt.read_text(encoding="utf-8")
        write_atomic(prompt, f"{READ_FIRST.format(', '.join(guides))}\n\n{text}".encode())
        return replace(request, prompt=prompt)

    @staticmethod
    def translate_record(record: Record) -> tuple[Event, ...]:
        """init, message, tool_use, tool_result, error, result."""
        match record.get("type"):
            case "init":
                model = text_or_empty(record.get("model"))
                return (SessionStarted(text_or_empty(record.get("session_id")), model),)
            case "message" if record.get("role") == "user":
                return ()  # the prompt, repeated
            case "message" if record.get("role") == "assistant":
                more = record.get("delta") is True
                return (Message(text_or_empty(record.get("content")), more),)
            case "tool_use" if "tool_name" in record:
                given = record.get("parameters")
                return (
                    ToolUse(
                        text_or_empty(record.get("tool_name")),
                        summarize_value(given),
                        text_or_empty(record.get("tool_id")),
                        read_edits(given),
                    ),
                )
            case "tool_result":
                error = mapping_or_empty(record.get("error")).get("message")
                said = read_blocks(record.get("output")) or text_or_empty(error)
                failed = record.get("status") == "error"
                key = text_or_empty(record.get("tool_id"))
                result = ToolResult(key, said, failed)
                if mapping_or_empty(record.get("error")).get("type") == "policy_violation":
                    return (result, ActionDenied("", id=key))
                return (result,)
            case "error" if "severity" in record or "message" in record:
                text = text_or_empty(record.get("message"))
                return (ErrorReport(text, final=record.get("severity") != "warning"),)
            case "result" if "status" in record:
                stats = mapping_or_empty(record.get("stats"))
                total = TokenUsage(
                    count_or_zero(stats.get("input_tokens")),
                    count_or_zero(stats.get("cached")),
                    count_or_zero(stats.get("output_tokens")),
                )
                text = text_or_empty(mapping_or_empty(record.get("error")).get("message"))
                ok = record.get("status") == "success"
                return (AgentResult(ok, text, total=total or None),)
            case _:
                return note_record(record)

    def find_config(self, environ: Mapping[str, str]) -> tuple[ConfigFolder, ...]:
        """`.gemini` in `GEMINI_CLI_HOME`, else in the home folder."""
        return (self.make_config_folder(locate_settings(environ), SETTINGS, LOGINS),)

    def locate_settings(self, environ: Mapping[str, str]) -> Path:
        """See `CliAgent.locate_settings`."""
        return locate_settings(environ)

    def is_passing_exit(self, end: ExitRecord) -> bool:
        """A 5xx modulo 256."""
        return end.code in {status % GEMINI_MODULUS for status in PASSING}

    def limit_from_exit(self, end: ExitRecord) -> UsageLimit | None:
        """429 modulo 256."""
        return UsageLimit(kind="exit 173 (HTTP 429)") if end.code == LIMITED else None


def make_own_home(folder: Path, settings: Path) -> Path:
    """A home of the attempt's own with our settings; the rest of the user's folder is linked in.

    Since 0.61 gemini passes over settings files in folders that anybody but root may change, so it
    would not take our defaults from a file of the workspace.
    """
    home, user = folder / "gemini-home", locate_settings(os.environ)
    place = home / ".gemini"
    place.mkdir(parents=True, exist_ok=True)
    for name in (*SETTINGS, *LOGINS):
        if name != "settings.json" and (user / name).exists():
            with suppress(FileExistsError):
                (place / name).symlink_to(user / name)
    write_private(place / "settings.json", settings.read_text(encoding="utf-8"))
    return home


def replace_settings(folder: ConfigFolder, settings: Path) -> ConfigFolder:
    """The same folder with our settings in the place of the user's, which are in them."""
    copies = tuple((settings if name == "settings.json" else source, name)
                   for source, name in folder.copies)  # fmt: skip
    return replace(folder, copies=copies)


def has_skills(worktree: Path) -> bool:
    """Whether the repository has skills, which gemini lists untrusted, too."""
    return any((worktree / name).exists() for name in (".gemini/skills", ".agents/skills"))


def trusted_tables(request: AgentRequest) -> dict[str, Any]:
    """Of the repository's settings what is trusted without the rest: MCP servers, hooks."""
    tables = {"mcp": "mcpServers", "hooks": "hooks"}
    found = {table: read_json_table(request.worktree, ".gemini/settings.json", table)
             for word, table in tables.items() if word in request.trusted}  # fmt: skip
    return {} if request.trust else {table: value for table, value in found.items() if value}


def build_overrides(
    servers: Mapping[str, Any],
    *,
    without_guides: bool,
    without_hooks: bool = True,
    without_skills: bool = False,
) -> dict[str, Any]:
    """Settings over the repository's, which would start programs: the user's MCP ``servers`` only,
    no hooks, no commands that find or call tools, no extensions but the user's."""
    over: dict[str, Any] = {
        "mcp": {"allowed": list(servers) or [NOTHING], "serverCommand": ""},
        "mcpServers": dict(servers),
        "tools": {"discoveryCommand": "", "callCommand": ""},
    }
    if without_hooks:
        over["hooksConfig"] = {"enabled": False}
    if without_skills:  # the user's, too: a name does not say whose it is
        over["skills"] = {"enabled": False}
    if without_guides:
        over["context"] = {"fileName": [NOTHING]}
    return over


def build_defaults(servers: Mapping[str, Any], max_turns: int | None) -> dict[str, Any]:
    """Settings below the user's, with MCP ``servers`` beside the user's own."""
    found: dict[str, Any] = dict(DEFAULTS)
    if servers:
        found["mcpServers"] = dict(servers)
    if max_turns is not None:
        found["model"] = {"maxSessionTurns": max_turns}
    return found


def locate_settings(environ: Mapping[str, str]) -> Path:
    """The folder of the user's settings."""
    return Path(environ.get("GEMINI_CLI_HOME") or environ.get("HOME", "/"), ".gemini")


def read_user_settings(environ: Mapping[str, str]) -> Mapping[str, Any]:
    """The user's own settings; none where they cannot be read."""
    path = locate_settings(environ) / "settings.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def read_user_servers(environ: Mapping[str, str]) -> Mapping[str, Any]:
    """The MCP servers in the user's own settings; none where they cannot be read."""
    servers = read_user_settings(environ).get("mcpServers")
    return servers if isinstance(servers, dict) else {}


def merge_settings(below: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two settings files in one, the second over the first, section by section."""
    merged = dict(below)
    for key, value in over.items():
        mine = merged.get(key)
        if isinstance(mine, dict) and isinstance(value, dict):
            value = merge_settings(mine, value)
        merged[key] = value
    return merged


def render_policy(tools: ToolPermissions, servers: tuple[str, ...] = ()) -> str:
    """A policy file: allowed commands and MCP ``servers``, and over them the denied commands.

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
    parts += [
        f'[[rule]]\nmcpName = {json.dumps(name)}\ntoolName = "*"\ndecision = "allow"\n'
        "priority = 100\n"
        for name in servers
    ]
    if not tools.edit:
        parts += [
            f'[[rule]]\ntoolName = "{name}"\ndecision = "deny"\npriority = 500\n'
            for name in ("write_file", "replace")
        ]
    return "\n".join(parts)


KIND = AgentKind(Gemini, provider="google", options=("mcp", "max_turns"),
                 trusts=("guides", "skills", "hooks", "mcp"))  # fmt: skip
