"""An agent's environment: an allow-list, its own key, and nothing that reaches a forge.

Pure. All known agents show their whole environment to the tools they run, so what must not
be seen there must not be passed at all.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestr.process.missing_variable import TOOL_VARIABLES
from orchestr.process.redaction import filter_env

ALLOWED = (
    "PATH", "HOME", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "TZ", "TMPDIR",
    "USER", "LOGNAME", "SHELL", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
    "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "SSL_CERT_FILE", "SSL_CERT_DIR",
    *TOOL_VARIABLES,
)  # fmt: skip
# The way to the provider: an agent behind a company's proxy cannot do without.
NETWORK = (
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
    "http_proxy", "https_proxy", "no_proxy", "all_proxy", "NODE_EXTRA_CA_CERTS",
)  # fmt: skip


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


# What keeps tools from waiting for a person.
QUIET = {"CI": "1", "NO_COLOR": "1", "TERM": "dumb", "PAGER": "cat", "GH_PROMPT_DISABLED": "1"}
