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

import os
import shlex
from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.cell.ownership import format_paths
from orchestr.cell.worktree.salvage import attempt_ref, find_free_ref
from orchestr.errors import OrchestrError
from orchestr.git.filter_history import (
    filter_history,
    find_blob_paths,
    find_path_commits,
    list_changed_paths,
)
from orchestr.git.repo import CommitId
from orchestr.git.runner import split_records
from orchestr.state import attempts
from orchestr.state.events import EventKind

TAKEN_OUT = (
    "{paths} came from the main checkout ([repos.{repo}] link, copy) and got into its commits; "
    "taken out of them, the files stay in the worktree; the commits as they were are kept as "
    "{ref}, which is never pushed"
)
IN_COMMITS = "files that {source} brings from the main checkout are in commit {commit}: {paths}"
COPIED = "what {source} brings from the main checkout is in the commits under another name: {paths}"


def take_out_kit(ctx: CellContext, base: CommitId, head: CommitId) -> CommitId:
    """Make the commits of ``base..head`` again without the kit; the branch's new head.

    ``head`` is the tip of the cell's branch. Nothing is done where the branch is checked out in a
    folder that is not the cell's worktree: a person works there. Raises OrchestrError.
    """
    specs = ctx.kit.specs
    if not specs or head == base:
        return head
    repo = ctx.repo.with_config(ctx.sign_config)
    found = find_path_commits(repo, base, head, specs)
    if not found:
        return head
    branch = f"refs/heads/{ctx.cell.branch}"
    places = [one.path for one in repo.list_worktrees() if f"refs/heads/{one.branch}" == branch]
    if any(place.resolve() != ctx.worktree.resolve() for place in places):
        return head
    new = filter_history(repo, base, head, specs, find_published_commits(ctx))
    if new == head:
        return head
    newest = attempts.newest_attempt(ctx.dir)
    ref = f"{attempt_ref(ctx, newest.number if newest is not None else 0)}-kit"
    ref = find_free_ref(ctx, ref, head)
    ctx.repo.update_ref(ref, head)
    if places:
        tree = ctx.worktree_repo
        staged = split_records(tree.run_readonly("ls-files", "--cached", "-z", "--", *specs).out)
        data = b"".join(os.fsencode(path) + b"\0" for path in staged)
        tree.run_git("update-index", "--force-remove", "-z", "--stdin", input=data)
    ctx.repo.update_ref(branch, new, head)
    paths = format_paths(list(dict.fromkeys(path for one in found for path in one.paths)))
    text = TAKEN_OUT.format(paths=paths, repo=ctx.cell.repo, ref=ref)
    ctx.emit(EventKind.CELL_WARNED, reason=text)
    return new


def find_kit_in_commits(ctx: CellContext, base: CommitId, head: CommitId) -> tuple[str, ...]:
    """Why the commits of ``base..head`` may not be published: a sentence for each kind of find.

    What the origin has already counts only where the head still has it.
    """
    kit, repo = ctx.kit, ctx.repo
    if not kit.specs or head == base:
        return ()
    source = f"[repos.{ctx.cell.repo}] link or copy"
    commits = find_path_commits(repo, base, head, kit.specs)
    blobs = find_blob_paths(repo, base, head, kit.blobs)
    if not commits and not blobs:
        return ()
    known = find_published_commits(ctx)
    commits = find_path_commits(repo, base, head, kit.specs, known)
    blobs = find_blob_paths(repo, base, head, kit.blobs, known)
    found = []
    now = list_changed_paths(repo, base, head, kit.specs)
    if now or commits:
        commit = commits[0].commit if commits else head
        paths = format_paths(now or list(commits[0].paths))
        found.append(IN_COMMITS.format(source=source, commit=commit[:12], paths=paths))
    others = sorted(path for path in blobs.values() if not kit.covers(path))
    if others:
        found.append(COPIED.format(source=source, paths=format_paths(others)))
    return tuple(found)


def kit_hint(ctx: CellContext, place: Path, base: CommitId) -> str:
    """What a person does about commits that have such files, in their checkout ``place``."""
    git = f"git -C {shlex.quote(str(place))}"
    return (
        f"they stay in the folder with: {git} reset --soft {base[:12]} && {git} rm -rq --cached "
        f"--ignore-unmatch -- {shlex.join(ctx.kit.specs)} && {git} commit, then: orchestr run "
        f"{ctx.name}; what may be published belongs in no [repos.{ctx.cell.repo}] link or copy"
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
        if "origin" in ctx.repo.list_remotes():
            shas |= set(ctx.repo.ls_remote("origin", ref).values())
    except OrchestrError:
        pass  # away: the journal has to do
    found = [ctx.repo.resolve_commit(sha) for sha in sorted(shas)]
    return [commit for commit in found if commit is not None]
