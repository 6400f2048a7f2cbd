"""What a spec says, as small frozen records. No clock, no disk, no git.

A field is declared here once, with the words of `orchestr.spec.declare`: its type and rule, its
default, its description, and in which parts of the file it may stand. From that come the strict
model and the JSON schema (`orchestr.spec.models`), the reading of defaults and the compiled form
(`orchestr.spec.rows`). The compiled form holds fields by position: new ones come last.

Reading and checking is `orchestr.spec.reader`'s job; past that door, code trusts these.
"""
# Types are real objects here, not texts: a warm start reads them without compiling each.

from dataclasses import dataclass
from typing import Annotated

from orchestr.spec import fields
from orchestr.spec.checks import (
    NOTHING,
    Contract,
    CrossCheck,
    Gate,
    ProofRequirements,
    Reviewer,
)
from orchestr.spec.declare import Doc, MayBeLeftOut, OnlyForAgents, StandsIn, TextItems
from orchestr.spec.own_phases import OwnPhase, arrange_phases, own_phases
from orchestr.spec.phases import LISTED, Action, Delivery, Phase
from orchestr.spec.product import Product, Statements, Structure
from orchestr.spec.pull_request import NO_OPTIONS, PullRequestOptions

NOWHERE = StandsIn()
IN_METADATA = StandsIn("metadata")
IN_DEFAULTS = StandsIn("cell", "defaults")
AUDIT = "audit"  # the last step of a feature that has one: `feature:NAME:audit`
AUDIT_ROUNDS = 4
LOCK_SUFFIX = ".lock.toml"  # in place of the spec's own


@dataclass(frozen=True, slots=True)
class Cell:
    """The smallest unit of work: one repository, one branch, one worktree, one agent.

    ``timeout`` and ``idle_timeout`` are seconds; None means the settings' value. Agent and
    model None mean the same. ``phases`` are those that the spec lists (worktree always runs),
    ours and those of one's own.
    ``proof`` is what must be shown: its fields stand beside the cell's own.
    """

    name: Annotated[fields.CellName, NOWHERE]  # the key of the mapping
    repo: Annotated[fields.RepoName, Doc("the repository's name", "my-repository")]
    branch: Annotated[fields.BranchName, MayBeLeftOut(), Doc("default: <key>-<cell>", "ABC-1-api")]
    todo: Annotated[
        tuple[fields.Text, ...],
        TextItems(),
        Doc("what the agent shall do, one text each", ["Add the key type"]),
    ] = ()
    depends_on: Annotated[
        fields.UniqueTexts, Doc("cells of this file whose code must be there first", ["proto"])
    ] = ()
    action: Annotated[Action, MayBeLeftOut(), Doc("`push`: no agent works")] = Action.AGENT
    title: Annotated[
        fields.Line | None, Doc("one line for the pull request", "Add the key type")
    ] = None
    base: Annotated[
        fields.BaseName | None,
        IN_DEFAULTS,
        Doc("branch, tag or commit that the work starts from", "main"),
    ] = None
    track_base: Annotated[
        bool, IN_DEFAULTS, Doc("whether a moved base makes the cell run again")
    ] = False
    agent: Annotated[
        fields.Word | None, IN_DEFAULTS, OnlyForAgents(), Doc("an entry of [agents.*]", "my-agent")
    ] = None
    model: Annotated[
        fields.Word | None, IN_DEFAULTS, OnlyForAgents(), Doc("passed to the agent", "my-model")
    ] = None
    timeout: Annotated[
        fields.Duration | None, IN_DEFAULTS, OnlyForAgents(), Doc("of an attempt", "30m")
    ] = None
    idle_timeout: Annotated[
        fields.Duration | None, IN_DEFAULTS, OnlyForAgents(), Doc("of an attempt's silence", "10m")
    ] = None
    owned_paths: Annotated[
        tuple[fields.Pattern, ...],
        Doc("gitignore patterns; changes outside are refused", ["src/**"]),
    ] = ()
    phases: Annotated[
        fields.Phases,
        IN_DEFAULTS,
        Doc("what is done, in this order; phases of one's own among them", ["implement", "check"]),
    ] = (
        Phase.IMPLEMENT,
        Phase.CHECK,
        Phase.REVIEW,
        Phase.PUBLISH,
    )
    proof: Annotated[ProofRequirements, NOWHERE] = NOTHING
    adopt: Annotated[
        bool, Doc("take a branch or pull request that names no cell as this one's")
    ] = False
    was: Annotated[
        fields.CellName | None,
        Doc("the cell's former name: what was built under it is kept", "old-name"),
    ] = None
    pull_request: Annotated[
        PullRequestOptions,
        IN_DEFAULTS,
        Doc("labels, people and milestone of its pull request", {"labels": ["sdk"]}),
    ] = NO_OPTIONS
    retry: Annotated[
        fields.Retries | None,
        IN_DEFAULTS,
        OnlyForAgents(),
        Doc("further attempts at its work after one that failed; default: the limits'", 2),
    ] = None
    options: Annotated[
        fields.PhaseTables,
        IN_DEFAULTS,
        OnlyForAgents(),
        Doc("how agents work in single phases", {"repair": {"effort": "high"}}),
    ] = ()
    agents: Annotated[
        fields.AgentChain,
        IN_DEFAULTS,
        OnlyForAgents(),
        Doc("instead of `agent`: after one that failed the next works", ["my-agent", "other"]),
    ] = ()
    max_wait: Annotated[
        fields.Duration | None,
        IN_DEFAULTS,
        OnlyForAgents(),
        Doc("how long a usage limit is waited for before the next of `agents` works", "30m"),
    ] = None
    best_of: Annotated[
        fields.SideBySide,
        IN_DEFAULTS,
        OnlyForAgents(),
        Doc("so many attempts side by side, of which the best is taken", 3),
    ] = None

    @property
    def has_plan_phase(self) -> bool:
        """Whether an agent writes a plan before the work starts."""
        works = self.action is Action.AGENT and Phase.IMPLEMENT in self.phases
        return works and (Gate.PLAN in self.proof.approve or Phase.PLAN in self.phases)

    @property
    def has_plan_gate(self) -> bool:
        """Whether a person approves the plan before the work starts."""
        return self.has_plan_phase and Gate.PLAN in self.proof.approve

    @property
    def own_phases(self) -> tuple[OwnPhase, ...]:
        """The phases of one's own that the spec lists, in their order."""
        return own_phases(self.phases)

    @property
    def task_phases(self) -> tuple[str, ...]:
        """The names of the phases that this cell has tasks for, in the order in which they run."""
        usual = tuple(Phase) if self.has_plan_phase else LISTED
        return arrange_phases(usual, self.phases) if self.own_phases else usual


