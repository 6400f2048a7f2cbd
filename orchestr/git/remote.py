"""The network commands of git: fetch, ls-remote, push.

Owns the arguments of the network commands and how their failures become values and errors.
Never ``--force``, ``--no-verify``, ``push -u``: a push moves a branch forward, or replaces
exactly the commit that the caller expects there.
"""

from __future__ import annotations

import re
from contextlib import nullcontext, suppress
from pathlib import Path

from orchestr.git.config import Branch, CommitId, branch_name
from orchestr.git.errors import (
    GitError,
    PushResult,
    PushStatus,
    RemoteAway,
    is_broken_off,
    output_tail,
    parse_push_output,
    remote_failed,
)
from orchestr.git.ref_files import AskGit
from orchestr.git.runner import ANY_EXIT, YES_OR_NO, GitPath, repo_lock, single_line
from orchestr.process.run import CompletedCommand, ProcessTimeout

NETWORK_TIMEOUT = 600.0
_ANSWERED: set[tuple[Path, str]] = set()  # the clones and remotes that answered in this process
_SYMREF = re.compile(r"^ref: refs/heads/(\S+)\tHEAD$", re.MULTILINE)


class RemoteOps(GitPath):
    """The part of `orchestr.git.repo.Repo` that talks to remotes."""

    def list_remotes(self) -> list[str]:
        """The names of the configured remotes."""
        return self.run_readonly("remote").text.split()

    def has_remote(self, name: str | None = None) -> bool:
        """Whether a remote of that name is configured; it may still be unreachable. Without a name:
        the one that branches are pushed to."""
        return (name or self.remotes.push) in self.list_remotes()

    def list_branch_heads(self) -> dict[Branch, CommitId]:
        """Every local branch with its commit."""
        form = "--format=%(objectname) %(refname:lstrip=2)"
        lines = self.run_readonly("for-each-ref", form, "refs/heads").text.splitlines()
        pairs = (line.partition(" ") for line in lines)
        return {Branch(name): CommitId(commit) for commit, _, name in pairs}

    def fetch(
        self,
        remote: str,
        *refspecs: str,
        locks: Path | None = None,
        timeout: float = NETWORK_TIMEOUT,
    ) -> None:
        """Fetch (no tags, FETCH_HEAD untouched), under the repository's lock in ``locks``
        unless the caller holds it. Raises FetchFailed: RemoteAway, NoRemote or NoSuchRef.
        """
        with repo_lock(self, locks) if locks else nullcontext():
            self._run_remote_command(
                remote, timeout, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head",
                "--recurse-submodules=no", "--end-of-options", remote, *refspecs,
            )  # fmt: skip

    def ls_remote(
        self, remote: str, *patterns: str, timeout: float = NETWORK_TIMEOUT
    ) -> dict[str, str]:
        """Full ref name to commit. Raises RemoteAway, NoRemote."""
        done = self._run_remote_command(
            remote, timeout, "ls-remote", "--quiet", "--end-of-options", remote, *patterns
        )
        pairs = (line.split("\t", 1) for line in done.text.splitlines() if "\t" in line)
        return {ref: sha for sha, ref in pairs}

    def read_remote_heads(
        self, remote: str, *patterns: str, timeout: float = NETWORK_TIMEOUT
    ) -> tuple[Branch | None, frozenset[str]]:
        """The remote's default branch (None: it names none), and the full names of its refs that
        match. One question. Raises RemoteAway, NoRemote.
        """
        words = ("ls-remote", "--quiet", "--symref", "--end-of-options", remote, "HEAD")
        done = self._run_remote_command(remote, timeout, *words, *patterns)
        refs = [line.partition("\t")[2] for line in done.text.splitlines() if line[:5] != "ref: "]
        found = _SYMREF.search(done.text)
        return (Branch(found[1]) if found else None), frozenset(refs)

    def default_branch(self, remote: str | None = None) -> Branch | None:
        """The remote's default branch, without the network where the clone knows it.

        ``origin/HEAD``; else ask the remote; else main, master or ``init.defaultBranch`` if
        there is one; else the branch of HEAD.
        """
        remote = remote or self.remotes.base
        there = f"refs/remotes/{remote}/"
        with suppress(AskGit):
            target = self.open_ref_files().read_symbolic(f"{there}HEAD")
            if target.startswith(there):
                return Branch(target.removeprefix(there))
        refs = self.run_readonly(
            "for-each-ref", "--format=%(refname) %(symref)", f"refs/remotes/{remote}", "refs/heads"
        ).text.splitlines()
        known = dict(line.split(" ", 1) for line in refs)
        target = known.get(f"{there}HEAD", "")
        if target.startswith(there):
            return Branch(target.removeprefix(there))
        try:
            done = self._run_remote_command(
                remote, 60, "ls-remote", "--symref", "--", remote, "HEAD"
            )
            if match := _SYMREF.search(done.text):
                return Branch(match[1])
        except GitError:
            pass  # away or absent: guess from what is here
        wish = single_line(
            self.run_readonly("config", "--get", "init.defaultBranch", answers=YES_OR_NO)
        )
        for name in ("main", "master", wish):
            if name and (f"{there}{name}" in known or f"refs/heads/{name}" in known):
                return Branch(name)
        return self.head_branch()

    def push(
        self,
        remote: str,
        sha: CommitId,
        branch: Branch,
        *,
        expected: CommitId | None = None,
        lease: bool = False,
        timeout: float = NETWORK_TIMEOUT,
    ) -> PushResult:
        """Push ``sha`` to ``refs/heads/<branch>``; hooks run, upstream config is not written.

        Plain pushes only move forward. ``lease`` replaces the branch if it is still at
        ``expected`` (None: if it does not exist). A refusal is a value. Raises RemoteAway,
        NoRemote, GitFault.
        """
        name = f"refs/heads/{branch_name(branch)}"
        options = [f"--force-with-lease={name}:{expected or ''}"] if lease else []
        args = ("push", "--porcelain", "--no-follow-tags", *options, "--", remote, f"{sha}:{name}")
        try:
            done = self._run_once(args, self.build_env(), timeout, None)
        except ProcessTimeout as error:
            raise RemoteAway(f"pushing {branch} took longer than {timeout:.0f} s") from error
        # The answer about the ref comes first: a full disk at the origin is no fault here.
        result = parse_push_output(done) if done.code >= 0 else None
        if result:
            return result
        self._raise_unless_answer(done, ANY_EXIT)
        if done.code == 0:
            return PushResult(PushStatus.OK)
        if done.code == 1 and not is_broken_off(done.err):
            # a pre-push hook said no before git spoke with the remote
            return PushResult(PushStatus.REJECTED, output_tail(done.err))
        raise self._remote_failed(done, remote)

    def delete_remote_branch(self, remote: str, name: str, expected: CommitId) -> bool:
        """Delete a branch at the remote if it is still at ``expected``; whether it was deleted."""
        ref = f"refs/heads/{branch_name(name)}"
        lease = f"--force-with-lease={ref}:{expected}"
        args = ("push", "--porcelain", "--no-follow-tags", lease, "--", remote, f":{ref}")
        return self.run_git(*args, answers=ANY_EXIT, timeout=NETWORK_TIMEOUT).code == 0

    def _run_remote_command(self, remote: str, timeout: float, *args: str) -> CompletedCommand:
        if remote.startswith("-"):
            raise GitError(f"{remote!r} cannot be the name of a remote")
        try:
            done = self.run_with_retry(*args, timeout=timeout)
        except ProcessTimeout as error:
            raise RemoteAway(
                f"the remote {remote!r} of {self.path} did not answer within {timeout:.0f} s"
            ) from error
        if done.code != 0:
            raise self._remote_failed(done, remote)
        _ANSWERED.add((self.common_dir(), remote))
        return done

    def _remote_failed(self, done: CompletedCommand, remote: str) -> GitError:
        answered = (self.common_dir(), remote) in _ANSWERED
        known = remote in self.list_remotes()
        return remote_failed(done, str(self.path), remote, known, answered=answered)
