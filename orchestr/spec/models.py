"""The two written forms of a spec as strict pydantic models, and their errors in plain words.

Owns types, required fields and single values. What needs more than one value (dependencies,
branches, agents) is `orchestr.spec.check`'s. Imported only when a spec must really be parsed:
pydantic costs more time than everything else in ``doit list`` (DESIGN, the spec).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)

from orchestr.errors import Problem
from orchestr.spec import values
from orchestr.spec.document import EMPTY, Document
from orchestr.spec.records import Action, Delivery, Phase
from orchestr.spec.values import BadValue, kind_of, show, suggest

NATIVE = "orchestr/v1"
OPENTDF = "opentdf.io/v1alpha1"

# What DESIGN promises and this version cannot do: an error that says so, never skipped.
NOT_YET = frozenset(
    (
        "allow_partial",
        "approve",
        "checks",
        "contracts",
        "cross_checks",
        "ports",
        "review",
        "reviewers",
        "shared_paths",
    )
)


def _each(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(check)


def _delivery(value: object) -> object:
    if value not in list(Delivery):
        raise BadValue("must be `pr` or `merge`")
    return value


def _phases(value: object) -> tuple[Phase, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        hint = "write a list, like [implement, check, review, publish]"
        raise BadValue(f"must be a list of phases, got {kind_of(value)}", hint)
    return values.parse_phases(value)


Line = Annotated[str, _each(values.check_line)]
Text = Annotated[str, _each(values.check_text)]
Word = Annotated[str, _each(values.check_word)]
FeatureName = Annotated[
    str,
    _each(values.check_feature_name),
    Field(json_schema_extra={"pattern": "^[a-z][a-z0-9_-]*$"}),
]
CellName = Annotated[
    str,
    _each(values.check_cell_name),
    Field(json_schema_extra={"pattern": "^[a-z][a-z0-9-]*$"}),
]
RepoName = Annotated[str, _each(values.check_repo_name)]
Key = Annotated[str, _each(values.check_key)]
BranchName = Annotated[str, _each(values.check_branch)]
BaseName = Annotated[str, _each(values.check_ref)]
Pattern = Annotated[str, _each(values.check_pattern)]
Duration = Annotated[
    float,
    BeforeValidator(values.parse_duration),
    WithJsonSchema(
        {
            "description": "90s, 30m, 2h, 500ms, or whole seconds",
            "anyOf": [{"type": "string"}, {"type": "integer", "exclusiveMinimum": 0}],
        }
    ),
]
Phases = Annotated[
    tuple[Phase, ...],
    BeforeValidator(_phases),
    WithJsonSchema(
        {"type": "array", "items": {"enum": [p.value for p in Phase]}, "uniqueItems": True}
    ),
]
DeliveryName = Annotated[
    str, BeforeValidator(_delivery), WithJsonSchema({"enum": [str(one) for one in Delivery]})
]


class Strict(BaseModel):
    """No unknown fields, no silent conversions, no changes after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Metadata(Strict):
    """Who the feature is."""

    name: FeatureName
    jira: Key | None = Field(None, description="key for branch names; else the name is used")
    title: Line | None = None
    created: Line | None = Field(None, description="a date, for people")


class Defaults(Strict):
    """What holds for every cell that does not say otherwise."""

    agent: Word | None = None
    model: Word | None = None
    timeout: Duration | None = None
    idle_timeout: Duration | None = None
    base: BaseName | None = None
    track_base: bool | None = None
    phases: Phases | None = None


class CellFields(Defaults):
    """What both forms say about a cell."""

    title: Line | None = None
    branch: BranchName | None = Field(None, description="default: <key>-<cell>")
    todo: list[Text] = Field(default_factory=list)
    depends_on: list[str] = Field(default_factory=list)
    action: Literal["agent", "push"] | None = None
    owned_paths: list[Pattern] = Field(default_factory=list)


class NativeCell(CellFields):
    """A cell of ``cells:``."""

    repo: RepoName


class OpentdfCell(CellFields):
    """A cell of ``repos:``; only the key ``tests`` may leave ``path`` out (row A72)."""

    path: RepoName | None = None


class FeatureFields(Strict):
    """What both forms say about a feature."""

    kind: Literal["Feature"]
    metadata: Metadata
    defaults: Defaults = Field(default_factory=Defaults)
    scenarios: list[Line] = Field(default_factory=list)
    delivery: DeliveryName = Delivery.PR.value


class NativeFeature(FeatureFields):
    """A spec in our own form."""

    apiVersion: Literal["orchestr/v1"]
    cells: dict[CellName, NativeCell] = Field(min_length=1)


class OpentdfFeature(FeatureFields):
    """A spec in the form of opentdf's features."""

    apiVersion: Literal["opentdf.io/v1alpha1"]
    repos: dict[CellName, OpentdfCell] = Field(min_length=1)


