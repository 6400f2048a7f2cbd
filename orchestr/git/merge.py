"""Merge several heads into one base, and find conflict markers. No checkout.

Owns `merge_heads` (a cell with several same-repository upstreams starts from their merge)
and `find_conflict_markers` (part of the proof). The merge commit depends on the heads alone, so a
killed run makes the same commit again and no record of it is needed; only a signed one has a ref.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestr.errors import UsageError
from orchestr.git.config import IDENTITY
from orchestr.git.errors import GitError, NoMergeBase
from orchestr.git.lasting_commit import LastingCommit, make_lasting_commit
from orchestr.git.repo import CommitId, MergeTreeResult, Repo
from orchestr.git.runner import split_records


@dataclass(frozen=True, slots=True)
class MergedHeads:
    """The commit that contains all heads; else None, which two conflict, and in which files."""

    commit: CommitId | None
    conflicts: tuple[str, ...] = ()
    ours: CommitId | None = None
    theirs: CommitId | None = None


def merge_heads(repo: Repo, heads: Sequence[CommitId]) -> MergedHeads:
    """One commit that contains every head: the same heads, in any order, give the same id, also
    where the user signs (`orchestr.git.lasting_commit`).

    A head behind another one adds nothing; a single one is the answer itself. Raises
    NoMergeBase when this clone knows no common history (shallow, unrelated), GitError for
    unknown commits.
    """
    if not heads:
        raise UsageError("no heads to merge")
    tips = sorted(repo.run_readonly("merge-base", "--independent", *heads).text.split())
    first, *others = (CommitId(tip) for tip in tips)
    commit, done = first, [first]
    for head in others:
        merged = _merge_commits(repo, commit, head)
        if merged.tree is None:
            # `commit` may be an intermediate merge; name the head that conflicts.
            for other in done if len(done) > 1 else ():
                pair = _merge_commits(repo, other, head)
                if pair.tree is None:
                    return MergedHeads(None, pair.conflicts, other, head)
            return MergedHeads(None, merged.conflicts, done[-1], head)
        text = f"Merge {head[:12]} into {commit[:12]}\n\nThe base of a cell with several upstreams."
        parents = (commit, head)
        commit = make_lasting_commit(
            repo,
            LastingCommit(merged.tree, parents, text, newest_commit_date(repo, parents), IDENTITY),
        )
        done.append(head)
    return MergedHeads(commit)


def find_conflict_markers(repo: Repo, base: str, head: str) -> list[str]:
    """Files to which ``base..head`` added both ``<<<<<<< `` and ``>>>>>>> `` lines.

    git finds the candidate files (-G), so that a big diff never passes through this process;
    only their diffs are read, line by line. Every file is text (`orchestr.git.stated`): lock files
    are often called binary or `-diff`, and a marker breaks them as well.
    """
    tuned = ("--literal-pathspecs", "diff", "--no-renames")
    found = repo.run_readonly(
        *tuned, "--name-only", "-z", r"-G^(<<<<<<<|>>>>>>>) ", base, head, "--"
    )
    return [
        path
        for path in split_records(found.out)
        if _adds_both_markers(repo, (*tuned, "-U0", base, head, "--", path))
    ]


def _adds_both_markers(repo: Repo, command: tuple[str, ...]) -> bool:
    opened = closed = False
    with repo.stream_git(*command) as lines:
        for line in lines:
            opened = opened or line.startswith(b"+<<<<<<< ")
            closed = closed or line.startswith(b"+>>>>>>> ")
            if opened and closed:
                return True
    return False


def _merge_commits(repo: Repo, ours: CommitId, theirs: CommitId) -> MergeTreeResult:
    try:
        return repo.merge_trees(ours, theirs)
    except GitError as error:
        if repo.merge_base(ours, theirs) is not None:
            raise
        shallow = repo.is_shallow()
        raise NoMergeBase(
            f"{ours[:12]} and {theirs[:12]} share no history in {repo.path}"
            + (", which is a shallow clone" if shallow else ""),
            hint=f"git -C {repo.path} fetch --unshallow" if shallow else None,
        ) from error


def newest_commit_date(repo: Repo, commits: Sequence[CommitId]) -> str:
    """The newest committer date of these commits: fixed by them, and never before them."""
    shown = repo.run_readonly("log", "--no-walk", "--format=%ct", *commits, "--").text
    return f"@{max(int(line) for line in shown.split())} +0000"
