"""Candidates: one commit on top of another, made without a checkout and without a ref.

Owns the strategies and the trailers. Everything depends on its arguments alone (dates are those of
the newest commit that goes in), so the same candidate made again after a kill is the same commit
and a verdict on it still counts. Nothing here moves a branch or touches a worktree; a signed
candidate is found again by a ref (`orchestr.git.lasting_commit`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from orchestr.cell.ownership import format_paths
from orchestr.errors import OrchestrError
from orchestr.git.lasting_commit import LastingCommit, make_lasting_commit
from orchestr.git.repo import CommitId, Repo, TreeId
from orchestr.landing.causes import name_cell
from orchestr.landing.ladder import LadderMerge, LadderRules, merge_by_ladder
from orchestr.landing.rung import Rung

FEATURE, CELL, ATTEMPT = "Orchestr-Feature", "Orchestr-Cell", "Orchestr-Attempt"
REVERTS = "Orchestr-Reverts"
HELD = "refs/orchestr/landing/"  # each candidate that may still be asked about
RESOLVED = "Orchestr-Resolved"  # `RUNG: PATH, PATH`, of a merge that git alone could not make


class TargetReplaced(OrchestrError):
    """The target was rewritten, or replaced by another history: nothing may be merged into it."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One change. ``own_base``: its own work is ``own_base..head``, None where git's merge base
    says that already (not after a squash of what is below it, nor after a rollback). ``undo``:
    revert this ``(before, after)`` of the target instead. ``again``: its commits are in the target,
    and reverted there. ``made_on``: the branch of the origin and the commit there that it was made
    on, where that is known; a target without that commit was rewritten.
    """

    key: str
    head: CommitId
    title: str
    trailers: tuple[tuple[str, str], ...] = ()
    strategy: str = "merge"
    own_base: CommitId | None = None
    undo: tuple[CommitId, CommitId] | None = None
    again: bool = False
    made_on: tuple[str, CommitId] | None = None


@dataclass(frozen=True, slots=True)
class BuiltCandidate:
    """``commit`` None: ``key`` conflicts in ``conflicts``. ``steps``: the target before and
    after each part. For ``rung``, ``resolved`` and ``generating`` see `events.Candidate`.
    """

    commit: CommitId | None
    tree: TreeId | None = None
    steps: tuple[tuple[str, str], ...] = ()
    key: str = ""
    conflicts: tuple[str, ...] = ()
    rung: Rung = Rung.GIT
    resolved: tuple[tuple[Rung, str], ...] = ()
    generating: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Climb:
    """How conflicts are resolved. ``above``: the rung of a red result, see `merge_by_ladder`;
    ``written``: the tree in which the generators have written their files, instead of the merge's.
    """

    rules: LadderRules = field(default_factory=LadderRules)
    above: Rung | None = None
    written: TreeId | None = None


def build_candidate(
    repo: Repo, base: CommitId, recipes: Sequence[Recipe], climb: Climb | None = None
) -> BuiltCandidate:
    """The candidate of these changes, in this order, on ``base``. Raises OrchestrError.

    Files that a generator must write are left to it in a candidate of one change only; in one of
    several they are a conflict, so that it is made in halves.
    """
    climb = climb or Climb()
    at, steps = base, []
    rung, resolved, generating = Rung.GIT, dict[tuple[Rung, str], None](), tuple[str, ...]()
    for recipe in recipes:
        made, merge = _add_change(repo, at, recipe, climb)
        left = merge.generating if len(recipes) > 1 else ()
        if made is None or left:
            return BuiltCandidate(None, key=recipe.key, conflicts=merge.conflicts or left)
        steps.append((str(at), str(made)))
        at = made
        rung = max(rung, merge.rung, key=lambda one: one.level)
        resolved |= dict.fromkeys(merge.resolved)
        generating = merge.generating
    tree = repo.resolve_tree(at)
    return BuiltCandidate(at, tree, tuple(steps), rung=rung, resolved=tuple(resolved),
                          generating=generating)  # fmt: skip


def _add_change(
    repo: Repo, base: CommitId, recipe: Recipe, climb: Climb
) -> tuple[CommitId | None, LadderMerge]:
    """One change on ``base``; the base itself when nothing of it is missing there, None when it
    conflicts."""
    clean = LadderMerge(None)
    if recipe.undo is not None:
        before, after = recipe.undo
        merged = _merge(repo, base, before, climb, after)
        if merged.tree is None:
            return None, merged
        return _commit_change(repo, base, recipe, merged, (base,)), merged
    head = recipe.head
    if repo.is_ancestor(head, base) and not recipe.again:
        return base, clean
    if recipe.own_base is None and repo.merge_base(base, head) is None:
        raise TargetReplaced(
            f"{name_cell(recipe.key)}: its head {head[:12]} shares no history with what it "
            f"lands on, {base[:12]}: that branch was replaced",
            hint="put the branch back at the origin (its reflog, or any clone of it), then the "
            "same command again",
        )
    if recipe.made_on is not None and not repo.is_ancestor(recipe.made_on[1], base):
        raise _explain_rewritten_target(repo, base, recipe.key, *recipe.made_on)
    if recipe.strategy == "fast-forward" and repo.is_ancestor(base, head):
        return head, clean
    linear = recipe.strategy in ("squash", "rebase") or repo.is_ancestor(head, base)
    merged = _merge(repo, base, head, climb, recipe.own_base)
    if merged.tree is None:
        return None, merged
    if recipe.strategy == "rebase" and merged.rung is Rung.GIT:
        moved = _rebase_change(repo, base, recipe)
        if moved is not None and repo.resolve_tree(moved) == merged.tree:
            return moved, merged  # else merges inside the branch resolved something: one commit
    parents = (base,) if linear else (base, head)
    return _commit_change(repo, base, recipe, merged, parents), merged


def _merge(
    repo: Repo, base: CommitId, theirs: CommitId, climb: Climb, own_base: CommitId | None
) -> LadderMerge:
    merged = merge_by_ladder(repo, base, theirs, climb.rules, own_base=own_base, above=climb.above)
    if climb.written is None or not merged.generating:
        return merged
    return replace(merged, tree=climb.written, generating=())


def hold_candidate(repo: Repo, commit: CommitId) -> None:
    """Keep a candidate from being collected as garbage (`orchestr.landing.hold_candidates`)."""
    repo.update_ref(f"{HELD}{commit}", commit)


def list_merge_trailers(merged: LadderMerge) -> tuple[tuple[str, str], ...]:
    """The trailers that say how a merge's conflicts were resolved; none where git made it."""
    return tuple((RESOLVED, text) for text in describe_resolutions(merged.resolved))


