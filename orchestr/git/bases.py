"""Base branches as the remote said they are, kept under refs of ours.

`refs/remotes/` belongs to everybody who works in a clone: whoever moves `origin/main` there would
bring its commits into the base of another cell. So the answer of a fetch of ours is kept as
`refs/orchestr/base/REMOTE/BRANCH` (the remote is `Repo.remotes.base`), and whatever decides on a
base, a merge base or a landing target reads it there. Only a clone in which we never reached the
remote is read as its user left it.
"""

from __future__ import annotations

from pathlib import Path

from orchestr.git.repo import CommitId, Repo
from orchestr.settings.remotes import ORIGIN

BASES = "refs/orchestr/base"


def base_ref_name(branch: str, remote: str = ORIGIN) -> str:
    """The ref of ours for a branch at the remote."""
    return f"{BASES}/{remote}/{branch}"


def base_ref_names(branch: str, remote: str = ORIGIN) -> tuple[str, str, str]:
    """The refs that may stand for a base branch, ours first."""
    ours = base_ref_name(branch, remote)
    return ours, f"refs/remotes/{remote}/{branch}", f"refs/heads/{branch}"


def fetch_base(repo: Repo, branch: str, *, locks: Path) -> None:
    """Fetch a branch from the remote, and keep where it is there. Raises FetchFailed."""
    remote = repo.remotes.base
    repo.fetch(remote, f"+refs/heads/{branch}:{base_ref_name(branch, remote)}", locks=locks)


def keep_base(repo: Repo, branch: str, tip: str, *, locks: Path) -> None:
    """Keep ``tip``, which the remote has just named for a branch; fetched when it is not here."""
    ours = base_ref_name(branch, repo.remotes.base)
    if repo.resolve_commit(tip) is None:
        fetch_base(repo, branch, locks=locks)
    elif repo.resolve_commit(ours) != tip:
        repo.update_ref(ours, CommitId(tip))


def find_base(repo: Repo, branch: str) -> CommitId | None:
    """Where a base branch is, as far as it is known here: at the remote, else in the clone."""
    return next(iter(list_base_tips(repo, branch).values()), None)


def list_base_tips(repo: Repo, branch: str) -> dict[str, CommitId]:
    """The refs that stand for a base branch, with their commits: the one at the remote first.

    `refs/remotes/` counts only where we have no answer of the remote.
    """
    names = base_ref_names(branch, repo.remotes.base)
    known = repo.list_refs(*names)
    found = {name: CommitId(known[name]) for name in names if name in known}
    if names[0] in found:
        found.pop(names[1], None)
    return found
