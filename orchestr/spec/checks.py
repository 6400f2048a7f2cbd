"""What a spec asks to be shown before a pull request opens: checks, reviews, gates, ownership.

Small frozen records, as in `orchestr.spec.records`; one record a kind of check, so that nobody
can hold a check without what it needs (rows E21, E22). ``as_row`` and ``from_row`` turn them into
JSON values and back, exactly: caches and digests are made from rows. No clock, no disk, no git.

Durations are seconds. Mappings are tuples of (name, value) in the order of the file, JSON values
(``json``) are JSON text: so everything can be hashed and compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar

Pairs = tuple[tuple[str, str], ...]


class CheckKind(StrEnum):
    """Every kind of check there is."""

    COMMAND = "command"
    PYTEST = "pytest"
    JUNIT = "junit"
    TESTS = "tests"
    API_PROBE = "api_probe"
    BROWSER_JOURNEY = "browser_journey"
    STATE_INVARIANT = "state_invariant"
    IMPORT_CHECK = "import_check"
    TYPE_CHECK = "type_check"


class Gate(StrEnum):
    """Where a person must say yes."""

    PLAN = "plan"
    PUBLISH = "publish"


class ReviewRule(StrEnum):
    """How many reviewers must see a blocker for it to count."""

    ANY = "any"
    MAJORITY = "majority"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckBase:
    """What every check has. ``cwd`` is relative to the worktree.

    ``env`` is set for the check's programs; ``pass_env`` names variables of the user that they
    see too. The values of both are part of the check's inputs (see `orchestr.checks.cache`).
    """

    kind: ClassVar[CheckKind]
    name: str
    timeout: float
    cwd: str = ""
    env: Pairs = ()
    pass_env: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandCheck(CheckBase):
    """Any program: its exit code, and what it prints (``output``: a substring, or ``/regex/``)."""

    kind: ClassVar[CheckKind] = CheckKind.COMMAND
    run: tuple[str, ...]
    exit: int = 0
    output: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PytestCheck(CheckBase):
    """pytest of the project. ``selector``: a path, a node id, or an expression for ``-k``."""

    kind: ClassVar[CheckKind] = CheckKind.PYTEST
    selector: str | None = None
    args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JunitCheck(CheckBase):
    """Any program that leaves JUnit XML where the globs ``reports`` find it."""

    kind: ClassVar[CheckKind] = CheckKind.JUNIT
    run: tuple[str, ...]
    reports: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestsCheck(CheckBase):
    """Any program that prints the JSON array of row D37."""

    __test__: ClassVar[bool] = False  # not a class of tests, whatever pytest thinks of its name
    kind: ClassVar[CheckKind] = CheckKind.TESTS
    run: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServiceReadiness:
    """How to know that a service answers. No ``path``: its port takes connections."""

    path: str | None = None
    timeout: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiProbeCheck(CheckBase):
    """One HTTP request and what must come back; ``start`` is the service, ended afterwards.

    Either ``path`` (at the cell's first port on 127.0.0.1) or a whole ``url``. ``json`` is JSON
    text: a subset of the answer.
    """

    kind: ClassVar[CheckKind] = CheckKind.API_PROBE
    start: tuple[str, ...] = ()
    ready: ServiceReadiness = ServiceReadiness()
    method: str = "GET"
    path: str | None = None
    url: str | None = None
    headers: Pairs = ()
    body: str | None = None
    status: int = 200
    json: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserJourneyCheck(CheckBase):
    """A program that drives a browser and leaves ``evidence`` (globs); missing evidence fails."""

    kind: ClassVar[CheckKind] = CheckKind.BROWSER_JOURNEY
    run: tuple[str, ...]
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """Where a value of an invariant comes from: a program's stdout, or the answer of a URL."""

    name: str
    run: tuple[str, ...] = ()
    url: str | None = None
    json_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateInvariantCheck(CheckBase):
    """An expression over the values of probes (see `orchestr.spec.expression`)."""

    kind: ClassVar[CheckKind] = CheckKind.STATE_INVARIANT
    expression: str
    probes: tuple[Probe, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportCheck(CheckBase):
    """A Python module can be imported; ``version`` is exact (``1.2``) or bounds (``>=1.2,<2``)."""

    kind: ClassVar[CheckKind] = CheckKind.IMPORT_CHECK
    module: str
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeCheck(CheckBase):
    """A type checker for Python finds nothing in ``paths`` (none: by its own settings)."""

    kind: ClassVar[CheckKind] = CheckKind.TYPE_CHECK
    tool: str
    paths: tuple[str, ...] = ()


CheckDef = (
    CommandCheck
    | PytestCheck
    | JunitCheck
    | TestsCheck
    | ApiProbeCheck
    | BrowserJourneyCheck
    | StateInvariantCheck
    | ImportCheck
    | TypeCheck
)

RECORDS: dict[CheckKind, type[CheckDef]] = {
    record.kind: record
    for record in (
        CommandCheck, PytestCheck, JunitCheck, TestsCheck, ApiProbeCheck, BrowserJourneyCheck,
        StateInvariantCheck, ImportCheck, TypeCheck,
    )
}  # fmt: skip

# Seconds, where a spec says nothing (rows D96, E87).
TIMEOUTS: dict[CheckKind, float] = {
    CheckKind.COMMAND: 600.0,
    CheckKind.PYTEST: 300.0,
    CheckKind.JUNIT: 600.0,
    CheckKind.TESTS: 300.0,
    CheckKind.API_PROBE: 30.0,
    CheckKind.BROWSER_JOURNEY: 600.0,
    CheckKind.STATE_INVARIANT: 30.0,
    CheckKind.IMPORT_CHECK: 60.0,
    CheckKind.TYPE_CHECK: 300.0,
}


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """A check on the merge of all cell heads of a repository."""

    repo: str
    check: CheckDef


@dataclass(frozen=True, slots=True)
class Contract:
    """A path (gitignore pattern) that only the cell ``owner`` may change (row E53)."""

    path: str
    owner: str


@dataclass(frozen=True, slots=True)
class Reviewer:
    """One agent that reads and judges. Model and timeout None mean the agent's own."""

    agent: str
    name: str
    model: str | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class RepairRounds:
    """Rounds of repair; 0 means none (row X12)."""

    checks: int = 4
    reviews: int = 3


@dataclass(frozen=True, slots=True)
class ProofRequirements:
    """All that one cell asks for. Everything is resolved: cell, then defaults, then feature."""

    checks: tuple[CheckDef, ...] = ()
    screenshots: tuple[CheckDef, ...] = ()
    reviewers: tuple[Reviewer, ...] = ()
    review_rule: ReviewRule = ReviewRule.ANY
    repair: RepairRounds = RepairRounds()
    approve: tuple[Gate, ...] = ()
    shared_paths: tuple[str, ...] = ()
    allow_partial: bool = False
    allow_skipped_tests: bool = False
    test_first: bool = False
    ports: bool = False


Row = list[Any]


def check_to_row(check: CheckDef) -> Row:
    """A check as JSON values: its kind, then its fields by position."""
    return [
        str(check.kind),
        *(_to_plain_value(getattr(check, name)) for name in _field_names(type(check))),
    ]


def check_from_row(row: Row) -> CheckDef:
    """The check that `check_to_row` wrote. Raises KeyError, TypeError or ValueError for others."""
    record = RECORDS[CheckKind(row[0])]
    names = _field_names(record)
    values = {
        name: _REVIVE.get(name, _freeze_lists)(value)
        for name, value in zip(names, row[1:], strict=True)
    }
    return record(**values)


def proof_to_row(proof: ProofRequirements) -> Row | None:
    """All that a cell asks for as JSON values; None when it asks for nothing."""
    if proof == NOTHING:
        return None
    return [
        [check_to_row(check) for check in proof.checks],
        [check_to_row(check) for check in proof.screenshots],
        [_to_plain_value(reviewer) for reviewer in proof.reviewers],
        str(proof.review_rule),
        _to_plain_value(proof.repair),
        [str(gate) for gate in proof.approve],
        list(proof.shared_paths),
        proof.allow_partial,
        proof.allow_skipped_tests,
        proof.test_first,
        proof.ports,
    ]


def proof_from_row(row: Row | None) -> ProofRequirements:
    """What `proof_to_row` wrote. Raises KeyError, TypeError or ValueError for others."""
    if row is None:
        return NOTHING
    checks, screenshots, reviewers, rule, repair, approve, shared, *flags = row
    return ProofRequirements(
        tuple(map(check_from_row, checks)),
        tuple(map(check_from_row, screenshots)),
        tuple(Reviewer(*fields) for fields in reviewers),
        ReviewRule(rule),
        RepairRounds(*repair),
        tuple(map(Gate, approve)),
        tuple(shared),
        *flags,
    )


NOTHING = ProofRequirements()


def _field_names(record: type[Any]) -> tuple[str, ...]:
    """Names of a record's fields, in their order."""
    return tuple(field.name for field in fields(record))


def _to_plain_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_to_plain_value(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return [_to_plain_value(getattr(value, name)) for name in _field_names(type(value))]
    return value


def _freeze_lists(value: Any) -> Any:
    return tuple(_freeze_lists(item) for item in value) if isinstance(value, list) else value


def _revive_ready(value: Any) -> ServiceReadiness:
    return ServiceReadiness(*value)


def _revive_probes(value: Any) -> tuple[Probe, ...]:
    return tuple(Probe(*(_freeze_lists(field) for field in row)) for row in value)


_REVIVE: dict[str, Callable[[Any], Any]] = {"ready": _revive_ready, "probes": _revive_probes}