def describe_resolutions(resolved: Sequence[tuple[Rung, str]]) -> tuple[str, ...]:
    """`RUNG: PATH, PATH` for each rung that resolved a file, the lowest first."""
    return tuple(
        f"{rung}: {format_paths([path for by, path in resolved if by is rung], most=20)}"
        for rung in Rung
        if any(by is rung for by, _ in resolved)
    )


def read_resolutions(repo: Repo, before: str, after: str) -> tuple[str, ...]:
    """How merges in ``before..after`` were resolved, by their trailers; each once."""
    form = f"%(trailers:key={RESOLVED},valueonly,unfold)"
    shown = repo.run_readonly("log", f"--format={form}", f"{before}..{after}", "--").text
    return tuple(dict.fromkeys(line for line in shown.splitlines() if line))


def _explain_rewritten_target(
    repo: Repo, base: CommitId, key: str, branch: str, start: CommitId
) -> TargetReplaced:
    """The error that names the commits which were taken out of the target and would come back."""
    name = name_cell(key)
    listed = repo.run_readonly("log", "--format=%h %s", f"{base}..{start}", "--").text.splitlines()
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return TargetReplaced(
        f"{name}: {branch} was rewritten at the origin: {'; '.join(listed[:3])}{more} was taken "
        "out there since it was made, and landing it would bring that back",
        hint=f"in its worktree: git fetch {repo.remotes.base} && git rebase --onto "
        f"{repo.remotes.base}/{branch} {start[:12]}, then: orchestr run {name}; "
        f"or have its agent begin again: orchestr run --fresh {name}",
    )


