"""The JSON schemas of a spec and of the settings: each field is explained, each example is good."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, TypeAdapter

from orchestr.settings.json_schema import settings_schema
from orchestr.settings.sections import KEYS
from orchestr.spec.check_models import MODELS
from orchestr.spec.models import Defaults, Metadata, NativeCell, NativeFeature, OpentdfFeature
from orchestr.spec.validate import json_schema

FORMS: list[type[BaseModel]] = [*MODELS, Metadata, Defaults, NativeCell, NativeFeature]
FORMS += [OpentdfFeature]


def unexplained(schema: Any, where: str = "") -> list[str]:
    """Fields without a description or an example, anywhere in a schema."""
    found = []
    if isinstance(schema, list):
        return [one for index, part in enumerate(schema) for one in unexplained(part, where)]
    if not isinstance(schema, dict):
        return []
    for name, field in schema.get("properties", {}).items():
        is_section = "properties" in field or "additionalProperties" in field
        if not (field.get("description") and field.get("examples")) and not is_section:
            found.append(f"{where}.{name}")
    for key, part in schema.items():
        if key not in ("examples", "if", "then", "else"):
            found += unexplained(part, f"{where}.{key}")
    return found


def test_every_field_of_both_schemas_has_a_meaning_and_an_example() -> None:
    spec, settings = json_schema(), settings_schema()

    assert unexplained(spec) == []
    assert unexplained(settings) == []
    assert json.loads(json.dumps([spec, settings])) == [spec, settings]


@pytest.mark.parametrize("model", FORMS, ids=lambda model: model.__name__)
def test_the_examples_of_a_spec_are_read(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        for example in field.examples or ():
            whole: Any = Annotated[(field.annotation, name, *field.metadata)]  # type: ignore[index]
            TypeAdapter(whole).validate_python(example, strict=True)


def test_the_schema_of_the_settings_has_their_keys_and_good_examples() -> None:
    sections = settings_schema()["properties"]

    assert set(sections) == set(KEYS)
    for section, declared in KEYS.items():
        table = sections[section]
        of_names = section in ("repos", "agents", "mcp", "phases")
        table = table["additionalProperties"] if of_names else table
        assert set(table["properties"]) == set(declared)
        for name, key in declared.items():
            for example in table["properties"][name]["examples"]:
                if example is not None:
                    key.convert(list(example) if isinstance(example, tuple) else example)
    limits = sections["limits"]["properties"]
    assert limits["jobs"] == {
        "type": "integer", "description": "agents at once, over the workspace", "examples": [3],
    }  # fmt: skip
    assert sections["landing"]["properties"]["batch"]["anyOf"] == [
        {"type": "integer"}, {"enum": ["auto"]},
    ]  # fmt: skip
    assert sections["agents"]["additionalProperties"]["required"] == ["kind"]
