"""Before a run: what the origins of its repositories say, asked before an agent is paid.

One question and one trial push a repository, all at once, under a short limit. What is refused
there would be refused after the work, too; an origin that does not answer is only warned of,
because the work can be done and pushed by a later run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from orchestr.cell.context import CellContext
from orchestr.cell.worktree.ensure import base_branch
from orchestr.errors import MachineFault, OrchestrError
from orchestr.git.errors import FetchFailed, ProtocolRefused, RemoteRefused
from orchestr.git.push_place import (
    explain_other_place,
    find_other_push_place,
    keep_one_place,
    try_push,
)
from orchestr.git.repo import Branch, CommitId, Repo
from orchestr.run.diagnostic import Diagnostic
from orchestr.settings.remotes import ORIGIN
from orchestr.spec.phases import Phase

TIMEOUT = 20.0  # s for one question to an origin
HEADS = "refs/heads/"


def check_origins(cells: Sequence[CellContext]) -> list[Diagnostic]:
    """What would keep these cells from being published, each repository asked once.

    ``cells`` have something to do. Those without `publish` and repositories that are not there
    yet are passed over.
    """
    chosen: dict[str, list[CellContext]] = {}
    for ctx in cells:
        if Phase.PUBLISH in ctx.cell.phases and ctx.repo_path.is_dir():
            chosen.setdefault(ctx.cell.repo, []).append(ctx)
    if not chosen:
        return []
    with ThreadPoolExecutor(max_workers=8) as pool:
        found = pool.map(_check_safely, chosen.values())
        return [finding for findings in found for finding in findings]


def _check_safely(cells: Sequence[CellContext]) -> list[Diagnostic]:
    """A repository that git cannot use has a finding of its own already."""
    try:
        return list(check_origin(cells))
    except MachineFault:
        raise
    except OrchestrError:
        return []


def check_origin(cells: Sequence[CellContext]) -> Iterator[Diagnostic]:
    """The findings of one repository, ``cells`` are all of it."""
    name, repo = cells[0].cell.repo, cells[0].repo
    remotes = repo.remotes
    for remote, what in ((remotes.push, "push to"), (remotes.base, "fetch from")):
        if not repo.has_remote(remote):
            fix = (
                f"git -C {repo.path} remote add {remote} URL, or leave `publish` out of the phases"
            )
            if remotes.push != ORIGIN or remotes.is_fork:
                fix += f", or change [repos.{name}] remote or upstream"
            what = f"{name}: {repo.path} has no remote {remote} to {what}"
            yield Diagnostic("error", what, fix)
            return
    other = find_other_push_place(repo, remotes.push)
    if other is not None:
        yield Diagnostic("error", explain_other_place(name, other), keep_one_place(repo))
        return
    bases = list_named_bases(cells)
    try:
        look = _ask_origin(repo, cells, bases)
    except (ProtocolRefused, RemoteRefused) as error:
        yield Diagnostic("error", f"{name}: {error.message}", error.hint or "")
        return
    except FetchFailed as error:
        what = f"{name}: {remotes.base} cannot be asked before the work: {error.message}"
        yield Diagnostic("warning", what, f"git -C {repo.path} ls-remote {remotes.base}")
        return
    yield from _check_bases(name, repo, bases, look)
    yield from _check_names(name, cells, look)
    yield from _check_push(name, repo, cells)


@dataclass(frozen=True, slots=True)
class OriginLook:
    """The answer of an origin: its default branch, and the branches among those asked for."""

    default: str | None
    heads: frozenset[str]


@dataclass(frozen=True, slots=True)
class NamedBase:
    """A base branch, the cells that start from it, and whether a setting or spec names it."""

    branch: str
    cells: tuple[str, ...]
    is_set: bool


def list_named_bases(cells: Sequence[CellContext]) -> list[NamedBase]:
    """The bases of the cells that are not stacked; none of those that are a cell's branch."""
    found: dict[tuple[str, bool], list[str]] = {}
    ours = {entry.branch for entry in cells[0].run.registry.entries()}
    ours |= {cell.branch for cell in cells[0].run.feature.cells}
    default: str | None = None
    for ctx in cells:
        if len(ctx.plan.stack) == 1:
            continue
        named = ctx.cell.base or ctx.repo_settings.base
        if not named:
            default = default or base_branch(ctx)
        branch = named or default or ""
        if branch not in ours:
            found.setdefault((branch, bool(named)), []).append(ctx.cell.name)
    return [NamedBase(branch, tuple(names), is_set) for (branch, is_set), names in found.items()]


