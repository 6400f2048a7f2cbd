"""What a kind of agent or forge declares, and the registries that find it.

A kind is one file: a module of `orchestr.agents.kinds` or `orchestr.forges.kinds` with a `KIND`,
or an entry point of another package that names one (docs/plugins.md). The settings read from
it which keys its table may have; `orchestr.agents` and `orchestr.forges` make the adapter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orchestr.registry import Registry
from orchestr.spec.field_types import quote_value, suggest_name

ALWAYS = ("model", "args")  # options of every kind


@dataclass(frozen=True, slots=True)
class AgentKind:
    """One kind of agent: `KIND = AgentKind(MyAgent)` in its file.

    ``make`` gets the agent's settings and the workspace's, and returns an
    `orchestr.agents.base.Agent`. ``keys`` are the keys of `[agents.NAME]` that not every kind
    has (`run`, `program`, `sandbox`), ``required`` those that it cannot do without. ``provider``
    is whose usage limits it runs into, None when that depends on the agent. ``options`` are those
    of `AgentOptions` that its adapter can ask for beside model and args, ``efforts`` the words for
    `effort` that it knows; empty: any. ``trusts`` are the parts of a repository's settings
    that it can be let obey alone (`orchestr.settings.trust_words`), None: it has none that we know.
    """

    make: Callable[..., Any]
    keys: tuple[str, ...] = ("program",)
    required: tuple[str, ...] = ()
    provider: str | None = None
    options: tuple[str, ...] = ()
    efforts: tuple[str, ...] = ()
    trusts: tuple[str, ...] | None = None

    def explain_refusal(self, kind: str, name: str, value: Any) -> tuple[str, str | None] | None:
        """Why an agent of the kind called ``kind`` cannot be asked for this option, with a hint;
        None: it can."""
        if name not in (*ALWAYS, *self.options):
            known = ", ".join((*ALWAYS, *self.options))
            return f"kind `{kind}` cannot be given `{name}`", f"it takes: {known}"
        if name == "effort" and self.efforts and value not in self.efforts:
            return (
                f"kind `{kind}` knows no effort {quote_value(value)}",
                suggest_name(str(value), self.efforts),
            )
        return None


@dataclass(frozen=True, slots=True)
class ForgeKind:
    """One kind of forge: `KIND = ForgeKind(make_my_forge)` in its file.

    ``make`` gets the settings, an event that ends its waits (or None) and a function that hears
    of them (or None), and returns an `orchestr.forges.base.Forge`. ``keys`` are the keys of
    `[forge]` that not every kind has (`program`, `patience`). ``where`` says where the pull
    requests of a run are; `{forge_dir}` in it is the folder of the local forge.
    """

    make: Callable[..., Any]
    keys: tuple[str, ...] = ()
    where: str = "the pull requests are drafts: review bots skip them until they are marked ready"


AGENT_KINDS: Registry[AgentKind] = Registry(
    "agent kind",
    group="orchestr.agents",
    package="orchestr.agents.kinds",
    attribute=lambda _name: "KIND",
    accepts=lambda value: isinstance(value, AgentKind),
)
FORGE_KINDS: Registry[ForgeKind] = Registry(
    "forge kind",
    group="orchestr.forges",
    package="orchestr.forges.kinds",
    attribute=lambda _name: "KIND",
    accepts=lambda value: isinstance(value, ForgeKind),
)
