"""What the words of a failed agent mean: a usage limit, passing trouble, or an end for good.

Pure. One table, `PHRASES`, has what each kind's programs say; a kind that is not in it has the
phrases of all. The three answers:

- a **limit** is a state, not a failure: too many requests, a used-up plan, an overloaded server;
- **passing trouble** is of a server or of the network: a 5xx, a dropped stream, a connection that
  was lost. The same session may go on when it is over;
- a wrong key, an account without money, a prompt that is too long are **final**: to wait or to try
  again changes nothing.

Only the final words of an agent are read by this, never what a model or a tool said: a build that
prints "error in line 503" must put no provider to sleep.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from orchestr.process.network_fault import is_network_away


class Trouble(StrEnum):
    """What a failure is by its words."""

    LIMIT = "limit"
    PASSING = "passing"
    FINAL = "final"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Phrases:
    """Patterns of one kind of agent, read before those of all: ``limit`` first."""

    limit: str = r"(?!)"
    passing: str = r"(?!)"
    final: str = r"(?!)"


ALL = Phrases(
    limit=r"(?:status(?: code)?|error|http|rejected)\W{0,3}(?:429|529)\b|too many requests"
    r"|(?<![/_])rate.?limit(?!\w*\.\w)|usage limit|hit your (?:\w+ )?limit"
    r"|(?<!not )overloaded|at capacity|exhausted your capacity|RESOURCE_EXHAUSTED|quota will reset",
    passing=r"(?:status(?: code)?|error|http|code)\W{0,3}5(?:0[0234]|2\d)\b"
    r"|internal server error|bad gateway|service unavailable|gateway time.?out|server_error"
    r"|high demand|fetch failed|socket hang up|stream (?:disconnected|closed|ended|error)"
    r"|premature(?:ly)? close|other side closed|connection (?:error|lost|aborted|was closed)"
    r"|error sending request|unable to connect|network error|request timed out|\bEPIPE\b"
    r"|error: terminated|incomplete (?:json|chunked)|response (?:stream )?(?:ended|was cut)",
    final=r"billing|insufficient_quota|credit balance|invalid.{0,12}api.?key"
    r"|(?:status(?: code)?|error|http|code)\W{0,3}40[13]\b|^40[13]\b"
    r"|\b40[13] (?:unauthorized|forbidden)|authentication.{0,3}(?:error|failed|required)"
    r"|context (?:length|window)|prompt is too long",
)  # fmt: skip
PHRASES: Mapping[str, Phrases] = MappingProxyType({
    # Its text of a limit names billing, too; with a time to wait for it is one all the same.
    "gemini": Phrases(
        limit=r"exceeded your current quota.*?retry in|quota exceeded for metric"
        r"|exhausted your (?:daily|capacity)|retryDelay",
        passing=r"model stream ended|empty response|invalid stream|no finish reason"
        r"|malformed function call",
    ),
    "codex": Phrases(
        limit=r"hit your usage limit|try again at .{3,30}[ap]m|at capacity",
        passing=r"stream disconnected before completion|waiting for network"
        r"|idle timeout waiting for sse"
        r"|response\.failed event received|exceeded retry limit, last status: 5",
        final=r"quota exceeded\. check your plan",
    ),
    "claude": Phrases(
        limit=r"usage limit reached\|\d|hit your (?:session|weekly|\w+) ?limit|resets \d",
        passing=r"temporary.{0,40}try again|api error: (?:connection|the operation timed out)"
        r"|the socket connection was closed",
        final=r"credit balance is too low|invalid api key|please run /login",
    ),
    "opencode": Phrases(
        limit=r"(?:usage|rate) limit|too many requests|retrying in .{0,20}limit",
        passing=r"unable to connect\. is the computer able|provider returned error"
        r"|upstream (?:error|idle)",
    ),
})  # fmt: skip
GEMINI_MODULUS = 256  # an exit code of gemini's is the HTTP status modulo this
LIMITING = (429, 529)  # HTTP: too many requests; overloaded (Anthropic's own)
PASSING = (500, 502, 503, 504, 520, 522, 524)


def find_trouble(text: str, kind: str = "") -> Trouble:
    """What the last words of a failed agent of ``kind`` mean."""
    own = PHRASES.get(kind, Phrases())
    for phrases, found in (
        (own.final, Trouble.FINAL),
        (own.limit, Trouble.LIMIT),
        (ALL.final, Trouble.FINAL),
        (ALL.limit, Trouble.LIMIT),
        (own.passing, Trouble.PASSING),
        (ALL.passing, Trouble.PASSING),
    ):
        if re.search(phrases, text, re.IGNORECASE | re.DOTALL):
            return found
    return Trouble.PASSING if is_network_away(text) else Trouble.OTHER


def is_final(text: str, kind: str = "") -> bool:
    """Whether waiting and trying again change nothing."""
    return find_trouble(text, kind) is Trouble.FINAL


def trouble_of_status(status: object) -> Trouble:
    """What an HTTP status stands for."""
    if status in LIMITING:
        return Trouble.LIMIT
    return Trouble.PASSING if status in PASSING else Trouble.OTHER
