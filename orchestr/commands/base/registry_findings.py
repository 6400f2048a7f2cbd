"""What `doctor` finds about the registry: cells that no spec names, folders that nothing knows."""

from __future__ import annotations

from pathlib import Path

from orchestr.errors import CorruptState
from orchestr.git.repo import Repo
from orchestr.git.runner import ANY_EXIT
from orchestr.run.diagnostic import Diagnostic
from orchestr.run.workspace import Session
from orchestr.settings.repo_paths import repo_path
from orchestr.state.candidates import list_candidate_keys
from orchestr.state.registry import Registry


def diagnose_registry(session: Session, *, fix: bool) -> list[Diagnostic]:
    """Entries of cells that no spec names, and folders that no entry names."""
    registry = Registry.of_workspace(session.layout)
    try:
        registry.entries()
    except CorruptState as error:
        if not fix:
            remedy = "orchestr doctor --fix makes it again from git worktree list"
            return [Diagnostic("error", error.message, remedy)]
        _rebuild_registry(session, registry)
    lost = not session.layout.registry_file.exists() and session.layout.worktrees.is_dir()
    if lost and fix:
        _rebuild_registry(session, registry)
    elif lost and any(session.layout.worktrees.iterdir()):
        remedy = "orchestr doctor --fix makes it again from git worktree list"
        return [Diagnostic("warning", "there are worktrees, but no registry of them", remedy)]
    known = {f"{f.name}/{c.name}" for f in session.specs.features.values() for c in f.cells}
    known |= list_candidate_keys(session.layout, known)
    found: list[Diagnostic] = []
    paths = set()
    for entry in registry.entries():
        paths.add(entry.path)
        if entry.key not in known and entry.status == "active":
            if fix and not Path(entry.path).exists():
                registry.release(entry.key)
                continue
            text = f"{entry.key} is registered at {entry.path}, but no spec names it"
            remedy = "orchestr doctor --fix releases it"
            if Path(entry.path).exists():
                if (session.layout.state / "cells" / entry.key).is_dir():
                    continue  # a cell that was taken out of its spec: it has a finding of its own
                remedy = _removal_words(Path(entry.path), entry.common_dir)
            else:
                text += ", and it is gone"
            found.append(Diagnostic("warning", text, remedy))
    root = session.layout.worktrees
    if root.is_dir():
        for feature in sorted(p for p in root.iterdir() if p.is_dir()):
            for folder in sorted(p for p in feature.iterdir() if p.is_dir()):
                key = f"{feature.name}/{folder.name}"
                if str(folder) not in paths and key not in known:
                    text = f"{folder} is a worktree that nothing here knows"
                    found.append(Diagnostic("warning", text, _removal_words(folder)))
    return found


def _removal_words(folder: Path, common_dir: str = "") -> str:
    """The commands that remove a folder among our worktrees and lose nothing.

    `git worktree remove` refuses what is not committed; the commits stay on their branch.
    """
    tree = Repo(folder)
    if not (folder / ".git").exists() or not tree.is_repository():
        return f"git knows nothing of it: look into it, then remove the folder {folder}"
    clone = common_dir or str(tree.common_dir())
    remove = f"git -C {clone} worktree remove {folder}"
    if tree.run_git("status", "--porcelain", "--ignored", answers=ANY_EXIT).text.strip():
        return (
            f"it holds what is not committed: look at git -C {folder} status, commit it or move it "
            f"away, then {remove}"
        )
    return f"{remove}, its commits stay on their branch"


def _rebuild_registry(session: Session, registry: Registry) -> None:
    """Make the registry again from what git knows."""
    names = {cell.repo for feature in session.specs.features.values() for cell in feature.cells}
    paths = {name: repo_path(session.settings, name) for name in names}
    repos = {name: Repo(path) for name, path in paths.items() if path.is_dir()}
    registry.rebuild(session.layout.worktrees, repos)
