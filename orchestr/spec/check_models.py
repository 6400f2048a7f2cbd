"""Checks, reviewers and gates: their strict pydantic models, and their records.

The models are made from the declarations (`orchestr.spec.record_models`), so what cannot run is
refused when it is read. Specs and `[repos.X] checks` of the settings pass here. What needs other
parts of the file (agents, cells, names used twice) is `orchestr.spec.check_references`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Union, cast

from pydantic import (
    BaseModel,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_wrap_validator_function

from orchestr.spec import checks as proof
from orchestr.spec.check_kinds import find_kind, list_kinds, list_own_kinds, refuse_kind
from orchestr.spec.checks import CheckBase
from orchestr.spec.error_messages import describe_error
from orchestr.spec.field_types import BadValue, quote_value, suggest_name
from orchestr.spec.fields import RepoName
from orchestr.spec.record_models import (
    RecordModel,
    example_at,
    make_record,
    model_of,
    names_at,
    record_fields,
    record_values,
    stated_values,
)


def _make_models() -> Iterator[type[RecordModel]]:
    """The model of every kind; one of another package whose fields cannot be read is left out."""
    for kind in list_kinds():
        try:
            yield model_of(find_kind(kind))
        except Exception as error:  # an annotation of another package may be anything
            if kind in list_own_kinds():
                raise
            refuse_kind(kind, f"{type(error).__name__}: {error}")


MODELS: tuple[type[RecordModel], ...] = tuple(_make_models())

if TYPE_CHECKING:
    CheckModel = RecordModel
    CrossModel = RecordModel
    Screenshot = RecordModel
else:
    _REPO = (RepoName, Field(description="whose heads are merged", examples=["my-repository"]))
    _CROSS = tuple(
        create_model(f"Cross{model.__name__}", __base__=model, repo=_REPO)
        for model in MODELS
        if not model.record.needs_base
    )
    _SHOTS = tuple(model for model in MODELS if model.record.makes_screenshots)
    CheckModel = Annotated[Union[MODELS], Field(discriminator="kind")]  # noqa: UP007
    CrossModel = Annotated[Union[_CROSS], Field(discriminator="kind")]  # noqa: UP007
    Screenshot = Annotated[Union[_SHOTS], Field(discriminator="kind")]  # noqa: UP007


NONE = "none"  # instead of a list of checks: there are none, on purpose


class _ListOrNone:
    """Marks a list that the word `none` may stand for. No union: its errors name each member."""

    @staticmethod
    def __get_pydantic_core_schema__(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def accept_none(value: Any, read: Callable[[Any], Any]) -> Any:
            return value if value == NONE and isinstance(value, str) else read(value)

        return no_info_wrap_validator_function(accept_none, handler(source))

    @staticmethod
    def __get_pydantic_json_schema__(
        schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), {"const": NONE, "type": "string"}]}


# The types of fields that hold checks: what may stand there are the kinds that are installed.
CHECK_TYPES: Mapping[str, Any] = {
    "checks": Annotated[list[CheckModel], _ListOrNone],
    "screenshots": list[Screenshot],
    "cross_checks": list[CrossModel],
}


def resolve_proof(own: BaseModel, common: BaseModel, feature: BaseModel) -> proof.ProofRequirements:
    """What a cell asks for: its own words, else the defaults', else the feature's."""
    levels = (feature, common, own)
    stated = stated_values(proof.ProofRequirements, *levels)
    named_none = stated.get("checks") == NONE
    special: dict[str, Callable[[], Any]] = {
        "checks": lambda: () if named_none else make_records(stated["checks"]),
        "screenshots": lambda: make_records(stated["screenshots"], "screenshot"),
        "reviewers": lambda: make_reviewers(stated["reviewers"]),
        "repair": lambda: _resolve_repair(levels),
    }
    plain = {name: value for name, value in stated.items() if name not in special}
    made = {name: make() for name, make in special.items() if name in stated}
    if named_none:
        made["no_checks"] = True
    return proof.ProofRequirements(**record_values(proof.ProofRequirements, plain), **made)


def _resolve_repair(levels: Sequence[BaseModel]) -> proof.RepairRounds:
    """Each number is resolved for itself."""
    stated = [stated_values(proof.ProofRequirements, level).get("repair") for level in levels]
    numbers: dict[str, int] = {}
    for model in stated:
        numbers |= record_fields(model) if model is not None else {}
    numbers.pop("audit", None)  # the feature's, see `read_audit_rounds`
    return proof.RepairRounds(**numbers)


def read_audit_rounds(feature: BaseModel) -> int | None:
    """The rounds of `repair: {audit: N}` at the top of the file; None where it has none."""
    stated = stated_values(proof.ProofRequirements, feature).get("repair")
    rounds: int | None = record_fields(stated).get("audit") if stated is not None else None
    return rounds


def make_cross_checks(found: Sequence[RecordModel]) -> tuple[proof.CrossCheck, ...]:
    """The records of ``cross_checks``."""
    checks = make_records(found)
    repos: list[str] = [getattr(model, "repo") for model in found]  # noqa: B009
    return tuple(map(proof.CrossCheck, repos, checks))


def make_records(models: Sequence[RecordModel], word: str = "") -> tuple[proof.CheckDef, ...]:
    """The records of checks; those without a name get the kind's, numbered where needed."""
    taken = {name for name in map(_given_name, models) if name}
    found: list[proof.CheckDef] = []
    for model in models:
        record = cast("type[CheckBase]", model.record)
        name = _given_name(model) or _free_name(word or record.kind, taken)
        found.append(make_record(model, name=name, timeout=record.usual_timeout))
        taken.add(name)
    return tuple(found)


