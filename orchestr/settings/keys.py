"""Every key of ``orchestr.toml`` and what its value must be: one table, and its conversions.

Pure. Adding a setting is one line here and one field in `orchestr.settings.loader`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from orchestr.spec import field_types
from orchestr.spec.field_types import BadValue, kind_of, show, suggest

Convert = Callable[[Any], Any]
Section = Mapping[str, Convert]


def from_text(how: Convert, text: str) -> Any:
    """What an environment variable means for a key: text as it is, else as TOML reads it.

    A value that does not fit comes back as text, so that the check that follows names it.
    """
    if how in _TEXTS:
        return text
    try:
        return tomllib.loads(f"value = {text.strip()}")["value"]
    except (tomllib.TOMLDecodeError, KeyError, RecursionError):
        return text


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadValue(f"must be a text, got {kind_of(value)}", 'write it in quotes: "..."')
    return field_types.check_line(value)


def _word(value: Any) -> str:
    return field_types.check_word(_text(value))


def _ref(value: Any) -> str:
    return field_types.check_ref(_text(value))


def _path(value: Any) -> str:
    text = _text(value)
    if text.startswith("~") and text != "~" and not text.startswith("~/"):
        raise BadValue(f"{show(text)} names another user's folder", "write the whole path")
    return text


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise BadValue(f"must be a list of texts, got {kind_of(value)}", 'write ["...", "..."]')
    for index, item in enumerate(value):
        if not isinstance(item, str):
            raise BadValue(f"item {index} must be a text, got {kind_of(item)}", "put it in quotes")
        field_types.check_text(item)
    return tuple(value)


def _trailers(value: Any) -> tuple[str, ...]:
    for line in _texts(value):
        field_types.check_line(line)
        if not _TRAILER.fullmatch(line):
            hint = 'like "Co-Authored-By: A Name <name@example.org>"'
            raise BadValue(f"{show(line)} is not a trailer", hint)
    return tuple(value)


_TRAILER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*: \S.*")


def _variables(value: Any) -> tuple[str, ...]:
    names = _texts(value)
    for name in names:
        _variable(name)
    return names


def _variable(name: str) -> None:
    if not name.isascii() or not name.replace("_", "a").isalnum() or name[0].isdigit():
        raise BadValue(f"{show(name)} cannot be a variable's name", "use letters, digits and `_`")


def _inside(value: Any) -> tuple[str, ...]:
    """Paths in a checkout that go into each worktree: relative, and never git's own."""
    for path in _texts(value):
        parts = path.split("/")
        if path.startswith(("/", "~")) or ".." in parts or ".git" in parts:
            raise BadValue(f"{show(path)} is not a path inside the repository", "like .env")
    return tuple(value)


def _environment(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict):
        hint = 'write env = {NAME = "value"}'
        raise BadValue(f"must be a table of texts, got {kind_of(value)}", hint)
    for name, text in value.items():
        if not isinstance(text, str) or "\0" in text:
            raise BadValue(f"{show(name)} must be a text, got {kind_of(text)}", "put it in quotes")
        if not name:
            raise BadValue("a variable's name is empty")
        _variable(name)
        if name.startswith("ORCHESTR_"):
            raise BadValue(f"{show(name)} is set by orchestr itself", "choose another name")
    return MappingProxyType(dict(value))


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadValue(f"must be true or false, got {_shown(value)}")
    return value


