"""An agent's own settings folder in a sandbox: a copy, made anew at each start from the user's.

Owns what is copied, where the copy lies and which files are logins. The copy is the agent's to
write: its sessions lie there, and what it plants there stays there. So nothing here follows what
lies in it: a link in the place of a settings file is removed, not written through. Leaves logins to
the supervisor (`orchestr.supervisor.logins`), which keeps them equal with the user's own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ConfigFolder:
    """A settings folder of an agent, of which it gets a copy of its own.

    ``copies`` are (source, name in the folder): what each start begins with; what an agent wrote
    there before does not count, also where the user has nothing. ``shown`` are (source, name) that
    can be read in place: too large to copy, and nothing that an agent writes. ``logins`` are (the
    user's file, name): a renewed login must not be lost.
    """

    path: Path
    copies: tuple[tuple[Path, str], ...] = ()
    logins: tuple[tuple[Path, str], ...] = ()
    shown: tuple[tuple[Path, str], ...] = ()


def list_copies(folders: Iterable[ConfigFolder], work: Path) -> Iterator[tuple[ConfigFolder, Path]]:
    """Each folder with the place of its copy, in ``work``: the agent cannot move that away."""
    for number, folder in enumerate(folders):
        yield folder, work / f"config-{number}"


def refresh_copy(folder: ConfigFolder, copy: Path) -> None:
    """Put the user's settings as they are now into a copy. Raises OSError."""
    copy.mkdir(parents=True, exist_ok=True)
    for source, name in folder.copies:
        _copy_settings(source, copy / name)


def list_login_copies(folders: Iterable[ConfigFolder], work: Path) -> tuple[tuple[str, str], ...]:
    """(copy, the user's own file) of each login that the user has."""
    return tuple(
        (str(copy / name), os.path.realpath(own))
        for folder, copy in list_copies(folders, work)
        for own, name in folder.logins
        if own.is_file()
    )


def _copy_settings(source: Path, target: Path) -> None:
    if target.is_symlink() or not target.is_dir():
        target.unlink(missing_ok=True)
    else:
        shutil.rmtree(target)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=False, ignore_dangling_symlinks=True)
    elif source.is_file():
        shutil.copyfile(source, target)
