"""What a phase is given: the run it belongs to, its cell, and the ways into the world.

A `FeatureRun` is one command of a user on one feature; a `CellContext` is one cell in it. Phases
get nothing else: no globals, no cwd.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestr.cell.baseline import UnseenPaths, read_baseline
from orchestr.cell.kit import NO_KIT, KitPaths, find_kit_paths
from orchestr.cell.origin_looks import BaseFetch, RemoteHeads
from orchestr.cell.seal_results import seal_results
from orchestr.cell.slots import ProviderPause, SlotPool
from orchestr.errors import DiskFull, FinalFailure, Interrupted, OrchestrError, PhaseFailed
from orchestr.plan.dag import CellPlan, FeaturePlan
from orchestr.process.inside import Surrounding, mark_inside
from orchestr.settings.records import AgentSettings, RepoSettings, Settings
from orchestr.settings.repo_paths import repo_path
from orchestr.spec.agent_options import RoleOptions
from orchestr.spec.phases import Phase
from orchestr.spec.records import Cell, Feature
from orchestr.state.events import Event, EventKind
from orchestr.state.journal import Journal, utc_timestamp
from orchestr.state.layout import WorkspaceLayout, check_disk
from orchestr.state.replay import FeatureView
from orchestr.state.results import HeadRecord, WorktreeMarker

if TYPE_CHECKING:  # `list` and a run with nothing to do need none of them
    from orchestr.agents import Agent
    from orchestr.cell.budget import FeatureBudget, RunBudget
    from orchestr.forges.base import Forge, PullRequest, RepoRef
    from orchestr.git.repo import Repo
    from orchestr.state.registry import Registry

ENDINGS = (EventKind.PHASE_FAILED, EventKind.CELL_BLOCKED, EventKind.RUN_FINISHED)
GIT_RECORD = "git-commands.jsonl"  # in a cell's folder, see `orchestr.git.trace`
ABORT = "abort"  # in a cell's folder: a request to stop that cell, see `orchestr abort`


@dataclass(frozen=True, slots=True)
class Overrides:
    """Of the command line; they count for attempts that start anyway, never for a digest."""

    model: str | None = None
    agent: str | None = None
    timeout: float | None = None
    ignore_deps: bool = False
    effort: str | None = None
    options: tuple[RoleOptions, ...] = ()


FOLLOWED_BY = "ORCHESTR_FOLLOWED_BY"  # the variable of a run that `follow` begins: its id


@dataclass(slots=True)
class FeatureRun:
    """One feature in one run. ``listener`` sees every event after the journal has it."""

    settings: Settings
    layout: WorkspaceLayout
    feature: Feature
    plan: FeaturePlan
    journal: Journal
    id: str = ""
    overrides: Overrides = field(default_factory=Overrides)
    stop: threading.Event = field(default_factory=threading.Event)
    kill: threading.Event = field(default_factory=threading.Event)
    listener: Callable[[Event], None] | None = None
    pools: dict[str, SlotPool] = field(default_factory=dict)
    seen: dict[str, tuple[PullRequest, ...]] = field(default_factory=dict)
    foreign_prs: dict[str, tuple[PullRequest, ...]] = field(default_factory=dict)  # of other cells
    forge_away: dict[str, str] = field(default_factory=dict)
    forge_hints: dict[str, str] = field(default_factory=dict)
    unobserved: set[str] = field(default_factory=set)  # repositories that are not cloned yet
    unobserved_lock: threading.Lock = field(default_factory=threading.Lock)
    past: FeatureView = field(default_factory=FeatureView)  # what the journal said at the start
    past_size: int = 0
    purse: RunBudget | None = None  # of the command, over all its features
    waits: dict[str, float] = field(default_factory=dict)  # cell -> the pause that was shown for it
    fetches: dict[tuple[str, str], BaseFetch] = field(default_factory=dict)  # by repository, base
    origins: dict[str, RemoteHeads] = field(default_factory=dict)  # by repository
    landing: bool = False  # it lands: nothing in it waits for a person
    followed: bool = False  # `follow` has begun it: what a person closed stays closed
    sent_back: bool = False  # its audit has sent work back: the tasks run once more
    at_work: int = 0  # phases under way, without those that wait at a gate
    _counting: threading.Lock = field(default_factory=threading.Lock)
    _forge: Forge | None = None
    _budget: FeatureBudget | None = None
    _agents: dict[str, Agent] = field(default_factory=dict)
    _cells: dict[str, CellContext] = field(default_factory=dict)

    def emit(self, kind: EventKind, *, cell: str = "", phase: str = "", attempt: int = 0,
             **data: Any) -> None:  # fmt: skip
        """Journal one event, then show it."""
        event = Event(kind, utc_timestamp(), self.id, self.feature.name, cell, phase, attempt, data)
        try:
            self.journal.append(event)
        except OSError:
            if kind not in ENDINGS:  # on a full disk nothing begins, but what ended is still told
                raise
        if self.listener is not None:
            with suppress(Exception):  # progress is a courtesy: it must not fail a phase
                self.listener(event)

    @contextmanager
    def count_as_working(self) -> Iterator[None]:
        """Around a phase: it counts as at work."""
        self._add_at_work(1)
        try:
            yield
        finally:
            self._add_at_work(-1)

    @contextmanager
    def pause_counting(self) -> Iterator[None]:
        """Inside of `count_as_working`: this phase only waits for a person."""
        self._add_at_work(-1)
        try:
            yield
        finally:
            self._add_at_work(1)

    def _add_at_work(self, by: int) -> None:
        with self._counting:
            self.at_work += by

    @property
    def is_single_cell(self) -> bool:
        """Whether the feature is one cell: then nothing else can be about to start."""
        return len(self.feature.cells) == 1

    def cell_context(self, name: str) -> CellContext:
        """The context of one cell, made once."""
        if name not in self._cells:
            plans = {p.name: p for p in self.plan.cells}
            for cell in self.feature.cells:
                self._cells[cell.name] = CellContext(self, cell, plans[cell.name])
        return self._cells[name]

    def agent_adapter(self, name: str) -> Agent:
        """The adapter of that name, made once."""
        if name not in self._agents:
            from orchestr.agents import make_agent

            self._agents[name] = make_agent(self.settings, name)
        return self._agents[name]

    def slot_pool(self, name: str) -> SlotPool:
        """The slots of that name; `agents` has `limits.jobs` of them, `checks` `checks.jobs`."""
        if name not in self.pools:
            size = self.settings.limits.jobs if name != "checks" else self.settings.checks.jobs
            self.pools[name] = SlotPool(self.layout.locks_dir, name, size)
        return self.pools[name]

    @property
    def budget(self) -> FeatureBudget:
        """The feature's ledger and limits, made once, after the past is known."""
        if self._budget is None:
            from orchestr.cell.budget import FeatureBudget

            limits = self.settings.limits
            self._budget = FeatureBudget(self.feature.name, limits, self.past, self.purse)
        return self._budget

    @property
    def forge(self) -> Forge:
        """The forge of the workspace, made once."""
        if self._forge is None:
            from orchestr.forges import make_forge

            self._forge = make_forge(self.settings, self.stop, self._emit_forge_wait)
        return self._forge

    def share_forge(self, other: FeatureRun) -> None:
        """Ask the forge through another run: one process then counts its questions in one place."""
        self._forge = other.forge

    def _emit_forge_wait(self, host: str, reason: str, wait: float) -> None:
        self.emit(EventKind.FORGE_WAITS, host=host, reason=reason, wait_s=round(wait, 1))

    @property
    def forge_usage(self) -> dict[str, Any]:
        """What this run asked of a forge with a quota, for the journal; empty for none."""
        usage = self._forge.usage if self._forge is not None else None
        if usage is None or not usage.requests:
            return {}
        return {"forge": {"requests": usage.requests, "points": usage.points,
                          "remaining": usage.remaining}}  # fmt: skip

    @property
    def registry(self) -> Registry:
        from orchestr.state.registry import Registry

        return Registry.of_workspace(self.layout)


