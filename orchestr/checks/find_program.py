"""Finding the project's own tools: its virtual environment first, then PATH."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

VENVS = (".venv", "venv", "env")
_BIN = "Scripts" if os.name == "nt" else "bin"


def venv_bin_folders(worktree: Path, cwd: Path, env: Mapping[str, str]) -> list[Path]:
    """The ``bin`` folders of the project's virtual environments, the nearest first."""
    found = [folder / name for folder in dict.fromkeys((cwd, worktree)) for name in VENVS]
    active = env.get("VIRTUAL_ENV")
    if active:
        found.append(Path(active))
    return [venv / _BIN for venv in found if (venv / "pyvenv.cfg").is_file()]


def find_program(name: str, worktree: Path, cwd: Path, env: Mapping[str, str]) -> str | None:
    """The program of that name, or None."""
    for folder in venv_bin_folders(worktree, cwd, env):
        if os.access(folder / name, os.X_OK):
            return str(folder / name)
    return find_on_path(name, env)


def find_on_path(name: str, env: Mapping[str, str]) -> str | None:
    """The program of that name on the PATH of ``env``, or None."""
    return shutil.which(name, path=env.get("PATH", os.defpath))


def find_python(worktree: Path, cwd: Path, env: Mapping[str, str]) -> str | None:
    """The project's Python, or None."""
    for name in ("python3", "python"):
        found = find_program(name, worktree, cwd, env)
        if found:
            return found
    return None


def describe_search_path(worktree: Path, cwd: Path, env: Mapping[str, str]) -> str:
    """Where `find_program` looked, for a message."""
    venvs = [str(folder.parent) for folder in venv_bin_folders(worktree, cwd, env)]
    return ", ".join([*venvs, f"PATH ({env.get('PATH', os.defpath)})"])
