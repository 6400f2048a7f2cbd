"""The steps of the merge ladder in a landing: make a candidate, let generators write, and give the
branch of a change the merge that was checked. Each may be done twice.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence

from orchestr.cell.context import CellContext
from orchestr.cell.worktree.check_pool import CheckPool, lend_check_worktree
from orchestr.cell.worktree.check_worktree import CheckWorktree
from orchestr.cell.worktree.setup import run_setup_command
from orchestr.errors import (
    Interrupted,
    NeedsApproval,
    NotEvaluated,
    OrchestrError,
    Unavailable,
    as_disk_full,
)
from orchestr.forges.base import PullRequest
from orchestr.git.conflicts import write_blob
from orchestr.git.errors import GitError
from orchestr.git.mixed_tree import put_files
from orchestr.git.repo import CommitId, TreeId
from orchestr.git.status import read_changes
from orchestr.landing.actions import Generate, MakeCandidate, UpdateBranch
from orchestr.landing.after_landing import commit_target_merge
from orchestr.landing.candidates import describe_resolutions
from orchestr.landing.changes import assemble_candidate, changed_paths_of, describe_built
from orchestr.landing.checks import find_cell_of_repo
from orchestr.landing.events import GENERATOR_FAILED, Conflicted, HeadMoved, Made, Parked, Trouble
from orchestr.landing.generators import Generator, find_generator
from orchestr.landing.ladder import LadderMerge, lower_rung, read_ladder_rules
from orchestr.landing.queue_item import QueueItem
from orchestr.landing.recorded import record_or_warn
from orchestr.landing.session import LandingSession
from orchestr.landing.workers import as_no_verdict
from orchestr.spec.path_patterns import match_paths

_REGULAR, _EXECUTABLE, _GONE = "100644", "100755", "0"


def make_candidate(session: LandingSession, action: MakeCandidate) -> Made | Conflicted:
    """Make a candidate by the lowest rungs that resolve it. Raises Unavailable."""
    spec = action.spec
    try:
        built = assemble_candidate(session, spec, action.above)
    except GitError as error:  # such as an object that a `git gc` took meanwhile
        raise as_no_verdict(error, f"{', '.join(spec.keys)} was not merged") from error
    return describe_built(session, spec, built, action.red)


def generate_files(session: LandingSession, action: Generate) -> Made | Conflicted:
    """Run the generators of a candidate's files where it is checked out, behind the wall of checks,
    and take what they wrote. A generator that fails leaves the files to the rungs above.

    Raises Interrupted, and NotEvaluated where a generator had no network: the next landing asks it
    again.
    """
    spec, stop = action.spec, session.flying[action]
    ctx = find_cell_of_repo(session.runs, spec.lane.repo)
    try:
        with lend_check_worktree(
            ctx, CommitId(action.commit), CheckPool.LANDING, cancelled=stop.is_set
        ) as checkout:
            written = _run_generators(session, ctx, checkout, action)
    except Unavailable as error:
        raise NotEvaluated(
            f"{', '.join(action.paths)} was not written again: {error.message}",
            hint=error.hint or "put that right, then the same command again",
        ) from error
    except (Interrupted, NotEvaluated):
        raise
    except OrchestrError as error:
        if full := as_disk_full(error):
            raise full from error
        red = f"{GENERATOR_FAILED}: {error.reason}"
        known = session.queue.candidates[spec].rung
        # No lower than what it came to, and without generators: so no result comes twice.
        built = assemble_candidate(session, spec, lower_rung(known), generates=False)
        return describe_built(session, spec, built, red)
    built = assemble_candidate(session, spec, written=written)
    return describe_built(session, spec, built)


def _run_generators(
    session: LandingSession, ctx: CellContext, checkout: CheckWorktree, action: Generate
) -> TreeId:
    """The candidate's tree with what its generators wrote. Raises what a set-up command raises."""
    rules = read_ladder_rules(session.runs[0].settings, action.spec.lane.repo)

    def has_file(path: str) -> bool:
        return (checkout.path / path).exists()

    found = [find_generator(path, rules.generated, has_file) for path in action.paths]
    generators = tuple(dict.fromkeys(one for one in found if one is not None))
    logs = ctx.run.layout.state / "landing" / ctx.cell.repo / "logs" / action.commit[:16]
    for number, one in enumerate(generators, start=1):
        command = shlex.join(one.run)
        if one.folder:
            command = f"cd {shlex.quote(one.folder)} && {command}"
        run_setup_command(ctx, "generator", number, command, checkout.path, logs, "landing")
    files = dict(_list_written(checkout, generators))
    return put_files(ctx.repo, ctx.repo.resolve_tree(CommitId(action.commit)), files)


def _list_written(
    checkout: CheckWorktree, generators: tuple[Generator, ...]
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Each path that the generators changed and are declared to write, with mode and blob."""
    is_generated = match_paths([pattern for one in generators for pattern in one.paths])
    env = {"GIT_INDEX_FILE": str(checkout.index)}
    for change in read_changes(checkout.tree, untracked="all", env=env):
        place = checkout.path / change.path
        if not is_generated(change.path) or place.is_symlink():
            continue
        if not place.is_file():
            yield change.path, (_GONE, "0" * 40)
            continue
        mode = _EXECUTABLE if place.stat().st_mode & 0o100 else _REGULAR
        yield change.path, (mode, write_blob(checkout.tree, place.read_bytes()))


def update_branch(session: LandingSession, action: UpdateBranch) -> HeadMoved | Parked:
    """Bring a change's branch to the merge that was checked. Raises Interrupted, Unavailable."""
    spec, candidate = action.spec, session.queue.candidates[action.spec]
    ((key, old),) = spec.parts
    ctx = session.cell_context(key)
    merged = LadderMerge(TreeId(candidate.tree), candidate.rung, candidate.resolved)
    what = f"resolved by {', by '.join(describe_resolutions(candidate.resolved))}"
    try:
        parents = (CommitId(old), CommitId(spec.base))
        head = commit_target_merge(ctx, spec.lane.target, parents, merged, session.warn)
    except (Interrupted, Unavailable):
        raise
    except NeedsApproval as error:
        return Parked(key, Trouble.APPROVAL, f"its conflict was {what}; it {error.reason}")
    except OrchestrError as error:
        if full := as_disk_full(error):
            raise full from error
        return Parked(key, Trouble.RED, f"its conflict was {what}: {error.reason}")
    if head is None:
        return Parked(key, Trouble.CONFLICT, f"{what}, but its branch cannot be moved")
    return HeadMoved(key, head, changed_paths_of(ctx, CommitId(head)))


def keep_resolutions(
    ctx: CellContext,
    item: QueueItem,
    resolved: Sequence[str],
    pr: PullRequest | None,
    warn: Callable[[str], None],
) -> None:
    """Record how conflicts in what has landed were resolved, for the next time; and write at its
    pull request (``pr``) which ones were resolved without its author. A folder that cannot be
    written is a warning: the work has landed. Raises ForgeAway, ForgeError, GitError, and OSError
    on a full disk.
    """
    folder = read_ladder_rules(ctx.run.settings, ctx.cell.repo).recorded
    if folder is not None and item.before:
        head = CommitId(item.change.head)
        record_or_warn(ctx.repo, folder, CommitId(item.before), head, warn)
    if pr is not None and resolved:
        words = "; ".join(f"by {one}" for one in resolved)
        body = f"Landed on `{item.change.lane.target}`, its conflicts resolved {words}. "
        body += "The result was checked as it landed."
        ctx.run.forge.comment_once(ctx.repo_ref, pr.number, body)
