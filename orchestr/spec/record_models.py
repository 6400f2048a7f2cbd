"""The strict pydantic model of a record: the door between a file and the record.

`model_of` makes the model of a record's declaration (see `orchestr.spec.declare`), `fields_at` the
fields of a model that holds parts of records, `make_record` the record of a model. Loaded only
when a file is parsed or a JSON schema is made.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from orchestr.spec.declare import (
    Doc,
    KeyedBy,
    MayBeLeftOut,
    OnlyForAgents,
    Rule,
    StandsIn,
    Table,
    TextItems,
    WrittenAs,
    find_mark,
)

_OURS = (
    Doc,
    MayBeLeftOut,
    StandsIn,
    OnlyForAgents,
    TextItems,
)  # marks that mean nothing to pydantic


class StrictModel(BaseModel):
    """No unknown fields, no silent conversions, no changes after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class RecordModel(StrictModel):
    """The model of one record."""

    record: ClassVar[type[Any]]

    @model_validator(mode="after")
    def _check_fields_together(self) -> RecordModel:
        record_fields(self)
        return self


def model_of(record: type[Any], *, without: str = "") -> type[RecordModel]:
    """The model of a record; ``without`` is a field that the file states elsewhere."""
    key: Any = record  # mypy looks for `__hash__` in the instances of a class
    return _build_model(key, without)


@cache
def _build_model(record: Any, without: str) -> type[RecordModel]:
    types = get_type_hints(record, include_extras=True)
    kind = getattr(record, "kind", None)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        if field.name != without:
            name = _attribute_name(field.name)
            fields[name] = _model_field(types[field.name], field, name)
    if kind is not None:
        fields["kind"] = (Literal[kind], Field(..., description="what sort of check it is"))
    title = record.__name__ if kind is None else "".join(map(str.title, kind.split("_")))
    model = create_model(title, __base__=RecordModel, **fields)
    model.__doc__ = inspect.getdoc(record)
    model.model_config["json_schema_extra"] = {"description": _first_paragraph(record)}
    model.record = record
    return model


def fields_at(
    record: type[Any], place: str, usual: tuple[str, ...], types: Mapping[str, Any]
) -> dict[str, Any]:
    """The fields of a record that may stand in a part of the file, for `create_model`.

    ``usual`` are the places of a field without `StandsIn`, ``types`` the types of fields that
    cannot be made of their declaration.
    """
    hints = get_type_hints(record, include_extras=True)
    found: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        mark = find_mark(hints[field.name], StandsIn)
        places = usual if mark is None else mark.places
        if place in places:
            name = _attribute_name(field.name)
            written, info = _model_field(hints[field.name], field, name, several=len(places) > 1)
            written = types.get(field.name, written)
            found[name] = (written if info.is_required() else written | None, info)
    return found


def stated_values(record: type[Any], *models: BaseModel) -> dict[str, Any]:
    """What a file states of a record's fields, as the models have it; a later model goes first."""
    own = {_attribute_name(field.name): field.name for field in dataclasses.fields(record)}
    found = {}
    for model in models:
        for name in own.keys() & model.model_fields_set:
            value = getattr(model, name)
            if value is not None:
                found[own[name]] = value
    return found


