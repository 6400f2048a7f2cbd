"""The place of one landing: an origin with the base on `main`, each patch on a branch of its own.

The checks of every engine go through one script, which keeps a book: one line a check with its
seconds and exit code. So checks are counted alike, whoever asks for them.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import environment, git, read_git
from benchmarks.cooperbench.dataset import BadData, Task

TARGET = "main"
SCRIPT = """\
#!/bin/sh
# Exit 0: what the current directory holds is green.
begin=$(date +%s.%N)
( {command}
) >{folder}/last-check.$$ 2>&1
code=$?
[ $code = 0 ] && rm -f {folder}/last-check.$$ || tail -n 60 {folder}/last-check.$$
echo "$begin $(date +%s.%N) $code" >> {folder}/checks.log
exit $code
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """``origin``: a bare repository; ``base``: its first `main`; ``union``: see `Task`."""

    folder: Path
    origin: Path
    base: str
    names: tuple[str, ...]
    union: tuple[str, ...] = ()

    @property
    def check(self) -> Path:
        """The script that checks the current directory."""
        return self.folder / "check.sh"

    def branch_of(self, name: str) -> str:
        """A patch's branch at the origin."""
        return f"patch/{name}"

    def diff_of(self, name: str) -> Path:
        """All of a patch, code and tests, as one diff against the base."""
        return self.folder / "patches" / f"{name}.patch"

    def count_checks(self) -> int:
        """How many checks have ended so far."""
        book = self.folder / "checks.log"
        return len(book.read_text().splitlines()) if book.exists() else 0

    def make_checkout(self, place: str, commit: str = TARGET) -> Path:
        """A new detached checkout of a commit of the origin."""
        path = self.folder / place
        shutil.rmtree(path, ignore_errors=True)
        git("clone", "--quiet", "--no-checkout", str(self.origin), str(path), cwd=self.folder)
        git("checkout", "--quiet", "--detach", git("rev-parse", commit, cwd=self.origin), cwd=path)
        return path


def run_shell(command: str, cwd: Path, log: Path | None = None) -> bool:
    """Whether a shell command ends with exit code 0; its output goes to ``log``."""
    with (log or Path(os.devnull)).open("wb") as out:
        done = subprocess.run(
            ["sh", "-c", command], cwd=cwd, env=environment(), stdin=subprocess.DEVNULL,
            stdout=out, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    return done.returncode == 0


def prepare_scene(task: Task, folder: Path) -> Scene:
    """Make the scene of a task in a new folder. Raises BadData."""
    (folder / "patches").mkdir(parents=True)
    seed = folder / "seed"
    _write_tree(task.repo, task.base, seed)
    git("init", "--quiet", f"--initial-branch={TARGET}", cwd=seed)
    git("add", "--all", "--force", cwd=seed)
    git("commit", "--quiet", "--message", "Base", cwd=seed)
    base = git("rev-parse", "HEAD", cwd=seed)
    scene = Scene(
        folder, folder / "origin.git", base, tuple(p.name for p in task.patches), task.union
    )
    for patch in task.patches:
        git("checkout", "--quiet", "-b", scene.branch_of(patch.name), base, cwd=seed)
        for path in patch.files:
            _apply(path, seed)
        git("commit", "--quiet", "--message", patch.name, cwd=seed)
        diff = read_git("diff", "--binary", "--full-index", base, "HEAD", cwd=seed)
        scene.diff_of(patch.name).write_bytes(diff)
    git("clone", "--quiet", "--bare", str(seed), str(scene.origin), cwd=folder)
    git("symbolic-ref", "HEAD", f"refs/heads/{TARGET}", cwd=scene.origin)
    shutil.rmtree(seed)
    scene.check.write_text(SCRIPT.format(command=task.tests, folder=shlex.quote(str(folder))))
    scene.check.chmod(0o755)
    return scene


def _write_tree(repo: Path, commit: str, place: Path) -> None:
    """The files of a commit, without its history: the same for every engine, and small."""
    place.mkdir()
    found = subprocess.run(
        ["git", "cat-file", "-e", f"{commit}^{{tree}}"],
        cwd=repo, env=environment(), check=False, capture_output=True,
    )  # fmt: skip
    if found.returncode:
        raise BadData(f"{repo} has no commit {commit}: fetch it there")
    env = {**environment(), "GIT_INDEX_FILE": str(place.parent / "index")}
    for words in (["read-tree", commit], [f"--work-tree={place}", "checkout-index", "--all"]):
        subprocess.run(["git", *words], cwd=repo, env=env, check=True, capture_output=True)
    (place.parent / "index").unlink()


def _apply(patch: Path, cwd: Path) -> None:
    """Apply a diff as the data set's own runner does: whitespace may differ, else three ways."""
    ways: Sequence[Sequence[str]] = ((), ("--ignore-whitespace",), ("--3way",))
    for way in ways:
        done = subprocess.run(
            ["git", "apply", "--index", *way, str(patch)],
            cwd=cwd, env=environment(), check=False, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode == 0:
            return
    raise BadData(f"{patch} does not apply to its base: {done.stderr.strip()[-300:]}")
