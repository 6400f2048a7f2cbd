"""The JSON schema of ``orchestr.toml``, from the records' declarations (draft 2020-12).

For editors. What needs more than the form of a value (agents' names, paths) only the loader knows.
Imports pydantic: loaded only when the schema is asked for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import TypeAdapter

from orchestr.settings import keys
from orchestr.settings.keys import GeneratedFiles, Key
from orchestr.settings.sections import KEYS, RECORDS, find_key
from orchestr.settings.text_values import NETWORK_WORDS
from orchestr.settings.trust_words import TRUST_WORDS, Trust
from orchestr.spec.agent_options import Role, options_schema
from orchestr.spec.check_models import CheckModel
from orchestr.spec.checks import CheckDef
from orchestr.spec.declare import Doc, find_mark
from orchestr.spec.own_phases import phase_schema
from orchestr.spec.record_models import bare_type
from orchestr.spec.validate import add_examples, without_null

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_FORMS: Mapping[Any, Mapping[str, Any]] = {
    str: _TEXT,
    Path: _TEXT,
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
}
_DURATION = {"anyOf": [_TEXT, {"type": "integer", "exclusiveMinimum": 0}]}
_GENERATED = {
    "type": "object",
    "properties": {
        "paths": {**_TEXTS, "description": "gitignore patterns", "examples": [["api.pb.go"]]},
        "run": {**_TEXTS, "description": "what writes them", "examples": [["make", "proto"]]},
    },
    "required": ["paths", "run"],
    "additionalProperties": False,
}
_BY_NAME = ("repos", "agents", "mcp")  # tables of tables
_DEFAULT_AGENT = {
    "type": "string",
    "description": "the agent of cells that name none",
    "examples": ["claude"],
}


def settings_schema() -> dict[str, Any]:
    """The JSON schema of the settings: every section and key, with its meaning and an example."""
    checks = TypeAdapter(list[CheckModel]).json_schema()
    definitions = checks.pop("$defs", {})
    sections = {name: _section_schema(name, RECORDS[name], checks) for name in RECORDS}
    schema: dict[str, Any] = without_null(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "settings of a workspace",
            "type": "object",
            "properties": sections,
            "additionalProperties": False,
            "$defs": definitions,
        }
    )
    add_examples(schema["$defs"])
    return schema


def _section_schema(section: str, record: type[Any], checks: dict[str, Any]) -> dict[str, Any]:
    if section == "phases":
        return {"type": "object", "additionalProperties": phase_schema(named=False)}
    usual = {field.name: field.default for field in dataclasses.fields(record)}
    hints = record.__annotations__
    found = {
        name: _key_schema(hints[name], key, usual[name], checks)
        for name, key in KEYS[section].items()
    }
    table = {"type": "object", "properties": found, "additionalProperties": False}
    if section not in _BY_NAME:
        return table
    if section == "agents":
        table["required"] = ["kind"]
        named = {"default": _DEFAULT_AGENT}
        return {"type": "object", "properties": named, "additionalProperties": table}
    return {"type": "object", "additionalProperties": table}


def _key_schema(hint: Any, key: Key, usual: Any, checks: dict[str, Any]) -> dict[str, Any]:
    doc = find_mark(hint, Doc) or Doc()
    form = dict(_form_of(bare_type(hint), key, checks))
    examples = [doc.example] if doc.example is not None else _usual_examples(form, usual)
    return {**form, "description": doc.text, "examples": examples}


def _usual_examples(form: Mapping[str, Any], usual: Any) -> list[Any]:
    """Of a flag its other value, of a choice all, else what holds when nothing is written."""
    if form.get("type") == "boolean":
        return [not usual]
    return list(form["enum"]) if "enum" in form else [usual]


def _form_of(bare: Any, key: Key, checks: dict[str, Any]) -> Mapping[str, Any]:
    if key == find_key(keys.Duration):
        return _DURATION
    if key == find_key(keys.Size):
        return _TEXT
    if key == keys.PHASE_OPTIONS:
        return options_schema(tuple(Role))
    if key == find_key(keys.Network):
        return {"anyOf": [{"enum": list(NETWORK_WORDS)}, _TEXTS]}
    if key == find_key(Trust):
        return {
            "anyOf": [{"type": "boolean"}, {"type": "array", "items": {"enum": [*TRUST_WORDS]}}]
        }
    if key.choices:
        words = {"enum": list(key.choices)}
        return words if bare is str else {"anyOf": [_FORMS[bare], words]}
    if get_origin(bare) is tuple:
        item = get_args(bare)[0]
        if item is CheckDef:
            return checks
        return {"type": "array", "items": _GENERATED} if item is GeneratedFiles else _TEXTS
    if get_origin(bare) is not None and issubclass(get_origin(bare), Mapping):
        return {"type": "object", "additionalProperties": _TEXT}
    return _FORMS[bare]
