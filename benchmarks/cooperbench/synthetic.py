"""A small set of our own in the layout of the data set: two repositories, 24 patches.

`shop` is Python with unittest, `site` is JSON, TOML and Markdown with a small check of them. The
patches are edits (`synthetic_shop`, `synthetic_site`), from which git makes the diffs. Most add
where another one adds, too; some say different things about the same, which only a person or an
agent can decide; some merge cleanly and are red together.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.common import git, read_git
from benchmarks.cooperbench.dataset import Task, read_tasks
from benchmarks.cooperbench.synthetic_shop import SHOP
from benchmarks.cooperbench.synthetic_site import SITE
from benchmarks.cooperbench.synthetic_words import Made

SETUP = """\
# git clone https://example.org/{name}.git
BASE_COMMIT="{base}"
"""


def write_synthetic(folder: Path, chosen: str = "*") -> list[Task]:
    """Write data, repositories and `tests.toml` into a new folder, and read them as any other.
    ``chosen``: a shell pattern of the tasks' names.
    """
    python = shlex.quote(sys.executable)
    lines = []
    for number, (name, made) in enumerate(SETS.items(), start=1):
        task = folder / "data" / f"{name}_task" / f"task{number}"
        task.mkdir(parents=True)
        base = _write_repository(made, folder / "repos" / name, task)
        (task / "setup.sh").write_text(SETUP.format(name=name, base=base))
        command = made.check.replace("PYTHON", python)
        lines += [f"[{name}]", f"suite = '''{command}'''", f"union = {list(made.union)}"]
    (folder / "tests.toml").write_text("\n".join(lines) + "\n")
    return read_tasks(folder / "data", folder / "repos", folder / "tests.toml", chosen)


def _write_repository(made: Made, repo: Path, task: Path) -> str:
    """The repository, and each patch's two diffs below ``task``; its base commit."""
    repo.mkdir(parents=True)
    git("init", "--quiet", "--initial-branch=main", cwd=repo)
    for path, text in made.files.items():
        (repo / path).parent.mkdir(parents=True, exist_ok=True)
        (repo / path).write_text(text)
    git("add", "--all", cwd=repo)
    git("commit", "--quiet", "--message", "Base", cwd=repo)
    for number, edits in enumerate(made.patches.values(), start=1):
        folder = task / f"feature{number}"
        folder.mkdir()
        for edit in edits:
            edit.write(repo)
        git("add", "--all", cwd=repo)
        for name, paths in (("feature", (".", ":!tests")), ("tests", ("tests",))):
            diff = read_git("diff", "--cached", "--", *paths, cwd=repo)
            (folder / f"{name}.patch").write_bytes(diff)
        git("reset", "--quiet", "--hard", cwd=repo)
    return git("rev-parse", "HEAD", cwd=repo)


SETS: Mapping[str, Made] = {"shop": SHOP, "site": SITE}