@dataclass(frozen=True, slots=True)
class Feature:
    """What one spec file describes. ``key`` is the Jira key, else the name.

    ``cells`` stand in the order of the file. ``path`` is the spec file, relative to the
    workspace. ``digest`` is the sha256 of its bytes; ``parts`` are the files that it takes in, each
    with the sha256 of its bytes.
    """

    name: Annotated[fields.FeatureName, IN_METADATA, Doc("unique in the workspace", "my-feature")]
    key: Annotated[str, NOWHERE]
    title: Annotated[
        fields.Line,
        IN_METADATA,
        MayBeLeftOut(),
        Doc("one line for people; default: the name", "Keys that last"),
    ]
    cells: Annotated[tuple[Cell, ...], NOWHERE]
    jira: Annotated[
        fields.Key | None, IN_METADATA, Doc("key for branch names; else the name is used", "ABC-1")
    ] = None
    created: Annotated[fields.Line | None, IN_METADATA, Doc("a date, for people", "2026-05-18")] = (
        None
    )
    scenarios: Annotated[
        tuple[fields.Line, ...],
        TextItems(),
        Doc(
            "acceptance scenarios, for prompts and pull requests",
            ["a key made by Java is read by Go"],
        ),
    ] = ()
    delivery: Annotated[Delivery, Doc("`merge`: `run` lands the feature at its end")] = Delivery.PR
    cross_checks: Annotated[
        tuple[CrossCheck, ...],
        Doc(
            "checks on the merge of all cell heads of a repository",
            [{"kind": "command", "repo": "app", "run": ["make", "test"]}],
        ),
    ] = ()
    contracts: Annotated[
        tuple[Contract, ...],
        Doc("paths that only one cell may change", [{"path": "api/**", "owner": "api"}]),
    ] = ()
    path: Annotated[str, NOWHERE] = ""
    digest: Annotated[str, NOWHERE] = ""
    was: Annotated[
        fields.FeatureName | None,
        IN_METADATA,
        Doc("the feature's former name: what was built under it is kept", "old-name"),
    ] = None
    type: Annotated[
        fields.CommitType | None,
        IN_METADATA,
        Doc("type of a conventional commit, for titles; default: `feat`", "fix"),
    ] = None
    siblings_in_ci: Annotated[
        bool, Doc("`true`: each pull request names those of the other repositories for its CI")
    ] = False
    parts: Annotated[tuple[tuple[str, str], ...], NOWHERE] = ()
    intent: Annotated[
        fields.Text | None, Doc("why the feature is wanted, for agents", "Keys outlive quantum.")
    ] = None
    product: Annotated[Product | None, Doc("what kind of thing it makes or changes", "cli")] = None
    structure: Annotated[
        Structure | None,
        Doc(
            "what of the product can be seen from outside; its fields follow from `product`",
            {"entrypoint": "keys", "commands": [{"name": "keys list"}]},
        ),
    ] = None
    done_means: Annotated[
        Statements, Doc("what holds when it is done", ["a key made by Java is read by Go"])
    ] = ()
    non_goals: Annotated[
        Statements, Doc("what is not part of it", ["hybrid keys", "a migration of old keys"])
    ] = ()
    lock: Annotated[
        bool, Doc("`true`: the first run writes a lock, and later changes of it need an amendment")
    ] = False

    auditors: Annotated[
        tuple[Reviewer, ...],
        Doc("agents that judge the merged work of all cells at its end", [{"agent": "my-agent"}]),
    ] = ()
    audit_rounds: Annotated[int | None, NOWHERE] = None  # `repair: {audit: N}`

    @property
    def has_audit(self) -> bool:
        """Whether the feature ends with an audit: it has auditors, or repairs its cross checks."""
        return bool(self.auditors or (self.cross_checks and self.audit_rounds is not None))

    @property
    def most_audit_rounds(self) -> int:
        """How many times a red audit may send work back to its owners."""
        return AUDIT_ROUNDS if self.audit_rounds is None else self.audit_rounds

    @property
    def lock_path(self) -> str:
        """The path of its lock, whether or not there is one, relative to the workspace."""
        return self.path.rpartition(".")[0] + LOCK_SUFFIX

    def cell(self, name: str) -> Cell:
        """The cell of that name. Raises KeyError."""
        for cell in self.cells:
            if cell.name == name:
                return cell
        raise KeyError(name)
