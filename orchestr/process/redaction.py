"""Redact secrets in text, and filter environments by an allow-list.

Pure. Owns which variable names look secret and how a URL's password is hidden. Leaves the
decision what an agent may see to its caller.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase

HIDDEN = "***"
SHORTEST = 6  # shorter values ("1", "true") would hide half of every message
SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|KEY(?![A-Z])|(^|_)PAT$", re.IGNORECASE)
# They hold the name of a setting, and the key of a feature, which is in every branch.
NO_SECRET = re.compile(r"GIT_CONFIG_KEY_\d+$|ORCHESTR_KEY$")
HTTP_USER = re.compile(r"(?<=http://)[^/\s'\"]*@|(?<=https://)[^/\s'\"]*@", re.IGNORECASE)
URL_PASSWORD = re.compile(r"(?<=://)([^/\s:@'\"]*):[^/\s'\"]*@")
FORGE_TOKEN = re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{8,}|github_pat_[A-Za-z0-9_]{8,})")
AUTH_HEADER = re.compile(r"(authorization:\s*(?:\w+\s+)?)[^\s'\"]+", re.IGNORECASE)


def secret_values(environ: Mapping[str, str]) -> frozenset[str]:
    """The values of all variables whose name looks secret, and that are long enough to hide."""
    return frozenset(
        value
        for name, value in environ.items()
        if len(value) >= SHORTEST and SECRET_NAME.search(name) and not NO_SECRET.match(name)
    )


def redact(text: str, secrets: Collection[str]) -> str:
    """Hide ``secrets``, the user part of http URLs, passwords of others, Authorization headers,
    and what has the form of a GitHub token.
    """
    text = FORGE_TOKEN.sub(HIDDEN, text)
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = HTTP_USER.sub(f"{HIDDEN}@", text)
    text = URL_PASSWORD.sub(rf"\1:{HIDDEN}@", text)
    return AUTH_HEADER.sub(rf"\g<1>{HIDDEN}", text)


def filter_env(environ: Mapping[str, str], allow: Collection[str]) -> dict[str, str]:
    """Only the variables that ``allow`` names; ``LC_*`` stands for all that begin so."""
    return {
        name: value
        for name, value in environ.items()
        if any(fnmatchcase(name, pattern) for pattern in allow)
    }
