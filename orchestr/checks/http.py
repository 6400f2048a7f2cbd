"""One HTTP request within a time limit, and looking into its answer.

No proxy and no netrc of the user, no redirects, a bounded body: a probe asks exactly what the
spec says. httpx is imported when the first request is made.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestr.checks.base import CheckUnavailable
from orchestr.spec.check_field_types import PLACEHOLDER, parse_json_path

LIMIT = 8 << 20  # bytes of an answer


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back."""

    status: int
    text: str


class NoAnswer(Exception):
    """Nothing that could be read came back; the message says why."""


def fetch(
    url: str,
    deadline: float,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: str | None = None,
) -> HttpAnswer:
    """The answer to one request; ``deadline`` is a time of the monotonic clock.

    Raises NoAnswer, and TimeoutError when the deadline passes, also for a server that sends a
    byte a second.
    """
    import httpx

    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    content = None if body is None else body.encode()
    try:
        with (
            httpx.Client(trust_env=False, follow_redirects=False, timeout=left) as client,
            client.stream(method, url, headers=dict(headers or {}), content=content) as response,
        ):
            data = bytearray()
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > LIMIT:
                    raise NoAnswer(f"the answer is larger than {LIMIT >> 20} MiB")
                if time.monotonic() > deadline:
                    raise TimeoutError
            text = bytes(data).decode(response.encoding or "utf-8", "replace")
            return HttpAnswer(response.status_code, text)
    except httpx.TimeoutException:
        raise TimeoutError from None
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, LookupError) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from None


def fill_variables(text: str, env: Mapping[str, str]) -> str:
    """``${NAME}`` replaced by the variables' values. Raises CheckUnavailable for one without."""

    def look_up_variable(found: Any) -> str:
        name: str = found[1]
        if name not in env:
            raise CheckUnavailable(f"${{{name}}} has no value: write `ports: true` in the cell")
        return env[name]

    return PLACEHOLDER.sub(look_up_variable, text)


def parse_json(text: str) -> Any:
    """JSON, strictly. Raises ValueError."""

    def refuse_constant(word: str) -> Any:
        raise ValueError(f"{word} is not JSON")

    try:
        return json.loads(text, parse_constant=refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def value_at_path(value: Any, path: str) -> Any:
    """The part of a JSON value at ``path``. Raises LookupError naming the step."""
    here = ""
    for step in parse_json_path(path):
        here += f"[{step}]" if isinstance(step, int) else f".{step}"
        inside = isinstance(value, list if isinstance(step, int) else dict)
        try:
            if not inside:
                raise KeyError
            value = value[step]
        except (KeyError, IndexError):
            raise LookupError(f"there is no {here.lstrip('.')}") from None
    return value


def describe_missing(wanted: Any, given: Any, where: str = "") -> list[str]:
    """What of ``wanted`` is not in ``given``, in words: objects may have more, lists and plain
    values must be equal in number and kind (``true`` is not ``1``)."""
    place = where or "the answer"
    if isinstance(wanted, dict):
        if not isinstance(given, dict):
            return [f"{place} is {_shorten_json(given)}, not an object"]
        found: list[str] = []
        for key, value in wanted.items():
            path = f"{where}.{key}" if where else key
            if key in given:
                found += describe_missing(value, given[key], path)
            else:
                found.append(f"{path} is not there")
        return found
    if isinstance(wanted, list):
        if not isinstance(given, list) or len(given) != len(wanted):
            return [f"{place} is {_shorten_json(given)}, not {_shorten_json(wanted)}"]
        return [
            line
            for index, (one, two) in enumerate(zip(wanted, given, strict=True))
            for line in describe_missing(one, two, f"{where}[{index}]")
        ]
    same = isinstance(wanted, bool) == isinstance(given, bool) and wanted == given
    return [] if same else [f"{place} is {_shorten_json(given)}, not {_shorten_json(wanted)}"]


def _shorten_json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:200] + "..."
