"""What kinds declare that start a service for the length of a check, and the ports it learns.

`orchestr.checks.service` starts it; importing this loads nothing of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from orchestr.spec.check_field_types import PLACEHOLDER, PORT_NAMES
from orchestr.spec.fields import BadValue, Doc, Duration, UrlPath

if TYPE_CHECKING:
    from orchestr.checks.room import CheckContext

# What a service that is started finds, also in a cell without ports.
STARTED_PORTS = {"PORT", "BACKEND_PORT", "FRONTEND_PORT", "ORCHESTR_PORT_0"}


@dataclass(frozen=True, slots=True)
class ServiceReadiness:
    """How to know that a service answers. No ``path``: its port takes connections."""

    path: Annotated[UrlPath | None, Doc("asked until it answers", "/health")] = None
    timeout: Annotated[Duration, Doc("how long it may take to answer", "30s")] = 30.0


ANSWERS = ServiceReadiness()


def require_start(given: Mapping[str, Any]) -> None:
    """A service that is waited for is one that is started. Raises BadValue."""
    if given.get("ready") is not None and given.get("start") is None:
        hint = "name the service: `start: [make, serve]`"
        raise BadValue("needs `start`", hint, field=("ready",))


def service_environment(room: CheckContext) -> dict[str, str]:
    """The environment of a service: the first port of the cell, else a free one, stands in it as
    BACKEND_PORT and PORT."""
    from orchestr.checks.room import port_variables
    from orchestr.checks.service import find_free_port

    env = dict(room.env)
    if "BACKEND_PORT" not in env:
        env = {**port_variables((find_free_port(),)), **env}
    env.setdefault("PORT", env["BACKEND_PORT"])
    return env


def fill_ports(word: str, env: Mapping[str, str]) -> str:
    """``${BACKEND_PORT}`` and its like are filled in; everything else is the program's."""
    return PLACEHOLDER.sub(lambda m: env.get(m[1], m[0]) if m[1] in PORT_NAMES else m[0], word)
