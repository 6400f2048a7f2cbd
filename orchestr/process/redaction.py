"""Redact secrets in text, and filter environments by an allow-list.

Pure. Owns which variable names look secret and which forms secrets have. Leaves the
decision what an agent may see to its caller, and output that comes in pieces to
`orchestr.process.redact_stream`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

HIDDEN = "***"
SHORTEST = 6  # shorter values ("1", "true") would hide half of every message
SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|KEY(?![A-Z])|(^|_)PAT$", re.IGNORECASE)
# They hold the name of a setting, the key of a feature, which is in every branch, and a number.
NO_SECRET = re.compile(r"GIT_CONFIG_KEY_\d+$|ORCHESTR_KEY$|.*_TOKENS$")


@dataclass(frozen=True, slots=True)
class Shape:
    """A form that secrets have. ``marks`` are what a text with one of them contains at least (tried
    first: it is much quicker), in any case."""

    marks: tuple[str, ...]
    pattern: str
    shown: str = HIDDEN
    ignore_case: bool = False

    @property
    def is_token(self) -> bool:
        """Whether all of it is the secret; such are hidden before known values, which may be a part
        of one."""
        return self.shown == HIDDEN


# A quote, a backslash or a blank ends each of them: what is hidden in a line of JSON leaves JSON.
# Before `sk-` is no letter (`task-`), or the end of an escape (`\\n`) that JSON made of a line.
_DIGIT = r"(?=[^\s'\"\\]*[0-9])"
SHAPES = (
    Shape(("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
          r"(?:gh[pousr]_[A-Za-z0-9]{8,}|github_pat_[A-Za-z0-9_]{8,})"),
    Shape(("glpat-",), r"glpat-[A-Za-z0-9_.-]{16,}"),
    Shape(("sk-",),
          r"sk-(?:(?<![A-Za-z0-9]sk-)|(?<=\\[nrtbf]sk-))" + _DIGIT + r"[A-Za-z0-9_-]{20,}"),
    Shape(("akia", "asia"), r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])"),
    Shape(("xox",), r"xox[abeoprs]-[A-Za-z0-9-]{10,}"),
    Shape(("eyj",), r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    Shape(("private key-----",),
          r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[^\"'<>]*?-----END [A-Z0-9 ]*PRIVATE KEY-----"),
    Shape(("@",), r"(?<=http://)[^/\s'\"\\]*@|(?<=https://)[^/\s'\"\\]*@", f"{HIDDEN}@", True),
    Shape(("@",), r"(?<=://)([^/\s:@'\"\\]*):[^/\s'\"\\]*@", rf"\1:{HIDDEN}@"),
    Shape(("authorization",),
          r"(authorization\\*['\"]?[ \t]*[:=][ \t]*\\*['\"]?)"
          r"(?:((?:basic|bearer|token|digest|negotiate)[ \t]+)|" + _DIGIT + r")[^\s'\"\\]+",
          rf"\g<1>\g<2>{HIDDEN}", True),
    Shape(("bearer",),
          r"(bearer[ \t]+)" + _DIGIT + r"[a-z0-9._~+/=-]{16,}", rf"\g<1>{HIDDEN}", True),
)  # fmt: skip


def is_secret_name(name: str) -> bool:
    """Whether the name of a variable looks as if its value were secret."""
    return SECRET_NAME.search(name) is not None and NO_SECRET.match(name) is None


def secret_values(environ: Mapping[str, str]) -> frozenset[str]:
    """The values of all variables whose name looks secret, and that are long enough to hide."""
    return frozenset(
        value for name, value in environ.items() if len(value) >= SHORTEST and is_secret_name(name)
    )


def redact(text: str, secrets: Collection[str]) -> str:
    """Hide ``secrets``, and all that has one of the `SHAPES`: tokens of forges and providers, keys,
    the user part of http URLs, passwords of others, Authorization headers.
    """
    lower = text.lower()
    found = [n for n, shape in enumerate(SHAPES) if any(mark in lower for mark in shape.marks)]
    for number in found:
        if SHAPES[number].is_token:
            text = compile_shape(number).sub(HIDDEN, text)
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for number in found:
        if not SHAPES[number].is_token:
            text = compile_shape(number).sub(SHAPES[number].shown, text)
    return text


@cache
def compile_shape(number: int) -> re.Pattern[str]:
    """The pattern of one of the `SHAPES`. Most processes never need most of them."""
    shape = SHAPES[number]
    return re.compile(shape.pattern, re.IGNORECASE if shape.ignore_case else 0)


def filter_env(environ: Mapping[str, str], allow: Collection[str]) -> dict[str, str]:
    """Only the variables that ``allow`` names; ``LC_*`` stands for all that begin so."""
    return {
        name: value
        for name, value in environ.items()
        if any(fnmatchcase(name, pattern) for pattern in allow)
    }
