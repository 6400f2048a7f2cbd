"""The settings as frozen records. `loader` reads and checks them.

A setting is declared here once: a field with one of the types of `orchestr.settings.keys`, its
built-in value and its description. `orchestr.settings.sections` makes the table of keys from that,
and the table of keys the variables. A field without a `Key` is no setting.
"""
# Types are real objects here, not texts: every start makes the table of keys from them.

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from orchestr.settings import keys
from orchestr.settings.forge_records import ForgeSettings
from orchestr.settings.kinds import AGENT_KINDS
from orchestr.settings.landing_records import LandingSettings
from orchestr.settings.limit_records import LimitSettings, SandboxSettings
from orchestr.settings.machine_records import CheckSettings, McpServer, PortSettings
from orchestr.settings.news_records import DraftSettings, FollowSettings, NotifySettings
from orchestr.settings.trust_words import Trust
from orchestr.spec.agent_options import MOST_TURNS, AgentOptions, RoleOptions
from orchestr.spec.checks import CheckDef
from orchestr.spec.declare import Doc
from orchestr.spec.own_phases import OwnPhase


@dataclass(frozen=True, slots=True)
class WorkspaceSettings:
    """Where things lie; every path is absolute."""

    root: Path
    specs: Annotated[
        Path, keys.path_key("specs"), Doc("folder of the specs (`*.yaml`, `*.yml`)", "specs")
    ]
    state: Annotated[
        Path, keys.path_key(".orchestr"), Doc("everything that orchestr keeps", ".orchestr")
    ]
    worktrees: Annotated[
        Path,
        keys.path_key("<state>/worktrees"),
        Doc("`<state>` stands for the state folder", "../worktrees"),
    ]
    repos: Annotated[
        Path, keys.path_key(".."), Doc("where a repository named in a spec is looked for", "..")
    ]
    unsigned: Annotated[keys.Flag, Doc("`true`: commits in agents' worktrees are not signed")] = (
        False
    )
    prompt: Annotated[
        Path | None,
        keys.path_key(),
        Doc("template of the agents' prompt; default: built in", "prompts/cell.md.j2"),
    ] = None
    trailers: Annotated[
        keys.Trailers, Doc("lines that end every commit message", ["Signed-off-by: A Name <a@b.c>"])
    ] = ()
    raw_logs: Annotated[
        keys.Flag, Doc("`true`: transcripts, prompts and logs on the disk keep their secrets")
    ] = False


