"""What the kit put into a worktree is in no commit of its cell: what was committed is taken out.

An agent adds it by force, a person's `git add -A` takes what only our excludes cover. A secret in
an older commit is published with it, so all commits since the base are made again without these
paths. The files stay in the worktree, the commits as they were stay under a ref. What the origin
has already is not made again (nothing would be won, and it would need a forced push): there a
commit takes the paths away.

What survives a crash: the old head has its ref first, the paths leave the index second, the branch
moves last. A kill in between leaves paths that are to be committed as deleted; whoever commits next
calls this again.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.cell.kit import ENGINE_SPECS
from orchestr.cell.ownership import format_paths
from orchestr.cell.worktree.salvage import attempt_ref, find_free_ref
from orchestr.errors import MachineFault, OrchestrError
from orchestr.git.conversion import is_attributes_file, normalize_entries
from orchestr.git.filter_history import (
    TreeFilter,
    filter_history,
    find_blob_paths,
    find_path_commits,
    list_changed_paths,
    list_tree_paths,
    read_entries,
)
from orchestr.git.mixed_tree import list_differences
from orchestr.git.repo import CommitId, Repo
from orchestr.git.runner import join_records
from orchestr.state import attempts
from orchestr.state.events import EventKind
from orchestr.state.ports import FILE as PORTS

TAKEN_OUT = (
    "{paths} came from us or the main checkout ([repos.{repo}] link, copy), no work of its own; "
    "taken out of its commits{stay}; the commits as they were are kept as {ref}, which is never "
    "pushed"
)
UNDONE = (
    "{paths} changed before its agent started (set-up, a hook of the checkout, line ends); taken "
    "out of its commits, which are kept as they were as {ref}"
)
IN_COMMITS = "files that {source} brings from the main checkout are in commit {commit}: {paths}"
COPIED = "what {source} brings from the main checkout is in the commits under another name: {paths}"


def take_out_kit(
    ctx: CellContext, base: CommitId, head: CommitId, *, engine: bool = True
) -> CommitId:
    """Make the commits of ``base..head`` again without what is no work of the cell; the
    branch's new head. That is the kit, what is still as set-up left it
    (`orchestr.cell.baseline`), our file of ports, and with ``engine`` whatever has a name of ours.

    ``head`` is the tip of the cell's branch. Nothing is done where the branch is checked out in a
    folder that is not the cell's worktree: a person works there. Raises OrchestrError.
    """
    if head == base:
        return head
    repo = ctx.repo.with_config(ctx.sign_config)
    ours = ENGINE_SPECS if engine else (f":(top,literal){PORTS}",) if ctx.unseen.ports else ()
    specs = (*ctx.unseen.specs, *_leave_out_tracked(repo, base, ours))
    found = find_path_commits(repo, base, head, specs)
    undone = _find_setup_changes(ctx, base, head)
    if not found and not undone:
        return head
    places = [one.path for one in repo.list_worktrees() if one.branch == ctx.cell.branch]
    if any(place.resolve() != ctx.worktree.resolve() for place in places):
        return head
    what = TreeFilter(base, specs, undone)
    new = filter_history(repo, base, head, what, find_published_commits(ctx))
    if new == head:
        return head
    newest = attempts.newest_attempt(ctx.dir)
    ref = f"{attempt_ref(ctx, newest.number if newest is not None else 0)}-kit"
    ref = find_free_ref(ctx, ref, head)
    ctx.repo.update_ref(ref, head)
    if places:
        _leave_out_of_index(ctx, head, new)
    ctx.repo.update_ref(f"refs/heads/{ctx.cell.branch}", new, head)
    kit = list(dict.fromkeys(path for one in found for path in one.paths))
    for paths, text in ((kit, TAKEN_OUT), (sorted(undone), UNDONE)):
        if paths:
            stay = ", the files stay in the worktree" if places else ""
            named = format_paths(paths)
            text = text.format(paths=named, repo=ctx.cell.repo, stay=stay, ref=ref)
            ctx.emit(EventKind.CELL_WARNED, reason=text)
    return new


def _find_setup_changes(ctx: CellContext, base: CommitId, head: CommitId) -> dict[str, str]:
    """The paths that differ from ``base`` only as set-up left them, or by what git makes of the
    files that a checkout writes, with that blob.

    Where a commit changes a `.gitattributes`, other line ends are its work.
    """
    repo, files = ctx.repo, ctx.unseen.baseline.files
    differ = list_differences(repo, base, head)
    if any(map(is_attributes_file, differ)):
        return {}
    now = {path: blob for path, (_, blob) in differ.items()}
    found = {path: files[path].blob for path in now if path in files}
    then = read_entries(repo, base, [path for path in now if path not in found])
    then = {path: entry for path, entry in then.items() if entry.split()[0] == differ[path][0]}
    found |= normalize_entries(repo, base, then)
    return {path: blob for path, blob in found.items() if now[path] == blob}


def _leave_out_of_index(ctx: CellContext, old: CommitId, new: CommitId) -> None:
    """The index names what ``new`` has, where that differs from ``old``; files stay as they are."""
    tree = ctx.worktree_repo
    differ = list_differences(tree, old, new)
    lines = [f"{mode} {blob}\t{path}" for path, (mode, blob) in differ.items()]
    tree.run_git("update-index", "-z", "--index-info", input=join_records(lines))


def find_kit_in_commits(ctx: CellContext, base: CommitId, head: CommitId) -> tuple[str, ...]:
    """Why the commits of ``base..head`` may not be published: a sentence for each kind of find.

    What the origin has already counts only where the head still has it.
    """
    kit, repo = ctx.kit, ctx.repo
    if head == base:
        return ()
    ours = _find_engine_files(ctx, base, head)
    if not kit.specs:
        return ours
    source = f"[repos.{ctx.cell.repo}] link or copy"
    commits = find_path_commits(repo, base, head, kit.specs)
    secret = {*kit.blobs, *ctx.unseen.baseline.kit}
    blobs = find_blob_paths(repo, base, head, secret)
    if not commits and not blobs:
        return ours
    known = find_published_commits(ctx)
    commits = find_path_commits(repo, base, head, kit.specs, known)
    blobs = find_blob_paths(repo, base, head, secret, known)
    found = [*ours]
    now = list_changed_paths(repo, base, head, kit.specs)
    if now or commits:
        commit = commits[0].commit if commits else head
        paths = format_paths(now or list(commits[0].paths))
        found.append(IN_COMMITS.format(source=source, commit=commit[:12], paths=paths))
    others = sorted(path for path in blobs.values() if not kit.covers_path(path))
    if others:
        found.append(COPIED.format(source=source, paths=format_paths(others)))
    return tuple(found)


def _leave_out_tracked(repo: Repo, base: CommitId, specs: Sequence[str]) -> tuple[str, ...]:
    """The pathspecs, but what the base tracks."""
    tracked = list_tree_paths(repo, base, specs)
    return (*specs, *(f":(top,exclude,literal){path}" for path in tracked))


def _find_engine_files(ctx: CellContext, base: CommitId, head: CommitId) -> tuple[str, ...]:
    """Files of ours that an older commit has and the head has not: `prove_head` sees the head."""
    specs = _leave_out_tracked(ctx.repo, base, ENGINE_SPECS)
    found = find_path_commits(ctx.repo, base, head, specs)
    if not found or list_changed_paths(ctx.repo, base, head, specs):
        return ()
    found = find_path_commits(ctx.repo, base, head, specs, find_published_commits(ctx))
    return tuple(f"files of orchestr are in commit {one.commit[:12]}: {format_paths(one.paths)}"
                 for one in found[:1])  # fmt: skip


def kit_hint(ctx: CellContext, place: Path, base: CommitId) -> str:
    """What a person does about commits that have such files, in their checkout ``place``."""
    git = f"git -C {shlex.quote(str(place))}"
    kit = ctx.kit
    names = [name if name in kit.literal else f":(glob){name}" for name in kit.names
             if name not in kit.kept]  # fmt: skip
    names += [f":(exclude,literal){path}" for path in kit.kept if path not in kit.names]
    return (
        f"they stay in the folder with: {git} reset --soft {base[:12]} && {git} rm -rq --cached "
        f"--ignore-unmatch -- {shlex.join(names or ENGINE_SPECS)} && {git} commit, then: "
        f"orchestr run {ctx.name}; what may be published belongs in no [repos.{ctx.cell.repo}] "
        "link or copy"
    )


def find_published_commits(ctx: CellContext) -> list[CommitId]:
    """What the origin has of the cell's branch, by its own answer and by the journal."""
    shas = {
        str(event.data.get("sha") or event.data.get("head"))
        for event in ctx.run.journal.read()
        if event.cell == ctx.cell.name
        and event.kind in (EventKind.PUSH_DONE, EventKind.CELL_ADOPTED)
    }
    ref = f"refs/heads/{ctx.cell.branch}"
    try:
        if ctx.repo.has_remote():
            shas |= set(ctx.repo.ls_remote(ctx.repo.remotes.push, ref).values())
    except MachineFault:
        raise
    except OrchestrError:
        pass  # away: the journal has to do
    found = [ctx.repo.resolve_commit(sha) for sha in sorted(shas)]
    return [commit for commit in found if commit is not None]
