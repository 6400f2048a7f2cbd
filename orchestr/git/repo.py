"""Git is a value bound to a path: ``Repo(path)`` runs ``git -C path``; nothing else runs git.

Owns reading and moving refs, trees and commits. The class is built up from `orchestr.git.runner`
(running, places) and `orchestr.git.remote` (fetch, push); worktrees are made and removed by
`orchestr.git.worktrees`, `orchestr.git.merge` folds heads and looks for conflict markers.
Needs git 2.38 (``merge-tree --write-tree``).

What survives a crash: every change here is one atomic git command; refs move by compare-and-set;
no option that discards uncommitted or unmerged work (``--force``, ``--no-verify``, ``reset``,
``clean``) is ever passed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from orchestr.git.attributes import use_attributes_of
from orchestr.git.config import Branch, CommitId, TreeId, branch_name, git_env, lfs_config
from orchestr.git.conversion import find_as_checked_out, is_attributes_file
from orchestr.git.errors import (
    SIGNING_HINT,
    CommitRefused,
    CommitUnavailable,
    FetchFailed,
    GitError,
    NoCommits,
    PushResult,
    PushStatus,
    RefMoved,
    RemoteAway,
    git_failed,
    is_signing_failure,
    output_tail,
)
from orchestr.git.hidden_files import reveal_hidden
from orchestr.git.inner_repositories import stage_all
from orchestr.git.ref_files import AskGit
from orchestr.git.remote import RemoteOps
from orchestr.git.runner import ANY_EXIT, YES_OR_NO, join_records, single_line, split_records
from orchestr.git.status import read_changes
from orchestr.git.tree_merge import MergeTreeResult, read_merge_answer
from orchestr.git.worktree_list import WorktreeEntry
from orchestr.process.run import CompletedCommand, ProcessTimeout, run_command

__all__ = [
    "NO_COMMIT",
    "Branch",
    "CommitId",
    "CommitRefused",
    "CommitUnavailable",
    "FetchFailed",
    "GitError",
    "MergeTreeResult",
    "NoCommits",
    "PushResult",
    "PushStatus",
    "RefMoved",
    "RemoteAway",
    "Repo",
    "TreeId",
    "WorktreeEntry",
    "WorktreeMergeResult",
    "branch_name",
    "git_version",
]

NO_COMMIT = CommitId("0" * 40)  # as ``old`` of `Repo.update_ref`: the ref must not exist yet
_POINTER = b"version https://git-lfs.github.com/spec/"
_EPOCH = "@0 +0000"
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_NOBODY = ("orchestr", "orchestr@localhost")


@dataclass(frozen=True, slots=True)
class WorktreeMergeResult:
    """A merge in a worktree; ``conflicts`` are the unmerged paths left there."""

    clean: bool
    conflicts: tuple[str, ...] = ()


class Repo(RemoteOps):
    """A repository, a bare one or a worktree, by its path; cheap to make, holds no state."""

    def resolve_commit(self, rev: str) -> CommitId | None:
        """The commit that ``rev`` names, else None."""
        with suppress(AskGit):
            return self.open_ref_files().resolve_commit(rev)
        done = self.run_readonly(
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            f"{rev}^{{commit}}",
            answers=YES_OR_NO,
        )
        return CommitId(single_line(done)) if done.code == 0 else None

    def head(self) -> CommitId | None:
        """The commit of HEAD; None when there is no commit yet."""
        return self.resolve_commit("HEAD")

    def require_head(self) -> CommitId:
        """The commit of HEAD. Raises NoCommits."""
        head = self.head()
        if head is None:
            raise NoCommits(
                f"{self.path} has no commit yet, so there is nothing to start a branch from",
                hint=f"git -C {self.path} commit --allow-empty -m start, or set the cell's base",
            )
        return head

    def list_refs(self, *patterns: str) -> dict[str, str]:
        """The refs that match a pattern, by their full names, with what they name."""
        with suppress(AskGit):
            return self.open_ref_files().list_refs(patterns)
        words = ("for-each-ref", "--format=%(refname) %(objectname)", *patterns)
        return dict(line.split(" ") for line in self.run_readonly(*words).text.splitlines())

    def _require_id(self, rev: str) -> str:
        """The id of a commit; one that is an id already is taken as it is."""
        return rev if _ID.fullmatch(rev) else self.resolve_commit(rev) or rev

    def resolve_tree(self, rev: str) -> TreeId:
        """The tree of a commit. Raises GitError when there is no such commit."""
        with suppress(AskGit):
            return self.open_ref_files().resolve_tree(rev)
        return TreeId(
            single_line(
                self.run_readonly("rev-parse", "--verify", "--end-of-options", f"{rev}^{{tree}}")
            )
        )

    def is_ancestor(self, a: str, b: str) -> bool:
        """True when ``a`` is ``b`` or behind it. Raises GitError for unknown commits."""
        if a == b and self.resolve_commit(a) is not None:
            return True
        done = self.run_readonly("merge-base", "--is-ancestor", a, b, answers=YES_OR_NO)
        return done.code == 0

    def merge_base(self, a: str, b: str) -> CommitId | None:
        """The best common ancestor; None when this clone knows none (shallow, unrelated)."""
        done = self.run_readonly("merge-base", a, b, answers=YES_OR_NO)
        return CommitId(single_line(done)) if done.code == 0 else None

    def count_commits(self, a: str, b: str) -> int:
        """How many commits are in ``a..b``."""
        return int(single_line(self.run_readonly("rev-list", "--count", f"{a}..{b}", "--")))

    def changed_paths(self, a: str, b: str) -> list[str]:
        """Paths that differ between two commits' trees; a rename is both of its names."""
        done = self.run_readonly("diff-tree", "-r", "-z", "--name-only", "--no-renames", a, b, "--")
        return split_records(done.out)

    def diff_stat(self, a: str, b: str) -> str:
        """``git diff --stat`` of two commits' ids for people, at most 100 files."""
        words = ("diff", "--no-text", "--stat=100", "--stat-count=100")
        with use_attributes_of(self, None) as repo:
            return repo.run_readonly(*words, a, b, "--").text

    def list_commit_subjects(self, rev: str, most: int) -> list[str]:
        """Subjects of the newest commits from ``rev`` on, merges left out. Raises GitError."""
        words = ("--no-merges", f"--max-count={most}", "--format=%s")
        done = self.run_readonly("log", *words, "--end-of-options", rev, "--")
        return done.text.removesuffix("\n").split("\n")

    def dirty_paths(self) -> list[str]:
        """Paths with changes that are not committed, untracked ones included, ignored ones not."""
        return [change.path for change in read_changes(self)]

    def unmerged_paths(self) -> tuple[str, ...]:
        """Paths that a merge left in conflict: what the index says, without a look at the files."""
        entries = split_records(self.run_readonly("ls-files", "--unmerged", "-z").out)
        return tuple(dict.fromkeys(entry.partition("\t")[2] for entry in entries))

    def update_ref(self, ref: str, new: CommitId, old: CommitId | None = None) -> None:
        """Set a full ref name. ``old`` is the value it must have now (NO_COMMIT: none at all);
        None sets it whatever it was. Raises RefMoved.
        """
        # git's word for "none at all" that fits ids of every length (SHA-256) is the empty one.
        before = [] if old is None else ["" if old == NO_COMMIT else old]
        self._change_ref(ref, "update-ref", "--no-deref", "--", ref, new, *before)

    def delete_ref(self, ref: str, old: CommitId | None = None) -> None:
        """Delete a full ref name if it is there and still ``old``. Raises RefMoved."""
        self._change_ref(ref, "update-ref", "--no-deref", "-d", "--", ref, *([old] if old else []))

    def _change_ref(self, ref: str, *args: str) -> None:
        done = self.run_with_retry(*args)
        if done.code == 0:
            return
        if re.search(rb"but expected|already exists|unable to resolve reference", done.err):
            raise RefMoved(f"{ref} moved meanwhile: {output_tail(done.err)}", completed=done)
        raise git_failed(done, str(self.path))

    def commit_tree(
        self,
        tree: TreeId,
        parents: Sequence[CommitId],
        message: str,
        *,
        date: str | None = None,
        identity: tuple[str, str] | None = None,
    ) -> CommitId:
        """Make a commit that no ref holds. ``date`` as in ``@1700000000 +0000``; date and
        identity together make the id depend on nothing but the arguments.
        """
        env: dict[str, str] = {}
        for role in ("AUTHOR", "COMMITTER"):
            if date:
                env[f"GIT_{role}_DATE"] = date
            if identity:
                env[f"GIT_{role}_NAME"], env[f"GIT_{role}_EMAIL"] = identity
        repo = self if identity else self.as_committer()
        options = [word for parent in parents for word in ("-p", parent)]
        done = repo.run_git("commit-tree", tree, *options, input=message.encode(), env=env)
        return CommitId(single_line(done))

    def commit_all(self, message: str) -> CommitId | None:
        """``add -A`` and commit, hooks included; None when there was nothing to commit.

        Ends an open merge as its commit. A hook that changes files and refuses once, as formatters
        do, gets a second commit with its changes. Raises CommitRefused when a hook refuses, and
        when a file would go in as it is because git-lfs, which the user's config demands, is
        missing; CommitUnavailable when the commit came to no end or could not be signed.
        """
        repo = self.as_committer().without_lfs()
        repo._stage_all()
        self._refuse_raw_lfs()
        merging = (self.git_dir() / "MERGE_HEAD").exists()
        staged = self._staged_changes()
        if not merging and not staged:
            return None
        done = repo._commit_staged(message)
        if done.code != 0 and not is_signing_failure(done.err):
            repo._stage_all()
            now_staged = self._staged_changes()
            if not merging and not now_staged:
                return None  # a hook took everything out again
            if now_staged != staged:
                self._refuse_raw_lfs()
                done = repo._commit_staged(message)
        if done.code != 0 and is_signing_failure(done.err):
            raise CommitUnavailable(
                f"the commit in {self.path} could not be signed: {output_tail(done.err)}",
                hint=SIGNING_HINT,
                completed=done,
            )
        if done.code != 0:
            raise CommitRefused(
                f"git commit in {self.path} was refused: {output_tail(done.err + done.out)}",
                hint="a hook of the repository refuses it, see the lines above; for the subject of "
                "our commits there is [repos.X] commit_subject",
                completed=done,
            )
        return self.require_head()

    def _stage_all(self) -> None:
        """``add -A``, what index flags hide included, without what is `unseen`."""
        reveal_hidden(self)
        stage_all(self)
        self.unstage_unseen()

    def unstage_unseen(self, env: Mapping[str, str] | None = None) -> None:
        """Put back to HEAD in the index (``env`` may name another one) what is `unseen`, and files
        that hold what a checkout writes, unless their attributes are changed, too."""
        words = ("--cached", "--raw", "--no-abbrev", "--no-renames", "--diff-filter=AMT", "-z")
        shown = self.run_readonly("diff", *words, env=env)
        records = split_records(shown.out)
        back, rest = [], {}
        for raw, path in zip(records[::2], records[1::2], strict=True):
            mode, now, blob, _, letter = raw[1:].split()
            if self.unseen is not None and (
                self.unseen.hides_new(path) if letter == "A" else self.unseen.hides_change(path)
            ):
                back.append(f"{mode} {blob}\t{path}")
            elif letter == "M" and mode == now:
                rest[path] = f"{mode} {blob}"
        if rest and not any(map(is_attributes_file, records[1::2])):
            idle = find_as_checked_out(self, rest)
            back += [f"{rest[path]}\t{path}" for path in rest if path in idle]
        if back:
            data = join_records(back)
            self.run_git("update-index", "-z", "--index-info", input=data, env=env)

    def _staged_changes(self) -> bytes:
        """What the next commit would change, with the object names: equal bytes, equal content."""
        words = ("--cached", "--raw", "-z", "--no-abbrev", "--no-renames")
        return self.run_readonly("diff", *words).out

    def _commit_staged(self, message: str) -> CompletedCommand:
        """One ``git commit`` of what is staged. Raises CommitUnavailable when it does not end."""
        words = ("commit", "--quiet", "--cleanup=whitespace", "-F", "-")
        try:
            return self.run_git(*words, input=message.encode(), answers=ANY_EXIT)
        except ProcessTimeout as error:
            raise CommitUnavailable(
                f"git commit in {self.path} took longer than {self.timeout:g} s and was ended: a "
                "hook, or the program that signs, waits for something",
                hint=f"git -C {self.path} commit shows for what; a signer that waits for a person: "
                + SIGNING_HINT,
            ) from error

    def _refuse_raw_lfs(self) -> None:
        """Where we pass over git-lfs, only its pointers may be committed."""
        if not lfs_config():
            return
        demanded = self.run_git(
            "config", "--bool", "--get", "filter.lfs.required", answers=YES_OR_NO
        )
        if single_line(demanded) != "true":
            return
        staged = self.run_readonly(
            "diff", "--cached", "--name-only", "--no-renames", "--diff-filter=AM", "-z"
        )
        shown = self.run_readonly(
            "check-attr", "--cached", "-z", "filter", "--", *split_records(staged.out)
        )
        words = split_records(shown.out)
        for path, filter in zip(words[::3], words[2::3], strict=True):
            if filter != "lfs":
                continue
            if not self.run_readonly("cat-file", "blob", f":{path}").out.startswith(_POINTER):
                raise CommitRefused(
                    f"git-lfs is not installed, so {path} cannot be committed in {self.path}",
                    hint="install git-lfs, then run the same command again",
                )

    def merge(self, rev: str, message: str) -> WorktreeMergeResult:
        """Merge into the branch checked out here; conflicts stay in place for the agent.

        Raises GitError when git refuses to begin (local changes in the way).
        """
        done = self.as_committer().without_lfs().run_git(
            "merge", "--no-edit", "--ff", "--no-stat", "--no-autostash", "-m", message, rev,
            answers=ANY_EXIT,
        )  # fmt: skip
        if done.code == 0:
            return WorktreeMergeResult(clean=True)
        conflicts = self.unmerged_paths()
        if not conflicts and b"using previous resolution" in done.err:
            # `rerere.autoUpdate`: staged as the person resolved it before, and not committed.
            self.commit_all(message)
            return WorktreeMergeResult(clean=True)
        if not conflicts:
            raise git_failed(done, str(self.path))
        return WorktreeMergeResult(clean=False, conflicts=conflicts)

    def merge_trees(self, ours: str, theirs: str, base: CommitId | None = None) -> MergeTreeResult:
        """Merge two commits without a worktree (2.6 ms, git-facts). A conflict is a value.

        ``base`` overrides the merge base. The attributes are those of ``ours``. Raises GitError
        for unrelated or unknown commits.
        """
        if base is not None:
            # `--merge-base` came with git 2.40; two commits whose only parent is the base
            # have it as their merge base everywhere.
            root = self.commit_tree(
                self.resolve_tree(base), (), "base", date=_EPOCH, identity=_NOBODY
            )
            ours, theirs = (
                self.commit_tree(
                    self.resolve_tree(side), (root,), "side", date=_EPOCH, identity=_NOBODY
                )
                for side in (ours, theirs)
            )
        ours, theirs = (self._require_id(side) for side in (ours, theirs))
        words = ("merge-tree", "--write-tree", "-z", "--no-messages")
        with use_attributes_of(self, ours) as repo:
            done = repo.run_git(*words, ours, theirs, answers=YES_OR_NO)
        answer = split_records(done.out)
        if not answer:  # unknown commits give 1 and no tree (2.39)
            raise git_failed(done, str(self.path))
        return read_merge_answer(answer, clean=done.code == 0)


@cache
def git_version() -> tuple[int, ...]:
    """The installed git as numbers, (2, 39, 5); doctor wants at least (2, 38)."""
    done = run_command(("git", "--version"), cwd=Path("/"), env=git_env(Path("/"), {}), timeout=60)
    found = re.search(r"(\d+(?:\.\d+)+)", done.text)
    return tuple(int(n) for n in found[1].split(".")) if found else (0,)
