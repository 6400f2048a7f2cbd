"""The JSON schema of what a phase gives out: a small part of JSON Schema, checked strictly.

A keyword that is not known here is refused when the spec is read, so that no rule of a schema is
passed over in silence. Pure, without pydantic: a run looks at answers with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestr.spec.field_types import BadValue, kind_of, quote_value, suggest_name

TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
KEYWORDS = (
    "type", "properties", "required", "additionalProperties", "items", "enum", "const", "minimum",
    "maximum", "description", "title",
)  # fmt: skip


def check_schema(schema: Any, field: tuple[str, ...] = ()) -> None:
    """Raises BadValue for what is no schema, and for a keyword that is not checked here."""
    if not isinstance(schema, dict):
        raise BadValue(f"must be a mapping, got {kind_of(schema)}", field=field)
    for word, value in schema.items():
        here = (*field, str(word))
        if word not in KEYWORDS:
            hint = suggest_name(str(word), KEYWORDS)
            raise BadValue(f"{quote_value(str(word))} is not checked here", hint, field=here)
        _check_keyword(str(word), value, here)


def _check_keyword(word: str, value: Any, here: tuple[str, ...]) -> None:
    match word:
        case "type":
            for name in value if isinstance(value, list) else [value]:
                if name not in TYPES:
                    hint = suggest_name(str(name), TYPES)
                    raise BadValue(f"there is no type {quote_value(str(name))}", hint, field=here)
        case "properties":
            if not isinstance(value, dict):
                raise BadValue(f"must be a mapping, got {kind_of(value)}", field=here)
            for name, inner in value.items():
                check_schema(inner, (*here, str(name)))
        case "items":
            check_schema(value, here)
        case "additionalProperties":
            if not isinstance(value, bool):
                raise BadValue(f"must be true or false, got {kind_of(value)}", field=here)
        case "required" | "enum":
            if not isinstance(value, list):
                raise BadValue(f"must be a list, got {kind_of(value)}", field=here)
        case "minimum" | "maximum":
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise BadValue(f"must be a number, got {kind_of(value)}", field=here)
        case _:
            pass


def find_schema_fault(schema: Mapping[str, Any], value: Any, where: str = "") -> str | None:
    """What is wrong with a value, with its place (`files[2].path`); None where it fits."""
    at = f"`{where}`" if where else "it"
    kinds = schema.get("type")
    if kinds is not None:
        listed = kinds if isinstance(kinds, list) else [kinds]
        if not any(_has_type(value, name) for name in listed):
            return f"{at} must be {' or '.join(listed)}, and is {kind_of(value)}"
    if "const" in schema and value != schema["const"]:
        return f"{at} must be {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{at} must be one of {', '.join(map(str, schema['enum']))}, and is {value!r}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        if "minimum" in schema and value < schema["minimum"]:
            return f"{at} must be at least {schema['minimum']}"
        if "maximum" in schema and value > schema["maximum"]:
            return f"{at} must be at most {schema['maximum']}"
    if isinstance(value, dict):
        return _find_object_fault(schema, value, where)
    if isinstance(value, list) and "items" in schema:
        faults = (
            find_schema_fault(schema["items"], v, f"{where}[{n}]") for n, v in enumerate(value)
        )
        return next(filter(None, faults), None)
    return None


def _find_object_fault(schema: Mapping[str, Any], value: dict[str, Any], where: str) -> str | None:
    known = schema.get("properties", {})
    at = f" in `{where}`" if where else ""
    for name in schema.get("required", ()):
        if name not in value:
            return f"`{name}` is missing{at}"
    for name, inner in value.items():
        if name in known:
            fault = find_schema_fault(known[name], inner, f"{where}.{name}" if where else name)
            if fault is not None:
                return fault
        elif schema.get("additionalProperties") is False:
            return f"there is no `{name}`{at}"
    return None


def _has_type(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, TYPES[name])
