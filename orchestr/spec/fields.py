"""The types of a spec's fields: plain values with their checks, for the pydantic models.

Imported only when specs are read, like pydantic itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from orchestr.spec import field_types
from orchestr.spec.field_types import BadValue, kind_of
from orchestr.spec.phases import LISTED, Delivery, Phase


def checked_by(check: Callable[[str], str]) -> AfterValidator:
    """A validator of pydantic that calls ``check`` with the value alone.

    pydantic before 2.8 would pass its own second argument to a check that has an optional one.
    """

    def check_value(value: str) -> str:
        return check(value)

    return AfterValidator(check_value)


def _check_delivery(value: object) -> object:
    if value not in list(Delivery):
        raise BadValue("must be `pr` or `merge`")
    return value


def _check_phases(value: object) -> tuple[Phase, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        hint = "write a list, like [implement, check, review, publish]"
        raise BadValue(f"must be a list of phases, got {kind_of(value)}", hint)
    return field_types.parse_phases(value)


Line = Annotated[str, checked_by(field_types.check_line)]
Text = Annotated[str, checked_by(field_types.check_text)]
Word = Annotated[str, checked_by(field_types.check_word)]
FeatureName = Annotated[
    str,
    checked_by(field_types.check_feature_name),
    Field(json_schema_extra={"pattern": "^[a-z][a-z0-9_-]*$"}),
]
CellName = Annotated[
    str,
    checked_by(field_types.check_cell_name),
    Field(json_schema_extra={"pattern": "^[a-z][a-z0-9-]*$"}),
]
RepoName = Annotated[str, checked_by(field_types.check_repo_name)]
Key = Annotated[str, checked_by(field_types.check_key)]
BranchName = Annotated[str, checked_by(field_types.check_branch)]
BaseName = Annotated[str, checked_by(field_types.check_ref)]
Pattern = Annotated[str, checked_by(field_types.check_pattern)]
Duration = Annotated[
    float,
    BeforeValidator(field_types.parse_duration),
    WithJsonSchema(
        {
            "description": "90s, 30m, 2h, 500ms, or whole seconds",
            "anyOf": [{"type": "string"}, {"type": "integer", "exclusiveMinimum": 0}],
        }
    ),
]
Phases = Annotated[
    tuple[Phase, ...],
    BeforeValidator(_check_phases),
    WithJsonSchema(
        {"type": "array", "items": {"enum": [p.value for p in LISTED]}, "uniqueItems": True}
    ),
]
DeliveryName = Annotated[
    str, BeforeValidator(_check_delivery), WithJsonSchema({"enum": [str(one) for one in Delivery]})
]


class StrictModel(BaseModel):
    """No unknown fields, no silent conversions, no changes after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
