"""MCP servers of the settings, in the forms that agents read.

A server's own variables (`env`) are written into a file beside the attempt, those of the user
(`pass_env`, `token_env`) stay in the environment, where the file names them: no secret stands in
arguments, and none of the user's is written down.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from orchestr.files import write_atomic
from orchestr.sandbox.hosts import read_url_rule
from orchestr.settings.machine_records import McpServer

PRIVATE, PROGRAM = 0o600, 0o700  # they may hold a secret that the settings have
CONFIG = "mcp.json"


def list_hosts(servers: Iterable[McpServer]) -> tuple[str, ...]:
    """Rules for the servers that are reached over the network."""
    rules = (read_url_rule(server.url) for server in servers if server.url)
    return tuple(rule for rule in rules if rule)


def write_mcp_config(servers: Iterable[McpServer], folder: Path) -> Path:
    """`mcp.json` in the form that claude and many others read (`mcpServers`)."""
    path = folder / CONFIG
    found = {server.name: _describe_claude(server) for server in servers}
    write_private(path, json.dumps({"mcpServers": found}, indent=2))
    return path


def write_private(path: Path, text: str, mode: int = PRIVATE) -> None:
    """Write a file that only the user can read."""
    write_atomic(path, text.encode(), mode=mode)


def _describe_claude(server: McpServer) -> dict[str, Any]:
    if server.url is not None:
        token = {"headers": {"Authorization": f"Bearer ${{{server.token_env}}}"}}
        return {"type": "http", "url": server.url, **(token if server.token_env else {})}
    passed = {name: f"${{{name}}}" for name in server.pass_env}
    return {"type": "stdio", "command": server.command[0], "args": list(server.command[1:]),
            "env": {**passed, **server.env}}  # fmt: skip


def describe_acp(servers: Iterable[McpServer]) -> tuple[dict[str, Any], ...]:
    """For our client of ACP: variables of the user by name, it fills in their values."""
    return tuple(
        {"name": server.name, "url": server.url, "token_env": server.token_env}
        if server.url is not None
        else {"name": server.name, "command": list(server.command), "env": dict(server.env),
              "pass_env": list(server.pass_env)}
        for server in servers
    )  # fmt: skip


def describe_gemini(servers: Iterable[McpServer]) -> dict[str, Any]:
    """`mcpServers` of gemini's settings; it fills in `$NAME`."""
    found: dict[str, Any] = {}
    for server in servers:
        if server.url is not None:
            token = {"headers": {"Authorization": f"Bearer ${server.token_env}"}}
            found[server.name] = {"httpUrl": server.url, **(token if server.token_env else {})}
        else:
            passed = {name: f"${name}" for name in server.pass_env}
            found[server.name] = {"command": server.command[0], "args": list(server.command[1:]),
                                  "env": {**passed, **server.env}}  # fmt: skip
    return found


def describe_opencode(servers: Iterable[McpServer]) -> dict[str, Any]:
    """`mcp` of opencode's configuration; its programs get its whole environment."""
    found: dict[str, Any] = {}
    for server in servers:
        if server.url is not None:
            token = {"headers": {"Authorization": f"Bearer {{env:{server.token_env}}}"}}
            found[server.name] = {"type": "remote", "url": server.url, "enabled": True,
                                  **(token if server.token_env else {})}  # fmt: skip
        else:
            found[server.name] = {"type": "local", "command": list(server.command),
                                  "environment": dict(server.env), "enabled": True}  # fmt: skip
    return found


def describe_codex(servers: Iterable[McpServer], folder: Path) -> Mapping[str, str]:
    """Settings for `-c`. A program with variables of its own is started by a script in ``folder``,
    since what stands behind `-c` can be seen by every user of the machine."""
    found: dict[str, str] = {}
    for server in servers:
        place = f"mcp_servers.{server.name}"
        found[f"{place}.default_tools_approval_mode"] = json.dumps("approve")
        if server.url is not None:
            found[f"{place}.url"] = json.dumps(server.url)
            if server.token_env:
                found[f"{place}.bearer_token_env_var"] = json.dumps(server.token_env)
            continue
        words = server.command
        if server.env:
            script = folder / f"mcp-{server.name}.sh"
            lines = [f"export {name}={shlex.quote(value)}" for name, value in server.env.items()]
            text = "\n".join(["#!/bin/sh", *lines, f"exec {shlex.join(words)}", ""])
            write_private(script, text, PROGRAM)
            words = (str(script),)
        found[f"{place}.command"] = json.dumps(words[0])
        found[f"{place}.args"] = json.dumps(list(words[1:]))
        if server.pass_env:
            found[f"{place}.env_vars"] = json.dumps(list(server.pass_env))
    return found
