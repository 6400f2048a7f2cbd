"""The variables of the user that programs of a workspace get: places and languages, no secrets."""

from __future__ import annotations

from orchestr.process.missing_variable import TOOL_VARIABLES

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

# What keeps tools from waiting for a person.
QUIET = {"CI": "1", "NO_COLOR": "1", "TERM": "dumb", "PAGER": "cat", "GH_PROMPT_DISABLED": "1",
         "GH_TELEMETRY": "false"}  # fmt: skip
