"""The workspace of a stub run: `<state>/stub/FEATURE/`, a copy that reaches nothing real.

It is a workspace of its own, with its own state, local forge, clones and origins, so whatever a run
does with it (attempts, pushes, pull requests, landings) ends there, whatever a verb is called in it
later, too. The real workspace is only read: its records, branches and origins stay as they are, and
the real run starts from nothing. Each stub run begins with a new copy; what a killed one left at
work is ended first.

    stub.json          the paths that the stub agent may change
    orchestr.toml      the settings, made by `orchestr.run.stub_settings`
    specs/ ...         the feature's spec and what it takes in; other folders are links
    origins/NAME.git   what the repositories' clones know of their origins
    repos/NAME         clones of these
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import orchestr.agents.stub_program
from orchestr.cell.context import FeatureRun
from orchestr.cell.kit import expand_names
from orchestr.cell.ownership import claims_of
from orchestr.errors import Busy, UsageError
from orchestr.files import encode_json, encode_toml, write_atomic
from orchestr.git.open_clone import open_clone
from orchestr.git.repo import Repo
from orchestr.git.runner import ANY_EXIT
from orchestr.git.worktrees import delete_tree
from orchestr.process.death_watch import act_after_death
from orchestr.process.lease import Lease, LeaseRecord
from orchestr.process.tree import WORKTREE, kill_marked, list_attempt_processes
from orchestr.run.start import lease_record
from orchestr.run.stub_settings import (
    choose_stub_path,
    make_stub_settings,
    without_settings_variables,
)
from orchestr.settings.loader import read_raw_settings
from orchestr.settings.repo_paths import repo_path
from orchestr.spec.phases import Action
from orchestr.spec.reader import list_part_files
from orchestr.spec.records import Feature
from orchestr.state.layout import AGENTS_LOCK, WorkspaceLayout

PATHS = "stub.json"
MOST_SECONDS, PAUSE = 10.0, 0.1  # that ending what was left may take; between two looks
REPOS, ORIGINS = "repos", "origins"
CLONE = ("clone", "--quiet", "--template=", "--no-recurse-submodules")
COPIED = r"^(user|author|committer|commit|tag|gpg)\."  # local settings that commits depend on
_OWN = frozenset((PATHS, REPOS, ORIGINS, "orchestr.toml", "dodo.py", AGENTS_LOCK))


def stub_folder(layout: WorkspaceLayout, feature: str) -> Path:
    """Where the stub of a feature lies."""
    return layout.state / "stub" / feature


@contextmanager
def hold_stub(run: FeatureRun, environ: MutableMapping[str, str]) -> Iterator[Path]:
    """Make the stub workspace of a feature, hold it, and keep the user's settings variables away.

    Raises Busy while another stub run of the feature is at work, UsageError in a stub workspace and
    for a repository that is not here yet, GitError.
    """
    if (run.layout.root / PATHS).exists():
        raise UsageError(
            "this is the workspace of a stub run", hint=f"orchestr run {run.feature.name}"
        )
    folder = stub_folder(run.layout, run.feature.name)
    name = run.feature.name
    record = lease_record((name,), run.settings.limits.jobs)
    with _take_lease(run.layout.locks_dir / f"stub-{name}.lock", record, folder):
        remove_stub(folder)
        raw = read_raw_settings(run.layout.root, environ)
        clones = copy_repositories(run, folder)
        specs = copy_specs(run, folder)
        link_others(run, folder)
        write_atomic(folder / PATHS, encode_json(choose_stub_paths(run.feature)))
        program = (sys.executable, "-I", "-S", str(orchestr.agents.stub_program.__file__))
        settings = make_stub_settings(
            raw,
            root=run.layout.root,
            specs=specs,
            clones=clones,
            program=program,
            env={"STUB_PATHS": str(folder / PATHS)},
        )
        write_atomic(folder / "orchestr.toml", encode_toml(settings))
        away = {name: environ.pop(name) for name in without_settings_variables(list(environ))}
        try:
            with act_after_death(lambda: end_processes_of(folder)):
                yield folder
        finally:
            environ.update(away)


def _take_lease(path: Path, record: LeaseRecord, folder: Path) -> Lease:
    """Raises Busy; its hint is about the stub: `abort` in the real workspace ends real work."""
    try:
        return Lease.acquire(path, record)
    except Busy as busy:
        stop = f"cd {folder} && orchestr abort {' '.join(record.features)}"
        raise Busy(busy.message, hint=f"wait for it, or {stop}") from None


def choose_stub_paths(feature: Feature) -> dict[str, str]:
    """FEATURE/CELL, and FEATURE/CELL/PHASE where one's own phase may change less than its cell ->
    the path that the stub agent changes; empty is none."""
    found = {}
    for cell in feature.cells:
        if cell.action is Action.AGENT:
            key, claims = f"{feature.name}/{cell.name}", claims_of(feature, cell)
            found[key] = choose_stub_path(claims)
            for phase in cell.own_phases:
                if phase.owned_paths:
                    found[f"{key}/{phase.name}"] = choose_stub_path(claims, phase.owned_paths)
    return found


def remove_stub(folder: Path) -> None:
    """End what a stub run left at work, and delete the stub. Raises NotDeleted."""
    end_processes_of(folder)
    delete_tree(folder)


def end_processes_of(folder: Path) -> None:
    """End agents, checks and all that they started in a stub. In the real workspace an agent works
    on when its run was killed, and the next run takes it over; no run takes over a stub's."""
    below, calm = str(folder) + os.sep, 0
    end = time.monotonic() + MOST_SECONDS
    while calm < 2 and time.monotonic() < end:  # a supervisor may be about to start its agent
        places = {where for _, _, where in list_attempt_processes() if where.startswith(below)}
        for place in places:
            kill_marked(place, variable=WORKTREE)
        calm = 0 if places else calm + 1
        if places:
            time.sleep(PAUSE)


