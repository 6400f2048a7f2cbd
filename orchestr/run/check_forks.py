"""Before a run: where the remote that is pushed to is a fork, somebody has said where to.

Without a word about it a pull request would open inside the fork, where none of the people who
decide would see it. So the fork's parent is asked for once a repository, and a setting wanted:
`[repos.X] upstream` names the remote of the parent, or the fork itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestr.cell.context import CellContext
from orchestr.errors import MachineFault, OrchestrError
from orchestr.forges.base import ForkingForge
from orchestr.git.push_place import is_same_repository
from orchestr.git.repo import Repo
from orchestr.git.runner import YES_OR_NO_REMOTE
from orchestr.run.diagnostic import Diagnostic
from orchestr.spec.phases import Phase


def check_forks(cells: Sequence[CellContext]) -> list[Diagnostic]:
    """What is not said about forks; ``cells`` have something to do. A forge that cannot be asked is
    reported by whoever needs its answer."""
    chosen = {ctx.cell.repo: ctx for ctx in cells if Phase.PUBLISH in ctx.cell.phases}
    found: list[Diagnostic] = []
    for name, ctx in chosen.items():
        if not ctx.repo_path.is_dir():
            continue
        try:
            found += _check_fork(name, ctx)
        except MachineFault:
            raise
        except OrchestrError:
            continue
    return found


def _check_fork(name: str, ctx: CellContext) -> Iterator[Diagnostic]:
    forge, repo, said = ctx.run.forge, ctx.repo, ctx.repo_settings.upstream
    if not isinstance(forge, ForkingForge):
        if repo.remotes.is_fork:
            what = f"{name}: pull requests of the forge {forge.kind} are not opened from forks"
            yield Diagnostic("error", what, f"take `upstream` out of [repos.{name}]")
        return
    if said is not None or not repo.has_remote():
        return
    parent = forge.find_parent(ctx.repo_ref)
    if parent is None:
        return
    remote = repo.remotes.push
    known = find_remote_of(repo, parent)
    way = f"git -C {repo.path} remote add upstream {parent}, and " if known is None else ""
    fix = f'{way}[repos.{name}] upstream = "{known or "upstream"}" opens them there; to work '
    fix += f'inside the fork: upstream = "{remote}"'
    what = f"{name}: {remote} is a fork of {parent}: where do its pull requests open?"
    yield Diagnostic("error", what, fix)


def find_remote_of(repo: Repo, address: str) -> str | None:
    """The remote of a clone that is the repository at an address; None when it has none."""
    for name in repo.list_remotes():
        done = repo.run_readonly("remote", "get-url", "--", name, answers=YES_OR_NO_REMOTE)
        if done.code == 0 and is_same_repository(done.text.strip(), address, repo.path):
            return name
    return None
