"""The words in which a record declares how its fields are written in a file.

A field is declared once, in its frozen record, with ``Annotated``: its type, its rule, its
description and an example. `orchestr.spec.record_models` makes the strict pydantic model and the
JSON schema from that. Nothing here imports pydantic: records are loaded at every start, models
only when a file is really parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints


class Rule:
    """A check of one value: ``check`` returns the value or raises `BadValue`.

    With ``raw`` it sees the value as it stands in the file, before its type is looked at; with
    ``parses``, too, it makes the record's value, and the type of the field is not looked at.
    ``schema`` adds to the JSON schema of the type, or replaces it where the rule is ``raw``.
    """

    def __init__(
        self,
        check: Callable[[Any], Any],
        *,
        raw: bool = False,
        parses: bool = False,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        self._check = check
        self._raw = raw or parses
        self.parses = parses
        self._schema = schema

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        check = self._check

        def check_value(value: Any) -> Any:  # pydantic before 2.8 passes more to some callables
            return check(value)

        if self._raw:
            return core_schema.no_info_before_validator_function(check_value, handler(source))
        return core_schema.no_info_after_validator_function(check_value, handler(source))

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        if self._raw and self._schema is not None:
            return dict(self._schema)
        return {**handler(core), **(self._schema or {})}


class NotEmpty:
    """A list or a mapping has at least one entry."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return {**handler(source), "min_length": 1}


@dataclass(frozen=True, slots=True)
class Doc:
    """What a field means, for the JSON schema; ``example`` is a value that it may have."""

    text: str = ""
    example: Any = None


@dataclass(frozen=True, slots=True)
class WrittenAs:
    """The field has another type in the file; the record's `complete_fields` converts it."""

    type: Any


@dataclass(frozen=True, slots=True)
class Table:
    """Pairs that are written as a mapping; ``key`` and ``value`` are the types of its parts."""

    key: Any
    value: Any


@dataclass(frozen=True, slots=True)
class KeyedBy:
    """Records that are written as a mapping; their field ``name`` is the mapping's key."""

    name: str


class MayBeLeftOut:
    """The file may leave the field out although the record needs it: the reader fills it in."""


class StandsIn:
    """The parts of a spec that may have the field: ``metadata``, ``feature`` (the top of the
    file), ``defaults``, ``cell``. Without any, the file does not have it: the reader makes it.
    """

    def __init__(self, *places: str) -> None:
        self.places = places


class OnlyForAgents:
    """A cell with `action: push` cannot have the field."""


class TextItems:
    """What stands in the list is text for people: `1.10` and `yes` stay what was written."""


def find_mark(hint: Any, mark: type[Any]) -> Any:
    """The mark of a class in a declaration, or None."""
    marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((found for found in marks if isinstance(found, mark)), None)


def list_marked_fields(mark: type[Any], *records: type[Any]) -> list[str]:
    """The fields of records that are declared with a mark, in their order."""
    return [
        name
        for record in records
        for name, hint in get_type_hints(record, include_extras=True).items()
        if find_mark(hint, mark)
    ]
