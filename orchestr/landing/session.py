"""What a landing knows: its features, the queue, what is under way, and the looks at the origin.

Owns the state that the modules of a landing share. `orchestr.landing.land` changes it and is the
only caller of the modules that take a `LandingSession`; they import this module and never that one.
Looking fetches a target and moves remote-tracking refs; nothing else is changed here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from orchestr.cell.context import CellContext, FeatureRun
from orchestr.git.bases import keep_base
from orchestr.git.errors import NoSuchRef
from orchestr.git.open_clone import open_clone
from orchestr.git.repo import CommitId, Repo
from orchestr.landing.actions import Action, CheckCandidate
from orchestr.landing.checks import Check
from orchestr.landing.events import Event, QueueRules
from orchestr.landing.forge_gate import Allowed, ForgeGate
from orchestr.landing.lane import Lane
from orchestr.landing.queue import Queue

PUSH, API, FORGE = (
    "push",
    "api",
    "forge",
)  # how a target is moved, see `orchestr.landing.move_target`
MOST = 16  # changes in one candidate where the landing chooses how many


@dataclass(slots=True)
class LandingSession:
    """The state of one landing over the features of ``runs``, whose leases the caller holds.

    ``check`` is the seam for checks: called in a thread, with a worktree that shows exactly the
    candidate. ``listener`` sees every event after the book has it, ``on_slow`` what is waited for
    longer than some seconds. ``undo``: roll back instead.
    ``again``: what was rolled back lands once more.
    ``allowed_red``: features that land although their cross checks are red; ``lacking``: what
    pull requests may lack at the forge. ``wait``: seconds for checks that are pending there.
    """

    runs: Sequence[FeatureRun]
    check: Check | None = None
    listener: Callable[[Event], None] | None = None
    warn: Callable[[str], None] = field(default=lambda text: None)
    on_slow: Callable[[Action], None] = field(default=lambda action: None)
    undo: bool = False
    strategy: str | None = None
    again: bool = False
    allowed_red: frozenset[str] = frozenset()
    lacking: Allowed = frozenset()
    wait: float = 0.0
    gate: ForgeGate = field(default_factory=ForgeGate)
    queue: Queue = field(init=False)
    ways: dict[str, str] = field(default_factory=dict)  # how each repository's target is moved
    fresh: set[str] = field(default_factory=set)  # keys of what landed in this process
    red: list[str] = field(default_factory=list)
    resolved: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of what is in ``fresh``
    flying: dict[Action, threading.Event] = field(default_factory=dict)  # set: let it go
    _by_name: dict[str, FeatureRun] = field(init=False)

    def __post_init__(self) -> None:
        self._by_name = {one.feature.name: one for one in self.runs}

    @property
    def rules(self) -> QueueRules:
        landing = self.runs[0].settings.landing
        # A forge merges one pull request at a time: what is between would be unchecked.
        batch = (landing.batch or MOST) if set(self.ways.values()) <= {PUSH} else 1
        disjoint = any(may_check_apart(run, name) for run in self.runs for name in self.ways)
        buttons = frozenset(name for name, way in self.ways.items() if way != PUSH)
        return QueueRules(window=landing.window, floor=landing.floor, batch=batch,
                     repairs=landing.repairs, disjoint=disjoint, buttons=buttons,
                     machines=landing.jobs, adapt=not landing.batch)  # fmt: skip

    def repo(self, name: str) -> Repo:
        """The main clone of a repository; commits are signed as the user does, or as the
        workspace says."""
        settings = self.runs[0].settings
        off = {"commit.gpgSign": "false"} if settings.workspace.unsigned else {}
        return open_clone(settings, name, config=off)

    def has_feature(self, name: str) -> bool:
        """Whether this landing was asked for that feature."""
        return name in self._by_name

    def cell_context(self, key: str) -> CellContext:
        """The cell of a change's key, `feature/cell` or `feature/cell~commit`."""
        feature, _, cell = key.partition("/")
        return self._by_name[feature].cell_context(cell.partition("~")[0])

    def fetch_target_tip(self, lane: Lane) -> str:
        """Where the target is at the origin, fetched. Raises GitError."""
        repo, ref = self.repo(lane.repo), f"refs/heads/{lane.target}"
        tip = repo.ls_remote(repo.remotes.base, ref).get(ref)
        if tip is None:
            raise NoSuchRef(
                f"repository {lane.repo} has no branch {lane.target} at its origin",
                hint=f"push it there, or set [repos.{lane.repo}] base in orchestr.toml",
            )
        keep_base(repo, lane.target, tip, locks=self.runs[0].layout.locks_dir)
        return tip

    def target_contains(self, lane: Lane, tip: str, commit: str) -> bool:
        """Whether a commit is in the target as it was looked at."""
        repo = self.repo(lane.repo)
        return repo.resolve_commit(commit) is not None and repo.is_ancestor(commit, tip)

    def tree_of(self, action: CheckCandidate) -> tuple[str, str]:
        """The repository and the tree that a check is about."""
        known = self.queue.candidates.get(action.spec)
        tree = (
            known.tree
            if known
            else self.repo(action.spec.lane.repo).resolve_tree(CommitId(action.commit))
        )
        return action.spec.lane.repo, tree


def may_check_apart(run: FeatureRun, repo: str) -> bool:
    """Whether changes of different paths need not be checked on each other there."""
    return run.settings.landing.disjoint or run.settings.repo_settings(repo).disjoint
