"""Checks, reviewers and gates as strict pydantic models, one a kind, and their records.

Owns required fields, defaults and single values of each kind (rows E21, E22, E93: what cannot run
is refused when it is read). Specs and `[repos.X] checks` of the settings pass here. What needs
other parts of the file (agents, cells, names used twice) is `orchestr.spec.check_references`'s.
"""

from __future__ import annotations

import json as jsontext
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import (
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    create_model,
    model_validator,
)

from orchestr.spec import check_field_types as pv
from orchestr.spec import checks as proof
from orchestr.spec import field_types
from orchestr.spec.checks import CheckKind, Gate, Pairs, ReviewRule
from orchestr.spec.error_messages import describe_error
from orchestr.spec.expression import check_expression
from orchestr.spec.field_types import BadValue, kind_of, quote_value
from orchestr.spec.fields import (
    Duration,
    Line,
    Pattern,
    RepoName,
    StrictModel,
    Text,
    Word,
    checked_by,
)

Argument = Annotated[str, checked_by(pv.check_argument)]
Argv = Annotated[list[Argument], BeforeValidator(pv.check_argv), Field(min_length=1)]
Variable = Annotated[str, checked_by(pv.check_variable)]
Environment = dict[Annotated[str, checked_by(pv.check_own_variable)], Argument]
Headers = dict[Annotated[str, checked_by(pv.check_header)], Line]
Label = Annotated[str, checked_by(pv.check_label)]
Folder = Annotated[str, checked_by(pv.check_folder)]
Place = Annotated[str, checked_by(pv.check_place)]
Globs = Annotated[list[Pattern], Field(min_length=1)]
Url = Annotated[str, checked_by(pv.check_url)]
JsonPath = Annotated[str, checked_by(pv.check_json_path)]


def _check_gates(value: object) -> tuple[Gate, ...]:
    listed = pv.wrap_single_text(value)
    known = [gate.value for gate in Gate]
    if not isinstance(listed, list):
        raise BadValue(f"must be a list of gates, got {kind_of(value)}", "write [plan, publish]")
    for item in listed:
        if item not in known:
            got = quote_value(item) if isinstance(item, str) else kind_of(item)
            hint = field_types.suggest_name(item, known) if isinstance(item, str) else None
            raise BadValue(f"there is no gate {got}", hint or "write [plan, publish]")
    return tuple(gate for gate in Gate if gate.value in listed)


Gates = Annotated[
    tuple[Gate, ...],
    BeforeValidator(_check_gates),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": [gate.value for gate in Gate]},
                {"type": "array", "items": {"enum": [gate.value for gate in Gate]}},
            ]
        }
    ),
]
ExitCode = Annotated[
    int,
    BeforeValidator(pv.number_between(0, 255)),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 255}),
]
Status = Annotated[
    int,
    BeforeValidator(pv.number_between(100, 599)),
    WithJsonSchema({"type": "integer", "minimum": 100, "maximum": 599}),
]
Rounds = Annotated[
    int,
    BeforeValidator(pv.number_between(0, 100)),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 100}),
]


def _check_jsonable(value: Any) -> Any:
    try:
        jsontext.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise BadValue(f"cannot be JSON, it holds {kind_of(value)}", "put it in quotes") from None
    return value


Json = Annotated[Any, BeforeValidator(_check_jsonable)]


class CheckFields(StrictModel):
    """What every kind has."""

    name: Label | None = Field(None, description="default: the kind, numbered")
    timeout: Duration | None = None
    cwd: Folder | None = Field(None, description="folder in the worktree")
    env: Environment = Field(default_factory=dict)
    pass_env: list[Variable] = Field(default_factory=list)

    def to_record(self, name: str) -> proof.CheckDef:
        """The record; ``name`` is the one to use when none was given."""
        kind = CheckKind(_kind_of_model(self))
        fields: dict[str, Any] = {
            "name": self.name or name,
            "timeout": self.timeout or proof.TIMEOUTS[kind],
            "cwd": "" if self.cwd in (None, ".") else self.cwd,
            "env": _to_pairs(self.env),
            "pass_env": tuple(dict.fromkeys(self.pass_env)),
        }
        return proof.RECORDS[kind](**fields, **self.own_fields())

    def own_fields(self) -> dict[str, Any]:
        """The fields of this kind, as its record has them."""
        common = CheckFields.model_fields.keys() | {"kind", "repo"}
        own = type(self).model_fields.keys() - common
        return {name: _freeze_list(getattr(self, name)) for name in own}


