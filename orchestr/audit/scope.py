"""What each cell answers for, and where a named file is: reads records and git, decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestr.audit.decide import CellScope
from orchestr.audit.findings import Place
from orchestr.cell.agent.repair import author_attempt
from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.upstreams import list_all_upstreams
from orchestr.cell.worktree.check_pool import locate_checkout_file
from orchestr.checks.log_evidence import match_changed_paths
from orchestr.errors import MachineFault, OrchestrError
from orchestr.git.repo import CommitId
from orchestr.git.runner import split_records
from orchestr.state.results import ImplementRecord
from orchestr.state.states import CellState


def describe_cells(run: FeatureRun) -> list[CellScope]:
    """The cells of a feature in plan order. Raises GitError."""
    found = []
    for plan in run.plan.cells:
        ctx = run.cell_context(plan.name)
        contracts = tuple(c.path for c in run.feature.contracts if c.owner == plan.name)
        upstreams = frozenset(up.cell.name for up in list_all_upstreams(ctx))
        found.append(
            CellScope(plan.name, ctx.cell.repo, contracts, ctx.cell.owned_paths,
                      frozenset(_changed_paths(ctx)), upstreams, _explain_refusal(ctx))
        )  # fmt: skip
    return found


def _changed_paths(ctx: CellContext) -> list[str]:
    head = ctx.read_head()
    if head is None:
        return []
    try:
        return ctx.repo.changed_paths(head.base, head.head)
    except MachineFault:
        raise
    except OrchestrError:  # its base is gone: then nothing is known of it
        return []


def _explain_refusal(ctx: CellContext) -> str:
    """Why no agent can repair what the cell made; "" where one can."""
    view, done = ctx.run.past.cell(ctx.cell.name), ImplementRecord.read(ctx.dir)
    if view.ignored:
        return "it is ignored"
    if view.state is CellState.LANDED:
        return "it has landed"
    if done is None or ctx.read_head() is None or author_attempt(ctx, done) is None:
        return "its commits are not one of our agents'"
    return ""


@dataclass(frozen=True, slots=True)
class FileFinder:
    """Finds the place of a file that output names; ``merges``: repository -> the merged commit."""

    run: FeatureRun
    scopes: tuple[CellScope, ...]
    merges: Mapping[str, CommitId]
    files: Mapping[str, frozenset[str]]  # of each merge

    @classmethod
    def of_merges(
        cls, run: FeatureRun, scopes: Iterable[CellScope], merges: Mapping[str, CommitId]
    ) -> FileFinder:
        """With the files of each merge. Raises GitError."""
        by_repo = {cell.repo: run.cell_context(cell.name) for cell in run.feature.cells}
        files = {
            repo: frozenset(split_records(by_repo[repo].repo.run_readonly(
                "ls-tree", "-r", "-z", "--name-only", commit).out))
            for repo, commit in merges.items()
        }  # fmt: skip
        return cls(run, tuple(scopes), merges, files)

    def find_places(self, named: Iterable[str], repo: str) -> list[Place]:
        """The places of these paths, which the output of a check in ``repo`` names; files that are
        in none of the feature's repositories are left out."""
        found = (self._find_place(path, repo) for path in named)
        return list(dict.fromkeys(place for place in found if place is not None))

    def _find_place(self, path: str, repo: str) -> Place | None:
        if path.startswith("/"):
            known = {cell.repo for cell in self.run.feature.cells}
            cells = [self.run.cell_context(cell.name) for cell in self.run.feature.cells]
            found = locate_checkout_file(self.run.layout, sorted(known), cells, path)
            return Place(*found) if found is not None else None
        for name in dict.fromkeys((repo, *self.files)):
            changed = [p for cell in self.scopes if cell.repo == name for p in cell.changed]
            if match := match_changed_paths([path], changed):
                return Place(name, max(match, key=len))
            if path in self.files.get(name, ()):
                return Place(name, path)
        return None

    def is_changed(self, place: Place) -> bool:
        """Whether a cell of its repository has changed the file."""
        return any(one.repo == place.repo and place.path in one.changed for one in self.scopes)

    def correct_place(self, place: Place) -> Place:
        """A place whose path begins with the folder of its checkout, without that folder, where
        the merge has such a file and none of the path as it is."""
        files, inner = self.files.get(place.repo, frozenset()), f"{place.repo}/"
        rest = place.path.removeprefix(inner)
        if place.path in files or not place.path.startswith(inner) or rest not in files:
            return place
        return Place(place.repo, rest, place.line)