def copy_repositories(run: FeatureRun, folder: Path) -> dict[str, str]:
    """An origin and a clone of each repository of the feature: name -> path in the stub."""
    found = {}
    for name in sorted({cell.repo for cell in run.feature.cells}):
        path = repo_path(run.settings, name)
        if not path.is_dir():
            raise UsageError(
                f"repository {name!r} is not here yet: a stub run copies what is at {path}",
                hint=f"orchestr run repo:{name}, or git clone ... {path}",
            )
        _copy_repository(run, name, open_clone(run.settings, name), folder)
        _copy_kit(run, name, path, folder / REPOS / name)
        found[name] = f"{REPOS}/{name}"
    return found


def _copy_repository(run: FeatureRun, name: str, source: Repo, folder: Path) -> None:
    """The origin as the clone knows it, without the branches of the feature's cells."""
    bare, clone = folder / ORIGINS / f"{name}.git", folder / REPOS / name
    for place in (bare, clone):
        place.parent.mkdir(parents=True, exist_ok=True)
    Repo(folder).run_git(*CLONE, "--bare", "--", str(source.path), str(bare))
    origin = Repo(bare)
    tracked = f"refs/remotes/{source.remotes.base}/"
    default = source.run_readonly("symbolic-ref", "--quiet", f"{tracked}HEAD", answers=ANY_EXIT)
    refs = source.run_readonly("for-each-ref", "--format=%(refname)", tracked).text.split()
    if refs:  # what the origin has, and not what else the clone has
        own = origin.run_readonly("for-each-ref", "--format=%(refname)", "refs/heads/").text.split()
        specs = (f"+{tracked}*:refs/heads/*", f"^{tracked}HEAD")
        origin.run_git("fetch", "--quiet", "--update-shallow", str(source.path), *specs)
        theirs = {f"refs/heads/{ref.removeprefix(tracked)}" for ref in refs}
        _delete_refs(origin, [ref for ref in own if ref not in theirs])
    mine = [cell for cell in run.feature.cells if cell.repo == name]
    _delete_refs(origin, [f"refs/heads/{cell.branch}" for cell in mine])
    if default.code == 0:
        head = default.text.strip().removeprefix(tracked)
        origin.run_git("symbolic-ref", "HEAD", f"refs/heads/{head}")
    origin.run_git("remote", "remove", "origin")
    Repo(folder).run_git(*CLONE, "--", str(bare), str(clone))
    copy = Repo(clone)
    if not refs:  # the real one has no origin to push to, either
        copy.run_git("remote", "remove", "origin")
    listed = source.run_readonly(
        "config", "--local", "--null", "--get-regexp", COPIED, answers=ANY_EXIT
    )
    for entry in listed.text.split("\0"):
        key, _, value = entry.partition("\n")
        if key:
            copy.run_git("config", "--local", key, value)
    for cell in mine:
        branch = f"refs/heads/{cell.branch}"
        if cell.action is Action.PUSH and source.resolve_commit(branch) is not None:
            copy.run_git("fetch", "--quiet", str(source.path), f"{branch}:{branch}")
            copy.run_git("checkout", "--quiet", cell.branch, "--")


def _delete_refs(repo: Repo, refs: Sequence[str]) -> None:
    lines = "".join(f"delete {ref}\n" for ref in refs)
    if lines:
        repo.run_git("update-ref", "--no-deref", "--stdin", input=lines.encode())


def _copy_kit(run: FeatureRun, name: str, source: Path, clone: Path) -> None:
    """What worktrees get from the main checkout: copies of `copy`, links for `link`."""
    settings = run.settings.repo_settings(name)
    for names, copied in ((settings.link, False), (settings.copy, True)):
        for path in expand_names(names, source):
            old, new = source / path, clone / path
            if os.path.lexists(new) or not old.exists():
                continue
            new.parent.mkdir(parents=True, exist_ok=True)
            if not copied:
                new.symlink_to(old)
            elif old.is_dir():
                shutil.copytree(old, new, symlinks=True)
            else:
                shutil.copy2(old, new)


def copy_specs(run: FeatureRun, folder: Path) -> str:
    """The spec of the feature with its lock and the files that it takes in, at the same paths below
    the workspace. Returns the folder of the specs in the stub."""
    root, specs = run.layout.root, run.settings.workspace.specs
    inside = specs.is_relative_to(root) and specs != root
    place = str(specs.relative_to(root)) if inside else "specs"
    own, lock = root / run.feature.path, root / run.feature.lock_path
    _copy_file(own, folder / place / own.name)
    if lock.exists():
        _copy_file(lock, folder / place / lock.name)
    for part in list_part_files(own, root):
        _copy_file(part, folder / part.relative_to(root))
    return place


def _copy_file(old: Path, new: Path) -> None:
    if not new.exists():
        new.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(old, new)


def link_others(run: FeatureRun, folder: Path) -> None:
    """Links to what else lies in the workspace: scripts of `notify`, templates, prompts."""
    state = run.layout.state
    for entry in sorted(run.layout.root.iterdir()):
        mine = state.is_relative_to(entry) or (folder / entry.name).exists()
        if not mine and entry.name not in _OWN and not entry.name.startswith((".git", ".doit.db")):
            (folder / entry.name).symlink_to(entry)
