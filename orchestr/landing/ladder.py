"""The merge ladder: what resolves a conflicted merge before an agent is asked.

git's own merge is the first rung (`Rung`); where it conflicts, each conflicted file is resolved by
the lowest rung that can, and a file that none can resolve leaves the merge conflicted. Nothing here
says that a result is right: it is checked as any other candidate, and a red one is made again by
the rungs above. The same commits and the same recorded resolutions give the same tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestr.git.conflicts import (
    ConflictedFile,
    read_conflicted_files,
    read_union_files,
    write_resolved_tree,
)
from orchestr.git.open_conflicts import has_conflict_markers
from orchestr.git.repo import CommitId, Repo, TreeId
from orchestr.landing.generators import find_generator
from orchestr.landing.recorded import find_recorded_resolution
from orchestr.landing.resolve.conflict import FileConflict
from orchestr.landing.resolve.structure import resolve_structure
from orchestr.landing.resolve.union import resolve_union
from orchestr.landing.rung import Rung
from orchestr.settings.keys import RUNGS, GeneratedFiles
from orchestr.settings.records import Settings
from orchestr.spec.path_patterns import match_paths


@dataclass(frozen=True, slots=True)
class LadderRules:
    """What a repository allows. ``rungs``: those that may be used; ``generated``: what a command
    writes; ``union``: gitignore patterns of files that may keep both sides' lines; ``recorded``:
    the folder of recorded resolutions.
    """

    rungs: frozenset[Rung] = frozenset(map(Rung, RUNGS))
    generated: tuple[GeneratedFiles, ...] = ()
    union: tuple[str, ...] = ()
    recorded: Path | None = None


@dataclass(frozen=True, slots=True)
class LadderMerge:
    """The merged tree; None: ``conflicts`` are left. ``rung``: the highest that a file needed;
    ``resolved``: each file with its own. ``generating``: those of them that their generator must
    still write; the tree has the target's.
    """

    tree: TreeId | None
    rung: Rung = Rung.GIT
    resolved: tuple[tuple[Rung, str], ...] = ()
    generating: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Resolution:
    """``data`` None: its generator writes it."""

    rung: Rung
    data: bytes | None


def read_ladder_rules(settings: Settings, repo: str) -> LadderRules:
    """What the settings allow for a repository."""
    mine = settings.repo_settings(repo)
    folder = settings.workspace.state / "landing" / repo / "resolutions"
    rungs = frozenset(map(Rung, settings.landing.rungs))
    return LadderRules(rungs, mine.generated, mine.union, folder)


def merge_by_ladder(
    repo: Repo,
    ours: CommitId,
    theirs: CommitId,
    rules: LadderRules,
    *,
    own_base: CommitId | None = None,
    above: Rung | None = None,
) -> LadderMerge:
    """Merge ``theirs`` into ``ours``. ``own_base`` overrides git's merge base; ``above``: the rung
    of the result that was red: at least one file is resolved by a rung above it. Raises GitError.
    """
    merged = repo.merge_trees(ours, theirs, own_base)
    marked = merged.tree or merged.marked
    if not rules.rungs or marked is None:
        return LadderMerge(merged.tree, conflicts=merged.conflicts)
    if merged.tree is None:
        files = read_conflicted_files(repo, ours, merged)
    else:
        files = _list_unsafe_unions(repo, ours, theirs, own_base)
        if not files:
            return LadderMerge(merged.tree)

    done = _resolve_files(repo, marked, files, rules, above)
    rung = max((one.rung for _, one in done), key=lambda one: one.level, default=Rung.GIT)
    wanted = merged.conflicts or tuple(file.path for file in files)
    solved = {file.path for file, _ in done}
    left = tuple(path for path in wanted if path not in solved)
    if left or not _is_above(rung, above):
        return LadderMerge(None, conflicts=left or wanted)
    tree = write_resolved_tree(repo, marked, [(file, one.data) for file, one in done])
    paths = tuple((one.rung, file.path) for file, one in done)
    generating = tuple(file.path for file, one in done if one.rung is Rung.REGENERATE)
    return LadderMerge(tree, rung, paths, generating)


def resolve_single_files(
    repo: Repo, ours: CommitId, theirs: CommitId, rules: LadderRules
) -> list[tuple[ConflictedFile, bytes]]:
    """What the rungs make of the files of a merge that stays in conflict as a whole; without those
    that their generator writes. Raises GitError.
    """
    merged = repo.merge_trees(ours, theirs)
    if merged.tree is not None or merged.marked is None:
        return []
    files = read_conflicted_files(repo, ours, merged)
    done = _resolve_files(repo, merged.marked, files, rules, None)
    return [(file, one.data) for file, one in done if one.data is not None]


def _resolve_files(
    repo: Repo,
    marked: TreeId,
    files: Iterable[ConflictedFile],
    rules: LadderRules,
    above: Rung | None,
) -> list[tuple[ConflictedFile, _Resolution]]:
    """The files that a rung resolves, each with what it makes of it."""

    def has_file(path: str) -> bool:
        return bool(repo.run_readonly("ls-tree", marked, "--", path).out)

    found = [(file, _climb(_list_options(file, rules, has_file), above)) for file in files]
    return [(file, one) for file, one in found if one is not None]


def _list_unsafe_unions(
    repo: Repo, ours: CommitId, theirs: CommitId, own_base: CommitId | None
) -> tuple[ConflictedFile, ...]:
    """The files that the repository lets git unite, and in which that defines a name twice."""
    found = read_union_files(repo, ours, theirs, own_base)
    return tuple(
        file for file in found
        if resolve_union(FileConflict(file.path, file.base, file.ours, file.theirs)) is None
    )  # fmt: skip


def lower_rung(rung: Rung) -> Rung:
    """The rung below one that is not git's own."""
    return tuple(Rung)[rung.level - 1]


def _is_above(rung: Rung, above: Rung | None) -> bool:
    return above is None or rung.level > above.level


def _climb(options: Iterator[_Resolution], above: Rung | None) -> _Resolution | None:
    """The lowest rung that resolves a file, above ``above`` where there is one; else the highest
    of those that do."""
    found = None
    for found in options:
        if _is_above(found.rung, above):
            break
    return found


def _list_options(
    file: ConflictedFile, rules: LadderRules, has_file: Callable[[str], bool]
) -> Iterator[_Resolution]:
    """What each rung makes of a file, lowest rung first."""
    for rung in Rung:
        if rung not in rules.rungs:
            continue
        if rung is Rung.REGENERATE:
            if find_generator(file.path, rules.generated, has_file) is not None:
                yield _Resolution(rung, None)
        elif file.is_plain:  # else the repository says how it is merged, or that it is not
            data = _resolve_content(file, rung, rules)
            if data is not None and not _has_new_markers(file, data):
                yield _Resolution(rung, data)


def _resolve_content(file: ConflictedFile, rung: Rung, rules: LadderRules) -> bytes | None:
    """What a rung that works on the content alone makes of a file; None where it cannot."""
    conflict = FileConflict(file.path, file.base, file.ours, file.theirs)
    if rung is Rung.RECORDED and rules.recorded is not None:
        return find_recorded_resolution(rules.recorded, file.marked)
    if rung is Rung.STRUCTURE:
        return resolve_structure(conflict)
    if rung is Rung.UNION and rules.union and match_paths(rules.union)(file.path):
        return resolve_union(conflict)
    return None


def _has_new_markers(file: ConflictedFile, data: bytes) -> bool:
    """Whether conflict markers are left: a text about them has some on a side already."""
    return has_conflict_markers(data) and not any(
        map(has_conflict_markers, (file.ours, file.theirs))
    )
