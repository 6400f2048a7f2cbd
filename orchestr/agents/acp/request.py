"""What the kind asks of the client program: one JSON file beside the attempt.

Pure. Written by `orchestr.agents.kinds.acp`, read by `orchestr.agents.acp.program`; both are of the
same version, as each start writes it anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PATIENCE = 90.0  # seconds; the slowest of the known agents answers `initialize` after 6


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """One start of an agent.

    ``run`` is its command. ``session`` is resumed, else a new one begins. ``allowed`` and
    ``denied`` are first words of commands, ``read`` folders outside the worktree that it may read,
    ``write`` files outside that it may write; ``edit`` is False for one that only reads.
    ``patience`` is how many seconds each answer before the turn may take; ``spent_usd`` is what
    earlier starts have counted of the session's cost, for an agent that names the sum. ``servers``
    are MCP servers, see `orchestr.agents.mcp.describe_acp`.

    What differs between agents: ``mode`` of the session is set, ``meta`` goes with the session's
    request, without ``files`` it is not offered that we read and write them for it, and
    ``refusal_ends_turn`` says that it stops at a refused permission and has to be asked to go on.
    """

    run: tuple[str, ...]
    worktree: str
    session: str | None = None
    model: str | None = None
    allowed: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    edit: bool = True
    patience: float = PATIENCE
    spent_usd: float = 0.0
    mode: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    files: bool = True
    refusal_ends_turn: bool = False
    servers: tuple[Mapping[str, Any], ...] = ()

    def encode(self) -> bytes:
        """The file's content."""
        return (json.dumps(asdict(self), indent=2) + "\n").encode()


def read_client_request(path: Path) -> ClientRequest:
    """The request in a file. Raises OSError, ValueError, TypeError."""
    raw = json.loads(path.read_bytes())
    keys = ("run", "allowed", "denied", "read", "write", "servers")
    lists = {key: tuple(raw[key]) for key in keys}
    return ClientRequest(**{**raw, **lists})