class CellContext:
    """One cell of a run: its paths, repository, settings and events."""

    def __init__(self, run: FeatureRun, cell: Cell, plan: CellPlan) -> None:
        self.run, self.cell, self.plan = run, cell, plan
        self.name = f"{run.feature.name}:{cell.name}"
        self.phase_digests: dict[str, str] = {}  # see `orchestr.cell.inputs`
        self._worktree_repo: tuple[UnseenPaths, Repo] | None = None
        self.find_records()

    def find_records(self) -> None:
        """Set the paths and the key of its records, where they are now (`WorkspaceLayout`)."""
        layout, feature = self.run.layout, self.run.feature.name
        self.dir: Path = layout.cell_dir(feature, self.cell.name)
        self.worktree: Path = layout.worktree_dir(feature, self.cell.name)
        self.key: str = layout.key_of(feature, self.cell.name)
        name, is_run = self.cell.name, lambda: bool(self.run.id)
        seal_results(self.dir, self.run.journal, name, self.emit, is_run)

    @property
    def repo_settings(self) -> RepoSettings:
        return self.run.settings.repo_settings(self.cell.repo)

    @property
    def repo_path(self) -> Path:
        return repo_path(self.run.settings, self.cell.repo)

    @cached_property
    def repo(self) -> Repo:
        """The main clone. Raises PhaseFailed when it is not there."""
        from orchestr.git.open_clone import open_clone

        path = self.repo_path
        if not path.is_dir():
            raise self.fail(
                f"repository {self.cell.repo!r} is not at {path}",
                hint=f"clone it there, or set [repos.{self.cell.repo}] path or url",
            )
        repo = open_clone(self.run.settings, self.cell.repo)
        if (why := repo.explain_unusable()) is not None:
            raise self.fail(why[0], hint=why[1] or f"set [repos.{self.cell.repo}] path to a clone")
        return repo

    @property
    def repo_ref(self) -> RepoRef:
        from orchestr.forges.repo_refs import make_repo_ref

        return make_repo_ref(self.run.settings, self.cell.repo)

    @property
    def git_record(self) -> Path:
        """Where the git of the cell's agents and checks writes down what it does."""
        return self.dir / GIT_RECORD

    def mark_inside(self, role: str, attempt: int = 0) -> dict[str, str]:
        """The variable by which our verbs know that they are called inside this cell's work."""
        layout = self.run.layout
        here = Surrounding(str(layout.root), str(layout.state), self.key, role, attempt)
        return mark_inside(here)

    @property
    def kit(self) -> KitPaths:
        """What is linked or copied into the cell's worktree and belongs to no commit."""
        settings = self.repo_settings
        if not settings.link and not settings.copy:
            return NO_KIT
        marker = WorktreeMarker.read(self.dir)
        entry = None if marker else self.run.registry.lookup(self.key)
        return find_kit_paths(settings, self.repo, getattr(marker or entry, "base", None))

    @property
    def unseen(self) -> UnseenPaths:
        """What git in the cell's worktree passes over: the kit's paths, and what set-up left."""
        ports = self.cell.proof.ports
        return UnseenPaths(self.worktree, self.kit, read_baseline(self.dir), ports)

    @property
    def worktree_repo(self) -> Repo:
        """The cell's own worktree as a git directory, with the user's excludes and ours."""
        from orchestr.git.agent_environment import exclude_config
        from orchestr.git.repo import Repo

        unseen = self.unseen
        if self._worktree_repo is None or self._worktree_repo[0] != unseen:
            config = exclude_config(self.repo, self.run.layout.excludes_file, unseen.patterns)
            limit = min(self.timeout, 900.0)  # a commit hook may hang as an agent may
            repo = Repo(self.worktree, config=config | self.sign_config, timeout=limit,
                        unseen=None if unseen.is_empty else unseen)  # fmt: skip
            self._worktree_repo = (unseen, repo)
        return self._worktree_repo[1]

    @property
    def worktree_owner(self) -> Repo:
        """The main clone with the excludes of the worktree: who asks it whether a worktree is
        dirty gets the answer of the worktree itself."""
        return self.worktree_repo.at_path(self.repo.path)

    @property
    def sign_config(self) -> dict[str, str]:
        """Settings of git that switch signing off in this cell's worktree, where asked for."""
        agent = self.run.settings.agents.get(self.run.overrides.agent or self.agent_name)
        if not self.run.settings.workspace.unsigned and (agent is None or agent.sign != "off"):
            return {}
        return {"commit.gpgSign": "false", "tag.gpgSign": "false"}

    @property
    def agent_name(self) -> str:
        """By spec or settings; the command line counts only for attempts that start."""
        return self.cell.agent or self.run.settings.default_agent or ""

    @property
    def agent_settings(self) -> AgentSettings:
        return self.run.settings.agents[self.run.overrides.agent or self.agent_name]

    @property
    def agent(self) -> Agent:
        return self.run.agent_adapter(self.agent_settings.name)

    def provider_pause(self, name: str) -> ProviderPause:
        """The pause of an agent's provider after a usage limit."""
        agent = self.run.settings.agents[name]
        return ProviderPause(
            self.run.layout.locks_dir, agent.limit_pool, agent.retry_after, agent.retry_max
        )

    @property
    def has_checks(self) -> bool:
        """Whether the cell has checks, by spec and settings."""
        repo = self.repo_settings
        listed = Phase.CHECK in self.cell.phases
        detect = repo.detect and not self.cell.proof.no_checks
        return listed and bool(repo.checks or self.cell.proof.checks or detect)

    @property
    def has_landing_checks(self) -> bool:
        """Whether anything is checked of what the cell lands, by spec and settings."""
        return self.has_checks or bool(self.repo_settings.land_checks)

    @property
    def checks_in_worktree(self) -> bool:
        """Whether its checks run in the author's worktree, by the settings."""
        return self.repo_settings.checks_in == "worktree"

    @property
    def timeout(self) -> float:
        limits = self.run.settings.limits
        return self.run.overrides.timeout or self.cell.timeout or limits.timeout

    @property
    def priority(self) -> float:
        return self.run.plan.priority[self.cell.name]

    def upstreams(self) -> list[CellContext]:
        """Every direct upstream, in the order of the spec."""
        return [self.run.cell_context(name) for name in self.plan.upstreams]

    def read_head(self) -> HeadRecord | None:
        return HeadRecord.read(self.dir)

    def emit(self, kind: EventKind, *, phase: str = "", attempt: int = 0, **data: Any) -> None:
        self.run.emit(kind, cell=self.cell.name, phase=phase, attempt=attempt, **data)

    def is_cancelled(self) -> bool:
        """Whether this run, or this cell alone, was asked to stop."""
        return self.run.stop.is_set() or (self.dir / ABORT).exists()

    def check_cancelled(self) -> None:
        """Raises Interrupted when asked to stop."""
        if self.run.stop.is_set():
            raise Interrupted("stopped", cell=self.name)
        if (self.dir / ABORT).exists():
            raise Interrupted("aborted", hint=f"orchestr run {self.name}", cell=self.name)

    def check_budget(self, attempt: int | str | None = None) -> None:
        """Raises PhaseFailed with the figure when nothing more may be started."""
        why = self.run.budget.reached_reason(self.cell.name, attempt)
        if why is not None:
            what = self.run.budget.where_to_raise(self.cell.name, attempt)
            hint = f"raise {what}, then: orchestr run {self.name}"
            raise FinalFailure(why, hint=hint, cell=self.name)

    def check_disk_room(self) -> None:
        """Raises NoRoom while less than `limits.min_disk_mb` is free: no agent is paid to fail."""
        short = check_disk(self.run.layout.state, self.run.settings.limits.min_disk_mb)
        if short is not None:
            raise DiskFull(short, cell=self.name)

    def fail(self, message: str, *, hint: str | None = None) -> OrchestrError:
        """The error to raise for this cell."""
        return PhaseFailed(message, hint=hint, cell=self.name)


def observed_prs(run: FeatureRun, cell: Cell) -> tuple[PullRequest, ...]:
    """The pull requests of a cell's branch as this run saw them at its start, without those whose
    markers name another cell."""
    return run.seen.get(f"{cell.repo}:{cell.branch}", ())