def _count(least: int, most: int) -> Convert:
    def count(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadValue(f"must be a whole number, got {_shown(value)}")
        if not least <= value <= most:
            raise BadValue(f"must be between {least} and {most:,}, got {str(value)[:20]}")
        return value

    return count


def _dollars(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValue(f"must be an amount in dollars, got {_shown(value)}", "like 20.0")
    if not 0 < value <= 1_000_000:
        raise BadValue("must be more than 0 and at most 1,000,000", "leave it out for no budget")
    return float(value)


def _price(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValue(f"must be dollars per million tokens, got {_shown(value)}", "like 3.0")
    if not 0 <= value <= 1_000_000:
        raise BadValue("must be between 0 and 1,000,000", "dollars per million tokens")
    return float(value)


def _one_of(*known: str) -> Convert:
    def one_of(value: Any) -> str:
        text = _text(value)
        if text not in known:
            words = " or ".join(f"`{word}`" for word in known)
            raise BadValue(f"must be {words}, got {show(text)}", suggest(text, known))
        return text

    return one_of


def _kind(what: str, *known: str) -> Convert:
    def kind(value: Any) -> str:
        text = _text(value)
        if text not in known:
            raise BadValue(f"there is no {what} {show(text)}", suggest(text, known))
        return text

    return kind


def _shown(value: Any) -> str:
    return show(value) if isinstance(value, str) else kind_of(value)


def _checks(value: Any) -> list[Any]:
    """Only the form; `orchestr.settings.repo_checks` reads what is in it."""
    if not isinstance(value, list):
        raise BadValue(f"must be a list of checks, got {kind_of(value)}", "write [[...checks]]")
    return value


def _port(value: Any) -> int:
    return int(_count(1024, 65000)(value))


STRATEGIES = ("merge", "squash", "rebase", "fast-forward")
_STRATEGY = _one_of(*STRATEGIES)
_LAND = _one_of("push", "api", "forge")
NEWS = ("done", "failed", "waiting", "approval")


def _news(value: Any) -> tuple[str, ...]:
    for word in _texts(value):
        if word not in NEWS:
            raise BadValue(f"there is no news {show(word)}", suggest(word, NEWS))
    return tuple(value)


def _http(value: Any) -> str:
    text = _text(value)
    if not text.startswith(("https://", "http://")) or not text.partition("://")[2].strip("/"):
        raise BadValue("must be an http address", 'like "https://hooks.example.org/..."')
    return text


_AGENT_KIND = _kind("agent kind", "command", "claude", "codex", "gemini", "opencode")
_FORGE_KIND = _kind("forge kind", "local", "github")
_SANDBOX = _one_of("workspace-write", "danger-full-access")
_SIGN = _one_of("auto", "off")
_COMMITS = _one_of("auto", "conventional", "plain")
_TEXTS = (_text, _http, _word, _ref, _path, field_types.parse_duration, _AGENT_KIND, _FORGE_KIND,
          _SANDBOX, _SIGN, _COMMITS, _STRATEGY, _LAND)  # fmt: skip

DEFAULT_AGENT: Convert = _word  # [agents] default stands beside the agents' own tables

KEYS: Mapping[str, Section] = {
    "workspace": {
        "specs": _path,
        "state": _path,
        "worktrees": _path,
        "repos": _path,
        "unsigned": _flag,
        "prompt": _path,
        "trailers": _trailers,
    },
    "repos": {
        "path": _path,
        "url": _text,
        "create": _texts,
        "base": _ref,
        "tools": _texts,
        "setup": _texts,
        "teardown": _texts,
        "setup_timeout": field_types.parse_duration,
        "link": _inside,
        "copy": _inside,
        "checks": _checks,
        "detect": _flag,
        "land_checks": _texts,
        "strategy": _STRATEGY,
        "land": _LAND,
        "disjoint": _flag,
        "commits": _COMMITS,
        "trailers": _trailers,
    },
    "agents": {
        "kind": _AGENT_KIND,
        "run": _texts,
        "program": _text,
        "model": _word,
        "args": _texts,
        "env": _environment,
        "pass_env": _variables,
        "paid": _flag,
        "retry_after": field_types.parse_duration,
        "retry_max": field_types.parse_duration,
        "price_input_usd": _price,
        "price_output_usd": _price,
        "price_cached_usd": _price,
        "sandbox": _SANDBOX,
        "provider": _word,
        "sign": _SIGN,
    },
    "limits": {
        "jobs": _count(1, 1000),
        "timeout": field_types.parse_duration,
        "idle_timeout": field_types.parse_duration,
        "after_result": field_types.parse_duration,
        "grace": field_types.parse_duration,
        "budget_usd": _dollars,
        "budget_tokens": _count(1, 1 << 50),
        "attempt_usd": _dollars,
        "attempt_tokens": _count(1, 1 << 50),
        "min_disk_mb": _count(0, 1 << 30),
    },
    "checks": {"jobs": _count(1, 1000)},
    "ports": {"base": _port, "slots": _count(1, 1000)},
    "forge": {
        "kind": _FORGE_KIND,
        "draft": _flag,
        "program": _text,
        "patience": field_types.parse_duration,
    },
    "landing": {
        "strategy": _STRATEGY,
        "land": _LAND,
        "window": _count(1, 100),
        "floor": _count(1, 100),
        "batch": _count(1, 100),
        "jobs": _count(1, 100),
        "repairs": _count(0, 10),
        "disjoint": _flag,
        "delete_branches": _flag,
        "keep_worktrees": _flag,
    },
    "notify": {
        "command": _texts,
        "url": _http,
        "on": _news,
        "timeout": field_types.parse_duration,
        "pass_env": _variables,
    },
}
