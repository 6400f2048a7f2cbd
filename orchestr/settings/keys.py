"""Every key of ``orchestr.toml`` and what its value must be: one table, and its conversions.

Pure. Adding a setting is one line here and one field in `orchestr.settings.loader`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from orchestr.registry import Registry
from orchestr.settings.kinds import AGENT_KINDS, FORGE_KINDS
from orchestr.spec import field_types
from orchestr.spec.field_types import BadValue, kind_of, quote_value, suggest_name

Convert = Callable[[Any], Any]
Section = Mapping[str, Convert]


def parse_variable_text(how: Convert, text: str) -> Any:
    """What an environment variable means for a key: text as it is, else as TOML reads it.

    A value that does not fit comes back as text, so that the check that follows names it.
    """
    if how in _TEXTS:
        return text
    try:
        return tomllib.loads(f"value = {text.strip()}")["value"]
    except (tomllib.TOMLDecodeError, KeyError, RecursionError):
        return text


def _convert_text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadValue(f"must be a text, got {kind_of(value)}", 'write it in quotes: "..."')
    return field_types.check_line(value)


def _convert_word(value: Any) -> str:
    return field_types.check_word(_convert_text(value))


def _convert_ref(value: Any) -> str:
    return field_types.check_ref(_convert_text(value))


def _convert_path(value: Any) -> str:
    text = _convert_text(value)
    if text.startswith("~") and text != "~" and not text.startswith("~/"):
        raise BadValue(f"{quote_value(text)} names another user's folder", "write the whole path")
    return text


def _convert_texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise BadValue(f"must be a list of texts, got {kind_of(value)}", 'write ["...", "..."]')
    for index, item in enumerate(value):
        if not isinstance(item, str):
            raise BadValue(f"item {index} must be a text, got {kind_of(item)}", "put it in quotes")
        field_types.check_text(item)
    return tuple(value)


def _convert_trailers(value: Any) -> tuple[str, ...]:
    for line in _convert_texts(value):
        field_types.check_line(line)
        if not _TRAILER.fullmatch(line):
            hint = 'like "Co-Authored-By: A Name <name@example.org>"'
            raise BadValue(f"{quote_value(line)} is not a trailer", hint)
    return tuple(value)


_TRAILER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*: \S.*")


def _convert_variables(value: Any) -> tuple[str, ...]:
    names = _convert_texts(value)
    for name in names:
        _check_variable_name(name)
    return names


def _check_variable_name(name: str) -> None:
    if not name.isascii() or not name.replace("_", "a").isalnum() or name[0].isdigit():
        raise BadValue(
            f"{quote_value(name)} cannot be a variable's name", "use letters, digits and `_`"
        )


def _convert_inner_paths(value: Any) -> tuple[str, ...]:
    """Paths in a checkout that go into each worktree: relative, and never git's own."""
    for path in _convert_texts(value):
        parts = path.split("/")
        if path.startswith(("/", "~")) or ".." in parts or ".git" in parts:
            raise BadValue(f"{quote_value(path)} is not a path inside the repository", "like .env")
    return tuple(value)


def _convert_environment(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict):
        hint = 'write env = {NAME = "value"}'
        raise BadValue(f"must be a table of texts, got {kind_of(value)}", hint)
    for name, text in value.items():
        if not isinstance(text, str) or "\0" in text:
            raise BadValue(
                f"{quote_value(name)} must be a text, got {kind_of(text)}", "put it in quotes"
            )
        if not name:
            raise BadValue("a variable's name is empty")
        _check_variable_name(name)
        if name.startswith("ORCHESTR_"):
            raise BadValue(f"{quote_value(name)} is set by orchestr itself", "choose another name")
    return MappingProxyType(dict(value))


def _convert_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadValue(f"must be true or false, got {_describe_value(value)}")
    return value