def validate(document: Document) -> tuple[NativeFeature | OpentdfFeature | None, list[Problem]]:
    """The model of a document, or None and what is wrong with it."""
    raw = document.value
    if not isinstance(raw, dict):
        message = f"a spec is a mapping, got {kind_of(raw)}"
        return None, [document.problem((), message, "`orchestr init` writes an example to copy")]
    model = form_of(raw)
    try:
        return model.model_validate(raw), []
    except ValidationError as error:
        found = error.errors(include_url=False)
        return None, [_problem(document, model, dict(item)) for item in found]


def form_of(raw: Mapping[str, Any]) -> type[NativeFeature] | type[OpentdfFeature]:
    """Which form a file is written in, also when its ``apiVersion`` is wrong."""
    version = raw.get("apiVersion")
    if version == OPENTDF or (version != NATIVE and "repos" in raw and "cells" not in raw):
        return OpentdfFeature
    return NativeFeature


def _problem(document: Document, model: type[FeatureFields], error: dict[str, Any]) -> Problem:
    path: tuple[str | int, ...] = tuple(error["loc"])
    kind: str = error["type"]
    given = error["input"]
    context: dict[str, Any] = error.get("ctx", {})
    if path and path[-1] == "[key]":
        path = path[:-1]
    if kind == "extra_forbidden":
        return _unknown_field(document, model, path)
    at_key = kind == "missing" or (bool(error["loc"]) and error["loc"][-1] == "[key]")
    message, hint = _words(kind, path, given, context)
    return document.problem(path, message, hint, at_key=at_key)


def _words(
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
            return _missing(path)
        case "string_type":
            return _not_text(given, in_list=isinstance(last, int))
        case "list_type" if isinstance(given, str):
            return "must be a list, got a text", f"write [{show(given)[1:-1]}], or lines with `- `"
        case "list_type":
            return f"must be a list, got {kind_of(given)}", "write one `- text` a line"
        case "dict_type" | "model_type":
            return f"must be a mapping, got {kind_of(given)}", "write `name: value` lines below it"
        case "bool_type":
            return f"must be true or false, got {kind_of(given)}", None
        case "too_short":
            return "a feature needs at least one cell", None
        case "literal_error":
            return _not_one_of(last, given)
        case _:
            return f"cannot be used ({kind}), got {kind_of(given)}", None


def _missing(path: tuple[str | int, ...]) -> tuple[str, str | None]:
    examples = {
        "apiVersion": f"apiVersion: {NATIVE}",
        "kind": "kind: Feature",
        "metadata": "metadata: {name: my-feature}",
        "name": "name: my-feature",
        "cells": "cells: {my-cell: {repo: my-repository, todo: [...]}}",
        "repo": "repo: my-repository",
    }
    example = examples.get(str(path[-1]))
    return "is required and not there", f"write `{example}`" if example else None


def _not_text(given: Any, *, in_list: bool) -> tuple[str, str | None]:
    if isinstance(given, dict) and in_list:
        key, value = next(iter(given.items()), ("", ""))
        text = f"{key}: {value}" if isinstance(value, str) else f"{key}: ..."
        quoted = f"'{text}'" if '"' in text else f'"{text}"'
        return (
            "must be a text, got a mapping (`: ` inside a text makes one)",
            f"quote it: - {show(quoted)[1:-1]}",
        )
    if isinstance(given, bool | int | float):
        return f"must be a text, got {kind_of(given)}", f'quote it: "{str(given)[:40]}"'
    return f"must be a text, got {kind_of(given)}", None


def _not_one_of(last: str | int, given: Any) -> tuple[str, str | None]:
    known = {
        "apiVersion": (NATIVE, OPENTDF),
        "kind": ("Feature",),
        "action": tuple(action.value for action in Action),
    }.get(str(last), ())
    names = " or ".join(f"`{name}`" for name in known)
    got = show(given) if isinstance(given, str) else kind_of(given)
    close = values.nearest(given, known) if isinstance(given, str) else None
    return f"must be {names}, got {got}", f"did you mean `{close}`?" if close else None


def _unknown_field(
    document: Document, model: type[FeatureFields], path: tuple[str | int, ...]
) -> Problem:
    name = str(path[-1])
    if name in NOT_YET:
        message = f"this version of orchestr cannot do `{name}` yet"
        return document.problem(path, message, "leave it out, or do it by hand", at_key=True)
    parent: type[BaseModel] = model
    if len(path) > 1:
        sections: dict[str, type[BaseModel]] = {
            "metadata": Metadata,
            "defaults": Defaults,
            "cells": NativeCell,
            "repos": OpentdfCell,
        }
        parent = sections.get(str(path[0]), model)
    other = {"cells": NATIVE, "repos": OPENTDF}
    if len(path) == 1 and name in other:
        ours = "cells" if model is NativeFeature else "repos"
        hint = f"with this apiVersion the cells stand under `{ours}:`"
        return document.problem(path, f"belongs to `{other[name]}`", hint, at_key=True)
    if len(path) == 3 and name in ("repo", "path"):
        hint = f"here the repository is `{'repo' if name == 'path' else 'path'}:`"
    else:
        hint = suggest(name, parent.model_fields.keys()) or ""
    return document.problem(path, "unknown field", hint or None, at_key=True)
