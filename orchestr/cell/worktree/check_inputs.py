"""When the set-up of a check worktree counts, and when its caches do: by lock files and settings.

Pure but for one listing of git's and the times of what is copied.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch

from orchestr.cell.context import CellContext
from orchestr.cell.kit import expand_names
from orchestr.git.index_entries import GITLINK
from orchestr.git.repo import Repo
from orchestr.git.runner import split_records
from orchestr.state.results import digest

# They say what a package manager installs, in any folder.
LOCK_FILES = frozenset(
    {
        "Cargo.lock", "Gemfile.lock", "Package.resolved", "Pipfile.lock", "Podfile.lock",
        "build.gradle.lockfile", "bun.lock", "bun.lockb", "composer.lock", "deno.lock",
        "flake.lock", "go.sum", "gradle.lockfile", "mix.lock", "npm-shrinkwrap.json",
        "package-lock.json", "packages.lock.json", "pdm.lock", "pixi.lock", "pnpm-lock.yaml",
        "poetry.lock", "pubspec.lock", "uv.lock", "yarn.lock",
    }
)  # fmt: skip
LOCK_PATTERNS = ("requirements*.txt", "constraints*.txt")


@dataclass(frozen=True, slots=True)
class SetupInputs:
    """``locks``: a digest of the lock files of a commit; ``setup``: of all that a set-up depends
    on, that included. ``submodules`` are the paths of the commit's submodules."""

    locks: str
    setup: str
    submodules: tuple[str, ...]


def read_setup_inputs(ctx: CellContext, tree: Repo) -> SetupInputs:
    """The inputs of the set-up for what the worktree shows."""
    settings, clone = ctx.repo_settings, ctx.repo_path
    locks, links = [], []
    for record in split_records(tree.run_readonly("ls-files", "--stage", "-z").out):
        entry, _, path = record.partition("\t")
        if is_lock_file(path):
            locks.append([ascii(path), entry])
        elif entry.startswith(GITLINK):
            links.append((path, entry))
    copied = []
    for name in expand_names(settings.copy, clone):
        info = (clone / name).lstat()
        copied.append([ascii(name), info.st_mode, info.st_size, info.st_mtime_ns])
    linked = [ascii(name) for name in expand_names(settings.link, clone)]
    found = digest(locks)
    whole = digest(
        "check worktree 2", settings.setup, settings.cache, linked, copied, found, ascii(links)
    )
    return SetupInputs(found, whole, tuple(path for path, _ in links))


def is_lock_file(path: str) -> bool:
    """Whether a file says which packages are installed."""
    name = path.rpartition("/")[2]
    return name in LOCK_FILES or any(fnmatch(name, pattern) for pattern in LOCK_PATTERNS)


def expand_caches(ctx: CellContext, tree: Repo) -> tuple[str, ...]:
    """The paths of the worktree that `cache` of its repository means and that are there."""
    return tuple(dict.fromkeys(_expand(ctx.repo_settings.cache, tree)))


def _expand(names: Iterable[str], tree: Repo) -> Iterable[str]:
    for name in names:
        plain = "/".join(part for part in name.split("/") if part not in ("", "."))
        for path in tree.path.glob(plain) if plain else ():
            inner = path.relative_to(tree.path)
            if not any((tree.path / parent).is_symlink() for parent in inner.parents):
                yield inner.as_posix()
