"""The types that fields of specs and checks are declared with: a plain type and its rule.

Imports no pydantic (see `orchestr.spec.declare`): records and models use the same types. A package
that adds a kind of check imports them from here, too.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from orchestr.spec import check_field_types as rules
from orchestr.spec import field_types
from orchestr.spec.agent_options import (
    CELL_ROLES,
    MOST_TURNS,
    RoleOptions,
    options_schema,
    parse_cell_tables,
)
from orchestr.spec.best_of import BestOf, best_of_schema, parse_best_of
from orchestr.spec.declare import Doc, KeyedBy, MayBeLeftOut, NotEmpty, Rule, Table, WrittenAs
from orchestr.spec.field_types import BadValue, kind_of, quote_value
from orchestr.spec.own_phases import OwnPhase, parse_phases, phases_schema
from orchestr.spec.path_patterns import check_path_pattern
from orchestr.spec.phases import Gate, Phase

__all__ = ["BadValue", "Doc", "KeyedBy", "MayBeLeftOut", "NotEmpty", "Rule", "Table", "WrittenAs"]


def _check_phases(value: object) -> tuple[Phase | OwnPhase, ...]:
    if not isinstance(value, list):
        hint = "write a list, like [implement, check, review, publish]"
        raise BadValue(f"must be a list of phases, got {kind_of(value)}", hint)
    return parse_phases(value)


def _check_gates(value: object) -> tuple[Gate, ...]:
    listed = rules.wrap_single_text(value)
    known = [gate.value for gate in Gate]
    if not isinstance(listed, list):
        raise BadValue(f"must be a list of gates, got {kind_of(value)}", "write [plan, publish]")
    for item in listed:
        if item not in known:
            got = quote_value(item) if isinstance(item, str) else kind_of(item)
            hint = field_types.suggest_name(item, known) if isinstance(item, str) else None
            raise BadValue(f"there is no gate {got}", hint or "write [plan, publish]")
    return tuple(gate for gate in Gate if gate.value in listed)


def _check_json(value: Any) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise BadValue(f"cannot be JSON, it holds {kind_of(value)}", "put it in quotes") from None
    return value


def whole_number(least: int, most: int) -> Rule:
    """The rule of a whole number from ``least`` to ``most``."""
    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Rule(rules.number_between(least, most), raw=True, schema=schema)


# --- texts and names
Line = Annotated[str, Rule(field_types.check_line)]
Text = Annotated[str, Rule(field_types.check_text)]
Word = Annotated[str, Rule(field_types.check_word)]
Label = Annotated[str, Rule(rules.check_label)]
FeatureName = Annotated[
    str, Rule(field_types.check_feature_name, schema={"pattern": "^[a-z][a-z0-9_-]*$"})
]
CellName = Annotated[
    str, Rule(field_types.check_cell_name, schema={"pattern": "^[a-z][a-z0-9-]*$"})
]
RepoName = Annotated[str, Rule(field_types.check_repo_name)]
Key = Annotated[str, Rule(field_types.check_key)]
CommitType = Annotated[
    str, Rule(field_types.check_commit_type, schema={"pattern": "^[a-z][a-z0-9-]*!?$"})
]
BranchName = Annotated[str, Rule(field_types.check_branch)]
BaseName = Annotated[str, Rule(field_types.check_ref)]

# --- durations, phases, gates
Duration = Annotated[
    float,
    Rule(
        field_types.parse_duration,
        raw=True,
        schema={
            "description": "90s, 30m, 2h, 500ms, or whole seconds",
            "anyOf": [{"type": "string"}, {"type": "integer", "exclusiveMinimum": 0}],
        },
    ),
]
Phases = Annotated[
    tuple[Phase | OwnPhase, ...],
    Rule(_check_phases, parses=True, schema=phases_schema()),
]
Gates = Annotated[
    tuple[Gate, ...],
    Rule(
        _check_gates,
        parses=True,
        schema={
            "anyOf": [
                {"enum": [gate.value for gate in Gate]},
                {"type": "array", "items": {"enum": [gate.value for gate in Gate]}},
            ]
        },
    ),
]
Rounds = Annotated[int, whole_number(0, 100)]
Retries = Annotated[int, whole_number(0, 10)]

# --- options of agents
Turns = Annotated[int, whole_number(1, MOST_TURNS)]
PhaseTables = Annotated[
    tuple[RoleOptions, ...],
    Rule(parse_cell_tables, parses=True, schema=options_schema(CELL_ROLES)),
]
SideBySide = Annotated[BestOf | None, Rule(parse_best_of, parses=True, schema=best_of_schema())]

# --- files and folders of the worktree
Pattern = Annotated[str, Rule(check_path_pattern)]
Folder = Annotated[str, Rule(rules.check_folder)]
WorkFolder = Annotated[str, Rule(rules.check_work_folder)]
Place = Annotated[str, Rule(rules.check_place)]
Globs = Annotated[tuple[Annotated[str, Rule(field_types.check_glob)], ...], NotEmpty()]

# --- programs
Argument = Annotated[str, Rule(rules.check_argument)]
Argv = Annotated[tuple[Argument, ...], NotEmpty(), Rule(rules.check_argv, raw=True)]
Variable = Annotated[str, Rule(rules.check_variable)]
Variables = Annotated[tuple[Variable, ...], Rule(rules.drop_repeats)]
AgentChain = Annotated[tuple[Word, ...], NotEmpty(), Rule(rules.drop_repeats)]
UniqueTexts = Annotated[tuple[str, ...], Rule(rules.drop_repeats)]
OwnVariable = Annotated[str, Rule(rules.check_own_variable)]
OutputPattern = Annotated[str, Rule(rules.check_output_pattern)]
ExitCode = Annotated[int, whole_number(0, 255)]

# --- requests
HeaderName = Annotated[str, Rule(rules.check_header)]
UrlPath = Annotated[str, Rule(rules.check_url_path)]
Url = Annotated[str, Rule(rules.check_url)]
Status = Annotated[int, whole_number(100, 599)]
Json = Annotated[Any, Rule(_check_json, raw=True)]
JsonPath = Annotated[str, Rule(rules.check_json_path)]