class Command(CheckFields):
    """Any program: its exit code, and what it prints."""

    kind: Literal["command"]
    run: Argv
    exit: ExitCode = 0
    output: Annotated[str, checked_by(pv.check_output_pattern)] | None = Field(
        None, description="a text that must be printed, or /regex/"
    )


class Pytest(CheckFields):
    """pytest of the project, judged by its JUnit XML."""

    kind: Literal["pytest"]
    selector: Annotated[str, checked_by(pv.check_selector)] | None = None
    args: list[Argument] = Field(default_factory=list)


class Junit(CheckFields):
    """Any program that leaves JUnit XML."""

    kind: Literal["junit"]
    run: Argv
    reports: Globs


class Tests(CheckFields):
    """Any program that prints a JSON array of tests."""

    kind: Literal["tests"]
    run: Argv


class ReadyFields(StrictModel):
    """How to know that a service answers."""

    path: Annotated[str, checked_by(pv.check_url_path)] | None = None
    timeout: Duration | None = None


class ApiProbe(CheckFields):
    """One HTTP request and what must come back."""

    kind: Literal["api_probe"]
    start: Argv | None = Field(None, description="the service, ended afterwards")
    ready: ReadyFields | None = None
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    path: Annotated[str, checked_by(pv.check_url_path)] | None = None
    url: Url | None = None
    headers: Headers = Field(default_factory=dict)
    body: Json = None
    status: Status = 200
    json_: Json = Field(None, alias="json", description="a subset of the answer")

    @model_validator(mode="after")
    def _check_combination(self) -> ApiProbe:
        if (self.path is None) == (self.url is None):
            raise BadValue("needs `path` or `url`, and not both", "write `path: /health`")
        if self.ready is not None and self.start is None:
            hint = "name the service: `start: [make, serve]`"
            raise BadValue("needs `start`", hint, field=("ready",))
        _check_url(self.url, self.env, "url")
        return self

    def own_fields(self) -> dict[str, Any]:
        headers = dict(self.headers)
        body = self.body
        if body is not None and not isinstance(body, str):
            body = _to_json(body)
            if not any(name.lower() == "content-type" for name in headers):
                headers["Content-Type"] = "application/json"
        ready = self.ready or ReadyFields()
        return {
            "start": tuple(self.start or ()),
            "ready": proof.ServiceReadiness(
                ready.path, ready.timeout or proof.ServiceReadiness().timeout
            ),
            "method": self.method,
            "path": self.path,
            "url": self.url,
            "headers": _to_pairs(headers),
            "body": body,
            "status": self.status,
            "json": None if self.json_ is None else _to_json(self.json_),
        }


class BrowserJourney(CheckFields):
    """A program that drives a browser and leaves evidence."""

    kind: Literal["browser_journey"]
    run: Argv
    evidence: Globs


class ProbeFields(StrictModel):
    """Where a value comes from."""

    run: Argv | None = None
    url: Url | None = None
    json_path: JsonPath | None = None

    @model_validator(mode="after")
    def _check_one_source(self) -> ProbeFields:
        if (self.run is None) == (self.url is None):
            raise BadValue("needs `run` or `url`, and not both", "write `run: [./count.sh]`")
        return self


class StateInvariant(CheckFields):
    """An expression over the values of probes."""

    kind: Literal["state_invariant"]
    probes: dict[Annotated[str, checked_by(pv.check_probe)], ProbeFields] = Field(min_length=1)
    expression: Line

    @model_validator(mode="after")
    def _check_expression_and_urls(self) -> StateInvariant:
        try:
            check_expression(self.expression, self.probes)
        except BadValue as error:
            raise BadValue(error.message, error.hint, field=("expression",)) from None
        for name, fields in self.probes.items():
            _check_url(fields.url, self.env, "probes", name, "url")
        return self

    def own_fields(self) -> dict[str, Any]:
        probes = tuple(
            proof.Probe(name, tuple(fields.run or ()), fields.url, fields.json_path)
            for name, fields in self.probes.items()
        )
        return {"expression": self.expression, "probes": probes}


class Import(CheckFields):
    """A Python module can be imported."""

    kind: Literal["import_check"]
    module: Annotated[str, checked_by(pv.check_module)]
    version: Annotated[str, checked_by(pv.check_version)] | None = None