def record_values(record: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of models as the record holds them."""
    hints = get_type_hints(record, include_extras=True)
    return {name: _record_value(hints[name], value) for name, value in values.items()}


def make_record(model: RecordModel, **more: Any) -> Any:
    """The record of a model; ``more`` are fields that the file does not state."""
    return model.record(**{**more, **record_fields(model)})


def record_fields(model: RecordModel) -> dict[str, Any]:
    """The fields that the file states, as the record holds them. Raises BadValue."""
    types = get_type_hints(model.record, include_extras=True)
    own = {field.name for field in dataclasses.fields(model.record)}
    given = {}
    for name in model.model_fields_set:
        field = type(model).model_fields[name].alias or name
        if field in own:
            given[field] = _record_value(types[field], getattr(model, name))
    complete = getattr(model.record, "complete_fields", None)
    return given if complete is None else dict(complete(given))


def names_at(root: Any, loc: Iterable[str | int]) -> list[str]:
    """The fields that may stand where ``loc`` ends, a place of an error of pydantic in ``root``."""
    model = _model_around(root, tuple(loc))
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def example_at(root: Any, loc: Iterable[str | int]) -> Any:
    """The example that is declared for the field at ``loc``, or None."""
    *_, last = loc = tuple(loc) or ("",)
    model = _model_around(root, loc)
    for name, field in model.model_fields.items() if model is not None else ():
        if (field.alias or name) == last:
            return field.examples[0] if field.examples else None
    return None


def _model_around(root: Any, loc: tuple[str | int, ...]) -> type[BaseModel] | None:
    found = bare_type(root)
    for step in loc[:-1]:
        found = bare_type(_step_into(found, step))
    return found if _is_model(found) else None


def _step_into(found: Any, step: str | int) -> Any:
    """The type at one step of a place; None where there is no such step."""
    if _is_model(found):
        fields = found.model_fields.items()
        return next((f.annotation for name, f in fields if (f.alias or name) == step), None)
    parts = get_args(found)
    if get_origin(found) in (list, dict):
        return parts[-1]
    # Of a union the place names the kind.
    kinds = {name: part for part in parts if _is_model(part) for name in _kind_names(part)}
    return kinds.get(step)


def _kind_names(model: type[BaseModel]) -> tuple[Any, ...]:
    field = model.model_fields.get("kind")
    return () if field is None else get_args(field.annotation)


def _is_model(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, BaseModel)


def bare_type(hint: Any) -> Any:
    """A type without its marks and without ``None``."""
    if get_origin(hint) is Annotated:
        return bare_type(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        left = [part for part in get_args(hint) if part is not NoneType]
        return bare_type(left[0]) if len(left) == 1 else Union[tuple(left)]  # noqa: UP007
    return hint


def _attribute_name(field: str) -> str:
    """The name of a field in its model: some names are taken by pydantic."""
    return f"{field}_" if hasattr(BaseModel, field) else field


def _model_field(
    hint: Any, field: dataclasses.Field[Any], name: str, *, several: bool = False
) -> tuple[Any, Any]:
    """Type and default of a model's field.

    Where a field may stand in ``several`` places, none of them requires it or knows its default.
    """
    open_end = several or find_mark(hint, MayBeLeftOut)
    required = field.default is dataclasses.MISSING and not open_end
    # An empty default says nothing to a reader of the JSON schema; the record has it anyway.
    usual = field.default.value if isinstance(field.default, StrEnum) else field.default
    shown = isinstance(usual, int | float | str) and usual != "" and not open_end
    doc = find_mark(hint, Doc)
    info = Field(
        ... if required else usual if shown else None,
        alias=field.name if name != field.name else None,
        description=(doc.text or None) if doc is not None else None,
        examples=[doc.example] if doc is not None and doc.example is not None else None,
    )
    return written_type(hint), info


def written_type(hint: Any) -> Any:
    """The type that a field has in a file: lists for tuples, models for records."""
    if get_origin(hint) is Annotated:
        inner, *marks = get_args(hint)
        for mark in marks:
            if isinstance(mark, WrittenAs):
                return written_type(mark.type)
            if isinstance(mark, Table):
                return dict[written_type(mark.key), written_type(mark.value)]  # type: ignore[misc]
            if isinstance(mark, KeyedBy):
                return _keyed_type(inner, mark.name, marks)
        kept = [mark for mark in marks if not isinstance(mark, _OURS)]
        if any(isinstance(mark, Rule) and mark.parses for mark in kept):
            return Annotated[(Any, *kept)]
        return Annotated[(written_type(inner), *kept)] if kept else written_type(inner)
    if get_origin(hint) in (Union, UnionType):
        return Union[tuple(map(written_type, get_args(hint)))]  # noqa: UP007
    if get_origin(hint) is tuple:
        return list[written_type(get_args(hint)[0])]  # type: ignore[misc]
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return model_of(hint)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return Literal[tuple(member.value for member in hint)]
    return hint


def _keyed_type(hint: Any, name: str, marks: list[Any]) -> Any:
    """The mapping of records that are keyed by one of their fields."""
    record = get_args(hint)[0]
    key = get_type_hints(record, include_extras=True)[name]
    kept = [mark for mark in marks if not isinstance(mark, (*_OURS, KeyedBy))]
    table = dict[written_type(key), model_of(record, without=name)]  # type: ignore[misc, valid-type]
    return Annotated[(table, *kept)] if kept else table


def _record_value(hint: Any, value: Any) -> Any:
    """A value of a model as the record holds it."""
    keyed = find_mark(hint, KeyedBy)
    if keyed is not None:
        return tuple(make_record(item, **{keyed.name: key}) for key, item in value.items())
    if find_mark(hint, WrittenAs):
        return value
    if find_mark(hint, Table):
        return tuple(value.items())
    if isinstance(value, RecordModel):
        return make_record(value)
    if isinstance(value, list):
        return tuple(make_record(v) if isinstance(v, RecordModel) else v for v in value)
    kind = bare_type(hint)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(value)
    return value


def _first_paragraph(record: type[Any]) -> str:
    return " ".join((inspect.getdoc(record) or "").partition("\n\n")[0].split())
