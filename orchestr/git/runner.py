"""Run git in one path, and locate its repository: the base of `orchestr.git.repo.Repo`.

Owns the command line ``git -C path``, its retries and how output becomes names. Every other
git module stands on this one; only `orchestr.process.run` starts the program.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Protocol, Self

from orchestr.git.config import IDENTITY, Branch, git_env, lfs_config
from orchestr.git.errors import (
    GitFault,
    explain_no_repository,
    find_git_fault,
    git_failed,
    is_transient,
)
from orchestr.git.locate import locate_git_dirs
from orchestr.git.ref_files import AskGit, RefFiles
from orchestr.git.stated import state_environment, state_options
from orchestr.git.worktree_files import list_worktree_files
from orchestr.git.worktree_list import WorktreeEntry, branch_from_ref, parse_worktrees
from orchestr.process.file_lock import FlockLock
from orchestr.process.run import (
    CompletedCommand,
    ProcessFailed,
    ProcessTimeout,
    run_command,
    stream_lines,
)
from orchestr.settings.remotes import Remotes

TRIES = 6
FAULT_TRIES = 3  # of a command that may be run twice, when the machine ended it
YES = (0,)
YES_OR_NO = (0, 1)  # what git documents for most questions; anything else is no answer
YES_OR_FATAL = (0, 128)  # of a command whose only other answer is to give up: not here, not so
YES_OR_NO_REMOTE = (0, 2)  # of `git remote`, for a name that it does not know
ANY_EXIT = range(256)  # where the caller looks itself at what came of it; a signal is never one


class Unseen(Protocol):
    """Which paths of a worktree are no work of a cell."""

    def hides_new(self, path: str) -> bool:
        """Whether a path that git does not track is none."""
        ...

    def hides_change(self, path: str) -> bool:
        """Whether what differs in a tracked path is none."""
        ...


class GitPath:
    """A repository, a bare one or a worktree, by its path; cheap to make, holds no state.

    ``config`` are settings for every command (signing, excludes), ``env`` variables, ``timeout``
    is in seconds. ``unseen`` are paths that are no change and go into no commit, even where a
    `.gitignore` of the repository shows them (it outranks every other excludes file). ``remotes``
    are the ones that are meant by "the origin".
    """

    def __init__(
        self,
        path: Path,
        *,
        config: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 900.0,
        unseen: Unseen | None = None,
        remotes: Remotes | None = None,
    ) -> None:
        self.unseen = unseen
        self.remotes = remotes or Remotes()
        self.path = Path(path).absolute()
        self.config = dict(config or {})
        self.env = dict(env or {})
        self.timeout = timeout

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def at_path(
        self,
        path: Path,
        *,
        config: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Self:
        """The same settings, and more of them, at another path (a worktree of this repository)."""
        return type(self)(
            path,
            config={**self.config, **(config or {})},
            env={**self.env, **(env or {})},
            timeout=self.timeout,
            unseen=self.unseen,
            remotes=self.remotes,
        )

    # --- running ---------------------------------------------------------------------------

    def build_env(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of git in this path (`orchestr.git.config.git_env`)."""
        return git_env(self.path, self.config, {**self.env, **(extra or {})})

    def build_command(
        self, *args: str, env: Mapping[str, str] | None = None
    ) -> tuple[tuple[str, ...], dict[str, str]]:
        """The command line of git in this path and its environment, with all that it has to state;
        ``env`` is the environment to add that to (`build_env`)."""
        known = self.build_env() if env is None else env
        argv = ("git", "-C", str(self.path), *state_options(args))
        return argv, state_environment(args, self.path, known)

    def run_git(
        self,
        *args: str,
        answers: Container[int] = YES,
        input: bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> CompletedCommand:
        """``git -C path ARGS``. ``answers``: the exit codes that git documents as answers.

        Raises GitError for any other one, GitFault and DiskFull when the machine ended it.
        """
        done = self._run_once(args, self.build_env(env), timeout, input)
        return self._raise_unless_answer(done, answers)

    def run_readonly(
        self, *args: str, answers: Container[int] = YES, env: Mapping[str, str] | None = None
    ) -> CompletedCommand:
        """A command that only reads: takes no lock, needs no git-lfs, is tried again. Raises as
        `run_git` does."""
        where = self.build_readonly_env(env)
        done = self._retry_transient(lambda: self._run_once(args, where, None, None))
        return self._raise_unless_answer(done, answers)

    def run_with_retry(
        self, *args: str, env: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> CompletedCommand:
        """A command that may be run twice, retried while a parallel git is in the way; returns
        the last result, good or bad. Raises GitFault and DiskFull when the machine ended it.
        """
        where = self.build_env(env)
        done = self._retry_transient(lambda: self._run_once(args, where, timeout, None))
        return self._raise_unless_answer(done, ANY_EXIT)

    @contextmanager
    def stream_git(
        self, *args: str, input: bytes | None = None, timeout: float | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Iterator[Iterator[bytes]]:  # fmt: skip
        """The lines of a command that only reads, as they come. Raises GitError, GitFault."""
        timeout = self.timeout if timeout is None else timeout
        argv, where = self.build_command(*args, env=self.build_readonly_env(env))
        try:
            stream = stream_lines(argv, cwd=Path("/"), env=where, timeout=timeout, input=input)
            with stream as lines:
                yield lines
        except ProcessTimeout:
            raise
        except ProcessFailed as error:
            self._raise_unless_answer(error.completed, YES)
            raise

    def build_readonly_env(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a command that only reads."""
        config = {**lfs_config(), **self.config}
        return git_env(self.path, config, {**self.env, "GIT_OPTIONAL_LOCKS": "0", **(extra or {})})

    def _run_once(
        self,
        args: tuple[str, ...],
        env: Mapping[str, str],
        timeout: float | None,
        input: bytes | None,
    ) -> CompletedCommand:
        argv, stated = self.build_command(*args, env=env)
        timeout = self.timeout if timeout is None else timeout
        return run_command(
            argv, cwd=Path("/"), env=stated, timeout=timeout, input=input, check=False
        )

    def _retry_transient(self, start: Callable[[], CompletedCommand]) -> CompletedCommand:
        # git-facts: what reads the list of worktrees dies when a sibling is half-written.
        done, faults = start(), 0
        for turn in range(TRIES):
            ended = isinstance(find_git_fault(done, str(self.path)), GitFault)
            faults += ended
            if done.code == 0 or faults == FAULT_TRIES or not (ended or is_transient(done.err)):
                break
            time.sleep(random.uniform(0.5, 1.0) * (0.2 if ended else 0.02) * 2**turn)
            done = start()
        return done

    def _raise_unless_answer(
        self, done: CompletedCommand, answers: Container[int]
    ) -> CompletedCommand:
        fault = find_git_fault(done, str(self.path))
        if fault is not None:
            raise fault
        if done.code not in answers:
            raise git_failed(done, str(self.path))
        return done

    @cached_property
    def committer_config(self) -> dict[str, str]:
        """What git's config says of who commits and how commits are signed; lower-case keys."""
        pattern = r"^((user|author|committer|gpg)\..*|commit\.gpgsign)$"
        found = self.run_readonly("config", "--get-regexp", pattern, answers=YES_OR_NO).text
        pairs = (line.partition(" ") for line in found.splitlines())
        return {key: value for key, _, value in pairs}

    @property
    def identity_config(self) -> dict[str, str]:
        """A name and an address for commits, only what the user has not set."""
        wanted = {"user.name": IDENTITY[0], "user.email": IDENTITY[1]}
        if os.environ.get("EMAIL"):  # git's own last resort
            del wanted["user.email"]
        return {key: value for key, value in wanted.items() if key not in self.committer_config}

    @property
    def signs_commits(self) -> bool:
        """Whether `commit.gpgSign` is on here, for the user and by our settings."""
        value = self.committer_config.get("commit.gpgsign")  # without a value it is on
        return value is not None and value.lower() not in ("false", "no", "off", "0")

    def with_config(self, config: Mapping[str, str]) -> Self:
        """The same with further settings for every command."""
        return self.at_path(self.path, config=config)

    def as_committer(self) -> Self:
        """The same, able to commit whether or not the user has an identity."""
        return self._with_defaults(self.identity_config)

    def without_lfs(self) -> Self:
        """The same, taking LFS pointers as they are where git-lfs is not installed."""
        return self._with_defaults(lfs_config())

    def _with_defaults(self, settings: Mapping[str, str]) -> Self:
        """The same with settings that its own outrank."""
        config = {**settings, **self.config}
        return type(self)(
            self.path, config=config, env=self.env, timeout=self.timeout, unseen=self.unseen,
            remotes=self.remotes,
        )  # fmt: skip

    # --- where things are ------------------------------------------------------------------

    @classmethod
    def find_containing(cls, start: Path) -> Self | None:
        """The repository or worktree around ``start``, else None."""
        done = cls(start).run_git(
            "rev-parse",
            "--show-toplevel",
            answers=YES_OR_FATAL,
            env={"GIT_CEILING_DIRECTORIES": ""},
        )
        return cls(Path(single_line(done))) if done.code == 0 else None

    def common_dir(self) -> Path:
        """The ``.git`` that all worktrees share, symlinks resolved: the identity of the repo."""
        found = locate_git_dirs(self.path, frozenset(self.env))
        return found[1] if found else self._rev_parse_path("--git-common-dir")

    def git_dir(self) -> Path:
        """This worktree's own part of it (HEAD, index)."""
        found = locate_git_dirs(self.path, frozenset(self.env))
        return found[0] if found else self._rev_parse_path("--git-dir")

    def toplevel(self) -> Path:
        """The root of this worktree. Raises GitError in a bare repository."""
        return self._rev_parse_path("--show-toplevel")

    def _rev_parse_path(self, what: str) -> Path:
        return Path(
            single_line(self.run_readonly("rev-parse", "--path-format=absolute", what))
        ).resolve()

    def open_ref_files(self) -> RefFiles:
        """What the repository's own files say of its refs. Raises AskGit."""
        return RefFiles(self.path, frozenset(self.env))

    def head_branch(self) -> Branch | None:
        """The branch that HEAD is on (born or not); None when detached."""
        with suppress(AskGit):
            name, _ = self.open_ref_files().read_head()
            return None if name is None else branch_from_ref(name)
        done = self.run_readonly("symbolic-ref", "--quiet", "HEAD", answers=YES_OR_NO)
        return branch_from_ref(single_line(done)) if done.code == 0 else None

    def is_repository(self) -> bool:
        """Whether a clone, a bare repository or a worktree begins exactly here (none around)."""
        return self.explain_unusable() is None

    def explain_unusable(self) -> tuple[str, str | None] | None:
        """Why git does not work here, in its own words, and the command that helps; else None."""
        done = self.run_readonly("rev-parse", "--git-dir", answers=YES_OR_FATAL)
        return None if done.code == 0 else explain_no_repository(done, self.path)

    def is_empty(self) -> bool:
        """Whether there is no ref at all, so no commit to start from."""
        return (
            not self.run_readonly("for-each-ref", "--count=1").out
            and self.run_readonly(
                "rev-parse", "--verify", "--quiet", "HEAD", answers=YES_OR_NO
            ).code
            != 0
        )

    def is_bare(self) -> bool:
        return single_line(self.run_readonly("rev-parse", "--is-bare-repository")) == "true"

    def is_shallow(self) -> bool:
        return single_line(self.run_readonly("rev-parse", "--is-shallow-repository")) == "true"

    def list_worktrees(self) -> list[WorktreeEntry]:
        """Every worktree that git knows, the main one (or the bare repository) first."""
        with suppress(AskGit):
            return list_worktree_files(self.open_ref_files())
        entries = parse_worktrees(self.run_readonly("worktree", "list", "--porcelain", "-z").out)
        main = entries[0] if entries else None
        if main is None or main.bare or (main.path / ".git").exists():
            return entries
        # A submodule, or a repository with its git folder elsewhere: git lists that folder.
        return [replace(main, path=self._find_main_checkout(main.path)), *entries[1:]]

    def _find_main_checkout(self, listed: Path) -> Path:
        """Where the files of the main worktree are, when ``listed`` is only its git folder."""
        inside = self.run_readonly(
            "-C", str(listed), "rev-parse", "--show-toplevel", answers=YES_OR_FATAL
        )
        if inside.code == 0:
            return Path(single_line(inside))  # `core.worktree`, as in every submodule
        here = self.run_readonly(
            "rev-parse", "--absolute-git-dir", "--show-toplevel", answers=YES_OR_FATAL
        )
        words = os.fsdecode(here.out).splitlines()
        same = len(words) == 2 and Path(words[0]).resolve() == listed.resolve()
        return Path(words[1]) if same else listed

    def main_worktree(self) -> Path:
        """The main worktree (or bare repository), from whichever worktree we are in."""
        return self.list_worktrees()[0].path


def repo_lock(repo: GitPath, locks: Path) -> FlockLock:
    """The lock around add, remove, prune, fetch and config of one repository (git-facts).

    One file per common dir, so that every worktree and every name of a repository shares it.
    """
    key = hashlib.sha256(os.fsencode(repo.common_dir())).hexdigest()[:16]
    return FlockLock(locks / f"git-{key}.lock")


def single_line(done: CompletedCommand) -> str:
    """The one line that a command answered; bytes that are no UTF-8 survive the round trip."""
    return os.fsdecode(done.out.removesuffix(b"\n"))


def split_records(data: bytes) -> list[str]:
    """The strings of ``-z`` output; file names may hold newlines and any byte but NUL."""
    return [os.fsdecode(part) for part in data.split(b"\0") if part]


def join_records(records: Iterable[str]) -> bytes:
    """The input of a command with ``-z``: the other way round."""
    return b"".join(os.fsencode(record) + b"\0" for record in records)
