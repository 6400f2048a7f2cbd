"""Proof, not prose: what the host can see in the repository after an agent ended.

Reads git only and judges; `implement` decides what follows. Every finding is a sentence for
people, in the order in which they matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from orchestr.cell.ownership import OwnershipViolations, PathClaims, format_paths, judge_paths
from orchestr.git.agent_environment import is_dropping
from orchestr.git.index_entries import GITLINK
from orchestr.git.merge import find_conflict_markers
from orchestr.git.repo import CommitId, Repo
from orchestr.git.runner import split_records

# Files of ours that must never be in a pull request.
OURS = (".orchestr", ".doit.db", ".ports.env")
ABSENT = "000000"  # the mode of a path that a tree does not have
FEW = 5  # deleted files that need no second look, however small the repository is


@dataclass(frozen=True, slots=True)
class CommitProof:
    """What was found: the reasons why it is no success, and the paths that changed.

    ``faults`` are those that no agent is asked to repair; ``ownership`` may go back to it once;
    ``private`` is what the kit brought from the main checkout (`prove_cell_head`).
    """

    faults: tuple[str, ...]
    changed: tuple[str, ...]
    ownership: OwnershipViolations
    private: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[str, ...]:
        return (*self.private, *self.faults, *self.ownership.findings)

    @property
    def ok(self) -> bool:
        return not self.findings


def prove_head(
    repo: Repo,
    *,
    base: CommitId,
    start: CommitId,
    head: CommitId,
    claims: PathClaims,
    by_agent: bool = False,
) -> CommitProof:
    """Judge ``head`` against the base and the commit the attempt started from.

    ``by_agent``: no person has looked at the commits yet; that most of the repository is deleted
    needs a person.
    """
    findings: list[str] = []
    if not repo.is_ancestor(base, head):
        findings.append(f"the base {base[:12]} is no longer in the branch: history was rewritten")
    elif start != base and not repo.is_ancestor(start, head):
        findings.append(f"commit {start[:12]} is no longer in the branch: history was rewritten")
    differences = _read_differences(repo, base, head)
    changed = tuple(path for path, _, _ in differences)
    if not changed:
        findings.append("nothing was changed: no commits beyond the base, or only empty ones")
    elif by_agent and all(map(is_dropping, changed)):
        findings.append(
            f"nothing was changed but files of the agent's own: {format_paths(changed)}"
        )
    markers = find_conflict_markers(repo, base, head)
    if markers:
        findings.append(f"conflict markers are left in {format_paths(markers)}")
    strangers = _find_embedded_repos(repo, head, differences)
    if strangers:
        findings.append(
            f"a repository of its own is inside, not a submodule: {format_paths(strangers)}"
        )
    if by_agent:
        deleted = sum(now == ABSENT for _, _, now in differences)
        findings += filter(None, [find_wholesale_deletion(repo, base, head, deleted)])
    ours = [path for path in changed if is_engine_file(path)]
    if ours:
        findings.append(f"files of orchestr are in the commits: {format_paths(ours)}")
    return CommitProof(tuple(findings), changed, judge_paths(claims, changed, base))


def find_wholesale_deletion(repo: Repo, base: CommitId, head: CommitId, deleted: int) -> str:
    """What to say when a change deletes most of the repository; files that moved do not count.

    ``deleted``: how many paths are gone, so that nothing is asked for ordinary changes.
    """
    if deleted < FEW:
        return ""
    words = ("-r", "-z", "-M", "--name-only", "--diff-filter=D", base, head, "--")
    gone = len(split_records(repo.run_readonly("diff-tree", *words).out))
    every = len(split_records(repo.run_readonly("ls-tree", "-r", "-z", "--name-only", base).out))
    if gone < FEW or gone * 2 <= every:
        return ""
    return (
        f"{gone} of the {every} files of the repository are deleted; if that is right, make the "
        f"commit yours (git commit --amend --no-edit in its worktree) and run the cell again"
    )


def _read_differences(repo: Repo, base: CommitId, head: CommitId) -> list[tuple[str, str, str]]:
    """Every path that differs with its mode before and now; a rename is both of its names."""
    done = repo.run_readonly("diff-tree", "-r", "-z", "--raw", "--no-renames", base, head, "--")
    words = split_records(done.out)
    return [
        (path, raw.split()[0][1:], raw.split()[1])
        for raw, path in zip(words[::2], words[1::2], strict=True)
    ]


def _find_embedded_repos(
    repo: Repo, head: CommitId, differences: list[tuple[str, str, str]]
) -> list[str]:
    """New links to other repositories that `.gitmodules` does not name: nobody could get them."""
    links = [path for path, before, now in differences if now == GITLINK != before]
    if not links:
        return []
    listed = repo.run_readonly("config", "-z", "--blob", f"{head}:.gitmodules", "--get-regexp",
                      r"^submodule\..*\.path$", answers=(0, 1, 128))  # fmt: skip
    known = {record.partition("\n")[2] for record in split_records(listed.out)}
    return [path for path in links if path not in known]


def is_engine_file(path: str) -> bool:
    """Whether a path of a repository is a file of the orchestrator."""
    parts = PurePosixPath(path).parts
    return any(part in OURS or part.startswith(".doit.db") for part in parts)
