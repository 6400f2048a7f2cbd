"""Every section and key of ``orchestr.toml``: read from the records, nothing is listed twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, get_args

from orchestr.settings.keys import Key
from orchestr.settings.records import Settings
from orchestr.spec.own_phases import FIELDS

Section = Mapping[str, Key]


def list_keys(record: type[Any]) -> dict[str, Key]:
    """The fields of a record that are keys, with what makes a value of them."""
    found = {name: find_key(hint) for name, hint in record.__annotations__.items()}
    return {name: key for name, key in found.items() if key is not None}


def find_key(hint: Any) -> Key | None:
    """The `Key` in the declared type of a field; None: the file does not have it."""
    for mark in getattr(hint, "__metadata__", ()):
        if isinstance(mark, Key):
            return mark
    return next(filter(None, map(find_key, get_args(hint))), None)


def _list_records() -> Mapping[str, type[Any]]:
    """A field of `Settings` that holds a record, or records by name, is a section."""
    found: dict[str, type[Any]] = {}
    for name, hint in Settings.__annotations__.items():
        for record in (hint, *get_args(hint)):
            if is_dataclass(record) and isinstance(record, type):
                found[name] = record
    return found


RECORDS: Mapping[str, type[Any]] = _list_records()
KEYS: Mapping[str, Section] = {
    **{name: list_keys(record) for name, record in RECORDS.items()},
    "phases": {name: Key(one.convert) for name, one in FIELDS.items()},
}
