"""The settings as frozen records. `loader` reads and checks them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from orchestr.settings.keys import NEWS
from orchestr.settings.kinds import AGENT_KINDS
from orchestr.spec.checks import CheckDef


@dataclass(frozen=True, slots=True)
class WorkspaceSettings:
    """Where things lie; every path is absolute."""

    root: Path
    specs: Path
    state: Path
    worktrees: Path
    repos: Path
    unsigned: bool = False
    prompt: Path | None = None
    trailers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RepoSettings:
    """What is known of one repository; all of it is optional."""

    name: str
    path: Path | None = None
    url: str | None = None
    create: tuple[str, ...] = ()
    base: str | None = None
    tools: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    teardown: tuple[str, ...] = ()
    setup_timeout: float | None = None
    link: tuple[str, ...] = ()
    copy: tuple[str, ...] = ()
    checks: tuple[CheckDef, ...] = ()
    detect: bool = False
    land_checks: tuple[str, ...] = ()
    strategy: str | None = None
    land: str | None = None
    disjoint: bool = False
    commits: str = "auto"
    trailers: tuple[str, ...] | None = None  # None: those of the workspace


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """One entry of ``[agents.*]``; ``retry_*`` are seconds (waiting for a usage limit).

    ``price_*`` are dollars per million tokens, ``sign`` is `auto` (as the user has it) or `off`.
    Agents of one ``provider`` wait for its usage limits together, see `limit_pool`.
    """

    name: str
    kind: str
    run: tuple[str, ...] = ()
    program: str | None = None
    model: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    pass_env: tuple[str, ...] = ()
    paid: bool | None = None
    retry_after: float = 30.0
    retry_max: float = 600.0
    price_input_usd: float | None = None
    price_output_usd: float | None = None
    price_cached_usd: float | None = None
    sandbox: str | None = None
    sign: str = "auto"
    provider: str | None = None

    @property
    def limit_pool(self) -> str:
        """Whose usage limit it shares: its provider; of a kind that may have any, its own."""
        return self.provider or AGENT_KINDS.load(self.kind).provider or self.name


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Bounds of a run: agents at once, seconds, free disk in MiB.

    ``budget_*`` are dollars and tokens for each feature, ``attempt_*`` for each attempt.
    """

    jobs: int = 3
    timeout: float = 1800.0
    idle_timeout: float = 600.0
    after_result: float = 60.0
    grace: float = 10.0
    budget_usd: float | None = None
    min_disk_mb: int = 500
    budget_tokens: int | None = None
    attempt_usd: float | None = None
    attempt_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """How many checks run at once, over the workspace."""

    jobs: int = 2


@dataclass(frozen=True, slots=True)
class PortSettings:
    """The ports that cells may get: ``slots`` blocks of ten from ``base`` on."""

    base: int = 9000
    slots: int = 20


@dataclass(frozen=True, slots=True)
class ForgeSettings:
    """Where pull requests live, and whether they start as drafts.

    ``program`` is the client of kind ``github`` (None: ``gh``), ``patience`` the seconds that
    one of its requests may wait for an answer.
    """

    kind: str = "local"
    draft: bool = True
    program: str | None = None
    patience: float = 300.0


@dataclass(frozen=True, slots=True)
class LandingSettings:
    """How the merge queue works (docs/landing.md). ``jobs``: checks at once; ``land``: how a
    target is moved, None: as the forge does it.
    """

    strategy: str = "merge"
    land: str | None = None
    window: int = 20
    floor: int = 3
    batch: int = 1
    jobs: int = 2
    repairs: int = 2
    disjoint: bool = False
    delete_branches: bool = False
    keep_worktrees: bool = False


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """Who is told of a run's news, by a command and by a POST to ``url``. None by default.

    ``timeout`` is what one of them may take, ``pass_env`` what the command may see.
    """

    command: tuple[str, ...] = ()
    url: str | None = None
    on: tuple[str, ...] = NEWS
    timeout: float = 10.0
    pass_env: tuple[str, ...] = ()

    @property
    def is_enabled(self) -> bool:
        return bool((self.command or self.url) and self.on)


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

    def repo_settings(self, name: str) -> RepoSettings:
        """What is known of a repository; an undeclared one has only its name."""
        return self.repos.get(name) or RepoSettings(name)