class Types(CheckFields):
    """A type checker finds nothing."""

    kind: Literal["type_check"]
    tool: Literal["mypy", "pyright", "basedpyright"]
    paths: list[Place] = Field(default_factory=list)


MODELS: tuple[type[CheckFields], ...] = (
    Command, Pytest, Junit, Tests, ApiProbe, BrowserJourney, StateInvariant, Import, Types,
)  # fmt: skip

if TYPE_CHECKING:
    CheckModel = CheckFields
    CrossModel = CheckFields
    Screenshot = CheckFields
else:
    _CROSS = tuple(
        create_model(f"Cross{model.__name__}", __base__=model, repo=(RepoName, ...))
        for model in MODELS
    )
    CheckModel = Annotated[Union[MODELS], Field(discriminator="kind")]  # noqa: UP007
    CrossModel = Annotated[Union[_CROSS], Field(discriminator="kind")]  # noqa: UP007
    Screenshot = Annotated[Command | BrowserJourney, Field(discriminator="kind")]


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


def make_cross_checks(found: Sequence[CheckFields]) -> tuple[proof.CrossCheck, ...]:
    """The records of ``cross_checks``."""
    checks = make_records(found)
    repos: list[str] = [getattr(model, "repo") for model in found]  # noqa: B009
    return tuple(map(proof.CrossCheck, repos, checks))


def make_records(models: Sequence[CheckFields], word: str = "") -> tuple[proof.CheckDef, ...]:
    """The records of checks; those without a name get the kind's, numbered where needed."""
    taken = {model.name for model in models if model.name}
    found = []
    for model in models:
        name = _free_name(word or _kind_of_model(model), taken)
        found.append(model.to_record(name))
        taken.add(found[-1].name)
    return tuple(found)


Fault = tuple[tuple[str | int, ...], str, str | None, bool]  # path, message, hint, at the key


def read_checks(raw: Any) -> tuple[tuple[proof.CheckDef, ...], list[Fault]]:
    """The checks of a settings table, or what is wrong with them; paths start at the list."""
    try:
        models = TypeAdapter(list[CheckModel]).validate_python(raw)
    except ValidationError as error:
        return (), [make_fault(dict(item)) for item in error.errors(include_url=False)]
    names = [model.name for model in models if model.name]
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
    message, hint = describe_error(error["type"], path, error["input"], context)
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
    for at, step in enumerate(loc):
        if at and isinstance(loc[at - 1], int) and step in _KINDS:
            inside = loc[at + 1 : -1]
            if inside[:1] == ("ready",):
                return list(ReadyFields.model_fields)
            if inside[:1] == ("probes",):
                return list(ProbeFields.model_fields)
            model = MODELS[list(CheckKind).index(CheckKind(step))]
            return [field.alias or name for name, field in model.model_fields.items()]
    others: dict[str, type[StrictModel]] = {
        "reviewers": ReviewerFields, "repair": RepairFields, "contracts": ContractFields,
    }  # fmt: skip
    return next((list(others[word].model_fields) for word in others if word in loc[:-1]), [])


_KINDS = frozenset(kind.value for kind in CheckKind)


def _make_reviewers(found: Sequence[ReviewerFields]) -> tuple[proof.Reviewer, ...]:
    taken = {fields.name for fields in found if fields.name}
    result = []
    for fields in found:
        name = fields.name or _free_name(fields.agent, taken)
        taken.add(name)
        result.append(proof.Reviewer(fields.agent, name, fields.model, fields.timeout))
    return tuple(result)


def _kind_of_model(model: CheckFields) -> str:
    """Each kind declares its own ``kind``; `CheckFields` has none."""
    kind: str = getattr(model, "kind")  # noqa: B009
    return kind


def _free_name(word: str, taken: set[str | None] | set[str]) -> str:
    number, name = 1, word
    while name in taken:
        number += 1
        name = f"{word}-{number}"
    return name


def _first_given(found: Iterable[int | None], usual: int) -> int:
    return next((value for value in found if value is not None), usual)


def _check_url(url: str | None, env: dict[str, str], *field: str) -> None:
    try:
        pv.check_placeholders(url or "", env)
    except BadValue as error:
        raise BadValue(error.message, error.hint, field=field) from None


def _to_pairs(table: dict[str, str]) -> Pairs:
    return tuple(table.items())


def _to_json(value: Any) -> str:
    return jsontext.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _freeze_list(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
