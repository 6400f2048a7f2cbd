"""Texts, lists of texts and addresses of ``orchestr.toml``: what such a value must be.

Each function takes what TOML gave and returns the record's value, or raises BadValue. Pure.
"""

from __future__ import annotations

import re
from typing import Any

from orchestr.process.redaction import redact
from orchestr.spec import field_types
from orchestr.spec.field_types import BadValue, kind_of, quote_value


def convert_text(value: Any) -> str:
    """One line."""
    if not isinstance(value, str):
        raise BadValue(f"must be a text, got {kind_of(value)}", 'write it in quotes: "..."')
    return field_types.check_line(value)


def convert_texts(value: Any) -> tuple[str, ...]:
    """A list of texts of any length."""
    if not isinstance(value, list):
        raise BadValue(f"must be a list of texts, got {kind_of(value)}", 'write ["...", "..."]')
    for index, item in enumerate(value):
        if not isinstance(item, str):
            raise BadValue(f"item {index} must be a text, got {kind_of(item)}", "put it in quotes")
        field_types.check_text(item)
    return tuple(value)


def convert_address(value: Any) -> str:
    """The address of a host: tokens are sent there, and it is shown, so it holds no login."""
    text = convert_text(value)
    if not _ADDRESS.fullmatch(text):
        raise BadValue(
            f"{quote_value(redact(text, ()))} is not the address of a forge",
            "like https://git.example.org, without a login",
        )
    return text


_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d{1,5})?(?:/[A-Za-z0-9_.~-]+)*/?")


def convert_http_address(value: Any) -> str:
    """Where messages are posted to."""
    text = convert_text(value)
    if not text.startswith(("https://", "http://")) or not text.partition("://")[2].strip("/"):
        raise BadValue("must be an http address", 'like "https://hooks.example.org/..."')
    return text


# What git takes for a way to reach a repository: `SCHEME://...`, or `HELPER::...`, a program.
_SCHEME = re.compile(r"([a-z0-9][a-z0-9+.-]*)(::|://)", re.IGNORECASE)
CLONE_SCHEMES = ("https", "ssh", "file")
# Without encryption only from this machine itself.
_LOCAL_HTTP = re.compile(
    r"http://(?:[^/@]*@)?(?:[\w.-]+\.)?(?:localhost|127\.0\.0\.1)(?::\d+)?/", re.I
)


def convert_clone_address(value: Any) -> str:
    """What git clones from; none that would start a program."""
    text = convert_text(value)
    found = _SCHEME.match(text)
    named = found is not None and found[2] == "://" and found[1].lower() in CLONE_SCHEMES
    named = named or _LOCAL_HTTP.match(text) is not None
    if text.startswith("-") or (found is not None and not named):
        raise BadValue(
            f"{quote_value(text)} is no address that repositories are cloned from",
            "https://HOST/PATH, ssh://HOST/PATH, USER@HOST:PATH, file:///PATH or a folder",
        )
    return text


def convert_network(value: Any) -> tuple[str, ...]:
    """Which hosts can be reached: `all`, `none`, or a list of hosts (`orchestr.sandbox.hosts`)."""
    if isinstance(value, str):
        if value not in NETWORK_WORDS:
            raise BadValue(f"must be `all`, `none` or a list, got {quote_value(value)}",
                           'like ["api.example.org"]')  # fmt: skip
        return () if value == "none" else (value,)
    rules = convert_texts(value)
    for rule in rules:
        if not _HOST_RULE.fullmatch(rule) or rule in NETWORK_WORDS:
            raise BadValue(f"{quote_value(rule)} is not a host", "like api.example.org:443")
    return rules


NETWORK_WORDS = ("all", "none")
_HOST_RULE = re.compile(
    r"(?:\*\.)?[A-Za-z0-9_.-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:]+\](?::[0-9]{1,5})?"
)