def _ask_origin(repo: Repo, cells: Sequence[CellContext], bases: Sequence[NamedBase]) -> OriginLook:
    """One `ls-remote`. Raises FetchFailed."""
    names = {base.branch for base in bases}
    for ctx in cells:
        parts = ctx.cell.branch.split("/")
        names |= {"/".join(parts[:n]) for n in range(1, len(parts))}
        names.add(f"{ctx.cell.branch}/*")
    patterns = [f"{HEADS}{name}" for name in sorted(names)]
    default, refs = repo.read_remote_heads(repo.remotes.base, *patterns, timeout=TIMEOUT)
    return OriginLook(default, frozenset(ref.removeprefix(HEADS) for ref in refs))


def _check_bases(
    name: str, repo: Repo, bases: Sequence[NamedBase], look: OriginLook
) -> Iterator[Diagnostic]:
    renamed = f"git -C {repo.path} remote set-head {repo.remotes.base} --auto"
    for base in bases:
        now = look.default
        known = "" if now is None else f"; its default branch is {now}"
        if base.branch not in look.heads:
            fix = f"git -C {repo.path} push {repo.remotes.base} {base.branch}"
            if base.is_set:
                fix += f", or set another base ([repos.{name}] base, or the cell's)"
            elif now is not None and now != base.branch:
                fix = f"git -C {repo.path} fetch {repo.remotes.base} {now}, then {renamed}"
            what = f"{name}: base branch {base.branch} is not at the origin{known}"
            yield Diagnostic("error", what, fix)
        elif not base.is_set and now is not None and now != base.branch:
            what = f"{name}: cells start from {base.branch}; the origin's default branch is {now}"
            fix = f'{renamed}, or set [repos.{name}] base = "{base.branch}"'
            yield Diagnostic("warning", what, fix)


def _check_names(name: str, cells: Sequence[CellContext], look: OriginLook) -> Iterator[Diagnostic]:
    """A branch `x` and a branch `x/y` cannot both be: refs are files and folders."""
    for ctx in cells:
        branch = ctx.cell.branch
        for head in sorted(look.heads):
            if branch.startswith(f"{head}/") or head.startswith(f"{branch}/"):
                what = f"{name}: branch {branch} of {ctx.cell.name} cannot be pushed beside {head}"
                yield Diagnostic("error", what, f"set another `branch:` in {ctx.run.feature.path}")
                break


def _check_push(name: str, repo: Repo, cells: Sequence[CellContext]) -> Iterator[Diagnostic]:
    """The trial: the branches as they are, else whatever commit there is."""
    there, some = repo.list_branch_heads(), repo.head()
    commits: dict[Branch, CommitId] = {}
    for branch in (Branch(ctx.cell.branch) for ctx in cells):
        commit = there.get(branch, some)
        if commit is not None:
            commits[branch] = commit
    if not commits:
        return
    remote = repo.remotes.push
    trial = try_push(repo, commits, remote, timeout=TIMEOUT)
    ref = f"{HEADS}{next(iter(commits))}"
    fix = f"git -C {repo.path} push --dry-run {remote} HEAD:{ref}, to see it by hand"
    if trial.refused:
        what = f"{name}: a push to {remote} would be refused: {trial.refused}"
        yield Diagnostic("error", what, fix)
    elif trial.away:
        yield Diagnostic("warning", f"{name}: a push could not be tried: {trial.away}", fix)
