"""Why a turn cannot begin or does not end well, in words that say what to do.

Pure. A provider's own words stay in the reason: usage limits are recognised by them
(`orchestr.agents.limits`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from orchestr.agents.trouble import Trouble, find_trouble

AUTH_REQUIRED = -32000
_KEY = "api-key"
STOP_REASONS = {
    "max_tokens": "its answer was cut at the model's limit of tokens (max_tokens)",
    "max_turn_requests": "it reached its limit of requests in a turn (max_turn_requests)",
    "refusal": "the model refused to go on (refusal)",
    "cancelled": "the turn was cancelled",
}


class AcpFailure(Exception):
    """The turn is over without a result; the text is for people."""


class _Error(Protocol):
    code: int
    data: Any


def explain_stop(reason: str) -> str:
    """Why a turn that stopped for ``reason`` is no success; empty for `end_turn`."""
    if reason == "end_turn":
        return ""
    return STOP_REASONS.get(reason, f"its turn ended with {reason!r}")


def describe_request_error(error: _Error) -> str:
    """Message and details of an error that the agent sent."""
    text, data = str(error), error.data
    if isinstance(data, Mapping):
        found = next((data[key] for key in ("details", "message", "error", "errorMessage")
                      if data.get(key)), data)  # fmt: skip
        data = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    return f"{text}: {data}" if data and str(data) not in text else text


def explain_unloaded(error: _Error) -> str:
    """Why a session is not resumed. It is lost, and a new one begun, unless the words are those of
    a limit, a refused key or trouble on the way: what it has taken would be paid again."""
    words = describe_request_error(error)
    lost = find_trouble(words) is Trouble.OTHER
    return f"session not found: {words}" if lost else f"it cannot load its session: {words}"


def is_login_wanted(error: _Error) -> bool:
    """Whether the agent answers that it has no login."""
    words = str(error).lower()
    return error.code == AUTH_REQUIRED and ("auth" in words or "log" in words or "api key" in words)


def find_key_method(methods: Iterable[Any], environ: Mapping[str, str]) -> str | None:
    """The id of a way to log in that needs no person: by a key that is in the environment.

    That is one of the type `env_var` whose variables are all there, or one whose id names the
    variable (`gemini-api-key` is GEMINI_API_KEY). A browser is never opened.
    """
    for method in _mappings(methods):
        key = str(method.get("id") or "")
        names = [str(var.get("name")) for var in _mappings(method.get("vars"))
                 if not var.get("optional")]  # fmt: skip
        if not names and key.endswith(_KEY):
            names = [key.replace("-", "_").upper()]
        if key and names and all(environ.get(name) for name in names):
            return key
    return None


def explain_login(methods: Iterable[Any], error: _Error) -> str:
    """That the agent wants a login, and which ones it offers."""
    ways = []
    for method in _mappings(methods):
        variables = [str(var.get("name")) for var in _mappings(method.get("vars"))]
        how = str(method.get("description") or "") or ", ".join(variables)
        name = str(method.get("name") or method.get("id"))
        ways.append(f"{name} ({how})" if how and how != name else name)
    offered = f"; it offers: {'; '.join(ways)}" if ways else ""
    return (
        f"authentication required: {describe_request_error(error)}{offered}. Log in with the "
        "agent's own program, or name its key in pass_env"
    )


def _mappings(value: Any) -> Sequence[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
