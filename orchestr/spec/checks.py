"""What a spec asks to be shown before a pull request opens: checks, reviews, gates, ownership.

Small frozen records, as in `orchestr.spec.records`: a field is declared here once, with the words
of `orchestr.spec.declare`. A kind of check is a record derived from `CheckBase` (see
`orchestr.checks.kinds`). `orchestr.spec.rows` turns records into JSON values and back, exactly:
caches and digests are made from rows, so the fields stay, in their order; new ones come last. No
clock, no disk, no git.

Durations are seconds. Mappings are tuples of (name, value) in the order of the file, JSON values
(``json``) are JSON text: so everything can be hashed and compared.
"""
# Types are real objects here, not texts: a warm start reads them without compiling each.

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from orchestr.spec import fields
from orchestr.spec.agent_options import AgentOptions
from orchestr.spec.check_record import CheckBase, Pairs
from orchestr.spec.declare import Doc, MayBeLeftOut, OnlyForAgents, StandsIn, TextItems
from orchestr.spec.phases import Gate
from orchestr.spec.rows import Row, check_from_row, check_to_row, record_from_row, record_to_row

__all__ = [
    "NOTHING", "AmendMode", "CheckBase", "CheckDef", "Contract", "CrossCheck", "Gate", "Pairs",
    "ProofRequirements", "RepairRounds", "ReviewRule", "Reviewer", "check_from_row",
    "check_to_row",
]  # fmt: skip


class ReviewRule(StrEnum):
    """How many reviewers must see a blocker for it to count."""

    ANY = "any"
    MAJORITY = "majority"
    ALL = "all"


CheckDef = CheckBase  # a check of any kind


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """A check on the merge of all cell heads of a repository."""

    repo: str
    check: CheckDef


