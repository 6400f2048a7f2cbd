"""How an agent is asked to work: model, effort, fallback model, MCP servers, words, turns.

A spec and the settings have them for each phase in one form, a table of phases:
`{implement: {effort: high}, repair: {model: small, rounds: [{since: 3, model: large}]}}`. Which of
several places counts is decided by `choose_options` alone. Pure: no disk, no adapter; what a kind
of agent can do with them is declared by its `AgentKind`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from orchestr.spec.field_types import (
    BadValue,
    check_line,
    check_text,
    check_word,
    kind_of,
    quote_value,
    suggest_name,
)
from orchestr.spec.own_phases import PhaseField

MOST_TURNS = 10_000
ROUNDS, SINCE = "rounds", "since"


class Role(StrEnum):
    """What an agent works at. A repair is its author's: what it does not say, `implement` does."""

    IMPLEMENT = "implement"
    REPAIR = "repair"
    PLAN = "plan"
    REVIEW = "review"
    DRAFT = "draft"
    AUDIT = "audit"


CELL_ROLES = (Role.IMPLEMENT, Role.REPAIR, Role.PLAN, Role.REVIEW)
AUTHOR_ROLES = (Role.IMPLEMENT, Role.REPAIR, Role.PLAN)


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """What is asked of an agent; None: not stated. ``mcp`` are names of `[mcp.*]`, ``args``
    words after those of the agent."""

    model: str | None = None
    effort: str | None = None
    fallback_model: str | None = None
    mcp: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    max_turns: int | None = None

    def __bool__(self) -> bool:
        return self != NO_OPTIONS

    @property
    def stated(self) -> dict[str, Any]:
        """What is stated, by name; lists as JSON has them."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in found.items()
            if value is not None
        }


NO_OPTIONS = AgentOptions()
OPTION_NAMES = tuple(field.name for field in fields(AgentOptions))


@dataclass(frozen=True, slots=True)
class RoleOptions:
    """Options for one role, from the round ``since`` of its repairs on (1: all)."""

    role: Role
    options: AgentOptions
    since: int = 1


@dataclass(frozen=True, slots=True)
class OptionLevel:
    """A place that says something, with its name for people. ``common`` holds for every role;
    of the ``entries`` a later one goes before an earlier one."""

    source: str
    entries: tuple[RoleOptions, ...] = ()
    common: AgentOptions = NO_OPTIONS


@dataclass(frozen=True, slots=True)
class OptionSource:
    """Which place says it; ``role`` None: it says it for all work."""

    place: str
    role: Role | None = None

    def __str__(self) -> str:
        return f"{self.place}.{self.role}" if self.role else self.place


@dataclass(frozen=True, slots=True)
class ChosenOptions:
    """What an agent is asked for, and where that is stated (field -> source)."""

    options: AgentOptions
    sources: Mapping[str, OptionSource]


def choose_options(role: Role, levels: Sequence[OptionLevel], number: int = 1) -> ChosenOptions:
    """The options of a role, each from the first of the ``levels`` that names it. ``number``: the
    round of a repair, from 1.

    Within a level the role's own entry goes before that of the role it falls back to, and that
    before what holds for all.
    """
    found: dict[str, Any] = {}
    sources: dict[str, OptionSource] = {}
    for level in levels:
        for named, options in _list_candidates(level, role, number):
            for name in OPTION_NAMES:
                value = getattr(options, name)
                if value is not None and name not in found:
                    found[name], sources[name] = value, OptionSource(level.source, named)
    return ChosenOptions(AgentOptions(**found), sources)


def _list_candidates(
    level: OptionLevel, role: Role, number: int
) -> list[tuple[Role | None, AgentOptions]]:
    line = (Role.REPAIR, Role.IMPLEMENT) if role is Role.REPAIR else (role,)
    mine: list[tuple[Role | None, AgentOptions]] = [
        (one, entry.options)
        for one in line
        for entry in reversed(level.entries)
        if entry.role is one and entry.since <= number
    ]
    return [*mine, (None, level.common)]


# ---- from a file ---------------------------------------------------------------------------------


def _check_word(value: Any) -> str:
    if not isinstance(value, str):
        raise BadValue(f"must be a text, got {kind_of(value)}", "put it in quotes")
    return check_word(check_line(value))


def _check_words(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise BadValue(f"must be a list of texts, got {kind_of(value)}", 'like ["a", "b"]')
    for index, item in enumerate(value):
        if not isinstance(item, str):
            raise BadValue(f"item {index} must be a text, got {kind_of(item)}", "put it in quotes")
        check_text(item)
    return tuple(value)


def check_names(value: Any) -> tuple[str, ...]:
    """A list of words, each once. Raises BadValue."""
    return tuple(dict.fromkeys(map(check_word, _check_words(value))))


def _check_count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_TURNS:
        raise BadValue(f"must be a whole number from 1 to {MOST_TURNS:,}", "like 40")
    return value


_TEXTS = {"type": "array", "items": {"type": "string"}}
_COUNT = {"type": "integer", "minimum": 1, "maximum": MOST_TURNS}
FIELDS: Mapping[str, PhaseField] = {
    "model": PhaseField(_check_word, "passed to the agent", "my-model"),
    "effort": PhaseField(_check_word, "how much it thinks, in the agent's own words", "high"),
    "fallback_model": PhaseField(
        _check_word, "the model where the first one is overloaded", "my-small-model"
    ),
    "mcp": PhaseField(
        check_names, "MCP servers that it gets, entries of [mcp.*]", ["docs"], _TEXTS
    ),
    "args": PhaseField(
        _check_words, "words of its command after the agent's own", ["--verbose"], _TEXTS
    ),
    "max_turns": PhaseField(_check_count, "after so many turns it ends", 40, _COUNT),
}


def parse_options(raw: Any) -> AgentOptions:
    """One table of options. Raises BadValue with the field."""
    if not isinstance(raw, Mapping):
        raise BadValue(f"must be a table of options, got {kind_of(raw)}", "like {effort: high}")
    values = {}
    for word, value in raw.items():
        if word not in FIELDS:
            raise BadValue("unknown option", suggest_name(str(word), FIELDS), field=(str(word),))
        values[word] = _convert(FIELDS[word].convert, value, word)
    return AgentOptions(**values)


def parse_role_tables(raw: Any, roles: Sequence[Role] = tuple(Role)) -> tuple[RoleOptions, ...]:
    """A table of phases with their options; `rounds` stand in that of `repair` only, in the order
    of their numbers afterwards. Raises BadValue with the field."""
    if not isinstance(raw, Mapping):
        hint = "like {implement: {effort: high}}"
        raise BadValue(f"must be a table of phases, got {kind_of(raw)}", hint)
    found: list[RoleOptions] = []
    for name, table in raw.items():
        if name not in set(roles):
            known = suggest_name(str(name), list(roles))
            raise BadValue(f"there is no phase {quote_value(str(name))} with options", known,
                           field=(str(name),))  # fmt: skip
        role = Role(name)
        rest = table
        rounds: list[RoleOptions] = []
        if isinstance(table, Mapping) and ROUNDS in table and role is Role.REPAIR:
            rest = {key: value for key, value in table.items() if key != ROUNDS}
            rounds = _parse_rounds(role, table[ROUNDS])
        options = _convert(parse_options, rest, role.value)
        found += [RoleOptions(role, options)] if options else []
        found += rounds
    return tuple(found)


def parse_cell_tables(raw: Any) -> tuple[RoleOptions, ...]:
    """The same for a cell: only phases that a cell has."""
    return parse_role_tables(raw, CELL_ROLES)


def _parse_rounds(role: Role, raw: Any) -> list[RoleOptions]:
    if not isinstance(raw, list):
        raise BadValue(f"must be a list of tables, got {kind_of(raw)}",
                       "like [{since: 3, effort: high}]", field=(role.value, ROUNDS))  # fmt: skip
    found = []
    for index, item in enumerate(raw):
        here: tuple[Any, ...] = (role.value, ROUNDS, index)
        if not isinstance(item, Mapping) or SINCE not in item:
            raise BadValue("needs `since`, the first round that it holds for",
                           "like {since: 3, effort: high}", field=here)  # fmt: skip
        since = _convert(_check_count, item[SINCE], *here, SINCE)
        rest = {key: value for key, value in item.items() if key != SINCE}
        found.append(RoleOptions(role, _convert(parse_options, rest, *here), since))
    return sorted(found, key=lambda one: one.since)


def _convert(convert: Any, value: Any, *where: Any) -> Any:
    """A converted value; a complaint names the field."""
    try:
        return convert(value)
    except BadValue as error:
        raise BadValue(error.message, error.hint, field=(*where, *error.field)) from None


def options_schema(roles: Sequence[Role]) -> dict[str, Any]:
    """The JSON schema of a table of phases."""
    plain = {
        word: {**one.form, "description": one.text, "examples": [one.example]}
        for word, one in FIELDS.items()
    }
    since = {**_COUNT, "description": "the first round that it holds for", "examples": [3]}
    later = {"type": "object", "properties": {SINCE: since, **plain}, "required": [SINCE],
             "additionalProperties": False}  # fmt: skip
    rounds = {"type": "array", "items": later, "description": "what holds from a round on",
              "examples": [[{SINCE: 3, "effort": "high"}]]}  # fmt: skip

    def table(role: Role) -> dict[str, Any]:
        more = {ROUNDS: rounds} if role is Role.REPAIR else {}
        return {"type": "object", "properties": {**plain, **more}, "additionalProperties": False,
                "description": f"of the agent that works at {role.value}",
                "examples": [{"effort": "high"}]}  # fmt: skip

    return {
        "type": "object",
        "properties": {role.value: table(role) for role in roles},
        "additionalProperties": False,
    }
