"""Answers of REST APIs and refusals as errors, the same for every forge that is asked so."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from orchestr.forges.base import ForgeError
from orchestr.forges.rate_limit import Retry


class RequestRefused(ForgeError):
    """The host understood and said no: ``status``."""

    def __init__(self, status: int, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class RequestMissing(RequestRefused):
    """The host does not know it, or does not show it to this login (404)."""


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """Status, headers (lower case), and the body: as a value if it is JSON, and as text."""

    status: int
    headers: Mapping[str, str]
    value: Any
    text: str = ""

    @property
    def message(self) -> str:
        """The host's words: one text, a list of them, or lists by field."""
        body = self.value if isinstance(self.value, dict) else {}
        said = body.get("message") or body.get("error_description") or body.get("error")
        if isinstance(said, dict):
            said = [f"{key} {', '.join(map(str, words)) if isinstance(words, list) else words}"
                    for key, words in said.items()]  # fmt: skip
        if isinstance(said, list):
            said = "; ".join(map(str, said))
        return str(said) if said else f"HTTP {self.status}"


def read_wait_seconds(headers: Mapping[str, str]) -> float:
    """The seconds that an answer asks to wait: ``Retry-After``, or until its quota is new; where it
    says neither a minute, the time that most hosts count in."""
    given = headers.get("retry-after", "")
    if given.isdecimal():
        return float(given)
    with suppress(TypeError, ValueError, OverflowError):  # the other form: a date
        return max(0.0, parsedate_to_datetime(given).timestamp() - time.time()) + 1
    reset = headers.get("ratelimit-reset", "")
    if reset.isdecimal():
        return max(0.0, int(reset) - time.time()) + 1
    return 60.0


@dataclass(frozen=True, slots=True)
class RefusalHints:
    """What a refusal names: where the login is from, how to have another, which rights it needs."""

    source: str
    explain_login: Callable[[], str]
    rights: str


def judge_status(
    answer: ApiAnswer, message: str, host: str, path: str, hints: RefusalHints
) -> None:
    """Raises for every answer that is no success: Retry for what may pass, RequestRefused,
    RequestMissing. ``message`` are the host's words without secrets, ``path`` what was asked for.
    """
    status = answer.status
    if 200 <= status < 300:
        return
    if status == 429:
        raise Retry(message, after=read_wait_seconds(answer.headers))
    if status >= 500 or status == 408:
        said = f"HTTP {status}"
        raise Retry(f"it answers {said}{f': {message}' if message != said else ''}", done=True)
    if status == 401:
        raise RequestRefused(
            status,
            f"{host} does not accept the login of {hints.source}: {message}",
            hints.explain_login(),
        )
    if status == 403:
        raise RequestRefused(status, f"{host} does not allow it: {message}", hints.rights)
    if status == 404:
        raise RequestMissing(
            status,
            f"{host}: {message} ({path.partition('?')[0]}): it is not there, or the login may not"
            " see it",
            "git remote -v in the clone; orchestr doctor",
        )
    raise RequestRefused(status, message)
