"""What an agent must do: an adapter to a coding agent CLI, or to any command.

An adapter builds the command line and reads the stream. It starts nothing but `--version` (the
supervisor starts agents), and what it says is never proof: the host looks at the repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from orchestr.agents.events import Event, TokenUsage
from orchestr.agents.usage import TokenPrices
from orchestr.sandbox.config_copies import ConfigFolder
from orchestr.settings.machine_records import McpServer
from orchestr.supervisor.client import ExitRecord


@dataclass(frozen=True, slots=True)
class ToolPermissions:
    """What the agent may run, as first words of commands (`go`, `git push`); see `permissions`.

    ``read`` are folders outside the worktree that it may read (the upstreams'). ``edit`` is
    False for a reviewer: it changes no file.
    """

    allowed: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    read: tuple[Path, ...] = ()
    edit: bool = True


@dataclass(frozen=True, slots=True)
class AgentRequest:
    """What one start asks of an agent. ``variables`` are the `ORCHESTR_*` ones.

    ``folder`` is outside the worktree, for files of the adapter's own; it is the same for all
    starts of an attempt. ``session`` names what to go on with (``prompt`` is then a few words),
    ``budget_usd`` what the start may cost, for agents that can keep to it themselves.
    ``schema`` is a JSON schema of the last answer, for agents that can be held to one.
    ``pictures`` are named in the prompt; they are for agents that must be handed what they see.
    ``walled``: it runs in our sandbox, so a sandbox of its own may stay away. ``trust``: the
    repository's own settings of the agent are obeyed; ``trusted`` are the parts that are, where not
    all of it is (`orchestr.settings.trust_words`); ``changed_guides`` are those of its guides that
    this feature has changed.

    ``effort``, ``fallback_model``, ``mcp``, ``args`` (words after those of the settings) and
    ``max_turns`` are there only where the kind declares that it can be given them.
    """

    worktree: Path
    prompt: Path
    variables: Mapping[str, str]
    model: str | None = None
    folder: Path | None = None
    session: str | None = None
    tools: ToolPermissions = field(default_factory=ToolPermissions)
    budget_usd: float | None = None
    schema: Mapping[str, Any] | None = None
    pictures: tuple[Path, ...] = ()
    walled: bool = False
    trust: bool = False
    trusted: tuple[str, ...] = ()
    changed_guides: tuple[str, ...] = ()
    effort: str | None = None
    fallback_model: str | None = None
    mcp: tuple[McpServer, ...] = ()
    args: tuple[str, ...] = ()
    max_turns: int | None = None

    def obeys(self, part: str) -> bool:
        """Whether a part of the repository's settings counts: all, or it alone."""
        return self.trust or part in self.trusted

    @property
    def passed_variables(self) -> tuple[str, ...]:
        """The user's variables that it must have for its MCP servers."""
        return tuple(dict.fromkeys(name for server in self.mcp for name in server.variables))


@dataclass(frozen=True, slots=True)
class AgentLaunch:
    """How the supervisor starts the agent. ``format`` is `lines` or `json` (its output).

    In our sandbox it has a copy of each folder of ``config``, and may write to ``write``.
    ``ignored`` names what of the repository's settings is not obeyed. ``hosts`` are rules for
    servers that it must reach beside its own.

    ``ends`` are the records
    after which it has only to end, ``goes_on`` those that say that it works again after all: a
    type, and `PATH=VALUE` where only some of that type are meant.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    stdin: Path | None = None
    format: str = "lines"
    config: tuple[ConfigFolder, ...] = ()
    write: tuple[Path, ...] = ()
    ignored: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    ends: tuple[str, ...] = ("result",)
    goes_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentVerdict:
    """How the agent's own end reads. ``ok`` is necessary, never sufficient.

    ``limited`` is a usage limit: not a failure; ``limited_until`` is Unix time when known. So is
    ``passing`` trouble of a server or the network; ``final`` is a failure that no further try can
    change (a refused key). ``refused`` are commands that it wanted to run and was not let run.
    ``no_change`` is the reason given with `no_change_needed`, ``amend`` the `PATH: WHAT` of a
    contract that another cell must change. ``session_id`` can be resumed,
    unless ``session_lost`` says that the one asked for was not there any more.

    ``tokens`` and the costs are those of the whole attempt, all its starts: ``cost_usd`` None is
    unknown, ``cost_known_usd`` the part of it that is known.
    """

    ok: bool
    reason: str = ""
    limited: bool = False
    limited_until: float | None = None
    passing: bool = False
    final: bool = False
    refused: tuple[str, ...] = ()
    no_change: str | None = None
    amend: str | None = None
    cost_usd: float | None = None
    cost_known_usd: float = 0.0
    tokens: TokenUsage | None = None
    session_id: str | None = None
    session_lost: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)


class Agent(Protocol):
    """One kind of agent with its settings. ``paid`` ones are confirmed before a run.

    ``tells_cost`` is whether the cost is known: from its stream, or by the prices in the settings.
    """

    name: str
    kind: str
    paid: bool
    tells_cost: bool
    prices: TokenPrices | None

    def prepare_launch(self, request: AgentRequest) -> AgentLaunch:
        """The command line and environment of one start. May write into ``request.folder``."""
        ...

    def parse_line(self, line: bytes) -> tuple[Event, ...]:
        """Translate one line of the transcript to our events. Pure; never raises."""
        ...

    def judge_end(self, end: ExitRecord, transcript: Path, since: int = 0) -> AgentVerdict:
        """Read the stream to its end. Must not raise on anything an agent can print.

        ``since`` is the byte at which the last start's output begins.
        """
        ...

    def read_answer(self, transcript: Path, since: int = 0) -> str:
        """What the last start said at its end, empty when it said nothing."""
        ...

    def program_version(self) -> str | None:
        """The version of the program, None when it reports none. Asked once."""
        ...

    def explain_unusable(self) -> str | None:
        """Why it cannot be started here, else None; for the pre-flight and `doctor`."""
        ...
