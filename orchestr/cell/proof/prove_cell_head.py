"""The proof of a cell's commits: what git shows, its paths, and that nothing private is in them."""

from __future__ import annotations

from dataclasses import replace

from orchestr.cell.context import CellContext
from orchestr.cell.ownership import claims_of
from orchestr.cell.proof.verify_commits import CommitProof, prove_head
from orchestr.cell.worktree.take_out_kit import find_kit_in_commits
from orchestr.git.repo import CommitId, Repo


def prove_cell_head(
    ctx: CellContext,
    repo: Repo,
    *,
    base: CommitId,
    start: CommitId,
    head: CommitId,
    by_agent: bool = False,
) -> CommitProof:
    """As `prove_head`, with the cell's claims and its kit; ``repo``: any checkout of its clone."""
    claims = claims_of(ctx.run.feature, ctx.cell)
    proof = prove_head(repo, base=base, start=start, head=head, claims=claims, by_agent=by_agent)
    private = find_kit_in_commits(ctx, base, head)
    return replace(proof, private=private) if private else proof