class AmendMode(StrEnum):
    """Who hands a needed change of a contract to its owner: a person, or the run itself."""

    ASK = "ask"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Contract:
    """A path (gitignore pattern) that only the cell ``owner`` may change."""

    path: Annotated[fields.Pattern, Doc("a gitignore pattern", "src/api/**")]
    owner: Annotated[fields.Text, Doc("the cell that may change it", "my-cell")]
    amend: Annotated[
        AmendMode, Doc("`auto`: a change that another cell needs is made in the same run")
    ] = AmendMode.ASK
    exports: Annotated[
        tuple[fields.Line, ...],
        TextItems(),
        Doc("names that must be in its files, as whole words", ["Search"]),
    ] = ()
    probes: Annotated[
        tuple[fields.Argv, ...],
        Doc("programs that show how it behaves; each must end with 0", [["make", "probe"]]),
    ] = ()

    @classmethod
    def complete_fields(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Programs are tuples, as everywhere."""
        probes = tuple(tuple(argv) for argv in given.get("probes", ()))
        return {**given, "probes": probes} if probes else given


@dataclass(frozen=True, slots=True)
class Reviewer:
    """An agent that reads and judges. Model and timeout None mean the agent's own."""

    agent: Annotated[fields.Word, Doc("an entry of [agents.*]", "my-agent")]
    name: Annotated[
        fields.Label, MayBeLeftOut(), Doc("default: the agent's name, numbered", "security")
    ]
    model: Annotated[fields.Word | None, Doc("passed to the agent", "my-model")] = None
    timeout: Annotated[fields.Duration | None, Doc("of one review", "10m")] = None
    effort: Annotated[
        fields.Word | None, Doc("how much it thinks, in the agent's own words", "high")
    ] = None
    fallback_model: Annotated[
        fields.Word | None, Doc("the model where the first one is overloaded", "my-small-model")
    ] = None
    mcp: Annotated[
        tuple[fields.Word, ...] | None, Doc("MCP servers that it gets, of [mcp.*]", ["docs"])
    ] = None
    args: Annotated[
        tuple[fields.Argument, ...] | None, Doc("words after the agent's own", ["--verbose"])
    ] = None
    max_turns: Annotated[fields.Turns | None, Doc("after so many turns it ends", 40)] = None

    @property
    def options(self) -> AgentOptions:
        """What is asked of its agent."""
        return AgentOptions(self.model, self.effort, self.fallback_model, self.mcp, self.args,
                            self.max_turns)  # fmt: skip


TEST_KINDS = frozenset(("pytest", "junit", "tests"))  # they know tests by name
NO_TEST_KINDS = frozenset(
    ("type_check", "import_check", "api_probe", "browser_journey", "exports", "state_invariant",
     "diff_coverage")
)  # fmt: skip


def list_test_checks(checks: Sequence[CheckDef]) -> tuple[CheckDef, ...]:
    """The checks that run tests. Where one knows tests by name, those that only know an exit code
    do not count: a linter may be red for other reasons."""
    named = tuple(check for check in checks if check.kind in TEST_KINDS)
    return named or tuple(check for check in checks if check.kind not in NO_TEST_KINDS)


@dataclass(frozen=True, slots=True)
class RepairRounds:
    """Rounds of repair; 0 means none. ``follow`` counts those after the pull request opened.

    ``audit`` is the feature's (`Feature.audit_rounds`); in a cell's record it is always None.
    """

    checks: Annotated[fields.Rounds, Doc("after red checks")] = 4
    reviews: Annotated[fields.Rounds, Doc("after blockers of reviewers")] = 3
    follow: Annotated[fields.Rounds, Doc("after the pull request opened")] = 3
    audit: Annotated[
        fields.Rounds | None,
        Doc("after a red audit; stands at the top of the file, default 4 with an audit", 4),
    ] = None


ANYWHERE = StandsIn("cell", "defaults", "feature")


@dataclass(frozen=True, slots=True)
class ProofRequirements:
    """All that one cell asks for. Everything is resolved: cell, then defaults, then feature.

    A field stands in a cell and in ``defaults``, unless it says otherwise.
    """

    checks: Annotated[
        tuple[CheckDef, ...],
        Doc(
            "must be green; `none` states that there are none",
            [{"kind": "command", "run": ["make", "test"]}],
        ),
    ] = ()
    screenshots: Annotated[
        tuple[CheckDef, ...],
        Doc("pictures for the reviewers", [{"kind": "command", "run": ["make", "shots"]}]),
    ] = ()
    reviewers: Annotated[
        tuple[Reviewer, ...], Doc("agents that read and judge", [{"agent": "my-agent"}])
    ] = ()
    review_rule: Annotated[
        ReviewRule, Doc("how many reviewers must see a blocker for it to count")
    ] = ReviewRule.ANY
    repair: Annotated[
        RepairRounds, ANYWHERE, OnlyForAgents(), Doc("rounds of repair, 0 for none", {"checks": 2})
    ] = RepairRounds()
    approve: Annotated[fields.Gates, ANYWHERE, Doc("where a person must say yes", ["publish"])] = ()
    shared_paths: Annotated[
        tuple[fields.Pattern, ...], Doc("may be changed beside `owned_paths`", ["go.mod"])
    ] = ()
    allow_partial: Annotated[
        bool, Doc("open a pull request labelled partial although something stayed red")
    ] = False
    allow_skipped_tests: Annotated[bool, Doc("tests may be deleted or skipped")] = False
    test_first: Annotated[
        bool, OnlyForAgents(), Doc("tests are written, and seen to fail, before the work")
    ] = False
    ports: Annotated[bool, Doc("the cell gets ten ports of its own")] = False
    no_checks: Annotated[bool, StandsIn()] = False  # the file says `checks: none`

    def to_row(self) -> Row | None:
        """Everything as JSON values; None when nothing is asked for."""
        return None if self == NOTHING else record_to_row(self)

    @staticmethod
    def from_row(row: Row | None) -> "ProofRequirements":
        """What `to_row` wrote. Raises KeyError, TypeError or ValueError for others."""
        found: Any = NOTHING if row is None else record_from_row(ProofRequirements, row)
        return found  # type: ignore[no-any-return]


NOTHING = ProofRequirements()
