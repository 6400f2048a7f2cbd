"""The two written forms of a spec as strict pydantic models, and their errors in plain words.

The fields come from the records (`orchestr.spec.records`, `orchestr.spec.checks`); here stands only
which parts a file has. What needs more than one value (dependencies, branches, agents) is
`orchestr.spec.references`'s. Imported only when a spec must really be parsed: pydantic costs more
time than everything else in ``doit list``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, create_model

from orchestr.errors import Problem
from orchestr.spec.check_models import CHECK_TYPES, make_fault
from orchestr.spec.checks import ProofRequirements
from orchestr.spec.error_messages import NATIVE, OPENTDF
from orchestr.spec.field_types import kind_of
from orchestr.spec.fields import CellName, RepoName
from orchestr.spec.record_models import StrictModel, fields_at
from orchestr.spec.records import Cell, Feature
from orchestr.spec.yaml_source import Document

__all__ = ["NATIVE", "OPENTDF", "form_of", "validate_document"]

# What `orchestr.spec.document` fills in before anything is validated: here for the JSON schema and
# for the nearest name of an unknown field.
EXPANDED = {
    "vars": (
        dict[str, Any] | None,
        Field(
            None,
            description="texts by name, for `${name}` in the texts of this spec",
            examples=[{"mechanism": "mlkem"}],
        ),
    ),
    "include": (
        str | list[str] | None,
        Field(
            None,
            description="files whose cells, defaults and vars are added; relative to this file",
            examples=["parts/sdks.yaml", ["parts/sdks.yaml", "parts/defaults.yaml"]],
        ),
    ),
    "extends": (
        str | None,
        Field(
            None,
            description="a file whose fields hold where this one says nothing else",
            examples=["parts/base.yaml"],
        ),
    ),
}
MATRIX = {
    "for_": (
        dict[str, list[Any]] | None,
        Field(
            None,
            alias="for",
            description="one cell for each value of `${axis}`; of several axes, for each pair",
            examples=[{"lang": ["java", "web", "go"]}],
        ),
    ),
}


def _fields_at(place: str) -> dict[str, Any]:
    """The fields of a part of the file, from all records that may have some there."""
    return {
        **fields_at(Feature, place, ("feature",), CHECK_TYPES),
        **fields_at(Cell, place, ("cell",), CHECK_TYPES),
        **fields_at(ProofRequirements, place, ("cell", "defaults"), CHECK_TYPES),
    }


def _make_model(name: str, description: str, fields: Mapping[str, Any]) -> type[StrictModel]:
    model = create_model(name, __base__=StrictModel, **fields)
    model.__doc__ = description
    model.model_config["json_schema_extra"] = {"description": description}
    return model


_CELL = {**_fields_at("cell"), **MATRIX}
_OPENTDF_CELL = {name: field for name, field in _CELL.items() if name != "repo"}

Metadata = _make_model("Metadata", "Who the feature is.", _fields_at("metadata"))
Defaults = _make_model(
    "Defaults", "What holds for every cell that does not say otherwise.", _fields_at("defaults")
)
NativeCell = _make_model("NativeCell", "A cell of `cells:`.", _CELL)
OpentdfCell = _make_model(
    "OpentdfCell",
    "A cell of `repos:`; only the key `tests` may leave `path` out.",
    {
        **_OPENTDF_CELL,
        "path": (
            RepoName | None,
            Field(None, description="the repository's name", examples=["java-sdk"]),
        ),
    },
)


def _make_form(
    name: str, description: str, version: str, section: str, cell: type[StrictModel]
) -> type[StrictModel]:
    example = {"repo" if section == "cells" else "path": "my-repository", "todo": ["..."]}
    cells = Field(min_length=1, description="the cells by name", examples=[{"my-cell": example}])
    fields = {
        "kind": (Literal["Feature"], Field(description="always `Feature`", examples=["Feature"])),
        "metadata": (
            Metadata,
            Field(description="who the feature is", examples=[{"name": "my-feature"}]),
        ),
        "defaults": (
            Defaults,
            Field(
                default_factory=Defaults,
                description="what holds for every cell that does not say otherwise",
                examples=[{"timeout": "30m"}],
            ),
        ),
        **_fields_at("feature"),
        **EXPANDED,
        "apiVersion": (
            Literal[version],
            Field(description="the form of this file", examples=[version]),
        ),
        section: (dict[CellName, cell], cells),  # type: ignore[valid-type]
    }
    return _make_model(name, description, fields)


NativeFeature = _make_form("NativeFeature", "A spec in our own form.", NATIVE, "cells", NativeCell)
OpentdfFeature = _make_form(
    "OpentdfFeature", "A spec in the form of opentdf's features.", OPENTDF, "repos", OpentdfCell
)


def validate_document(document: Document) -> tuple[Any, list[Problem]]:
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


def form_of(raw: Mapping[str, Any]) -> type[BaseModel]:
    """Which form a file is written in, also when its ``apiVersion`` is wrong."""
    version = raw.get("apiVersion")
    if version == OPENTDF or (version != NATIVE and "repos" in raw and "cells" not in raw):
        return OpentdfFeature
    return NativeFeature


def _problem_of_error(document: Document, model: type[BaseModel], error: dict[str, Any]) -> Problem:
    path, message, hint, at_key = make_fault(model, error)
    name = str(path[-1]) if path else ""
    if error["type"] == "extra_forbidden":
        other = {"cells": NATIVE, "repos": OPENTDF}
        if len(path) == 1 and name in other:
            ours = "cells" if model is NativeFeature else "repos"
            message = f"belongs to `{other[name]}`"
            hint = f"with this apiVersion the cells stand under `{ours}:`"
        elif len(path) == 3 and path[0] in other and name in ("repo", "path"):
            hint = f"here the repository is `{'repo' if name == 'path' else 'path'}:`"
    return document.make_problem(path, message, hint, at_key=at_key)