def _count_between(least: int, most: int) -> Convert:
    def convert_count(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadValue(f"must be a whole number, got {_describe_value(value)}")
        if not least <= value <= most:
            raise BadValue(f"must be between {least} and {most:,}, got {str(value)[:20]}")
        return value

    return convert_count


def _convert_dollars(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValue(f"must be an amount in dollars, got {_describe_value(value)}", "like 20.0")
    if not 0 < value <= 1_000_000:
        raise BadValue("must be more than 0 and at most 1,000,000", "leave it out for no budget")
    return float(value)


def _convert_price(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValue(
            f"must be dollars per million tokens, got {_describe_value(value)}", "like 3.0"
        )
    if not 0 <= value <= 1_000_000:
        raise BadValue("must be between 0 and 1,000,000", "dollars per million tokens")
    return float(value)


def _one_of(*known: str) -> Convert:
    def convert_choice(value: Any) -> str:
        text = _convert_text(value)
        if text not in known:
            words = " or ".join(f"`{word}`" for word in known)
            raise BadValue(f"must be {words}, got {quote_value(text)}", suggest_name(text, known))
        return text

    return convert_choice


def _kind_in(registry: Registry[Any]) -> Convert:
    def convert_kind(value: Any) -> str:
        text = _convert_text(value)
        if not registry.knows(text):
            hint = suggest_name(text, registry.names())
            raise BadValue(f"there is no {registry.what} {quote_value(text)}", hint)
        return text

    return convert_kind


def _describe_value(value: Any) -> str:
    return quote_value(value) if isinstance(value, str) else kind_of(value)


def _convert_checks(value: Any) -> list[Any]:
    """Only the form; `orchestr.settings.repo_checks` reads what is in it."""
    if not isinstance(value, list):
        raise BadValue(f"must be a list of checks, got {kind_of(value)}", "write [[...checks]]")
    return value


def _convert_port(value: Any) -> int:
    return int(_count_between(1024, 65000)(value))


STRATEGIES = ("merge", "squash", "rebase", "fast-forward")
_STRATEGY = _one_of(*STRATEGIES)
_LAND = _one_of("push", "api", "forge")
NEWS = ("done", "failed", "waiting", "approval")


def _convert_news(value: Any) -> tuple[str, ...]:
    for word in _convert_texts(value):
        if word not in NEWS:
            raise BadValue(f"there is no news {quote_value(word)}", suggest_name(word, NEWS))
    return tuple(value)


def _convert_http_address(value: Any) -> str:
    text = _convert_text(value)
    if not text.startswith(("https://", "http://")) or not text.partition("://")[2].strip("/"):
        raise BadValue("must be an http address", 'like "https://hooks.example.org/..."')
    return text


_AGENT_KIND = _kind_in(AGENT_KINDS)
_FORGE_KIND = _kind_in(FORGE_KINDS)
_SANDBOX = _one_of("workspace-write", "danger-full-access")
_SIGN = _one_of("auto", "off")
_COMMITS = _one_of("auto", "conventional", "plain")
_TEXTS = (
    _convert_text,
    _convert_http_address,
    _convert_word,
    _convert_ref,
    _convert_path,
    field_types.parse_duration,
    _AGENT_KIND,
    _FORGE_KIND,
    _SANDBOX,
    _SIGN,
    _COMMITS,
    _STRATEGY,
    _LAND,
)

DEFAULT_AGENT: Convert = _convert_word  # [agents] default stands beside the agents' own tables

KEYS: Mapping[str, Section] = {
    "workspace": {
        "specs": _convert_path,
        "state": _convert_path,
        "worktrees": _convert_path,
        "repos": _convert_path,
        "unsigned": _convert_flag,
        "prompt": _convert_path,
        "trailers": _convert_trailers,
    },
    "repos": {
        "path": _convert_path,
        "url": _convert_text,
        "create": _convert_texts,
        "base": _convert_ref,
        "tools": _convert_texts,
        "setup": _convert_texts,
        "teardown": _convert_texts,
        "setup_timeout": field_types.parse_duration,
        "link": _convert_inner_paths,
        "copy": _convert_inner_paths,
        "checks": _convert_checks,
        "detect": _convert_flag,
        "land_checks": _convert_texts,
        "strategy": _STRATEGY,
        "land": _LAND,
        "disjoint": _convert_flag,
        "commits": _COMMITS,
        "trailers": _convert_trailers,
    },
    "agents": {
        "kind": _AGENT_KIND,
        "run": _convert_texts,
        "program": _convert_text,
        "model": _convert_word,
        "args": _convert_texts,
        "env": _convert_environment,
        "pass_env": _convert_variables,
        "paid": _convert_flag,
        "retry_after": field_types.parse_duration,
        "retry_max": field_types.parse_duration,
        "price_input_usd": _convert_price,
        "price_output_usd": _convert_price,
        "price_cached_usd": _convert_price,
        "sandbox": _SANDBOX,
        "provider": _convert_word,
        "sign": _SIGN,
    },
    "limits": {
        "jobs": _count_between(1, 1000),
        "timeout": field_types.parse_duration,
        "idle_timeout": field_types.parse_duration,
        "after_result": field_types.parse_duration,
        "grace": field_types.parse_duration,
        "budget_usd": _convert_dollars,
        "budget_tokens": _count_between(1, 1 << 50),
        "attempt_usd": _convert_dollars,
        "attempt_tokens": _count_between(1, 1 << 50),
        "min_disk_mb": _count_between(0, 1 << 30),
    },
    "checks": {"jobs": _count_between(1, 1000)},
    "ports": {"base": _convert_port, "slots": _count_between(1, 1000)},
    "forge": {
        "kind": _FORGE_KIND,
        "draft": _convert_flag,
        "program": _convert_text,
        "patience": field_types.parse_duration,
    },
    "landing": {
        "strategy": _STRATEGY,
        "land": _LAND,
        "window": _count_between(1, 100),
        "floor": _count_between(1, 100),
        "batch": _count_between(1, 100),
        "jobs": _count_between(1, 100),
        "repairs": _count_between(0, 10),
        "disjoint": _convert_flag,
        "delete_branches": _convert_flag,
        "keep_worktrees": _convert_flag,
    },
    "notify": {
        "command": _convert_texts,
        "url": _convert_http_address,
        "on": _convert_news,
        "timeout": field_types.parse_duration,
        "pass_env": _convert_variables,
    },
}
