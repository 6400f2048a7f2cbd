"""Where the files of a workspace lie, and whether there is room for more."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from orchestr.errors import ExitCode, OrchestrError
from orchestr.settings.records import Settings

DRAFT = ".draft"  # in the place of a cell's name, for the agent that drafts a spec: no cell has it
CANDIDATE = "@"  # between a cell's name and a number: the place of a candidate; no cell has it
AGENTS_LOCK = "agents.lock.toml"  # beside orchestr.toml, see `orchestr.run.agents_lock`


@dataclass(frozen=True, slots=True)
class WorkspaceLayout:
    """The paths below the state folder. Nothing here touches the disk.

    ``former`` holds the names under which records are kept still: of a feature (``new: old``) and
    of a cell (``new/cell: old/cell``). The next verb that changes something moves them
    (`orchestr.cell.phases.rename_cell`); until then every reader finds them where they are.
    """

    root: Path
    state: Path
    worktrees: Path
    former: dict[str, str] = field(default_factory=dict, compare=False)

    def key_of(self, feature: str, cell: str) -> str:
        """The names that a cell's records are kept under, as ``feature/cell``."""
        return self.former.get(f"{feature}/{cell}", f"{self.former.get(feature, feature)}/{cell}")

    @classmethod
    def from_settings(cls, settings: Settings) -> WorkspaceLayout:
        """The layout that the settings describe."""
        workspace = settings.workspace
        return cls(workspace.root, workspace.state, workspace.worktrees)

    @property
    def locks_dir(self) -> Path:
        return self.state / "locks"

    @property
    def registry_file(self) -> Path:
        return self.state / "registry.json"

    @property
    def picture_file(self) -> Path:
        """Specs and settings as they were before the agents at work began."""
        return self.state / "surroundings" / "workspace.json"

    @property
    def landing_queue_file(self) -> Path:
        """The journal of the merge queue, over all features."""
        return self.state / "landing" / "queue.jsonl"

    @property
    def forge_dir(self) -> Path:
        return self.state / "forge"

    @property
    def run_reports_dir(self) -> Path:
        """A folder for each run that has a report, named as the run."""
        return self.state / "reports" / "runs"

    def run_report_dir(self, run: str) -> Path:
        return self.run_reports_dir / run

    @property
    def excludes_file(self) -> Path:
        return self.state / "git" / "excludes"

    @property
    def database_file(self) -> Path:
        return self.root / ".doit.db"

    def journal_file(self, feature: str) -> Path:
        return self.state / "journal" / f"{self.former.get(feature, feature)}.jsonl"

    def lease_file(self, feature: str) -> Path:
        return self.locks_dir / f"feature-{feature}.lock"

    def draft_lease_file(self, feature: str) -> Path:
        return self.locks_dir / f"draft-{feature}.lock"

    def feature_dir(self, feature: str) -> Path:
        return self.state / "cells" / self.former.get(feature, feature)

    def cell_dir(self, feature: str, cell: str) -> Path:
        """The folder of a cell's records, or of a feature's draft (`DRAFT`)."""
        if cell == DRAFT:
            return self.state / "drafts" / feature
        return self.state / "cells" / self.key_of(feature, cell)

    def worktree_dir(self, feature: str, cell: str) -> Path:
        return self.worktrees / self.key_of(feature, cell)


def check_disk(state: Path, minimum_mb: int) -> str | None:
    """Why there is too little room below ``state``, else None."""
    place = state
    while not place.exists():
        place = place.parent
    try:
        stat = os.statvfs(place)
    except OSError:
        return None  # what cannot be measured counts as sufficient
    free = stat.f_bavail * stat.f_frsize // 2**20
    if free >= minimum_mb:
        return None
    return f"only {free} MB free at {place}, {minimum_mb} wanted (limits.min_disk_mb)"


class NotAWorkspace(OrchestrError):
    """The state folder cannot be made or written."""

    exit_code = ExitCode.USAGE


def create_state_dirs(layout: WorkspaceLayout) -> None:
    """Make the state folders, for their owner only: transcripts may hold what an agent saw.

    Raises NotAWorkspace, whose hint names the setting.
    """
    try:
        for folder in (layout.state, layout.locks_dir, layout.state / "journal"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise NotAWorkspace(
            f"cannot write to {folder}: {error.strerror}",
            hint="set [workspace] state in orchestr.toml, or ORCHESTR_HOME, to a folder of yours",
        ) from error
