"""Before a run: work in a person's own checkout that the cells start without.

Cells start from the base at the origin. What is only in the checkout of that branch, committed or
not, is neither built on nor lost; whoever expects it there is warned before an agent is paid.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from orchestr.cell.context import CellContext
from orchestr.cell.ownership import format_paths
from orchestr.errors import MachineFault, OrchestrError
from orchestr.git.repo import Repo
from orchestr.git.runner import split_records
from orchestr.run.check_origins import list_named_bases
from orchestr.run.diagnostic import Diagnostic
from orchestr.spec.phases import Action


def check_checkouts(cells: Sequence[CellContext]) -> list[Diagnostic]:
    """``cells`` have something to do; repositories that are not there yet are passed over."""
    chosen: dict[str, list[CellContext]] = {}
    for ctx in cells:
        if ctx.cell.action is Action.AGENT and ctx.repo_path.is_dir():
            chosen.setdefault(ctx.cell.repo, []).append(ctx)
    found: list[Diagnostic] = []
    for name, mine in chosen.items():
        try:
            bases = {base.branch for base in list_named_bases(mine)}
            found += _compare_checkout(name, mine[0].repo, bases)
        except MachineFault:
            raise
        except OrchestrError:
            continue  # a finding of its own already
    return found


def _compare_checkout(name: str, repo: Repo, bases: Collection[str]) -> Iterator[Diagnostic]:
    words = ("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=no")
    records = split_records(repo.run_readonly(*words).out)
    heads = [r.removeprefix("# branch.head ") for r in records if r.startswith("# branch.head ")]
    if not heads or heads[0] not in bases:
        return
    base, theirs = heads[0], f"refs/remotes/{repo.remotes.base}/{heads[0]}"
    if repo.resolve_commit(theirs) is None:
        return
    more = repo.count_commits(theirs, f"refs/heads/{base}")
    if more:
        commits = "1 commit that is" if more == 1 else f"{more} commits that are"
        yield Diagnostic(
            "warning",
            f"{name}: {base} in {repo.path} has {commits} not at the origin; cells start without",
            f"git -C {repo.path} push {repo.remotes.base} {base}",
        )
    changed = [path for record in records if (path := _changed_path(record))]
    if changed:
        yield Diagnostic(
            "warning",
            f"{name}: not committed in {repo.path}, so cells start without: "
            f"{format_paths(changed)}",
            f"commit and push it, if they need it: git -C {repo.path} status",
        )


def _changed_path(record: str) -> str:
    """The path of a line `1 XY sub mH mI mW hH hI PATH` (`2 ` has one word more, `u ` two)."""
    for mark, words in (("1 ", 8), ("2 ", 9), ("u ", 10)):
        if record.startswith(mark):
            return record.split(" ", words)[-1]
    return ""
