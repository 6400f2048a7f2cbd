"""What is there to follow: the records of the cells, and one question to the forge for all.

Reads records, the forge and logs of red checks; starts and writes nothing. A log is read once for
each run of a check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestr.cell.agent.repair import author_attempt
from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.pull_request.foreign_commits import pushed_commits
from orchestr.cell.upstreams import is_built_on_product, list_all_upstreams
from orchestr.checks import log_evidence
from orchestr.errors import OrchestrError, UsageError
from orchestr.follow.decide import UNPUBLISHED, list_red_checks
from orchestr.follow.facts import FollowedCell, RedCheck
from orchestr.follow.memory import FollowMemory
from orchestr.forges.base import ForgeAway, ForgeError, PRState
from orchestr.forges.depends_on import parse_address
from orchestr.forges.followed import CiCheck, FollowingForge, PullRequestFacts, PullRequestKey
from orchestr.git.find_word import has_word
from orchestr.git.repo import CommitId
from orchestr.landing.cell_paths import list_cell_paths
from orchestr.spec.path_patterns import match_paths
from orchestr.spec.phases import Action
from orchestr.state.landing_transitions import FOLLOW
from orchestr.state.results import (
    HeadRecord,
    ImplementOutcome,
    ImplementRecord,
    PublishRecord,
    WorktreeMarker,
    read_tree,
)
from orchestr.state.states import CellState
from orchestr.state.view import CellView


@dataclass(slots=True)
class LogReader:
    """Logs of red checks, each read once a process."""

    forge: FollowingForge
    known: dict[tuple[str, str], str] = field(default_factory=dict)

    def read_log(self, ctx: CellContext, check: CiCheck) -> str:
        """The log, or the check's own words where it has none. Raises ForgeAway."""
        key = (ctx.cell.repo, check.id or f"{check.name} {check.url}")
        if key not in self.known:
            try:
                log = self.forge.read_check_log(ctx.repo_ref, check)
            except ForgeAway:
                raise
            except ForgeError:  # this login may not read it: what is known otherwise must do
                log = "its log cannot be read with this login"
            notes = [f"{a.path}:{a.line}: {a.message}" for a in check.annotations]
            self.known[key] = "\n".join(part for part in (check.summary, *notes, log) if part)
        return self.known[key]


def require_following_forge(run: FeatureRun) -> FollowingForge:
    """The forge, which can be followed. Raises UsageError."""
    forge = run.forge
    if not isinstance(forge, FollowingForge):
        raise UsageError(
            f"pull requests at the forge `{forge.kind}` cannot be followed",
            hint=f"orchestr status {run.feature.name} --fetch shows how they stand",
        )
    return forge


def look_at_features(runs: Sequence[FeatureRun], logs: LogReader) -> dict[str, list[FollowedCell]]:
    """Feature -> its cells, as they are now. Raises ForgeAway, ForgeError."""
    keys = list_pull_requests(runs)
    answers = logs.forge.read_facts(tuple(dict.fromkeys(keys.values())))
    found: dict[str, list[FollowedCell]] = {}
    for run in runs:
        name = run.feature.name
        facts = {cell: answers.get(key) for (feature, cell), key in keys.items() if feature == name}
        found[name] = [_describe_cell(run, cell.name, facts, logs) for cell in run.feature.cells]
    return found


def find_pull_request(ctx: CellContext) -> PullRequestKey | None:
    """The pull request that the records of a cell name, None when there is none."""
    done = PublishRecord.read(ctx.dir)
    address = parse_address(done.url) if done is not None else None
    return None if address is None else PullRequestKey(ctx.repo_ref, address.number)


def list_pull_requests(runs: Sequence[FeatureRun]) -> dict[tuple[str, str], PullRequestKey]:
    """(Feature, cell) -> the pull request that its records name, of all cells that have one."""
    return {
        (run.feature.name, cell.name): key
        for run in runs
        for cell in run.feature.cells
        if (key := find_pull_request(run.cell_context(cell.name))) is not None
    }


def _describe_cell(
    run: FeatureRun, name: str, facts: Mapping[str, PullRequestFacts | None], logs: LogReader
) -> FollowedCell:
    ctx = run.cell_context(name)
    mine = facts.get(name)
    done, head = PublishRecord.read(ctx.dir), HeadRecord.read(ctx.dir)
    result, memory = ImplementRecord.read(ctx.dir), FollowMemory.read(ctx.dir)
    cell = FollowedCell(
        name,
        ctx.cell.repo,
        published=done.head if done is not None else "",
        why_open=_explain_open(done, head, result),
        failed=_explain_last_failure(ctx, memory),
        stale=_find_stale_upstream(ctx),
        is_unchanged=head is not None and head.outcome is ImplementOutcome.NO_CHANGE_NEEDED,
        asks=run.past.cell(name).state is CellState.APPROVAL,
        rounds=ctx.cell.proof.repair.follow,
        can_repair=result is not None and author_attempt(ctx, result) is not None,
        memory=memory,
        facts=mine,
    )
    if mine is None or mine.pr.state is not PRState.OPEN:
        return cell
    unmerged = _list_unmerged_upstreams(ctx, facts)
    return replace(
        cell,
        was_pushed=frozenset(pushed_commits(run.journal, name)),
        below=_find_below(ctx, mine, facts, PRState.OPEN),
        landed_below=_find_below(ctx, mine, facts, PRState.MERGED),
        unmerged=unmerged,
        untouchable=_list_untouchable(ctx, facts),
        red=tuple(_read_red(ctx, check, logs, unmerged, facts) for check in list_red_checks(mine)),
    )