Fault = tuple[tuple[str | int, ...], str, str | None, bool]  # path, message, hint, at the key


def read_checks(raw: Any) -> tuple[tuple[proof.CheckDef, ...], list[Fault]]:
    """The checks of a settings table, or what is wrong with them; paths start at the list."""
    try:
        models = TypeAdapter(list[CheckModel]).validate_python(raw)
    except ValidationError as error:
        return (), [
            make_fault(list[CheckModel], dict(item)) for item in error.errors(include_url=False)
        ]
    names = [name for name in map(_given_name, models) if name]
    twice = sorted({name for name in names if names.count(name) > 1})
    faults: list[Fault] = [
        ((), f"two checks are called {quote_value(name)}", "rename one", False) for name in twice
    ]
    made = make_records(models)
    for index, check in enumerate(made):
        if check.shows:
            why = "a check of every feature shows none of one feature's `done_means`"
            faults.append(((index, "shows"), why, "write the check in the spec", True))
    return made, faults


def make_fault(root: Any, error: dict[str, Any]) -> Fault:
    """An error of pydantic in a file of the type ``root``, in words."""
    path, loc = path_of_error(error), tuple(error["loc"])
    if error["type"] == "extra_forbidden":
        return path, "unknown field", suggest_name(str(path[-1]), names_at(root, loc)), True
    context = error.get("ctx", {})
    example = example_at(root, loc)
    message, hint = describe_error(error["type"], path, error["input"], context, example)
    at_key = error["type"] == "missing" or (bool(loc) and loc[-1] == "[key]")
    return path, message, hint, at_key


def path_of_error(error: dict[str, Any]) -> tuple[str | int, ...]:
    """Where an error is, without what pydantic adds: the kind after a check's index, ``[key]``."""
    loc: tuple[str | int, ...] = tuple(error["loc"])
    reason = error.get("ctx", {}).get("error")
    kept: list[str | int] = []
    for at, step in enumerate(loc):
        tagged = at > 0 and isinstance(loc[at - 1], int) and step in _KINDS
        if tagged or (step == "[key]" and at == len(loc) - 1):
            continue
        kept.append(step)
    return (*kept, *(reason.field if isinstance(reason, BadValue) else ()))


_KINDS = frozenset(list_kinds())


def make_reviewers(found: Sequence[RecordModel]) -> tuple[proof.Reviewer, ...]:
    """The records of reviewers or auditors; those without a name get their agent's, numbered."""
    taken = {name for name in map(_given_name, found) if name}
    result = []
    for model in found:
        agent: str = getattr(model, "agent")  # noqa: B009
        name = _given_name(model) or _free_name(agent, taken)
        taken.add(name)
        result.append(make_record(model, name=name))
    return tuple(result)


def _given_name(model: RecordModel) -> str | None:
    """The name that the file gives a check or a reviewer."""
    name: str | None = getattr(model, "name")  # noqa: B009
    return name


def _free_name(word: str, taken: set[str]) -> str:
    number, name = 1, word
    while name in taken:
        number += 1
        name = f"{word}-{number}"
    return name
