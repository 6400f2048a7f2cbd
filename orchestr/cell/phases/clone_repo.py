"""Task `repo:NAME`: a repository that is cloned or created once, when a cell needs it.

The target is the repository's own HEAD file, so a clone that is there is never touched.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from orchestr.errors import PhaseFailed
from orchestr.git.repo import Repo
from orchestr.process.run import run_command as run_process
from orchestr.settings.records import Settings
from orchestr.settings.repo_paths import head_file, repo_path

TIMEOUT = 1800.0  # s; a first clone of a large repository over a slow line


class RepoMaker:
    """Clones `url`, or runs `create`, once; a clone that is there is left as it is."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.root = settings.workspace.root
        self.settings = settings.repo_settings(name)
        self.path = repo_path(settings, name)

    @property
    def target(self) -> Path:
        """The file that is there when the repository is."""
        return head_file(self.path)

    def make(self) -> None:
        """Raises PhaseFailed, ProcessFailed. A half-made clone is not mistaken for one."""
        if self.target.exists():
            return
        if self.settings.create:
            argv = [sys.executable if w == "python3" else w for w in self.settings.create]
            run_process(argv, cwd=self.root, env=dict(os.environ), timeout=TIMEOUT)
        else:
            self._clone(str(self.settings.url))
        if not self.target.exists():
            raise PhaseFailed(
                f"repo:{self.settings.name}: {self.path} is still no repository",
                hint=f"look at [repos.{self.settings.name}] in orchestr.toml",
            )

    def _clone(self, url: str) -> None:
        partial = self.path.with_name(f".{self.path.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)  # ours: a clone that a kill cut short
        partial.parent.mkdir(parents=True, exist_ok=True)
        git = Repo(partial.parent)
        words = ("clone", "--no-recurse-submodules", "--origin", self.settings.remote, "--")
        git.run_git(*words, url, str(partial), timeout=TIMEOUT)
        partial.rename(self.path)
