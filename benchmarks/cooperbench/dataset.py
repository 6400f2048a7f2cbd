"""Tasks: a repository at a commit, and patches that were each written against exactly it.

The folder has the layout of CooperBench: `REPOSITORY_task/taskN/featureN/feature.patch` and
`tests.patch`, with the base commit in `setup.sh` or `Dockerfile`. What tests a repository is not
taken from there: it is in a TOML file of the user's (README.md).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

_NUMBERED = re.compile(r"feature(\d+)")
_BASE = re.compile(r"(?:BASE_COMMIT=\"?|git checkout )([0-9a-f]{40})")
_CLONE = re.compile(r"git clone\s+\S*/([A-Za-z0-9._-]+?)(?:\.git)?[\s\"]")


class BadData(Exception):
    """The data, the repositories or the file of tests do not fit together; the message says why."""


@dataclass(frozen=True, slots=True)
class Patch:
    """One change of a task: the diff of its code and that of its tests, which may be absent."""

    name: str
    code: Path
    tests: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """The diffs that there are, the code's first."""
        return tuple(path for path in (self.code, self.tests) if path.exists())


@dataclass(frozen=True, slots=True)
class Task:
    """``repo`` is a git repository that has the commit ``base``. ``tests`` and ``suite`` are shell
    commands at the top of a checkout: what a candidate is checked by, and all of the repository's
    own tests. ``union``: gitignore patterns of files that may keep both sides' lines.
    """

    name: str
    repo: Path
    base: str
    patches: tuple[Patch, ...]
    tests: str
    suite: str
    union: tuple[str, ...] = ()

    @property
    def repo_name(self) -> str:
        """The repository's name, as tables show it."""
        return self.repo.name.removesuffix(".git")


def read_tasks(data: Path, repos: Path, tests: Path, chosen: str = "*") -> list[Task]:
    """Every task below ``data`` of a repository that the file ``tests`` names, by name. ``chosen``
    is a shell pattern of their names. Raises BadData.
    """
    try:
        commands = tomllib.loads(tests.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadData(f"{tests}: {error}") from None
    tasks = []
    for setup in sorted(data.glob("*_task/task*/setup.sh")):
        folder = setup.parent
        name = f"{folder.parent.name.removesuffix('_task')}/{folder.name}"
        if fnmatchcase(name, chosen) and (task := _read_task(folder, name, repos, commands)):
            tasks.append(task)
    if not tasks:
        raise BadData(f"no task below {data} is of a repository that {tests} names")
    return tasks


def _read_task(folder: Path, name: str, repos: Path, commands: Mapping[str, Any]) -> Task | None:
    text = "\n".join(
        path.read_text(encoding="utf-8")
        for path in (folder / "setup.sh", folder / "Dockerfile") if path.exists()
    )  # fmt: skip
    clone, base = _CLONE.search(text), _BASE.search(text)
    if clone is None or base is None:
        raise BadData(f"{folder}: no repository or base commit in setup.sh")
    mine = commands.get(clone[1])
    if mine is None:
        return None
    repo = next((p for p in (repos / clone[1], repos / f"{clone[1]}.git") if p.exists()), None)
    if repo is None:
        raise BadData(f"{repos} has no {clone[1]} or {clone[1]}.git")
    numbered = sorted(
        (int(found[1]), path) for path in folder.iterdir()
        if (found := _NUMBERED.fullmatch(path.name)) and (path / "feature.patch").exists()
    )  # fmt: skip
    patches = tuple(
        Patch(path.name, path / "feature.patch", path / "tests.patch") for _, path in numbered
    )
    suite = mine["suite"]
    tests = mine.get("tests", {}).get(folder.name, suite)
    return Task(name, repo, base[1], patches, tests, suite, tuple(mine.get("union", ())))
