"""The strict pydantic model of a record: the door between a file and the record.

`model_of` makes the model of a record's declaration (see `orchestr.spec.declare`), `make_record`
the record of a model. Loaded only when a file is parsed or a JSON schema is made.
"""

from __future__ import annotations

import dataclasses
import inspect
from functools import cache
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from orchestr.spec.declare import Doc, KeyedBy, MayBeLeftOut, Table, WrittenAs


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
            name = f"{field.name}_" if hasattr(BaseModel, field.name) else field.name
            fields[name] = _model_field(types[field.name], field, name)
    if kind is not None:
        fields["kind"] = (Literal[kind], ...)
    title = record.__name__ if kind is None else "".join(map(str.title, kind.split("_")))
    model = create_model(title, __base__=RecordModel, **fields)
    model.__doc__ = inspect.getdoc(record)
    model.model_config["json_schema_extra"] = {"description": _first_paragraph(record)}
    model.record = record
    return model


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


def written_names(record: type[Any], loc: tuple[str | int, ...]) -> list[str]:
    """The fields that may stand where ``loc`` ends, a place in the file of a ``record``."""
    model, skipped = model_of(record), False
    for step in loc[:-1]:
        if skipped or isinstance(step, int):  # the key of a mapping, the index of a list
            skipped = False
            continue
        nested = _nested_record(model.record, str(step))
        if nested is not None:
            inner, key = nested
            model, skipped = model_of(inner, without=key), bool(key)
    return [field.alias or name for name, field in model.model_fields.items()]


def example_at(record: type[Any], loc: tuple[str | int, ...]) -> Any:
    """The example that a record declares for its field at ``loc``, or None."""
    hints = get_type_hints(record, include_extras=True)
    doc = _find_mark(hints.get(str(loc[0])), Doc) if len(loc) == 1 else None
    return None if doc is None else doc.example


def _nested_record(record: type[Any], field: str) -> tuple[type[Any], str] | None:
    """The record inside a field, and the field of it that is the key of a mapping (or "")."""
    hint = get_type_hints(record, include_extras=True).get(field)
    keyed = _find_mark(hint, KeyedBy)
    inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    inner = get_args(inner)[0] if get_origin(inner) is tuple else inner
    if isinstance(inner, type) and dataclasses.is_dataclass(inner):
        return inner, keyed.name if keyed is not None else ""
    return None


def _model_field(hint: Any, field: dataclasses.Field[Any], name: str) -> tuple[Any, Any]:
    """Type and default of a model's field."""
    required = field.default is dataclasses.MISSING and not _find_mark(hint, MayBeLeftOut)
    # An empty default says nothing to a reader of the JSON schema; the record has it anyway.
    shown = isinstance(field.default, int | float | str) and field.default != ""
    doc = _find_mark(hint, Doc)
    extra: dict[str, Any] = {}
    if doc is not None and doc.example is not None:
        extra["examples"] = [doc.example]
    usual: Any = ... if required else field.default if shown else None
    info = Field(
        usual,
        alias=field.name if name != field.name else None,
        description=(doc.text or None) if doc is not None else None,
        json_schema_extra=extra or None,
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
        kept = [mark for mark in marks if not isinstance(mark, Doc | MayBeLeftOut)]
        return Annotated[(written_type(inner), *kept)] if kept else written_type(inner)
    if get_origin(hint) in (Union, UnionType):
        return Union[tuple(map(written_type, get_args(hint)))]  # noqa: UP007
    if get_origin(hint) is tuple:
        return list[written_type(get_args(hint)[0])]  # type: ignore[misc]
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return model_of(hint)
    return hint


def _keyed_type(hint: Any, name: str, marks: list[Any]) -> Any:
    """The mapping of records that are keyed by one of their fields."""
    record = get_args(hint)[0]
    key = get_type_hints(record, include_extras=True)[name]
    kept = [mark for mark in marks if not isinstance(mark, Doc | MayBeLeftOut | KeyedBy)]
    table = dict[written_type(key), model_of(record, without=name)]  # type: ignore[misc, valid-type]
    return Annotated[(table, *kept)] if kept else table


def _record_value(hint: Any, value: Any) -> Any:
    """A value of a model as the record holds it."""
    keyed = _find_mark(hint, KeyedBy)
    if keyed is not None:
        return tuple(make_record(item, **{keyed.name: key}) for key, item in value.items())
    if _find_mark(hint, WrittenAs):
        return value
    if _find_mark(hint, Table):
        return tuple(value.items())
    if isinstance(value, RecordModel):
        return make_record(value)
    if isinstance(value, list):
        return tuple(make_record(v) if isinstance(v, RecordModel) else v for v in value)
    return value


def _find_mark(hint: Any, mark: type[Any]) -> Any:
    """The mark of a class in a declaration, or None."""
    marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((found for found in marks if isinstance(found, mark)), None)


def _first_paragraph(record: type[Any]) -> str:
    return " ".join((inspect.getdoc(record) or "").partition("\n\n")[0].split())
