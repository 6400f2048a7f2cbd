"""What pydantic found, in words for a person who writes YAML or TOML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from orchestr.spec import field_types
from orchestr.spec.check_kinds import describe_broken_kind, find_kind, list_kinds
from orchestr.spec.field_types import BadValue, kind_of, quote_value, suggest_name
from orchestr.spec.yaml_source import EMPTY

NATIVE = "orchestr/v1"
OPENTDF = "opentdf.io/v1alpha1"
NO_CELL = "a feature needs at least one cell"


def describe_error(
    kind: str,
    path: tuple[str | int, ...],
    given: Any,
    context: Mapping[str, Any],
    example: Any = None,
) -> tuple[str, str | None]:
    """Message and hint for a pydantic error type; ``example`` is a value for the field."""
    reason = context.get("error")
    if isinstance(reason, BadValue):
        return reason.message, reason.hint
    last = path[-1] if path else ""
    if given is None and kind != "missing":
        return EMPTY
    match kind:
        case "missing":
            return _describe_missing(path, example)
        case "string_type":
            return _describe_not_text(given, in_list=isinstance(last, int))
        case "list_type" if isinstance(given, str):
            return (
                "must be a list, got a text",
                f"write [{quote_value(given)[1:-1]}], or lines with `- `",
            )
        case "list_type":
            return f"must be a list, got {kind_of(given)}", "write one `- text` a line"
        case "dict_type" | "model_type":
            return f"must be a mapping, got {kind_of(given)}", "write `name: value` lines below it"
        case "bool_type":
            return f"must be true or false, got {kind_of(given)}", None
        case "too_short":
            return _describe_too_short(last)
        case "union_tag_invalid" | "union_tag_not_found" | "model_attributes_type":
            return _describe_bad_kind(given, path)
        case "literal_error":
            return _describe_bad_choice(last, given, context)
        case _:
            return f"cannot be used ({kind}), got {kind_of(given)}", None


def _describe_missing(path: tuple[str | int, ...], example: Any) -> tuple[str, str | None]:
    if example is not None:
        hint = f"write `{path[-1]}: {write_flow(example)}`"
        return "is required and not there", hint
    return "is required and not there", None


def write_flow(value: Any) -> str:
    """A value as it could stand on one line of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {write_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(write_flow, value)) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    plain = re.fullmatch(r"[A-Za-z./][A-Za-z0-9._/ =-]*", value)
    return value if plain else "'" + value.replace("'", "''") + "'"


def _describe_too_short(last: str | int) -> tuple[str, str | None]:
    if last in ("cells", "repos"):
        return NO_CELL, None
    return "is empty", "name at least one"


def _describe_bad_kind(given: Any, path: tuple[str | int, ...]) -> tuple[str, str | None]:
    """An item of ``checks`` that is of no kind; screenshots take two of them."""
    screenshot = "screenshots" in path
    every = list_kinds()
    known = [kind for kind in every if not screenshot or find_kind(kind).makes_screenshots]
    if isinstance(given, str):
        hint = f"write `{{kind: {given}}}`" if given in known else "write `kind: ...` and the rest"
        return "must be a mapping, got a text", hint
    if not isinstance(given, dict):
        return f"must be a mapping, got {kind_of(given)}", "write `kind: ...` and the rest"
    if "kind" not in given:
        return "has no `kind`", f"one of: {', '.join(known)}"
    kind = given["kind"]
    if not isinstance(kind, str):
        return f"`kind` must be a text, got {kind_of(kind)}", f"one of: {', '.join(known)}"
    if screenshot and kind in every:
        return (
            f"a check of kind {quote_value(kind)} makes no screenshots",
            f"use {' or '.join(known)}",
        )
    broken = describe_broken_kind(kind)
    if broken is not None:
        return broken, "update or remove the package, or use another kind"
    return f"there is no kind of check {quote_value(kind)}", suggest_name(kind, known)


def _describe_not_text(given: Any, *, in_list: bool) -> tuple[str, str | None]:
    if isinstance(given, dict) and in_list:
        key, value = next(iter(given.items()), ("", ""))
        text = f"{key}: {value}" if isinstance(value, str) else f"{key}: ..."
        quoted = f"'{text}'" if '"' in text else f'"{text}"'
        return (
            "must be a text, got a mapping (`: ` inside a text makes one)",
            f"quote it: - {quote_value(quoted)[1:-1]}",
        )
    if isinstance(given, bool | int | float):
        return f"must be a text, got {kind_of(given)}", f'quote it: "{str(given)[:40]}"'
    return f"must be a text, got {kind_of(given)}", None


def _describe_bad_choice(
    last: str | int, given: Any, context: Mapping[str, Any]
) -> tuple[str, str | None]:
    known = re.findall(r"'([^']*)'", str(context.get("expected", "")))
    if last == "apiVersion":
        known = [NATIVE, OPENTDF]
    names = " or ".join(f"`{name}`" for name in known)
    got = quote_value(given) if isinstance(given, str) else kind_of(given)
    close = field_types.nearest_name(given, known) if isinstance(given, str) else None
    return f"must be {names}, got {got}", f"did you mean `{close}`?" if close else None
