"""Which changes the output of a red check names: their contracts, changed and owned paths.

Reads cells and git, decides nothing (`orchestr.landing.blame`). Named files that no cell has to
answer for, of a library or of what was there before, are no cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from orchestr.cell.upstreams import list_all_upstreams
from orchestr.cell.worktree.check_pool import locate_checkout_file
from orchestr.checks.log_evidence import match_changed_paths
from orchestr.landing.causes import Cause, choose_causes
from orchestr.landing.cell_paths import list_cell_paths
from orchestr.landing.checks import CandidateVerdict
from orchestr.landing.decide import heads_in_candidate
from orchestr.landing.events import CandidateSpec
from orchestr.landing.queue_item import QueueItem
from orchestr.landing.session import LandingSession
from orchestr.spec.path_patterns import match_paths


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A change that is in the candidate, or whose tree its checks read."""

    key: str
    repo: str
    changed: Sequence[str]
    is_contract: Callable[[str], bool]
    is_owned: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class _NamedFile:
    """``repo`` "": the output does not say in which; ``is_outside``: elsewhere on this machine."""

    path: str
    repo: str = ""
    is_outside: bool = False


def find_causes(
    session: LandingSession, spec: CandidateSpec, verdict: CandidateVerdict
) -> tuple[Cause, ...]:
    """The changes that the output of a red candidate of one change names; () for a batch, which is
    tried in parts, and for a revert. Raises GitError."""
    keys = spec.keys
    if len(keys) != 1 or session.queue.items[keys[0]].change.reverts:
        return ()
    heads = _list_heads(session, spec)
    suspects = [_describe_suspect(session, session.queue.items[key]) for key in heads]
    for paths in (verdict.named, verdict.mentioned):
        owners: dict[str, list[str]] = {}
        for path in paths:
            file = _locate_file(session, path)
            for mine, keys_of in _find_owners(file, suspects, spec.lane.repo):
                owners.setdefault(mine, keys_of)
        causes = choose_causes(spec.keys[0], owners, heads)
        if causes:
            return causes
    return ()


def _list_heads(session: LandingSession, spec: CandidateSpec) -> dict[str, str]:
    """The changes that can be a cause and the head that the check saw: the tested one, its
    upstreams, near ones first, then what else is in the target, newest first; what a cross check
    reads of other repositories comes last."""
    queue, own = session.queue, spec.keys[0]
    inside = heads_in_candidate(queue, spec)
    ctx = session.cell_context(own)
    near = [own, *(up.key for up in list_all_upstreams(ctx))]
    there = [key for key in inside if queue.items[key].change.lane == spec.lane]
    there.sort(key=lambda key: -queue.items[key].seq)
    crossed = any(one.repo == spec.lane.repo for one in ctx.run.feature.cross_checks)
    read = (
        [ctx.run.cell_context(cell.name).key for cell in ctx.run.feature.cells] if crossed else []
    )
    found = {}
    for key in dict.fromkeys([*near, *there, *read]):
        item = queue.items.get(key)
        if item is not None and not item.change.reverts and _is_still_there(session, item):
            found[key] = inside.get(key, item.change.head)
    return {key: head for key, head in found.items() if head}


def _is_still_there(session: LandingSession, item: QueueItem) -> bool:
    """Whether its cell is in its spec; of a feature that is not being landed that is not read."""
    feature, _, cell = item.change.key.partition("/")
    if not session.has_feature(feature):
        return True
    names = {one.name for run in session.runs if run.feature.name == feature
             for one in run.feature.cells}  # fmt: skip
    return cell in names


def _describe_suspect(session: LandingSession, item: QueueItem) -> _Suspect:
    change = item.change
    repo, changed = session.repo(change.lane.repo), set[str]()
    landings = [*item.earlier, (item.before, item.after)]
    for before, after in landings:
        if after and repo.resolve_commit(before) and repo.resolve_commit(after):
            changed.update(repo.changed_paths(before, after))
    contracts: list[str] = []
    owned: Sequence[str] = ()
    if session.has_feature(change.group):
        ctx = session.cell_context(change.key)
        changed.update(list_cell_paths(ctx))
        contracts = [c.path for c in ctx.run.feature.contracts if c.owner == ctx.cell.name]
        owned = ctx.cell.owned_paths
    return _Suspect(change.key, change.lane.repo, sorted(changed), match_paths(contracts),
                    match_paths(owned))  # fmt: skip


def _locate_file(session: LandingSession, path: str) -> _NamedFile:
    """Where a named file is: in a checkout or a worktree of ours, elsewhere, or not known."""
    if not path.startswith("/"):
        return _NamedFile(path)
    cells = [run.cell_context(cell.name) for run in session.runs for cell in run.feature.cells]
    found = locate_checkout_file(session.runs[0].layout, session.ways, cells, path)
    return _NamedFile(path, is_outside=True) if found is None else _NamedFile(found[1], found[0])


def _find_owners(
    file: _NamedFile, suspects: Iterable[_Suspect], repo: str
) -> list[tuple[str, list[str]]]:
    """Each path that is meant, with the changes that have to answer for it: the owner of the
    contract, else who changed it, else who owns it. In the candidate's repository first."""
    every = list(suspects)
    here = [one for one in every if one.repo == (file.repo or repo)]
    far = [] if file.repo else [one for one in every if one.repo != repo]
    for group in (here, far):
        contract = [] if file.is_outside else [s.key for s in group if s.is_contract(file.path)]
        if contract:
            return [(file.path, contract)]
        changed: dict[str, list[str]] = {}
        for one in group:
            for path in match_changed_paths([file.path], one.changed):
                if not file.is_outside or "/" in path:  # a name alone is that of many files
                    changed.setdefault(path, []).append(one.key)
        if changed:
            longest = max(changed, key=len)
            return [(longest, changed[longest])]
        owned = [] if file.is_outside else [s.key for s in group if s.is_owned(file.path)]
        if owned and group is here:
            return [(file.path, owned)]
    return []
