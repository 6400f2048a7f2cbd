"""An agent's environment: an allow-list, its own key, and nothing that reaches a forge.

Pure. All known agents show their whole environment to the tools they run, so what must not
be seen there must not be passed at all.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestr.process.allowed_variables import ALLOWED, NETWORK, QUIET
from orchestr.process.redaction import filter_env

__all__ = ["ALLOWED", "NETWORK", "QUIET", "agent_env"]


def agent_env(
    environ: Mapping[str, str],
    own: tuple[str, ...],
    *,
    without: tuple[str, ...] = (),
    pass_env: tuple[str, ...] = (),
) -> dict[str, str]:
    """The variables of ours that an agent gets.

    ``own`` are patterns of its own variables (``ANTHROPIC_*``), ``without`` names out of them
    that belong to a session around ours; ``pass_env`` is what the settings name.
    """
    env = filter_env(environ, (*ALLOWED, *NETWORK, *own))
    return {
        **{name: value for name, value in env.items() if name not in without},
        **filter_env(environ, pass_env),
    }
