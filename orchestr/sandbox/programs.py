"""Where a program is installed: the folders that must be seen for it to start.

A sandbox shows the system's folders and the user's home folder. A program may lie elsewhere (in
`/tmp`, in a settings folder of its agent that is hidden from the others), and what lies on `PATH`
may be a link to it. Looks at the disk, changes nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

MODULES = "node_modules"
VENV = "pyvenv.cfg"


def list_path_folders(env: Mapping[str, str]) -> Iterator[Path]:
    """The folders of `PATH` that exist, and those that the links in them lead to."""
    for name in env.get("PATH", "").split(os.pathsep):
        folder = Path(name)
        if folder.is_absolute() and folder.is_dir():
            yield from _list_installations(folder, _list_links(folder))


def list_program_folders(program: str, env: Mapping[str, str]) -> Iterator[Path]:
    """The folders of one program, given by its path or by its name on `PATH`."""
    found = shutil.which(program, path=env.get("PATH"))
    if found is not None and Path(found).is_absolute():
        yield from _list_installations(Path(found).parent, [Path(found)])


def _list_installations(folder: Path, links: list[Path]) -> Iterator[Path]:
    yield _find_installation(folder)
    for link in links:
        yield _find_installation(Path(os.path.realpath(link)).parent)


def _list_links(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if entry.is_symlink()]
    except OSError:
        return []


def _find_installation(folder: Path) -> Path:
    """The folder that is read together with the programs in ``folder``: the outermost
    `node_modules`, a virtual environment; else it alone."""
    if MODULES in folder.parts:
        return Path(*folder.parts[: folder.parts.index(MODULES) + 1])
    return folder.parent if (folder.parent / VENV).is_file() else folder
