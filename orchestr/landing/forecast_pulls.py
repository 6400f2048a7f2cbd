"""Heads of pull requests that other people have open, for the forecast of conflicts.

The forge is asked once for each target, and what the clone lacks is fetched from the origin in one
go: objects only, no ref is made. Only commands that ask the network anyway come here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from orchestr.cell.context import CellContext, FeatureRun
from orchestr.errors import OrchestrError
from orchestr.forges.base import ListingForge, PullRequest
from orchestr.git.branch_tip import read_base_tip
from orchestr.git.missing_objects import NO_LAZY_FETCH, find_missing_objects
from orchestr.landing.forecast import HeadKind, PublishedHead
from orchestr.landing.forecast_merges import describe_failure, list_published_heads
from orchestr.landing.lane import Lane


@dataclass(frozen=True, slots=True)
class ForeignHeads:
    """What the forge answered: heads, and in a sentence each what could not be asked."""

    heads: tuple[PublishedHead, ...] = ()
    notes: tuple[str, ...] = ()


PULLS = 30  # of one target, those changed last


def fetch_foreign_heads(runs: Sequence[FeatureRun], asked: Collection[str]) -> ForeignHeads:
    """The heads of open pull requests into the targets of the features ``asked``, without those of
    the cells of ``runs``."""
    found, notes = list[PublishedHead](), list[str]()
    lanes: dict[Lane, CellContext] = {}
    ours: set[tuple[str, str]] = set()
    for run in runs:
        ours |= {(cell.repo, cell.branch) for cell in run.feature.cells}
        if run.feature.name in asked:
            heads = list_published_heads(run, run.past, asked=True)
            lanes |= {head.lane: ctx for ctx, head in heads}
    for lane, ctx in lanes.items():
        forge = ctx.run.forge
        if not isinstance(forge, ListingForge):
            continue
        try:
            listed = forge.list_open_into(ctx.repo_ref, lane.target)
            foreign = [pr for pr in listed if (lane.repo, pr.head) not in ours]
            if len(foreign) > PULLS:
                notes.append(f"of {len(foreign)} open pull requests for {lane}, only the {PULLS} "
                             "that changed last are compared")  # fmt: skip
            found += _make_heads(ctx, lane, foreign[:PULLS])
        except (OrchestrError, OSError) as error:
            why = describe_failure(error)
            notes.append(f"open pull requests for {lane} are not compared: {why}")
    return ForeignHeads(tuple(found), tuple(notes))


def _make_heads(ctx: CellContext, lane: Lane, prs: Sequence[PullRequest]) -> list[PublishedHead]:
    """Those that have history in common with their target. Raises OrchestrError."""
    repo = ctx.repo
    missing = find_missing_objects(repo, [pr.head_sha for pr in prs], env=NO_LAZY_FETCH)
    refs = [pr.head_ref for pr in prs if pr.head_sha in missing]
    if refs:
        repo.fetch(repo.remotes.base, *refs, locks=ctx.run.layout.locks_dir)
        missing = find_missing_objects(repo, sorted(missing), env=NO_LAZY_FETCH)
    tip = read_base_tip(repo, lane.target)
    found = []
    for pr in prs:
        if tip is None or pr.head_sha in missing:  # pushed since the forge answered
            continue
        base = repo.merge_base(tip, pr.head_sha)
        if base is not None:
            found.append(
                PublishedHead(pr.url, lane, pr.head_sha, base, HeadKind.PULL_REQUEST, asked=False)
            )
    return found
