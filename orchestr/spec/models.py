"""The two written forms of a spec as strict pydantic models, and their errors in plain words.

Owns types, required fields and single values. What needs more than one value (dependencies,
branches, agents) is `orchestr.spec.references`'s. Imported only when a spec must really be parsed:
pydantic costs more time than everything else in ``doit list`` (DESIGN, the spec).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from orchestr.errors import Problem
from orchestr.spec.check_models import (
    ContractFields,
    CrossModel,
    ProofFields,
    RepairFields,
    example_of_error,
    field_names,
    path_of_error,
)
from orchestr.spec.error_messages import NATIVE, OPENTDF, describe_error
from orchestr.spec.field_types import kind_of, suggest_name
from orchestr.spec.fields import (
    BaseName,
    BranchName,
    CellName,
    DeliveryName,
    Duration,
    FeatureName,
    Gates,
    Key,
    Line,
    Pattern,
    Phases,
    RepoName,
    Text,
    Word,
)
from orchestr.spec.phases import Delivery
from orchestr.spec.record_models import StrictModel
from orchestr.spec.yaml_source import Document

__all__ = ["NATIVE", "OPENTDF", "form_of", "validate_document"]


class Metadata(StrictModel):
    """Who the feature is."""

    name: FeatureName
    jira: Key | None = Field(None, description="key for branch names; else the name is used")
    title: Line | None = None
    created: Line | None = Field(None, description="a date, for people")


class Defaults(ProofFields):
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
    adopt: bool | None = Field(None, description="take a branch that names no cell as this one's")


class NativeCell(CellFields):
    """A cell of ``cells:``."""

    repo: RepoName


class OpentdfCell(CellFields):
    """A cell of ``repos:``; only the key ``tests`` may leave ``path`` out (row A72)."""

    path: RepoName | None = None


class FeatureFields(StrictModel):
    """What both forms say about a feature."""

    kind: Literal["Feature"]
    metadata: Metadata
    defaults: Defaults = Field(default_factory=Defaults)
    scenarios: list[Line] = Field(default_factory=list)
    delivery: DeliveryName = Delivery.PR.value
    repair: RepairFields | None = None
    approve: Gates | None = None
    cross_checks: list[CrossModel] = Field(default_factory=list)
    contracts: list[ContractFields] = Field(default_factory=list)


class NativeFeature(FeatureFields):
    """A spec in our own form."""

    apiVersion: Literal["orchestr/v1"]
    cells: dict[CellName, NativeCell] = Field(min_length=1)


class OpentdfFeature(FeatureFields):
    """A spec in the form of opentdf's features."""

    apiVersion: Literal["opentdf.io/v1alpha1"]
    repos: dict[CellName, OpentdfCell] = Field(min_length=1)


def validate_document(
    document: Document,
) -> tuple[NativeFeature | OpentdfFeature | None, list[Problem]]:
    """The model of a document, or None and what is wrong with it."""
    raw = document.value
    if not isinstance(raw, dict):
        message = f"a spec is a mapping, got {kind_of(raw)}"
        return None, [
            document.make_problem((), message, "`orchestr init` writes an example to copy")
        ]
    model = form_of(raw)
    try:
        return model.model_validate(raw), []
    except ValidationError as error:
        found = error.errors(include_url=False)
        return None, [_problem_of_error(document, model, dict(item)) for item in found]


def form_of(raw: Mapping[str, Any]) -> type[NativeFeature] | type[OpentdfFeature]:
    """Which form a file is written in, also when its ``apiVersion`` is wrong."""
    version = raw.get("apiVersion")
    if version == OPENTDF or (version != NATIVE and "repos" in raw and "cells" not in raw):
        return OpentdfFeature
    return NativeFeature


def _problem_of_error(
    document: Document, model: type[FeatureFields], error: dict[str, Any]
) -> Problem:
    path = path_of_error(error)
    kind: str = error["type"]
    given = error["input"]
    context: dict[str, Any] = error.get("ctx", {})
    if kind == "extra_forbidden":
        near = field_names(tuple(error["loc"]))
        if near:
            hint = suggest_name(str(path[-1]), near)
            return document.make_problem(path, "unknown field", hint, at_key=True)
        return _unknown_field(document, model, path)
    at_key = kind == "missing" or (bool(error["loc"]) and error["loc"][-1] == "[key]")
    message, hint = describe_error(kind, path, given, context, example_of_error(error))
    return document.make_problem(path, message, hint, at_key=at_key)


def _unknown_field(
    document: Document, model: type[FeatureFields], path: tuple[str | int, ...]
) -> Problem:
    name = str(path[-1])
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
        return document.make_problem(path, f"belongs to `{other[name]}`", hint, at_key=True)
    if len(path) == 3 and name in ("repo", "path"):
        hint = f"here the repository is `{'repo' if name == 'path' else 'path'}:`"
    else:
        hint = suggest_name(name, parent.model_fields.keys()) or ""
    return document.make_problem(path, "unknown field", hint or None, at_key=True)