def _commit_change(
    repo: Repo,
    base: CommitId,
    recipe: Recipe,
    merged: LadderMerge,
    parents: tuple[CommitId, ...],
) -> CommitId:
    tree = merged.tree
    if tree is None or (tree == repo.resolve_tree(base) and not merged.generating):
        return base
    date = newest_commit_date(repo, (base, recipe.undo[1] if recipe.undo else recipe.head))
    message = commit_message(recipe.title, (*recipe.trailers, *list_merge_trailers(merged)))
    return make_lasting_commit(repo, LastingCommit(tree, parents, message, date))


def _rebase_change(repo: Repo, base: CommitId, recipe: Recipe) -> CommitId | None:
    """Every commit of the change again on ``base``, authors kept; None when one conflicts."""
    span = [f"^{base}", recipe.head] + ([f"^{recipe.own_base}"] if recipe.own_base else [])
    listed = repo.run_readonly("rev-list", "--reverse", "--topo-order", "--no-merges", *span, "--")
    at = base
    for word in listed.text.split():
        old = CommitId(word)
        parent = repo.resolve_commit(f"{old}^")
        if parent is None:
            return None
        merged = repo.merge_trees(at, old, parent)
        if merged.tree is None:
            return None
        if merged.tree == repo.resolve_tree(at):
            continue
        shown = repo.run_readonly("log", "-1", "--format=%an%n%ae%n%at %ai%n%B", old)
        name, email, when, text = shown.text.split("\n", 3)
        author = {
            "GIT_AUTHOR_NAME": name or "unknown",
            "GIT_AUTHOR_EMAIL": email,
            "GIT_AUTHOR_DATE": f"@{when.split()[0]} {when.split()[-1]}",
        }
        body = commit_message(text.strip(), recipe.trailers)
        date = newest_commit_date(repo, (at, old))
        wanted = LastingCommit(merged.tree, (at,), body, date, author=author)
        at = make_lasting_commit(repo, wanted)
    return at


def commit_message(title: str, trailers: Sequence[tuple[str, str]]) -> str:
    """A commit message that ends in its trailers; joins those that are there already."""
    text = title.rstrip()
    last = text.rpartition("\n\n")[2].splitlines()
    joined = "\n\n" in text and all(re.match(r"[A-Za-z][\w-]*: ", line) for line in last)
    block = "\n".join(f"{name}: {value}" for name, value in trailers)
    return f"{text}{chr(10) if joined else chr(10) * 2}{block}\n" if block else f"{text}\n"


def newest_commit_date(repo: Repo, commits: Sequence[CommitId]) -> str:
    """The newest committer date of these commits, as git takes it."""
    shown = repo.run_readonly("log", "--no-walk", "--format=%ct", *commits, "--")
    return f"@{max(int(line) for line in shown.text.split())} +0000"


def landed_by_trailers(repo: Repo, tip: str, feature: str) -> list[tuple[str, str, str]]:
    """What of a feature stands on a branch by its trailers: (cell, before, after), newest first.

    Left out are commits that a later rollback names. Fast-forwards have no trailers.
    """
    form = f"%H%x00%P%x00%(trailers:key={FEATURE},valueonly)%x00%(trailers:key={CELL},valueonly)"
    form += f"%x00%(trailers:key={REVERTS},valueonly)%x01"
    done = repo.run_readonly("log", "--first-parent", f"--format={form}",
                    f"--grep=^{FEATURE}: {feature}$", tip, "--")  # fmt: skip
    found: list[tuple[str, str, str]] = []
    undone: set[str] = set()
    for record in done.text.split("\x01"):
        words = [word.strip() for word in record.split("\x00")]
        if len(words) != 5 or words[2] != feature:
            continue
        commit, parents, _, cell, reverts = words
        if reverts:
            undone.update(reverts.split())
        elif commit not in undone and parents:
            found.append((cell, parents.split()[0], commit))
    return found
