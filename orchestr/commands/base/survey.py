"""What there is around a new workspace: repositories, their checks, agents, logins at forges.

Looks one folder deep: at the repository that the folder is in, below the folder, and beside it.
Runs nothing of what it finds but git. The answer is written down by
`orchestr.settings.new_workspace`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestr.agents.catalogue import list_suggested
from orchestr.checks.detect import CheckProposal, detect_checks, proposal_as_toml
from orchestr.checks.missing_program import list_first_programs
from orchestr.commands.base.survey_forges import FoundForges, find_forges
from orchestr.errors import OrchestrError
from orchestr.forges.github_remote import parse_remote_url
from orchestr.forges.local_origin import local_path
from orchestr.git.push_place import is_same_repository
from orchestr.git.repo import Repo
from orchestr.git.runner import YES_OR_NO_REMOTE
from orchestr.process.redaction import redact
from orchestr.run.workspace import find_git_root
from orchestr.settings.new_workspace import PLAYGROUND, CheckEntry, RepoEntry, Surroundings
from orchestr.settings.remotes import ORIGIN
from orchestr.spec.field_types import BadValue, check_repo_name

MOST = (
    8  # repositories in new settings; a spec may name the others beside the workspace all the same
)
_ENTRIES = 2000  # of a folder that are looked at
_GITHUB = "github.com"
# What a check needs in its checkout that a new worktree does not have.
_BROUGHT = {"pytest": (".venv", "venv"), "npm": ("node_modules",), "pnpm": ("node_modules",),
            "yarn": ("node_modules",)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Survey:
    """``found`` goes into the workspace; ``passed`` are repositories that cannot be used and why,
    ``more`` how many are there beside those."""

    found: Surroundings
    passed: tuple[str, ...] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class _Clone:
    path: Path
    repo: Repo
    url: str  # of its remote; empty: there is none
    remote: str = ORIGIN


def survey_folder(folder: Path) -> Survey:
    """Look around ``folder``, which need not exist yet. Raises nothing for what cannot be read."""
    clones: dict[str, _Clone] = {}
    passed: list[str] = []
    for path in _list_clones(folder.resolve()):
        try:
            name = check_repo_name(path.name)
            repo = Repo(path)
            why = repo.explain_unusable()
            if why is None and repo.is_empty():
                why = (f"{path} has no commit yet", None)
            if why is not None:
                passed.append(why[0])
            elif name not in clones:
                remote = _choose_remote(repo)
                clones[name] = _Clone(path, repo, _read_address(repo, remote), remote)
        except (BadValue, OrchestrError, OSError) as error:
            passed.append(f"{path}: {error}")
    chosen = dict(list(clones.items())[:MOST])
    forges = find_forges({n: (c.path, c.remote, c.url) for n, c in chosen.items()})
    repos = tuple(
        RepoEntry(
            name,
            _write_path(clone.path, folder),
            tuple(_make_check(proposal, clone.path) for proposal in detect_checks(clone.path)),
            "" if forges.is_usable(name) else _explain_unpublished(clone),
            clone.remote if clone.remote != ORIGIN else "",
            _find_upstream(clone) if forges.is_usable(name) and _is_at_github(clone.url) else "",
            _name_other_forge(forges, name),
        )
        for name, clone in chosen.items()
    )
    agents = [known for known in list_suggested() if shutil.which(known.program)]
    found = Surroundings(
        repos, tuple(known.name for known in agents), forges.kind, forges.explain(),
        forges.explain_unknown(),
        {known.name: known.run for known in agents if known.kind == "acp"},
    )  # fmt: skip
    return Survey(found, tuple(passed), len(clones) - len(chosen))


def _list_clones(folder: Path) -> Iterator[Path]:
    """Checkouts of repositories, the nearest first; linked worktrees belong to their clone."""
    around = find_git_root(folder)
    if around is not None:
        yield around
    yield from _list_clones_in(folder)
    yield from _list_clones_in(folder / "repos")
    beside = (around or folder).parent
    yield from (path for path in _list_clones_in(beside) if path not in (around, folder))


def _list_clones_in(folder: Path) -> Iterator[Path]:
    names: list[str] = []
    with suppress(OSError), os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number >= _ENTRIES:
                break
            if not entry.name.startswith(".") and entry.name != PLAYGROUND:
                names.append(entry.name)
    for name in sorted(names):
        with suppress(OSError):
            if (folder / name / ".git").is_dir():
                yield folder / name


def _choose_remote(repo: Repo) -> str:
    """The remote that branches are pushed to: `origin`, else the only one there is."""
    names = repo.list_remotes()
    return names[0] if len(names) == 1 else ORIGIN


def _read_address(repo: Repo, remote: str) -> str:
    done = repo.run_readonly("remote", "get-url", "--", remote, answers=YES_OR_NO_REMOTE)
    return done.text.strip() if done.code == 0 else ""


def _find_upstream(clone: _Clone) -> str:
    """The remote `upstream` of a clone whose own remote is another repository at GitHub: by custom
    it is what the own one was forked from. Empty without one."""
    url = _read_address(clone.repo, "upstream") if clone.remote != "upstream" else ""
    if not _is_at_github(url) or is_same_repository(url, clone.url, clone.path):
        return ""
    return "upstream"


def _is_at_github(url: str) -> bool:
    slug = parse_remote_url(url) if url else None
    return slug is not None and slug.host == _GITHUB


def _name_other_forge(forges: FoundForges, name: str) -> str:
    """The forge of a repository where it is not that of the workspace. One that cannot be used now
    is named, too, beside another: its pull requests are not to be looked for there."""
    kind = forges.of_repo.get(name, "")
    return kind if forges.kind and kind != forges.kind else ""


def _explain_unpublished(clone: _Clone) -> str:
    """Why the example pushes nothing: an example must not leave this machine unasked."""
    if not clone.url:
        return f"it has no remote {clone.remote} to push to"
    if local_path(clone.url, clone.path) is None:
        return f"it would push to {redact(clone.url, ())}"
    return ""


def _write_path(path: Path, folder: Path) -> str:
    """The path relative to the workspace, where that stays short."""
    relative = os.path.relpath(path, folder.resolve())
    return relative if not relative.startswith("../../..") else str(path)


def _make_check(proposal: CheckProposal, clone: Path) -> CheckEntry:
    return CheckEntry(
        proposal_as_toml(proposal), proposal.reason, _explain_obstacle(proposal, clone)
    )


def _explain_obstacle(proposal: CheckProposal, clone: Path) -> str:
    """What a check lacks in a new worktree, as far as it can be seen; empty: nothing."""
    place = clone / proposal.check.cwd
    for argv in proposal.check.commands:
        for name in list_first_programs(argv):
            brought = next((b for b in _BROUGHT.get(name, ()) if (place / b).is_dir()), None)
            if brought is not None:
                return f"a new worktree has no {brought}: see `setup` and `link` in docs/spec.md"
            if "/" not in name and shutil.which(name) is None:
                return f"{name} is not on PATH"
    return ""
