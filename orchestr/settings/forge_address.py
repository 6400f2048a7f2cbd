"""The address of a forge as the settings name it, in one form.

Tokens are sent to the host in it, and hosts are compared as texts: so it has no login, no query and
no slash at its end, and its host is in small letters without the port that its scheme has anyway.
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from orchestr.settings.keys import Key
from orchestr.spec.field_types import BadValue, kind_of, quote_value

_PORTS = {"https": 443, "http": 80}
_EXAMPLE = "like https://git.example.org, or https://example.org/git"


def parse_forge_address(value: Any) -> str:
    """The address in the one form. Raises BadValue."""
    if not isinstance(value, str):
        raise BadValue(f"must be text, got {kind_of(value)}")
    text = value.strip()
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise BadValue(f"{quote_value(text)} is not the address of a host", _EXAMPLE) from None
    if parts.scheme not in _PORTS or not host or any(c.isspace() or not c.isprintable()
                                                     for c in text):  # fmt: skip
        raise BadValue("must be an http address", _EXAMPLE)
    if "@" in parts.netloc:
        raise BadValue("must have no login in it", "remove what is before the @")
    if parts.query or parts.fragment:
        raise BadValue("must end with the path of the forge", _EXAMPLE)
    host = f"[{host}]" if ":" in host else host
    place = host if port in (None, _PORTS[parts.scheme]) else f"{host}:{port}"
    return f"{parts.scheme}://{place}{parts.path.rstrip('/')}"


ForgeAddress = Annotated[str, Key(parse_forge_address, plain=True)]
