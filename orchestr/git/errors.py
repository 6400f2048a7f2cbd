"""What git says, as errors that are instructions and values that callers decide on.

Pure text: owns how git's stderr is classified. The patterns hold because our git runs with
LC_ALL=C; each names the message of git 2.39 and the caller that needs it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from orchestr.errors import NO_ROOM, DiskFull, MachineFault, OrchestrError, Unavailable
from orchestr.git.config import PROTOCOLS
from orchestr.process.network_fault import is_network_away
from orchestr.process.run import CompletedCommand, describe_exit_code

# git-facts: a sibling reads a half-written .git/worktrees/X/commondir; another `git config`
# holds the lock; a `worktree prune` took the file `locked` away. All of them pass.
_TRANSIENT = re.compile(
    rb"could not lock config file"
    rb"|failed to read .*commondir"
    rb"|could not open .*locked"
    rb"|(?:refs|HEAD|packed-refs)[^\n]*\.lock': File exists"
)

# What git says when the machine had nothing left for it, or for a program that it started:
# xmalloc, run-command.c, thread-utils.c, packfile.c, and strerror.
_MACHINE_FAULT = re.compile(
    rb"[Oo]ut of memory|Cannot allocate memory|mmap failed|cannot be mapped"
    rb"|Too many open files|Resource temporarily unavailable|cannot fork|unable to fork"
    rb"|unable to (?:create|start) (?:\S+ )?thread|cannot create (?:async )?thread"
    rb"|Input/output error|Stale file handle"
    rb"|died of signal (?!2\b|13\b)\d+"
)
_NO_ROOM = re.compile("|".join(NO_ROOM).encode())
_FAR = re.compile(rb"^remote: .*$", re.MULTILINE)  # the server's own words are about the server


class GitError(OrchestrError):
    """A git command failed unexpectedly; ``completed`` is the command with its output."""

    def __init__(
        self, message: str, *, hint: str | None = None, completed: CompletedCommand | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.completed = completed


class GitFault(MachineFault):
    """git came to no end by itself: a signal, no memory, no process. It answered nothing.

    No `GitError`: whoever takes a failure of git for an answer must not take this for one.
    """

    def __init__(self, message: str, *, completed: CompletedCommand) -> None:
        super().__init__(message)
        self.completed = completed


class FetchFailed(GitError):
    """The fetch brought nothing. Callers warn and continue with the local commits."""


class RemoteAway(FetchFailed, Unavailable):
    """The remote does not answer (network, server, a moved folder); worth a warning, a retry."""

    retry_after = 2.0


class RemoteOutOfOrder(RemoteAway):
    """The remote was there, and broke off or answered 5xx or 429: this passes by itself."""

    is_passing = True


class RemoteRefused(FetchFailed):
    """The remote answered, and does not let this login in: another try would not help."""


class NoRemote(FetchFailed):
    """The repository has no remote of that name."""


class ProtocolRefused(GitError):
    """The remote is reached in a way that our git refuses (`orchestr.git.config.PROTOCOLS`)."""


class NoSuchRef(FetchFailed):
    """The remote answers, but has no such branch."""


class NoCommits(GitError):
    """The repository has no commit yet (an unborn HEAD), so there is no base."""


class RefMoved(GitError):
    """A compare-and-set found another value in the ref."""


class CommitRefused(GitError):
    """A hook, a signature or a missing identity kept ``git commit`` from committing."""


class CommitUnavailable(CommitRefused, Unavailable):
    """The commit came to no end or could not be signed: nothing is known against its content."""


class NoMergeBase(GitError):
    """Two commits share no history that this clone knows."""


# gpg-interface.c. "failed to write commit object" alone may be a full disk.
_NOT_SIGNED = re.compile(
    rb"failed to sign|cannot run gpg|signingkey|load public key|defaultKeyCommand|"
    rb"unsupported value for gpg\.format",
    re.IGNORECASE,
)
SIGNING_HINT = (
    "sign once by hand, so that the key is unlocked, or do without: "
    '[workspace] unsigned = true, or [agents.X] sign = "off", in orchestr.toml'
)


def is_signing_failure(stderr: bytes) -> bool:
    """Whether a commit was not made because it could not be signed."""
    return _NOT_SIGNED.search(stderr) is not None


class PushStatus(StrEnum):
    """How a push ended: the remote has the commit now, had it before, or refused."""

    OK = "ok"
    UP_TO_DATE = "up-to-date"
    REJECTED = "rejected"


class PushUnavailable(GitError, Unavailable):
    """The origin could not store what was pushed: no room, or a fault there."""


# receive-pack's words for a push that failed before any hook or rule judged it
_NOT_STORED = re.compile(r"unpacker error|unpack failed|[Nn]o space left|[Qq]uota exceeded")
# and for one whose answer got lost, or that a host in trouble did not take
_LOST = re.compile(
    r"remote failed to report status|internal server error|service unavailable|bad gateway"
    r"|gateway time-?out",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class PushResult:
    """``reason`` is git's or the server's word for a refusal, else empty."""

    status: PushStatus
    reason: str = ""

    def raise_if_not_stored(self, what: str) -> None:
        """Raise PushUnavailable for a refusal that says nothing about the commits, RemoteOutOfOrder
        for one that passes by itself."""
        if self.status is PushStatus.REJECTED and _LOST.search(self.reason):
            raise RemoteOutOfOrder(f"the origin did not take {what}: {self.reason}")
        if self.status is PushStatus.REJECTED and _NOT_STORED.search(self.reason):
            raise PushUnavailable(
                f"the origin could not store {what}: {self.reason}",
                hint="make room at the origin, or ask who runs it; the same command pushes it "
                "again and starts no agent",
            )


def is_transient(stderr: bytes) -> bool:
    """True for the errors that pass when the same command is run again a moment later."""
    return _TRANSIENT.search(stderr) is not None


def output_tail(data: bytes, lines: int = 12) -> str:
    """The last lines of some output, fit for a message."""
    return "\n".join(data.decode("utf-8", "replace").strip().splitlines()[-lines:])


def git_failed(completed: CompletedCommand, where: str) -> GitError:
    """The error for a command that ended with an unexpected exit code."""
    return GitError(_describe_failure(completed, where), completed=completed)


def _describe_failure(completed: CompletedCommand, where: str) -> str:
    words = [w for w in completed.argv[1:] if w not in ("-C", where, "--no-pager")]
    said = output_tail(completed.err) or output_tail(completed.out) or "it said nothing"
    how = describe_exit_code(completed.code)
    return f"git {' '.join(words[:8])} failed in {where} ({how}): {said}"


def find_git_fault(completed: CompletedCommand, where: str) -> Unavailable | None:
    """The error for a command that the machine ended; None for one that ended by itself.

    No exit code of such a command is an answer, whatever git documents for it.
    """
    if completed.code == 0 or completed.stopped:
        return None
    said = _FAR.sub(b"", completed.err)
    if completed.code > 0 and _NO_ROOM.search(said):
        return DiskFull(_describe_failure(completed, where))
    if completed.code > 0 and not _MACHINE_FAULT.search(said):
        return None
    return GitFault(_describe_failure(completed, where), completed=completed)


def explain_no_repository(completed: CompletedCommand, where: Path) -> tuple[str, str | None]:
    """Why git does not work in ``where``, and the command that helps, if one does."""
    said = completed.err.decode("utf-8", "replace").strip()
    first = said.partition("\n")[0].removeprefix("fatal: ")
    if "dubious ownership" in said:
        found = re.search(r"(git config --global --add safe\.directory .+)", said)
        return f"git refuses {where}: {first}", found[1] if found else None
    if not said or "(or any" in first:
        return f"{where} is not a git repository", None
    return f"git cannot use {where}: {first}", None


# Of git's http and ssh transports, and of the hosts: an answer, where 5xx and 429 are none.
_REFUSED = re.compile(
    r"requested URL returned error: (?:401|403|404)\b|Authentication failed for"
    r"|Permission denied \(|Permission to \S+ denied|could not read (?:Username|Password)"
    r"|[Rr]epository not found|repository '[^']*' not found|single sign-on|SAML SSO"
)
# The server was reached, or has been before in this process (`known_there`), and did not get to an
# answer: http.c, remote-curl.c, send-pack.c, pkt-line.c; 4xx beside 408 and 429 are answers.
_OUT_OF_ORDER = re.compile(
    r"(?:HTTP|returned error:) (?:5\d\d|408|429)\b|^error: RPC failed; curl"
    r"|^send-pack: unexpected disconnect|^(?:fatal: )?(?:the remote end hung up|early EOF)",
    re.MULTILINE,
)
_HTTP_ANSWER = re.compile(r"(?:HTTP|returned error:) 4(?!08|29)\d\d\b")


def is_broken_off(stderr: bytes) -> bool:
    """Whether the connection broke in the middle of a push. git ends it with 1, as it ends one
    that a hook of ours refused."""
    said = _FAR.sub(b"", stderr).decode("utf-8", "replace")
    return _OUT_OF_ORDER.search(said) is not None and _HTTP_ANSWER.search(said) is None


def remote_failed(
    completed: CompletedCommand, where: str, remote: str, known: bool, *, answered: bool = False
) -> GitError:
    """Why a fetch, a push or a look at the remote failed; ``known``: the remote is configured,
    ``answered``: it has answered before."""
    said = output_tail(completed.err)
    if not known:
        return NoRemote(
            f"{where} has no remote {remote!r}",
            hint=f"git -C {where} remote add {remote} URL",
            completed=completed,
        )
    refused = re.search(r"transport '([^']+)' not allowed", said)
    if refused and refused[1] not in PROTOCOLS:
        return ProtocolRefused(
            f"the remote {remote!r} of {where} is reached by {refused[1]}, which is refused: "
            "repositories are reached by https, ssh and file",
            hint=f"git -C {where} remote set-url {remote} https://HOST/PATH (or ssh, or a folder); "
            "another transport only if you name it in GIT_ALLOW_PROTOCOL (file:https:ssh:http), "
            "and ext and fd never",
            completed=completed,
        )
    if "couldn't find remote ref" in said:
        return NoSuchRef(f"{remote} of {where}: {said}", completed=completed)
    if _REFUSED.search(said):
        return RemoteRefused(
            f"the remote {remote!r} of {where} does not let this login in: {said}",
            hint=f"git -C {where} ls-remote {remote}, to see it by hand; who owns it gives access",
            completed=completed,
        )
    passes = is_broken_off(completed.err) or (answered and is_network_away(said))
    kind = RemoteOutOfOrder if passes else RemoteAway
    return kind(
        f"the remote {remote!r} of {where} does not answer: {said}",
        hint=f"git -C {where} fetch {remote}",
        completed=completed,
    )


def parse_push_output(completed: CompletedCommand) -> PushResult | None:
    """The value of ``git push --porcelain``; None when the output has no line for the ref."""
    for line in completed.out.decode("utf-8", "replace").splitlines():
        flag, _, rest = line.partition("\t")
        if "\t" not in rest:
            continue
        if flag == "!":
            summary = rest.rpartition("\t")[2].strip()
            said = [
                text.removeprefix("remote:").strip()
                for text in completed.err.decode("utf-8", "replace").splitlines()
                if text.startswith("remote:")
            ]
            return PushResult(PushStatus.REJECTED, "; ".join([summary, *filter(None, said[-3:])]))
        return PushResult(PushStatus.UP_TO_DATE if flag == "=" else PushStatus.OK)
    return None
