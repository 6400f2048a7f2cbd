"""Whether the output of a program is about a network that is not there.

Owns the messages: those of curl, ssh, git, Go, Node, Python, Java and their package managers. A
server that answers with a refusal is no such fault.
"""

from __future__ import annotations

import re

_AWAY = re.compile(
    r"[Cc]ould not resolve|[Nn]ame or service not known|[Nn]ame resolution|nodename nor servname"
    r"|no such host|getaddrinfo|UnknownHostException|ENOTFOUND|EAI_AGAIN"
    r"|[Cc]onnection (?:refused|timed out|reset|closed)|[Tt]imed out"
    r"|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH"
    r"|[Nn]etwork is unreachable|[Nn]o route to host|[Ff]ailed to connect|[Cc]ould not connect"
    r"|[Tt]LS handshake timeout|Max retries exceeded|[Tt]emporary failure"
)


def is_network_away(text: str) -> bool:
    """Whether a program could not reach a server, by the messages in its output."""
    return _AWAY.search(text) is not None
