"""The merge ladder: what resolves a conflicted merge before an agent is asked.

git's own merge is the first rung (`Rung`); where it conflicts, each conflicted file is resolved by
the lowest rung that can, and a file that none can resolve leaves the merge conflicted. Nothing here
says that a result is right: it is checked as any other candidate, and a red one is made again by
the rungs above.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestr.git.repo import CommitId, Repo, TreeId
from orchestr.landing.events import Rung
from orchestr.settings.keys import RUNGS, GeneratedFiles
from orchestr.settings.records import Settings


@dataclass(frozen=True, slots=True)
class LadderRules:
    """What a repository allows. ``rungs``: those that may be used; ``generated``: what a command
    writes; ``union``: gitignore patterns of files that may keep both sides' lines.
    """

    rungs: frozenset[Rung] = frozenset(map(Rung, RUNGS))
    generated: tuple[GeneratedFiles, ...] = ()
    union: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LadderMerge:
    """The merged tree; None: ``conflicts`` are left. ``rung``: the highest that a file needed, for
    the files in ``resolved``. ``generating``: those of them that their generator must still write;
    the tree has the target's.
    """

    tree: TreeId | None
    rung: Rung = Rung.GIT
    resolved: tuple[str, ...] = ()
    generating: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


def read_ladder_rules(settings: Settings, repo: str) -> LadderRules:
    """What the settings allow for a repository."""
    mine = settings.repo_settings(repo)
    return LadderRules(frozenset(map(Rung, settings.landing.rungs)), mine.generated, mine.union)


def merge_by_ladder(
    repo: Repo,
    ours: CommitId,
    theirs: CommitId,
    rules: LadderRules,
    *,
    own_base: CommitId | None = None,
    above: Rung | None = None,
) -> LadderMerge:
    """Merge ``theirs`` into ``ours``. ``own_base`` overrides git's merge base; ``above``: a file
    that git conflicts in is resolved only by rungs above this one. Raises GitError.
    """
    merged = repo.merge_trees(ours, theirs, own_base)
    return LadderMerge(merged.tree, conflicts=merged.conflicts)