@dataclass(frozen=True, slots=True)
class RepoSettings:
    """What is known of one repository; all of it is optional."""

    name: str
    path: Annotated[Path | None, keys.path_key(), Doc("where this repository lies", "../app")] = (
        None
    )
    remote: Annotated[keys.Word, Doc("the remote where branches are pushed to", "company")] = (
        "origin"
    )
    upstream: Annotated[
        keys.Word | None,
        Doc("where `remote` is a fork: the remote where pull requests open", "upstream"),
    ] = None
    url: Annotated[
        keys.CloneAddress | None,
        Doc("clone it from here, once, when it is needed", "https://github.com/my-org/app"),
    ] = None
    create: Annotated[keys.Texts, Doc("or make it with this command, once", ["make", "clone"])] = ()
    base: Annotated[
        keys.Ref | None, Doc("what cells start from; default: the remote's default branch", "main")
    ] = None
    tools: Annotated[
        keys.Texts, Doc("commands that the agent may use; default: by its files", ["go", "make"])
    ] = ()
    setup: Annotated[keys.Texts, Doc("shell commands after the checkout", ["npm ci"])] = ()
    teardown: Annotated[
        keys.Texts, Doc("shell commands before the removal of a checkout", ["docker compose down"])
    ] = ()
    setup_timeout: Annotated[
        keys.Duration | None, Doc("the limit of each of these; default: `limits.timeout`", "10m")
    ] = None
    link: Annotated[keys.InnerPaths, Doc("paths that each worktree gets as links", [".env"])] = ()
    copy: Annotated[keys.InnerPaths, Doc("paths that each worktree gets as copies", [".env"])] = ()
    cache: Annotated[
        keys.InnerPaths,
        Doc("paths that stay in check worktrees while the lock files do", ["node_modules"]),
    ] = ()
    checks: Annotated[
        tuple[CheckDef, ...],
        keys.CHECKS,
        Doc(
            "checks for every cell, before the cell's own",
            [{"kind": "command", "run": ["make", "test"]}],
        ),
    ] = ()
    checks_in: Annotated[
        str,
        keys.choice("checkout", "worktree"),
        Doc("where a cell's checks run: in a clean checkout of the commit, or where its agent did"),
    ] = "checkout"
    detect: Annotated[keys.Flag, Doc("run what was detected when nothing is configured")] = False
    land_checks: Annotated[
        keys.Texts, Doc("shell commands that must be green on what lands", ["make test"])
    ] = ()
    strategy: Annotated[
        keys.Strategy | None, Doc("how changes land; default: `landing.strategy`", "squash")
    ] = None
    land: Annotated[
        keys.Land | None, Doc("how a target moves; default: `landing.land`", "push")
    ] = None
    land_requires: Annotated[
        keys.Requirements | None,
        Doc("what its pull requests must have; default: `landing.land_requires`", ["checks"]),
    ] = None
    forge: Annotated[
        keys.ForgeKindName | None, Doc("where its pull requests live; default: `forge.kind`")
    ] = None
    forge_url: Annotated[
        keys.Address | None,
        Doc("the address of its forge; default: `forge.url`", "https://git.example.org/forge"),
    ] = None
    generated: Annotated[
        keys.Generated,
        Doc(
            "files that a command writes: after a conflict it is run again",
            [{"paths": ["api.pb.go"], "run": ["make", "proto"]}],
        ),
    ] = ()
    union: Annotated[
        keys.PathPatterns,
        Doc("files of which a conflict may keep both sides' lines", ["CHANGELOG.md"]),
    ] = ()
    trust: Annotated[
        Trust,
        Doc(
            "what of their own settings in it agents obey: `true`, all of it (hooks, MCP servers, "
            "changed guides), or some of `guides`, `skills`, `agents`, `rules`, `hooks`, `mcp`",
            ["skills", "rules"],
        ),
    ] = ()
    disjoint: Annotated[
        keys.Flag, Doc("changes of different paths are not checked on each other")
    ] = False
    commits: Annotated[
        str,
        keys.choice("auto", "conventional", "plain"),
        Doc("how subjects are written; `auto`: as the base's history shows"),
    ] = "auto"
    trailers: Annotated[
        keys.Trailers | None,
        Doc("instead of `workspace.trailers`", ["Signed-off-by: A Name <a@b.c>"]),
    ] = None  # None: those of the workspace
    commit_subject: Annotated[
        keys.Subject | None, Doc("the form of a subject, instead of `commits`", "{key}: {title}")
    ] = None
    test_paths: Annotated[
        keys.PathPatterns,
        Doc(
            "which files are tests (gitignore patterns), for `test_first`", ["tests/", "*_test.go"]
        ),
    ] = ()  # none: by names and folders
    allow_links_back: Annotated[
        keys.Flag,
        Doc("checks count although `link` or `copy` brings what leads back to the main checkout"),
    ] = False

    pass_env: Annotated[
        keys.Variables,
        Doc(
            "variables with secrets of yours that its set-up may see in the sandbox", ["NPM_TOKEN"]
        ),
    ] = ()
    network: Annotated[
        keys.Network | None,
        Doc("what its checks may reach in the sandbox; default: `all`", ["pypi.org"]),
    ] = None


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """One entry of ``[agents.*]``; ``retry_*`` are seconds (waiting for a usage limit).

    Agents of one ``provider`` wait for its usage limits together, see `limit_pool`.
    """

    name: str
    kind: Annotated[keys.AgentKindName, Doc("what sort of agent it is", "claude")]
    run: Annotated[
        keys.Texts, Doc("kind `command`: the command", ["python3", "tools/agent.py"])
    ] = ()
    program: Annotated[
        keys.Text | None, Doc("the other kinds: the program; default: the kind", "claude-next")
    ] = None
    model: Annotated[keys.Word | None, Doc("the model for cells that name none", "my-model")] = None
    args: Annotated[keys.Texts, Doc("further words of the command", ["--verbose"])] = ()
    env: Annotated[keys.Environment, Doc("variables to set (not `ORCHESTR_*`)", {"CI": "1"})] = (
        field(default_factory=lambda: MappingProxyType({}))
    )
    pass_env: Annotated[
        keys.Variables, Doc("variables of yours that it may see", ["MY_API_KEY"])
    ] = ()
    paid: Annotated[
        keys.Flag | None, Doc("whether starting it must be confirmed; default: all but `command`")
    ] = None
    retry_after: Annotated[keys.Duration, Doc("first wait at a usage limit", "30s")] = 30.0
    retry_max: Annotated[keys.Duration, Doc("longest wait at a usage limit", "10m")] = 600.0
    retry_for: Annotated[
        keys.Duration,
        Doc("how long failing servers and lost connections are tried again in a session", "15m"),
    ] = 900.0
    price_input_usd: Annotated[
        keys.Price | None, Doc("dollars per million tokens, where the agent names no cost", 3.0)
    ] = None
    price_output_usd: Annotated[
        keys.Price | None, Doc("dollars per million tokens, where the agent names no cost", 15.0)
    ] = None
    price_cached_usd: Annotated[
        keys.Price | None, Doc("input that was read from a cache; default: as other input", 0.3)
    ] = None
    sandbox: Annotated[
        str | None, keys.choice("workspace-write", "danger-full-access"), Doc("codex: its sandbox")
    ] = None
    sign: Annotated[
        str, keys.choice("auto", "off"), Doc("`auto`: as you have it; `off`: no signed commits")
    ] = "auto"
    provider: Annotated[
        keys.Word | None,
        Doc("agents of one provider wait for its usage limits together", "my-provider"),
    ] = None

    network: Annotated[
        keys.Network | None,
        Doc("`all`, `none`, or hosts that it may reach beside its own", ["docs.example.org"]),
    ] = None
    effort: Annotated[
        keys.Word | None, Doc("how much it thinks, in the agent's own words", "high")
    ] = None
    fallback_model: Annotated[
        keys.Word | None, Doc("the model where the first one is overloaded", "my-small-model")
    ] = None
    mcp: Annotated[
        keys.Words | None, Doc("MCP servers that it gets, entries of [mcp.*]", ["docs"])
    ] = None
    max_turns: Annotated[
        int | None, keys.count(1, MOST_TURNS), Doc("it ends after so many turns", 40)
    ] = None
    phases: Annotated[
        tuple[RoleOptions, ...],
        keys.PHASE_OPTIONS,
        Doc("options for single phases", {"repair": {"effort": "high"}}),
    ] = ()

    @property
    def common_options(self) -> AgentOptions:
        """What holds for all its work. Its ``args`` stand before those of a phase in any case."""
        return AgentOptions(
            self.model, self.effort, self.fallback_model, self.mcp, max_turns=self.max_turns
        )

    stream: Annotated[
        str | None,
        keys.choice("claude", "codex", "gemini", "opencode"),
        Doc("kind `command`: whose stream of events it writes", "claude"),
    ] = None
    resume: Annotated[
        keys.Texts,
        Doc("with `stream`: words that resume `{session}`", ["--resume", "{session}"]),
    ] = ()

    @property
    def limit_pool(self) -> str:
        """Whose usage limit it shares: its provider; of a kind that may have any, its own."""
        return self.provider or AGENT_KINDS.load(self.kind).provider or self.name


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. ``default_agent`` is the one named, else the only one declared."""

    workspace: WorkspaceSettings
    repos: Mapping[str, RepoSettings]
    agents: Mapping[str, AgentSettings]
    limits: LimitSettings = field(default_factory=LimitSettings)
    forge: ForgeSettings = field(default_factory=ForgeSettings)
    checks: CheckSettings = field(default_factory=CheckSettings)
    ports: PortSettings = field(default_factory=PortSettings)
    default_agent: str | None = None
    landing: LandingSettings = field(default_factory=LandingSettings)
    notify: NotifySettings = field(default_factory=NotifySettings)
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
    follow: FollowSettings = field(default_factory=FollowSettings)
    phases: Mapping[str, OwnPhase] = field(default_factory=lambda: MappingProxyType({}))
    draft: DraftSettings = field(default_factory=DraftSettings)
    mcp: Mapping[str, McpServer] = field(default_factory=lambda: MappingProxyType({}))

    def repo_settings(self, name: str) -> RepoSettings:
        """What is known of a repository; an undeclared one has only its name."""
        return self.repos.get(name) or RepoSettings(name)
