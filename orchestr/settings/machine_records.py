"""The settings of what runs on this machine: checks at once, ports, MCP servers.

Declared as in `orchestr.settings.records`, which holds them.
"""
# Types are real objects here, not texts: every start makes the table of keys from them.

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from orchestr.settings import keys
from orchestr.spec.declare import Doc


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """How many checks run at once, over the workspace."""

    jobs: Annotated[int, keys.count(1, 1000), Doc("checks at once, over the workspace")] = 2


@dataclass(frozen=True, slots=True)
class PortSettings:
    """The ports that cells may get: ``slots`` blocks of ten from ``base`` on."""

    base: Annotated[keys.Port, Doc("the first port of cells with `ports: true`")] = 9000
    slots: Annotated[int, keys.count(1, 1000), Doc("how many blocks of ten ports there are")] = 20


@dataclass(frozen=True, slots=True)
class McpServer:
    """One entry of ``[mcp.*]``: a server of tools, a program (``command``) or at a ``url``.

    Secrets are never in the arguments of a program: a server of ours gets them from variables
    (``pass_env``), one elsewhere as a token from one (``token_env``).
    """

    name: str
    command: Annotated[
        keys.Texts, Doc("the program that is the server", ["npx", "-y", "docs-mcp"])
    ] = ()
    url: Annotated[
        keys.HttpAddress | None, Doc("or where it is", "https://mcp.example.org/mcp")
    ] = None
    env: Annotated[keys.Environment, Doc("variables of the program", {"DOCS": "v2"})] = field(
        default_factory=lambda: MappingProxyType({})
    )
    pass_env: Annotated[
        keys.Variables, Doc("variables of yours that the program may see", ["DOCS_TOKEN"])
    ] = ()
    token_env: Annotated[
        keys.Variable | None,
        Doc("the variable of yours with the token that a `url` wants", "DOCS_TOKEN"),
    ] = None

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables of the user's that its agent must have for it."""
        return (*self.pass_env, *([self.token_env] if self.token_env else []))
