"""What does not go together in `[agents.*]` and `[mcp.*]`: options that a kind of agent cannot be
given, servers that are not there. Pure; the loader finds the lines."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from orchestr.errors import OrchestrError
from orchestr.settings.kinds import AGENT_KINDS
from orchestr.settings.machine_records import McpServer
from orchestr.settings.records import AgentSettings
from orchestr.spec.agent_options import NO_OPTIONS, ROUNDS, AgentOptions
from orchestr.spec.field_types import quote_value, suggest_name

Fault = tuple[tuple[str, ...], str, str | None]  # path within the table, message, hint
# Keys of an agent that only some kinds have (`AgentKind.keys`), and what to do instead.
ONLY = {
    "run": "its program is `program`, further words are `args`",
    "program": "the program is the first word of `run`",
    "sandbox": "only codex has a sandbox of its own",
}
_SERVER = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def list_kind_faults(raw: Mapping[str, Any], kind: str) -> Iterator[Fault]:
    """Keys of an agent's table that its kind cannot do without, or cannot do anything with."""
    try:
        declared = AGENT_KINDS.load(kind)
    except OrchestrError as error:
        yield ("kind",), error.message, error.hint
        return
    for key in declared.required:
        if not raw.get(key):
            hint = 'like run = ["python3", "tools/agent.py"]' if key == "run" else None
            yield (), f"`{key}` is required for kind `{kind}`", hint
    for key, why in ONLY.items():
        if key in raw and key not in declared.keys:
            yield (key,), f"kind `{kind}` has no `{key}`", why
    if ("price_input_usd" in raw) != ("price_output_usd" in raw):
        what = "a price table needs `price_input_usd` and `price_output_usd`"
        yield (), what, "dollars per million tokens"


def list_server_faults(server: McpServer) -> Iterator[Fault]:
    """What is wrong with one `[mcp.NAME]`."""
    if not _SERVER.fullmatch(server.name):  # every kind of agent makes names of tools of it
        hint = "small letters, digits, `-` and `_`, beginning with a letter"
        yield (), f"{quote_value(server.name)} cannot be the name of an MCP server", hint
    if bool(server.command) == (server.url is not None):
        yield (), "an MCP server is either a `command` or at a `url`", 'like command = ["docs-mcp"]'
    elif server.url is not None:
        for key in ("env", "pass_env"):
            if getattr(server, key):
                yield (key,), "is for a `command`", "a `url` gets its token by `token_env`"
    elif server.token_env is not None:
        yield ("token_env",), "is for a `url`", "a `command` gets variables by `pass_env`"


def list_option_faults(agent: AgentSettings, servers: Mapping[str, McpServer]) -> Iterator[Fault]:
    """What an agent's kind cannot be given, and servers that are not there."""
    for name, why, hint in list_refusals(agent.kind, agent.common_options, servers):
        yield (name,), why, hint
    for entry in agent.phases:
        here = ("phases", entry.role.value, *((ROUNDS,) if entry.since > 1 else ()))
        for name, why, hint in list_refusals(agent.kind, entry.options, servers):
            yield (*here, name), why, hint


def list_refusals(
    kind: str, options: AgentOptions, servers: Collection[str]
) -> Iterator[tuple[str, str, str | None]]:
    """Option, message and hint for all that an agent of this kind cannot be asked for. ``servers``
    are the names of `[mcp.*]`."""
    if options == NO_OPTIONS:
        return
    for name in options.mcp or ():
        if name not in servers:
            hint = suggest_name(name, servers) or f"declare it: [mcp.{name}] in orchestr.toml"
            yield "mcp", f"there is no MCP server {quote_value(name)}", hint
    try:
        declared = AGENT_KINDS.load(kind)
    except OrchestrError:
        return  # reported with the agent
    for name, value in options.stated.items():
        refused = declared.explain_refusal(kind, name, value) if value != [] else None
        if refused is not None:
            yield (name, *refused)
