"""What pydantic found, in words for a person who writes YAML or TOML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestr.spec import field_types
from orchestr.spec.checks import CheckKind, ReviewRule
from orchestr.spec.field_types import BadValue, kind_of, quote_value, suggest_name
from orchestr.spec.phases import Action
from orchestr.spec.yaml_source import EMPTY

NATIVE = "orchestr/v1"
OPENTDF = "opentdf.io/v1alpha1"


def describe_error(
    kind: str, path: tuple[str | int, ...], given: Any, context: Mapping[str, Any]
) -> tuple[str, str | None]:
    """Message and hint for a pydantic error type."""
    reason = context.get("error")
    if isinstance(reason, BadValue):
        return reason.message, reason.hint
    last = path[-1] if path else ""
    if given is None and kind != "missing":
        return EMPTY
    match kind:
        case "missing":
            return _describe_missing(path)
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
            return _describe_bad_choice(last, given)
        case _:
            return f"cannot be used ({kind}), got {kind_of(given)}", None


def _describe_missing(path: tuple[str | int, ...]) -> tuple[str, str | None]:
    examples = {
        "apiVersion": f"apiVersion: {NATIVE}",
        "kind": "kind: Feature",
        "metadata": "metadata: {name: my-feature}",
        "name": "name: my-feature",
        "cells": "cells: {my-cell: {repo: my-repository, todo: [...]}}",
        "repo": "repo: my-repository",
        "run": "run: [make, test]",
        "reports": "reports: ['build/test-results/*.xml']",
        "evidence": "evidence: ['shots/*.png']",
        "expression": "expression: total == 3",
        "probes": "probes: {total: {run: [./count.sh]}}",
        "module": "module: my_package",
        "tool": "tool: mypy",
        "agent": "agent: my-agent",
        "owner": "owner: my-cell",
        "path": "path: src/api/**",
    }
    example = examples.get(str(path[-1]))
    return "is required and not there", f"write `{example}`" if example else None


def _describe_too_short(last: str | int) -> tuple[str, str | None]:
    if last in ("cells", "repos"):
        return "a feature needs at least one cell", None
    return "is empty", "name at least one"


def _describe_bad_kind(given: Any, path: tuple[str | int, ...]) -> tuple[str, str | None]:
    """An item of ``checks`` that is of no kind; screenshots take two of them."""
    screenshot = "screenshots" in path
    kinds = [CheckKind.COMMAND, CheckKind.BROWSER_JOURNEY] if screenshot else list(CheckKind)
    known = [kind.value for kind in kinds]
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
    if screenshot and kind in list(CheckKind):
        return (
            f"a check of kind {quote_value(kind)} makes no screenshots",
            f"use {' or '.join(known)}",
        )
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


def _describe_bad_choice(last: str | int, given: Any) -> tuple[str, str | None]:
    known = {
        "apiVersion": (NATIVE, OPENTDF),
        "kind": ("Feature",),
        "action": tuple(action.value for action in Action),
        "review_rule": tuple(rule.value for rule in ReviewRule),
        "tool": ("mypy", "pyright", "basedpyright"),
        "method": ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
    }.get(str(last), ())
    names = " or ".join(f"`{name}`" for name in known)
    got = quote_value(given) if isinstance(given, str) else kind_of(given)
    close = field_types.nearest_name(given, known) if isinstance(given, str) else None
    return f"must be {names}, got {got}", f"did you mean `{close}`?" if close else None
