"""The files of a new workspace (`orchestr init`): settings, an example spec, a dodo, ignores.

Never overwrites: a file that is there stays as it is and is reported as kept; ``.gitignore``
only gets the lines that it lacks. Doing it twice changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestr.errors import OrchestrError
from orchestr.files import write_atomic
from orchestr.spec.field_types import check_repo_name

DODO = '''"""The tasks of this workspace: `doit list`, `doit run feature:example`."""
from orchestr.dodo import *  # noqa: F403
'''
IGNORED = (".orchestr/", ".doit.db*")

_SETTINGS_HEAD = """\
# The settings of this workspace. Every key: docs/spec.md of orchestr.
# The environment goes over it, for example ORCHESTR_SET_LIMITS_JOBS=5.
# Repositories that a spec names are looked for in `workspace.repos`.

"""
_SPEC = """\
# A feature: cells of work, each with a repository, a branch and a worktree of its own.
# `orchestr validate` checks this file, `orchestr plan example` shows what would run.
apiVersion: orchestr/v1
kind: Feature
metadata:
  name: example
  title: An example feature
  # jira: PROJ-123            # used in branch names instead of the feature's name
# defaults:                   # for every cell that does not say otherwise
#   timeout: 30m
#   phases: [implement, check, review, publish]
# scenarios: [docs/scenarios/example.yaml]
cells:
  api:
    repo: {first}
    todo:
      - "Describe one step a line; quote it when it holds a colon and a space: like this"
    checks: none              # or what must be green: [{{kind: command, run: [make, test]}}]
    # owned_paths: ["src/api/**"]     # changes outside are refused
  client:
    repo: {second}
    depends_on: [api]         # starts when api's code is there
    todo:
      - Use what the api cell made
    checks: none
"""


@dataclass(frozen=True, slots=True)
class WorkspaceFiles:
    """What `write_workspace` did: paths relative to the workspace, in the order of writing."""

    written: tuple[str, ...]
    kept: tuple[str, ...]


def write_workspace(
    root: Path,
    *,
    repos: Mapping[str, str] | None = None,
    agent: Sequence[str] = ("python3", "tools/agent.py"),
) -> WorkspaceFiles:
    """Make a workspace in ``root`` (created when it is not there).

    ``repos`` maps names to clones (paths as they should stand in the settings); ``agent`` is
    the command of the agent `scripted`. Raises BadValue for an impossible name, OrchestrError
    when the disk refuses.
    """
    repos = dict(repos or {})
    for name in repos:
        check_repo_name(name)
    names = [*repos, "my-repository"]
    spec = _SPEC.format(first=names[0], second=names[1] if len(repos) > 1 else names[0])
    wanted = {
        "orchestr.toml": _settings_text(repos, agent),
        "specs/example.yaml": spec,
        "dodo.py": DODO,
    }
    written: list[str] = []
    kept: list[str] = []
    try:
        root.mkdir(parents=True, exist_ok=True)
        for name, text in wanted.items():
            # A workspace with specs of its own needs no example.
            example = name.startswith("specs/") and any((root / "specs").glob("*.y*ml"))
            target = root / name
            if example or os.path.lexists(target):
                if os.path.lexists(target):
                    kept.append(name)
                continue
            target.parent.mkdir(exist_ok=True)
            with target.open("x", encoding="utf-8") as stream:
                stream.write(text)
            written.append(name)
        (written if _add_ignored_lines(root / ".gitignore") else kept).append(".gitignore")
    except OSError as error:
        raise OrchestrError(
            f"cannot write {error.filename or root}: {error.strerror}",
            hint="make the folder writable, then run `orchestr init` again",
        ) from error
    return WorkspaceFiles(tuple(written), tuple(kept))


def _settings_text(repos: Mapping[str, str], agent: Sequence[str]) -> str:
    import tomli_w

    table: dict[str, object] = {
        "workspace": {"specs": "specs", "state": ".orchestr", "repos": ".."},
        "repos": {name: {"path": path} for name, path in repos.items()},
        "agents": {
            "default": "scripted",
            "scripted": {"kind": "command", "run": list(agent)},
        },
        "limits": {"jobs": 3, "timeout": "30m", "idle_timeout": "10m", "grace": "10s"},
        "forge": {"kind": "local", "draft": True},
    }
    if not repos:
        del table["repos"]
    return _SETTINGS_HEAD + tomli_w.dumps(table)


def _add_ignored_lines(path: Path) -> bool:
    """Add the lines that are missing; True when there were any."""
    try:
        old = path.read_bytes()
    except FileNotFoundError:
        old = b""
    lines = {line.strip() for line in old.splitlines()}
    missing = [line for line in IGNORED if line.encode() not in lines]
    if not missing:
        return False
    gap = b"" if not old or old.endswith(b"\n") else b"\n"
    write_atomic(path, old + gap + "".join(f"{line}\n" for line in missing).encode())
    return True