def _explain_open(
    done: PublishRecord | None, head: HeadRecord | None, result: ImplementRecord | None
) -> str:
    if done is None or head is None or result is None:
        return "it is not built yet"
    return "" if done.head == head.head else UNPUBLISHED


def _find_stale_upstream(ctx: CellContext) -> str:
    """The upstream that changed since the cell was built on it, in words."""
    marker = WorktreeMarker.read(ctx.dir)
    if marker is None or ctx.cell.action is Action.PUSH:
        return ""
    for up in ctx.upstreams():
        tree, known = read_tree(up.dir), marker.upstreams.get(up.cell.name)
        if tree is not None and known is not None and not is_built_on_product(up, known, tree):
            return f"upstream {up.cell.name} has another tree"
    return ""


def _explain_last_failure(ctx: CellContext, memory: FollowMemory) -> str:
    """As `explain_failure`; once follow has left the cell to a person, what it was left for."""
    view = ctx.run.past.cell(ctx.cell.name)
    is_parked = view.state is CellState.NEEDS_PERSON and view.phase == FOLLOW
    return memory.failed if is_parked else explain_failure(view)


def explain_failure(view: CellView) -> str:
    """Why the last run of a cell ended badly; what a person stopped, or follow itself has left to
    a person, is none."""
    if not view.state.is_bad or view.phase == FOLLOW or view.state is CellState.ABORTED:
        return ""
    return view.reason or view.state.label


def _find_below(
    ctx: CellContext, mine: PullRequestFacts, facts: Mapping[str, PullRequestFacts | None],
    state: PRState,
) -> str:  # fmt: skip
    """The cell whose branch is the base of the pull request, if its own is in this state."""
    for other in ctx.run.feature.cells:
        theirs = facts.get(other.name)
        here = other.repo == ctx.cell.repo and other.branch == mine.pr.base
        if here and theirs is not None and theirs.pr.state is state:
            return other.name
    return ""


def _list_unmerged_upstreams(
    ctx: CellContext, facts: Mapping[str, PullRequestFacts | None]
) -> dict[str, str]:
    """Direct and further upstreams in other repositories whose pull request is open: addresses."""
    found: dict[str, str] = {}
    for up in list_all_upstreams(ctx):
        theirs = facts.get(up.cell.name)
        is_open = theirs is not None and theirs.pr.state is PRState.OPEN
        if is_open and theirs is not None and up.cell.repo != ctx.cell.repo:
            found[up.cell.name] = theirs.pr.url
    return found


def _list_untouchable(
    ctx: CellContext, facts: Mapping[str, PullRequestFacts | None]
) -> dict[str, str]:
    """Upstreams that no round may be made of, whoever asks for it: a person has said so."""
    label, found = ctx.run.settings.follow.hands_off, {}
    for up in list_all_upstreams(ctx):
        theirs = facts.get(up.cell.name)
        if theirs is not None and label in theirs.labels:
            found[up.cell.name] = f"the label `{label}` of {theirs.pr.url} says hands off"
        elif theirs is not None and theirs.pr.state is PRState.CLOSED:
            found[up.cell.name] = f"{theirs.pr.url} is closed"
    return found


def _read_red(
    ctx: CellContext, check: CiCheck, logs: LogReader, unmerged: Mapping[str, str],
    facts: Mapping[str, PullRequestFacts | None],
) -> RedCheck:  # fmt: skip
    log = logs.read_log(ctx, check)
    noted = [note.path for note in check.annotations]
    return RedCheck(
        check,
        log_evidence.find_causal_part(log),
        log_evidence.sign_failure(check.name, log, noted),
        _find_owners(ctx, log_evidence.find_paths(log, noted), facts),
        _find_missing(ctx, log_evidence.find_missing_names(log), unmerged),
    )


def _find_owners(
    ctx: CellContext, named: Sequence[str], facts: Mapping[str, PullRequestFacts | None]
) -> tuple[str, ...]:
    """The cells whose change the output names by path: the cell itself, then its upstreams but
    those that are merged, which change no more."""
    if not named:
        return ()
    found = []
    for one in (ctx, *list_all_upstreams(ctx)):
        theirs = facts.get(one.cell.name)
        if theirs is not None and theirs.pr.state is PRState.MERGED:
            continue
        changed = list_cell_paths(one)
        contracts = [c.path for c in ctx.run.feature.contracts if c.owner == one.cell.name]
        is_contract = match_paths(contracts)
        if log_evidence.match_changed_paths(named, changed) or any(map(is_contract, named)):
            found.append(one.cell.name)
    return tuple(found)


def _find_missing(
    ctx: CellContext, names: Sequence[str], unmerged: Mapping[str, str]
) -> dict[str, str]:
    """Names that the output misses -> the upstream elsewhere whose change brings them: they are in
    what it adds, and were not there before."""
    found: dict[str, str] = {}
    for cell in unmerged:
        up = ctx.run.cell_context(cell)
        marker, head = WorktreeMarker.read(up.dir), HeadRecord.read(up.dir)
        if marker is None or head is None:
            continue
        for name in names[:20]:
            if name not in found and _brings(up, name, marker.base, head.head):
                found[name] = cell
    return found


def _brings(up: CellContext, name: str, base: str, head: str) -> bool:
    word = name.rsplit(".", 1)[-1]
    try:
        there = has_word(up.repo, CommitId(head), word)
        return there and not has_word(up.repo, CommitId(base), word)
    except OrchestrError:
        return False
