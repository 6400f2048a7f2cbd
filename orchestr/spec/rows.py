"""Records as JSON values and back, exactly: compiled specs and digests are made from rows.

A row holds a record's fields by position. What a field becomes again follows from its declared
type, so a new field needs nothing here. A row of another length is refused: it was written for
another declaration. A record that has ``to_row`` and ``from_row`` writes and reads itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from orchestr.spec.check_kinds import find_kind
from orchestr.spec.check_record import CheckBase

Row = list[Any]
Decode = Callable[[Any], Any]
READS = "reads"
LATER = (READS, "exclusive", "shows")  # fields of `CheckBase` that the first rows did not have


def check_to_row(check: CheckBase) -> Row:
    """A check as JSON values: its kind, then its fields by position.

    Fields that came later (`LATER`, a kind's ``later_fields``) stand last, and only where they say
    something: the rows of all other checks, and the digests made from them, are those of the
    versions that did not have them. ``reads`` alone stands there as a list, all else by name.
    """
    later = _list_later_fields(type(check))
    row = [
        str(check.kind),
        *(to_plain_value(getattr(check, n)) for n in field_names(type(check)) if n not in later),
    ]
    said = {
        field.name: to_plain_value(getattr(check, field.name))
        for field in dataclasses.fields(check)
        if field.name in later and getattr(check, field.name) != field.default
    }
    if not said:
        return row
    return [*row, said[READS] if set(said) == {READS} else said]


def check_from_row(row: Row) -> CheckBase:
    """The check that `check_to_row` wrote. Raises KeyError, TypeError or ValueError for others."""
    kind, values = find_kind(row[0]), list(row[1:])
    later = _list_later_fields(kind)
    names = [name for name in field_names(kind) if name not in later]
    more: Any = values.pop() if len(values) == len(names) + 1 else {}
    if len(values) != len(names):
        raise ValueError(f"{len(values)} values for the {len(names)} fields of {kind.__name__}")
    more = more if isinstance(more, dict) else {READS: more}
    if not set(more) <= later:
        raise ValueError(f"unknown fields of {kind.__name__}: {sorted(set(more) - later)}")
    given = values_from_dict(kind, dict(zip(names, values, strict=True)) | more)
    check: CheckBase = kind(**given)
    return check


def _list_later_fields(kind: type[CheckBase]) -> frozenset[str]:
    return frozenset((*LATER, *kind.later_fields))


def record_to_row(record: Any) -> Row:
    """A record's fields as JSON values, by position."""
    return [to_plain_value(getattr(record, name)) for name in field_names(type(record))]


def record_from_row(record: type[Any], row: Row) -> Any:
    """What `record_to_row` wrote. Raises KeyError, TypeError or ValueError for others."""
    key: Any = record  # mypy looks for `__hash__` in the instances of a class
    names, decoders = _read_declaration(key)
    if len(row) != len(names):
        raise ValueError(f"{len(row)} values for the {len(names)} fields of {record.__name__}")
    values = list(row)
    for index, decode in decoders:
        values[index] = decode(values[index])
    return record(**dict(zip(names, values, strict=True)))


def values_from_dict(record: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    """Fields that were written by name, as the record holds them."""
    key: Any = record
    names, decoders = _read_declaration(key)
    by_name = {names[index]: decode for index, decode in decoders}
    return {
        name: by_name[name](value) if name in by_name else value for name, value in values.items()
    }


def field_names(record: type[Any]) -> tuple[str, ...]:
    """Names of a record's fields, in their order."""
    return tuple(field.name for field in dataclasses.fields(record))


def to_plain_value(value: Any) -> Any:
    """A value of a record as JSON has it."""
    if isinstance(value, tuple):
        return [to_plain_value(item) for item in value]
    if isinstance(value, CheckBase):
        return check_to_row(value)
    if dataclasses.is_dataclass(value):
        return value.to_row() if hasattr(value, "to_row") else record_to_row(value)
    return str(value) if isinstance(value, StrEnum) else value


@cache
def _read_declaration(record: Any) -> tuple[tuple[str, ...], tuple[tuple[int, Decode], ...]]:
    """Names of the fields, and how those of them are read that JSON has in another form."""
    names, hints = field_names(record), get_type_hints(record)
    decoders = [(index, _find_decoder(hints[name])) for index, name in enumerate(names)]
    return names, tuple((index, decode) for index, decode in decoders if decode is not None)


def _find_decoder(hint: Any) -> Decode | None:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        left = [part for part in get_args(hint) if part is not NoneType]
        words = [part for part in left if isinstance(part, type) and issubclass(part, StrEnum)]
        records = [part for part in left if dataclasses.is_dataclass(part)]
        if len(left) == 2 and len(words) == len(records) == 1:  # a word, or a record of its own
            return _decode_word_or_record(_find_decoder(words[0]), _find_decoder(records[0]))
        inner = _find_decoder(left[0]) if len(left) == 1 else _freeze_value
        return None if inner is None else lambda value: None if value is None else inner(value)
    if origin is tuple:
        item = _find_decoder(get_args(hint)[0])
        return tuple if item is None else lambda value: tuple(map(item, value))
    if hint is Any:
        return _freeze_value
    if not isinstance(hint, type):
        return None
    if issubclass(hint, StrEnum):
        members = {member.value: member for member in hint}
        return members.__getitem__
    if issubclass(hint, CheckBase):
        return check_from_row
    if dataclasses.is_dataclass(hint):
        own: Decode | None = getattr(hint, "from_row", None)
        return own or (lambda row: record_from_row(hint, row))
    return None


def _decode_word_or_record(word: Decode | None, record: Decode | None) -> Decode:
    def decode(value: Any) -> Any:
        chosen = word if isinstance(value, str) else record
        return value if chosen is None else chosen(value)

    return decode


def _freeze_value(value: Any) -> Any:
    """JSON lists as tuples."""
    return tuple(map(_freeze_value, value)) if isinstance(value, list) else value
