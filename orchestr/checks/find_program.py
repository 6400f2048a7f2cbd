"""Finding the project's own tools: its virtual environment first, then uv, then PATH."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestr.checks.base import CheckUnavailable

VENVS = (".venv", "venv", "env")
PROJECT_TOOLS = frozenset(("pytest", "type_check", "import_check"))  # kinds that run these
_UV_FAULT = re.compile(
    r"^error: (?:Failed to (?:download|fetch)|Request failed|Could not connect).*", re.MULTILINE
)
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


def find_command(
    name: str, worktree: Path, cwd: Path, env: Mapping[str, str]
) -> tuple[str, ...] | None:
    """How a program of a Python project is started: from its virtual environment; where there is
    none, but a `uv.lock` and uv, by `uv run`; else from PATH. None where it is nowhere."""
    if not venv_bin_folders(worktree, cwd, env) and has_uv_lock(worktree, cwd):
        uv = find_on_path("uv", env)
        if uv is not None:
            return (uv, "run", "--frozen", name)
    program = find_program(name, worktree, cwd, env)
    return (program,) if program is not None else None


def refuse_uv_fault(command: Sequence[str], code: int, output: str) -> None:
    """Raises CheckUnavailable where uv could not fetch the project's packages, so that the program
    behind it never began."""
    if code == 0 or tuple(command[1:3]) != ("run", "--frozen"):
        return
    found = _UV_FAULT.search(output)
    if found is not None:
        raise CheckUnavailable(f"uv run: {found[0].removeprefix('error: ')}", exit=code)


def has_uv_lock(worktree: Path, cwd: Path) -> bool:
    """Whether the folder of a check, or one above it in the worktree, has a `uv.lock`."""
    folders = [cwd, *(folder for folder in cwd.parents if folder.is_relative_to(worktree))]
    return any((folder / "uv.lock").is_file() for folder in folders)


def find_on_path(name: str, env: Mapping[str, str]) -> str | None:
    """The program of that name on the PATH of ``env``, or None."""
    return shutil.which(name, path=env.get("PATH", os.defpath))


def find_python(worktree: Path, cwd: Path, env: Mapping[str, str]) -> tuple[str, ...] | None:
    """How the project's Python is started, or None."""
    for name in ("python3", "python"):
        found = find_command(name, worktree, cwd, env)
        if found:
            return found
    return None


def describe_search_path(worktree: Path, cwd: Path, env: Mapping[str, str]) -> str:
    """Where `find_program` looked, for a message."""
    venvs = [str(folder.parent) for folder in venv_bin_folders(worktree, cwd, env)]
    more = ["uv.lock is there, but uv is not on PATH"] if _lacks_uv(worktree, cwd, env) else []
    return ", ".join([*venvs, f"PATH ({env.get('PATH', os.defpath)})", *more])


def _lacks_uv(worktree: Path, cwd: Path, env: Mapping[str, str]) -> bool:
    return has_uv_lock(worktree, cwd) and find_on_path("uv", env) is None
