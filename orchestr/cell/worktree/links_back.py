"""Linked or copied environments that lead back to source which is not the worktree's.

A `.venv` with an editable install, a `node_modules` with workspace links: what they name lies in
the main checkout (or, after an install by a set-up, in another cell's worktree). A check that
imports through them tests that source, and is green whatever the cell did. Such a check is no
evidence, so it is not evaluated, unless `[repos.NAME] allow_links_back` says that it may.

What is looked at: `.pth` and `.egg-link` files, `direct_url.json`, modules of editable installs,
links in `node_modules` and at the top of other folders, composer's autoloader. git is only asked
whether a place in the main checkout has tracked files.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.kit import expand_names
from orchestr.git.repo import Repo
from orchestr.git.runner import YES_OR_FATAL
from orchestr.settings.repo_paths import repo_path

DEPTH = 6  # folders below what is linked in which an environment is looked for
MOST = 20_000  # entries that are looked at in one environment
_PATH = re.compile(r"""(?<![\w/])r?(['"])(/(?:(?!\1).)+)\1""")
_SITES = ("site-packages", "dist-packages")
_INSTEAD = {
    ".pth": 'setup = ["python3 -m venv .venv && .venv/bin/pip install -e ."]',
    "node_modules": 'setup = ["npm ci"]',
}


@dataclass(frozen=True, slots=True)
class LinkBack:
    """``name`` as in `link` or `copy`; ``by`` the file or link in it; ``target`` where it leads."""

    name: str
    by: str
    target: Path

    def __str__(self) -> str:
        return f"{self.name} ({self.by}) leads to {self.target}"

    @property
    def remedy(self) -> str:
        """What to write in the settings instead."""
        kind = "node_modules" if "node_modules" in f"{self.name}/{self.by}" else ".pth"
        return _INSTEAD[kind]


def find_links_back(run: FeatureRun, repo: str, place: Path | None = None) -> list[LinkBack]:
    """What the kit of a repository brings that leads back, the first find of each name.

    ``place`` is the worktree that is looked at. None: the main checkout, for worktrees to come; a
    relative link of a copy stays in its worktree then.
    """
    settings, clone = run.settings.repo_settings(repo), repo_path(run.settings, repo)
    if settings.allow_links_back or not clone.is_dir():
        return []
    workspace = run.settings.workspace
    homes = [workspace.worktrees.resolve(), workspace.state.resolve()]
    linked = list(expand_names(settings.link, clone))
    names = [*linked, *expand_names(settings.copy, clone)]
    own = (place or clone).resolve()
    found = []
    for name in names:
        root = (place or clone) / name
        copied = not root.is_symlink() if place is not None else name not in linked
        inside = [(clone / one).resolve() for one in names] + [root.resolve()]

        def is_back(path: Path, copied: bool = copied, inside: Sequence[Path] = inside) -> bool:
            path = path.resolve()
            if any(path.is_relative_to(one) for one in inside):
                return False
            if place is not None and path.is_relative_to(own):
                return False
            if any(path.is_relative_to(home) for home in homes):
                return True
            return path.is_relative_to(clone.resolve()) and _has_source(clone, path)

        targets = _find_targets(root, relative=not copied)
        if copied and _has_foreign_scripts(root, clone / name):
            targets = itertools.chain(targets, _find_targets(clone / name, relative=True))
        for by, target in targets:
            if is_back(target):
                found.append(LinkBack(name, by, target))
                break
    return found


def explain_links_back(ctx: CellContext, place: Path) -> str | None:
    """Why checks in the worktree ``place`` are no evidence; None when they are."""
    found = find_links_back(ctx.run, ctx.cell.repo, place)
    if not found:
        return None
    return (
        f"checks would test other source than the cell's: {'; '.join(map(str, found))}; install it "
        f"in each worktree instead ([repos.{ctx.cell.repo}] {found[0].remedy}), or allow it "
        f"(allow_links_back = true there)"
    )


def _has_foreign_scripts(copy: Path, original: Path) -> bool:
    """Whether scripts of a copied environment still start the interpreter of the original one."""
    wanted = os.fsencode(f"#!{original}/")
    for script in sorted((copy / "bin").glob("*")) if copy != original else ():
        with suppress(OSError), script.open("rb") as stream:
            if stream.read(len(wanted)) == wanted:
                return True
    return False


def _has_source(clone: Path, path: Path) -> bool:
    """Whether git tracks something there."""
    inner = path.relative_to(clone.resolve()).as_posix()
    if inner == ".":
        return True
    done = Repo(clone).run_readonly(
        "ls-files", "-z", "--", f":(top,literal){inner}", answers=YES_OR_FATAL
    )
    return bool(done.out) or done.code != 0


def _find_targets(root: Path, *, relative: bool) -> Iterator[tuple[str, Path]]:
    """Where things in an environment lead to: the thing's path in it, and the place.

    ``relative``: links that name a relative path count, too.
    """
    seen = 0
    top = root.resolve() if root.is_dir() else None
    if top is None:
        return
    is_venv = (top / "pyvenv.cfg").exists()  # its links lead to the interpreter
    for where, folders, files in os.walk(top):
        here = Path(where)
        depth = len(here.relative_to(top).parts)
        seen += len(folders) + len(files)
        if seen > MOST:
            return
        if here.name in _SITES:
            yield from _label(top, _read_site(here))
        modules = "node_modules" in here.parts[len(top.parts) - 1 :]
        if modules or here.name in _SITES or (depth < 2 and not is_venv):
            for name in sorted({*folders, *files}):
                path = here / name
                if path.is_symlink():
                    text = path.readlink()
                    if relative or text.is_absolute():
                        yield str(path.relative_to(top)), path.parent / text
        if here.name == "composer" and relative:
            yield from _label(top, _read_autoload(here))
        folders[:] = [] if here.name in _SITES else _choose_folders(here, folders, modules, depth)


def _choose_folders(here: Path, folders: Sequence[str], modules: bool, depth: int) -> list[str]:
    """The folders to look into: in `node_modules` only those that hold links to packages."""
    if depth >= DEPTH:
        return []
    real = [name for name in sorted(folders) if not (here / name).is_symlink()]
    if not modules:
        return real
    if here.name == "node_modules":
        return [name for name in real if name.startswith("@") or name == ".pnpm"]
    return [name for name in real if here.name == ".pnpm" and name == "node_modules"]


def _label(top: Path, found: Iterator[tuple[Path, Path]]) -> Iterator[tuple[str, Path]]:
    for file, target in found:
        yield str(file.relative_to(top)), target


def _read_site(site: Path) -> Iterator[tuple[Path, Path]]:
    """The places that files of a `site-packages` name."""
    readers: tuple[tuple[str, Callable[[Path], Iterator[Path]]], ...] = (
        ("*.pth", _read_pth),
        ("*.egg-link", _read_pth),
        ("*editable*.py", _read_module),
        ("*.dist-info/direct_url.json", _read_direct_url),
    )
    for pattern, read in readers:
        for file in sorted(site.glob(pattern)):
            with suppress(OSError, ValueError):
                for target in read(file):
                    yield file, target


def _read_pth(file: Path) -> Iterator[Path]:
    for line in file.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        text = line.strip()
        if text and not text.startswith(("#", "import ", "import\t")):
            yield file.parent / text


def _read_module(file: Path) -> Iterator[Path]:
    """The absolute paths in a module that an editable install wrote (its MAPPING)."""
    for match in _PATH.finditer(file.read_text(encoding="utf-8", errors="surrogateescape")):
        yield Path(match[2])


def _read_direct_url(file: Path) -> Iterator[Path]:
    raw = json.loads(file.read_text(encoding="utf-8"))
    info = raw.get("dir_info") if isinstance(raw, dict) else None
    if isinstance(info, dict) and info.get("editable") is True:
        yield Path(unquote(urlparse(str(raw.get("url"))).path))


def _read_autoload(composer: Path) -> Iterator[tuple[Path, Path]]:
    """Composer's autoloader names the project by its own real place."""
    for name in ("autoload_psr4.php", "autoload_classmap.php", "autoload_namespaces.php"):
        file = composer / name
        with suppress(OSError):
            text = file.read_text(encoding="utf-8", errors="surrogateescape")
            for match in re.finditer(r"\$baseDir \. '([^']*)'", text):
                yield file, composer.parent.parent / match[1].lstrip("/")
