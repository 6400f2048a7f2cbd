"""The MCP servers of the settings as a session's request names them.

ACP has no names of variables, only values: what servers get of the user's environment is filled in
here, in the client's own process, so that no file has it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from acp.schema import (
    AcpMcpServer,
    EnvVariable,
    HttpHeader,
    HttpMcpServer,
    McpServerStdio,
    SseMcpServer,
)

from orchestr.agents.acp.failures import AcpFailure

AnyServer = HttpMcpServer | SseMcpServer | AcpMcpServer | McpServerStdio


def make_servers(
    described: Sequence[Mapping[str, Any]], can: Mapping[str, Any], environ: Mapping[str, str]
) -> list[AnyServer]:
    """The servers of a `ClientRequest` for an agent with the capabilities ``can``.

    Raises AcpFailure where it cannot reach one that is at a `url`.
    """
    http = can.get("mcpCapabilities")
    reaches = isinstance(http, Mapping) and http.get("http") is True
    found: list[AnyServer] = []
    for one in described:
        name, url = one["name"], one.get("url")
        if url is None:
            program, *words = one["command"]
            passed = {key: environ[key] for key in one["pass_env"] if key in environ}
            variables = {**passed, **one["env"]}
            found.append(McpServerStdio(
                name=name,
                command=shutil.which(program, path=environ.get("PATH")) or program,
                args=words,
                env=[EnvVariable(name=key, value=value) for key, value in variables.items()],
            ))  # fmt: skip
            continue
        if not reaches:
            raise AcpFailure(
                f"it takes no MCP server at a url, as {name} is: leave it out of `mcp`"
            )
        token = environ.get(one["token_env"] or "")
        headers = [HttpHeader(name="Authorization", value=f"Bearer {token}")] if token else []
        found.append(HttpMcpServer(name=name, url=url, headers=headers, type="http"))
    return found
