"""Records on the disk: a table of a file becomes a record with every field checked, and back.

Owns the conversion (msgspec) and what happens to fields that this version does not know: an
`ExtensibleRecord` keeps them and writes them back, every other type passes them over. Leaves the
bytes to `orchestr.files`. Dataclasses of other rooms are converted, too.

The supervisor does not import this module: it lives as long as its agent and stays small
(docs/design/dependencies.md has the figures).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from msgspec.structs import replace

from orchestr.files import (
    encode_json,
    encode_toml,
    read_json,
    read_record,
    read_toml,
    write_if_changed,
)

__all__ = [
    "SCHEMA", "ExtensibleRecord", "InvalidRecord", "Record", "decode", "encode",
    "encode_json_record", "encode_toml_record",
    "read_json_record", "read_toml_record", "replace", "write_json_record", "write_toml_record",
]  # fmt: skip

SCHEMA = 1  # raised when an older version must not read or write the files any more
UNKNOWN = "unknown_fields"
_PLACE = re.compile(r"(.*?)(?: - at `\$\.?(.+)`)?", re.DOTALL)  # of msgspec's messages
_MISSING = re.compile(r"Object missing required field `(.+)`")

T = TypeVar("T")
R = TypeVar("R", bound="Record")


class InvalidRecord(ValueError):
    """A table is not the record that it should be; the message names the field."""


class Record(msgspec.Struct, frozen=True):
    """What a file or an entry of one holds. A phase that makes it again compares it as a whole."""


class ExtensibleRecord(Record, frozen=True, kw_only=True):
    """A record that is changed and written again, by whichever version is at work.

    ``unknown_fields`` are those of a newer version: `replace` keeps them, `encode` writes them.
    """

    unknown_fields: Mapping[str, Any] = msgspec.field(default_factory=dict)


def decode(value: Any, kind: type[T]) -> T:
    """``value`` (JSON or TOML values) as a ``kind``. Raises InvalidRecord."""
    if issubclass(kind, ExtensibleRecord) and isinstance(value, dict):
        names = kind.__struct_fields__
        known = {name: value[name] for name in names if name in value}
        known[UNKNOWN] = {k: v for k, v in value.items() if k not in names and k != "schema"}
        value = known
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InvalidRecord(_explain(str(error))) from error


def encode(value: Any, order: Literal["deterministic"] | None = None) -> dict[str, Any]:
    """A record as JSON or TOML values, fields in their order; ``order`` sorts sets and mappings."""
    table: dict[str, Any] = msgspec.to_builtins(value, order=order)
    if isinstance(value, ExtensibleRecord):
        table |= table.pop(UNKNOWN, {})  # none with `omit_defaults`
    return table


def read_toml_record(path: Path, kind: type[R]) -> R | None:
    """The record in a TOML file; None when there is none or it cannot be read (`read_record`)."""
    return read_record(path, read_toml, lambda table: decode(table, kind))


def read_json_record(path: Path, kind: type[R]) -> R | None:
    """The record in a JSON file; None when there is none or it cannot be read (`read_record`)."""
    return read_record(path, read_json, lambda table: decode(table, kind))


def write_toml_record(path: Path, record: Record) -> None:
    """Write a record if it changed the file; fields that are None are left out."""
    write_if_changed(path, encode_toml_record(record))


def encode_toml_record(record: Record) -> bytes:
    """What `write_toml_record` writes."""
    return encode_toml({"schema": SCHEMA, **encode(record)})


def write_json_record(path: Path, record: Record) -> None:
    """Write a record if it changed the file; fields that are None are left out."""
    write_if_changed(path, encode_json_record(record))


def encode_json_record(record: Record) -> bytes:
    """What `write_json_record` writes."""
    table = {name: value for name, value in encode(record).items() if value is not None}
    return encode_json({"schema": SCHEMA, **table})


def _explain(message: str) -> str:
    """msgspec's message, the field first."""
    found = _PLACE.fullmatch(message)
    text, place = (found[1], found[2] or "") if found else (message, "")
    missing = _MISSING.fullmatch(text)
    if missing:
        name = f"{place}.{missing[1]}" if place else missing[1]
        return f"field {name!r} is missing"
    text = f"{text[:1].lower()}{text[1:]}".replace("`", "")
    return f"field {place!r}: {text}" if place else text
