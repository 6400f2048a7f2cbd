"""A field is declared once: model, JSON schema, defaults and compiled form follow from it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import ValidationError, create_model

from orchestr.spec import fields
from orchestr.spec.check_models import make_fault
from orchestr.spec.declare import Doc, OnlyForAgents, StandsIn, list_marked_fields
from orchestr.spec.phases import Phase
from orchestr.spec.record_models import (
    StrictModel,
    fields_at,
    record_values,
    stated_values,
)
from orchestr.spec.rows import record_from_row, record_to_row


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Inner:
    path: Annotated[fields.Pattern, Doc(example="src")]
    rounds: fields.Rounds = 2


@dataclass(frozen=True, slots=True)
class Outer:
    name: Annotated[str, StandsIn()]
    repo: Annotated[fields.RepoName, Doc("a repository", "platform")]
    colour: Annotated[Colour, StandsIn("cell", "defaults"), Doc("of the cell")] = Colour.RED
    wait: Annotated[fields.Duration | None, StandsIn("cell", "defaults"), OnlyForAgents()] = None
    parts: tuple[Inner, ...] = ()
    phases: fields.Phases = ()
    copy: bool = False  # pydantic has a method of this name


def model_at(place: str) -> type[StrictModel]:
    return create_model(place, __base__=StrictModel, **fields_at(Outer, place, ("cell",), {}))


CELL = {"repo": "r", "wait": "2m", "parts": [{"path": "src/**"}], "phases": ["check"], "copy": True}


def test_the_reader_fills_a_record_and_its_row_gives_it_back() -> None:
    common = model_at("defaults").model_validate({"colour": "blue", "wait": 5})
    own = model_at("cell").model_validate(CELL)

    found = Outer(name="a", **record_values(Outer, stated_values(Outer, common, own)))

    assert found == Outer("a", "r", Colour.BLUE, 120.0, (Inner("src/**"),), (Phase.CHECK,), True)
    assert isinstance(found.colour, Colour)
    assert record_from_row(Outer, record_to_row(found)) == found


def test_a_row_of_another_declaration_is_refused() -> None:
    with pytest.raises(ValueError, match="1 values for the 2 fields of Inner"):
        record_from_row(Inner, ["src"])


def test_the_schema_has_what_the_declaration_says() -> None:
    properties = model_at("cell").model_json_schema()["properties"]

    assert sorted(properties) == ["colour", "copy", "parts", "phases", "repo", "wait"]
    assert sorted(model_at("defaults").model_json_schema()["properties"]) == ["colour", "wait"]
    assert properties["repo"]["examples"] == ["platform"]
    assert properties["colour"]["description"] == "of the cell"
    assert properties["copy"]["default"] is False
    assert model_at("cell").model_json_schema()["required"] == ["repo"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"repo": ...}, (("repo",), "is required and not there", "write `repo: platform`", True)),
        ({"colour": "rad"},
         (("colour",), "must be `red` or `blue`, got `rad`", "did you mean `red`?", False)),
        ({"parts": [{"path": "x", "round": 1}]},
         (("parts", 0, "round"), "unknown field", "did you mean `rounds`?", True)),
        ({"parts": [{}]},
         (("parts", 0, "path"), "is required and not there", "write `path: src`", True)),
        ({"wait": "soon"},
         (("wait",), "`soon` is not a duration",
          "write it like 90s, 30m, 2h or 500ms, or as whole seconds", False)),
    ],
    ids=["missing", "choice", "unknown", "inner", "rule"],
)  # fmt: skip
def test_errors_know_place_and_example(change: dict[str, Any], fault: tuple[Any, ...]) -> None:
    model = model_at("cell")
    written = {name: value for name, value in {**CELL, **change}.items() if value is not ...}

    with pytest.raises(ValidationError) as caught:
        model.model_validate(written)

    errors = caught.value.errors(include_url=False)
    assert [make_fault(model, dict(error)) for error in errors] == [fault]


def test_marked_fields_are_found() -> None:
    assert list_marked_fields(OnlyForAgents, Outer, Inner) == ["wait"]
