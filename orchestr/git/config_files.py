"""Which files outside of a clone say how git behaves there: the user's config and what it includes,
their attributes, excludes and hooks.

git is asked once for the files that its config comes from. While none of them changes, that answer
is used again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from orchestr.git.repo import Repo
from orchestr.git.runner import ANY_EXIT

MOST = 200  # hooks of a folder of the user's
_FILES = ("core.attributesfile", "core.excludesfile")
_HOOKS = "core.hookspath"

Stamp = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class ConfigFiles:
    """``configs`` are config files, those that are not there (yet) included; ``others`` are the
    files that they name."""

    configs: tuple[Path, ...]
    others: tuple[Path, ...]


_known: dict[str, tuple[Stamp, ConfigFiles]] = {}


def list_config_files(repo: Repo) -> ConfigFiles:
    """The files outside of the clone of ``repo`` that git reads there."""
    common = repo.common_dir()
    own = common / "config"
    key = f"{common}\0{os.environ.get('GIT_CONFIG_GLOBAL')}\0{os.environ.get('HOME')}"
    if key in _known:
        stamp, files = _known[key]
        if stamp == _stamp_files((own, *files.configs)):
            return files
    homes = _user_files()
    configs, named = dict.fromkeys(homes), dict.fromkeys(_named_by_default())
    for origin, name, value in _read_origins(repo):
        place = repo.path / origin
        if not _is_below(place, common):
            configs[place] = None
        if name in _FILES:
            named[repo.path / _expand_home(value)] = None
        elif name == _HOOKS and _expand_home(value).is_absolute():
            named |= dict.fromkeys(_list_hooks(_expand_home(value)))
    inside = (common, repo.path)
    others = (path for path in named if not any(_is_below(path, at) for at in inside))
    files = ConfigFiles(_with_targets(configs), _with_targets(others))
    _known[key] = _stamp_files((own, *files.configs)), files
    return files


def _user_files() -> list[Path]:
    """Where git looks for the user's config, whether or not it is there."""
    named = os.environ.get("GIT_CONFIG_GLOBAL")
    if named is not None:
        return [Path(named)] if named and named != os.devnull else []
    return [Path(os.environ.get("HOME", "/"), ".gitconfig"), _xdg_folder() / "config"]


def _named_by_default() -> list[Path]:
    return [_xdg_folder() / "attributes", _xdg_folder() / "ignore"]


def _xdg_folder() -> Path:
    home = os.environ.get("XDG_CONFIG_HOME")
    return Path(home or Path(os.environ.get("HOME", "/"), ".config"), "git")


def _read_origins(repo: Repo) -> Iterator[tuple[str, str, str]]:
    """The file that each setting comes from, the setting and its value."""
    done = Repo(repo.path).run_readonly("config", "-z", "--list", "--show-origin", answers=ANY_EXIT)
    records = [os.fsdecode(part) for part in done.out.split(b"\0")]
    for origin, setting in zip(records[::2], records[1::2], strict=False):
        if origin.startswith("file:"):
            name, _, value = setting.partition("\n")
            yield origin.removeprefix("file:"), name, value


def _list_hooks(folder: Path) -> list[Path]:
    try:
        return list(islice(sorted(folder.iterdir()), MOST))
    except OSError:
        return []


def _expand_home(value: str) -> Path:
    try:
        return Path(value).expanduser()
    except RuntimeError:  # `~name` of a user who is not there
        return Path(value)


def _with_targets(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The paths, and where links lead (`~/.gitconfig` is often one)."""
    return tuple(dict.fromkeys(one for path in paths for one in (path, path.resolve())))


def _is_below(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _stamp_files(paths: Iterable[Path]) -> Stamp:
    found = []
    for path in paths:
        try:
            stat = path.stat()
            found.append((str(path), stat.st_ino, stat.st_size, stat.st_ctime_ns))
        except OSError:
            found.append((str(path), 0, 0, 0))
    return tuple(found)
