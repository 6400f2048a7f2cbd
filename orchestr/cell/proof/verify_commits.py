"""Proof, not prose: what the host can see in the repository after an agent ended.

Reads git only and judges; `implement` decides what follows. Every finding is a sentence for
people, in the order in which they matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from orchestr.cell.ownership import OwnershipViolations, PathClaims, format_paths, judge_paths
from orchestr.git.merge import find_conflict_markers
from orchestr.git.repo import CommitId, Repo
from orchestr.git.runner import split_records

# Files of ours that must never be in a pull request.
OURS = (".orchestr", ".doit.db", ".ports.env")


@dataclass(frozen=True, slots=True)
class CommitProof:
    """What was found: the reasons why it is no success, and the paths that changed.

    ``faults`` are those that no agent is asked to mend; ``ownership`` may go back to it once.
    """

    faults: tuple[str, ...]
    changed: tuple[str, ...]
    ownership: OwnershipViolations

    @property
    def findings(self) -> tuple[str, ...]:
        return (*self.faults, *self.ownership.findings)

    @property
    def ok(self) -> bool:
        return not self.findings


def prove_head(
    repo: Repo, *, base: CommitId, start: CommitId, head: CommitId, claims: PathClaims
) -> CommitProof:
    """Judge ``head`` against the base and the commit the attempt started from."""
    findings: list[str] = []
    if not repo.is_ancestor(base, head):
        findings.append(f"the base {base[:12]} is no longer in the branch: history was rewritten")
    elif not repo.is_ancestor(start, head):
        findings.append(f"commit {start[:12]} is no longer in the branch: history was rewritten")
    changed = tuple(repo.changed_paths(base, head))
    if not changed:
        findings.append("nothing was changed: no commits beyond the base, or only empty ones")
    markers = find_conflict_markers(repo, base, head)
    if markers:
        findings.append(f"conflict markers are left in {format_paths(markers)}")
    strangers = find_embedded_repos(repo, base, head)
    if strangers:
        findings.append(
            f"a repository of its own is inside, not a submodule: {format_paths(strangers)}"
        )
    ours = [path for path in changed if is_engine_file(path)]
    if ours:
        findings.append(f"files of orchestr are in the commits: {format_paths(ours)}")
    return CommitProof(tuple(findings), changed, judge_paths(claims, changed, base))


def find_embedded_repos(repo: Repo, base: CommitId, head: CommitId) -> list[str]:
    """New links to other repositories that `.gitmodules` does not name: nobody could get them."""
    done = repo.run_readonly("diff-tree", "-r", "-z", "--raw", "--no-renames", base, head, "--")
    words = split_records(done.out)
    links = [
        path for raw, path in zip(words[::2], words[1::2], strict=True)
        if raw.split()[1] == "160000" and raw.split()[0] != ":160000"
    ]  # fmt: skip
    if not links:
        return []
    listed = repo.run_readonly("config", "-z", "--blob", f"{head}:.gitmodules", "--get-regexp",
                      r"^submodule\..*\.path$", check=False)  # fmt: skip
    known = {record.partition("\n")[2] for record in split_records(listed.out)}
    return [path for path in links if path not in known]


def is_engine_file(path: str) -> bool:
    """Whether a path of a repository is a file of the orchestrator."""
    parts = PurePosixPath(path).parts
    return any(part in OURS or part.startswith(".doit.db") for part in parts)
