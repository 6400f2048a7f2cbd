"""A fork: where its pull requests open is what a person says, never a guess.

Without `[repos.X] upstream` a pull request would open inside the fork, where none of the people who
decide would see it. So a cell whose remote is a fork waits for that setting, before an agent is
paid for it. What was published inside a fork before stays there.
"""

from __future__ import annotations

from orchestr.cell.context import CellContext
from orchestr.forges.base import ForkingForge
from orchestr.git.push_place import is_same_repository
from orchestr.git.repo import Repo
from orchestr.git.runner import YES_OR_NO_REMOTE
from orchestr.spec.phases import Phase


def refuse_unnamed_fork(ctx: CellContext) -> None:
    """Raises PhaseFailed where the remote is a fork and no setting says where to; ForgeAway."""
    if Phase.PUBLISH in ctx.cell.phases and (found := explain_unnamed_fork(ctx)) is not None:
        what, fix = found
        raise ctx.fail(what, hint=fix)


def explain_unnamed_fork(ctx: CellContext) -> tuple[str, str] | None:
    """What is not said of a fork, and what to write; None where nothing is missing."""
    forge, repo, name = ctx.run.forge, ctx.repo, ctx.cell.repo
    if ctx.repo_settings.upstream is not None or not isinstance(forge, ForkingForge):
        return None
    parent = forge.find_parent(ctx.repo_ref) if repo.has_remote() else None
    if parent is None:
        return None
    known = find_remote_of(repo, parent)
    way = f"git -C {repo.path} remote add upstream {parent}, and " if known is None else ""
    fix = f'{way}[repos.{name}] upstream = "{known or "upstream"}" in orchestr.toml opens them '
    fix += f'there; to work inside the fork: upstream = "{repo.remotes.push}"'
    remote = repo.remotes.push
    return f"{name}: {remote} is a fork of {parent}: where do its pull requests open?", fix


def find_remote_of(repo: Repo, address: str) -> str | None:
    """The remote of a clone that is the repository at an address; None when it has none."""
    for name in repo.list_remotes():
        done = repo.run_readonly("remote", "get-url", "--", name, answers=YES_OR_NO_REMOTE)
        if done.code == 0 and is_same_repository(done.text.strip(), address, repo.path):
            return name
    return None
