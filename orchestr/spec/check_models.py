"""Checks, reviewers and gates as strict pydantic models, and their errors in plain words.

The model of a check is made from the declaration of its kind (`orchestr.spec.record_models`), so
what cannot run is refused when it is read. Specs and `[repos.X] checks` of the settings pass here.
What needs other parts of the file (agents, cells, names used twice) is
`orchestr.spec.check_references`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, cast

from pydantic import Field, TypeAdapter, ValidationError, create_model

from orchestr.spec import checks as proof
from orchestr.spec import field_types
from orchestr.spec.check_kinds import find_kind, list_kinds
from orchestr.spec.checks import CheckBase, Gate, ReviewRule
from orchestr.spec.error_messages import describe_error
from orchestr.spec.field_types import BadValue, quote_value
from orchestr.spec.fields import Duration, Gates, Label, Pattern, RepoName, Rounds, Text, Word
from orchestr.spec.record_models import (
    RecordModel,
    StrictModel,
    example_at,
    make_record,
    model_of,
    written_names,
)

MODELS: tuple[type[RecordModel], ...] = tuple(model_of(find_kind(kind)) for kind in list_kinds())

if TYPE_CHECKING:
    CheckModel = RecordModel
    CrossModel = RecordModel
    Screenshot = RecordModel
else:
    _CROSS = tuple(
        create_model(f"Cross{model.__name__}", __base__=model, repo=(RepoName, ...))
        for model in MODELS
    )
    _SHOTS = tuple(model for model in MODELS if model.record.makes_screenshots)
    CheckModel = Annotated[Union[MODELS], Field(discriminator="kind")]  # noqa: UP007
    CrossModel = Annotated[Union[_CROSS], Field(discriminator="kind")]  # noqa: UP007
    Screenshot = Annotated[Union[_SHOTS], Field(discriminator="kind")]  # noqa: UP007


class ReviewerFields(StrictModel):
    """An agent that reads and judges."""

    agent: Word
    name: Label | None = None
    model: Word | None = None
    timeout: Duration | None = None


class RepairFields(StrictModel):
    """Rounds of repair."""

    checks: Rounds | None = None
    reviews: Rounds | None = None


class ContractFields(StrictModel):
    """A path that only one cell may change."""

    path: Pattern
    owner: Text


class ProofFields(StrictModel):
    """What a cell asks to be shown; the same words stand in ``defaults``."""

    checks: list[CheckModel] | None = None
    screenshots: list[Screenshot] | None = None
    reviewers: list[ReviewerFields] | None = None
    review_rule: Literal["any", "majority", "all"] | None = None
    repair: RepairFields | None = None
    approve: Gates | None = None
    shared_paths: list[Pattern] | None = None
    allow_partial: bool | None = None
    allow_skipped_tests: bool | None = None
    test_first: bool | None = None
    ports: bool | None = None


def resolve_proof(
    own: ProofFields, common: ProofFields, repair: RepairFields | None, gates: Sequence[Gate] | None
) -> proof.ProofRequirements:
    """What a cell asks for: its own words, else the defaults', else the feature's."""

    def own_or_common(field: str) -> Any:
        mine = getattr(own, field)
        return getattr(common, field) if mine is None else mine

    levels = [level for level in (own.repair, common.repair, repair) if level is not None]
    usual = proof.RepairRounds()
    approve = own_or_common("approve")
    return proof.ProofRequirements(
        checks=make_records(own_or_common("checks") or ()),
        screenshots=make_records(own_or_common("screenshots") or (), "screenshot"),
        reviewers=_make_reviewers(own_or_common("reviewers") or ()),
        review_rule=ReviewRule(own_or_common("review_rule") or ReviewRule.ANY),
        repair=proof.RepairRounds(
            _first_given((level.checks for level in levels), usual.checks),
            _first_given((level.reviews for level in levels), usual.reviews),
        ),
        approve=tuple((gates or ()) if approve is None else approve),
        shared_paths=tuple(own_or_common("shared_paths") or ()),
        allow_partial=bool(own_or_common("allow_partial")),
        allow_skipped_tests=bool(own_or_common("allow_skipped_tests")),
        test_first=bool(own_or_common("test_first")),
        ports=bool(own_or_common("ports")),
    )


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
        return (), [make_fault(dict(item)) for item in error.errors(include_url=False)]
    names = [name for name in map(_given_name, models) if name]
    twice = sorted({name for name in names if names.count(name) > 1})
    faults: list[Fault] = [
        ((), f"two checks are called {quote_value(name)}", "rename one", False) for name in twice
    ]
    return make_records(models), faults


def make_fault(error: dict[str, Any]) -> Fault:
    """An error of pydantic inside a check, in words."""
    path = path_of_error(error)
    if error["type"] == "extra_forbidden":
        names = field_names(tuple(error["loc"]))
        return path, "unknown field", field_types.suggest_name(str(path[-1]), names), True
    context = error.get("ctx", {})
    example = example_of_error(error)
    message, hint = describe_error(error["type"], path, error["input"], context, example)
    return path, message, hint, error["type"] == "missing"


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


def field_names(loc: tuple[str | int, ...]) -> list[str]:
    """The fields that could stand where a check has an unknown one; empty: not in a check."""
    inside = _place_in_check(loc)
    if inside is not None:
        return written_names(*inside)
    others: dict[str, type[StrictModel]] = {
        "reviewers": ReviewerFields, "repair": RepairFields, "contracts": ContractFields,
    }  # fmt: skip
    return next((list(others[word].model_fields) for word in others if word in loc[:-1]), [])


def example_of_error(error: dict[str, Any]) -> Any:
    """The example that the kind of a check declares for the field of an error, or None."""
    inside = _place_in_check(tuple(error["loc"]))
    return None if inside is None else example_at(*inside)


def _place_in_check(
    loc: tuple[str | int, ...],
) -> tuple[type[CheckBase], tuple[str | int, ...]] | None:
    """The kind of the check that an error is in, and where in it; None: not in a check."""
    for at, step in enumerate(loc):
        if at and isinstance(loc[at - 1], int) and step in _KINDS:
            return find_kind(str(step)), loc[at + 1 :]
    return None


_KINDS = frozenset(list_kinds())


def _make_reviewers(found: Sequence[ReviewerFields]) -> tuple[proof.Reviewer, ...]:
    taken = {fields.name for fields in found if fields.name}
    result = []
    for fields in found:
        name = fields.name or _free_name(fields.agent, taken)
        taken.add(name)
        result.append(proof.Reviewer(fields.agent, name, fields.model, fields.timeout))
    return tuple(result)


def _given_name(model: RecordModel) -> str | None:
    """The name that the file gives a check."""
    name: str | None = getattr(model, "name")  # noqa: B009
    return name


def _free_name(word: str, taken: set[str | None] | set[str]) -> str:
    number, name = 1, word
    while name in taken:
        number += 1
        name = f"{word}-{number}"
    return name


def _first_given(found: Iterable[int | None], usual: int) -> int:
    return next((value for value in found if value is not None), usual)
