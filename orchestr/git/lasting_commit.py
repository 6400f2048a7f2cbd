"""Commits of ours that are made again after a kill and must then be the same commit.

Without a signature that is so by their content: tree, parents, message, date and identity fix the
id. A signature (gpg, x509) holds a time, so a signed commit is found again by a ref that is named
after all of that: `refs/orchestr/signed/HASH`. Two processes that make it at once agree on the one
whose ref came first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestr.git.errors import SIGNING_HINT, CommitUnavailable, RefMoved, output_tail
from orchestr.git.repo import NO_COMMIT, CommitId, Repo, TreeId
from orchestr.git.runner import ANY_EXIT, YES, single_line
from orchestr.process.run import ProcessTimeout

SIGNED = "refs/orchestr/signed"
SIGN_TIMEOUT = 120.0  # s; a signer that asks a person is found by the pre-flight


@dataclass(frozen=True, slots=True)
class LastingCommit:
    """What fixes the commit. ``identity`` is the one of an unsigned commit (None: the user's); a
    signed one is always the user's, because servers compare the committer with the key.
    ``author`` are ``GIT_AUTHOR_*`` of a commit with another author.
    """

    tree: TreeId
    parents: tuple[CommitId, ...]
    message: str
    date: str  # as in ``@1700000000 +0000``
    identity: tuple[str, str] | None = None
    author: Mapping[str, str] = field(default_factory=dict)


def make_lasting_commit(repo: Repo, wanted: LastingCommit) -> CommitId:
    """Make the commit, signed where the user signs. Raises CommitUnavailable, GitError."""
    if not repo.signs_commits:
        return _commit(repo, wanted)
    ref = f"{SIGNED}/{_fingerprint(repo, wanted)}"
    known = repo.resolve_commit(ref)
    if known is not None:
        return known
    made = _commit(repo, wanted, "-S")
    try:
        repo.update_ref(ref, made, NO_COMMIT)
    except RefMoved:
        return repo.resolve_commit(ref) or made
    return made


def _commit(repo: Repo, wanted: LastingCommit, *sign: str) -> CommitId:
    env = {"GIT_AUTHOR_DATE": wanted.date, "GIT_COMMITTER_DATE": wanted.date}
    if wanted.identity is not None and not sign:
        for role in ("AUTHOR", "COMMITTER"):
            env[f"GIT_{role}_NAME"], env[f"GIT_{role}_EMAIL"] = wanted.identity
    options = [word for parent in wanted.parents for word in ("-p", parent)]
    words = ("commit-tree", *sign, wanted.tree, *options)
    committer = repo.as_committer()
    try:
        done = committer.run_git(
            *words,
            input=wanted.message.encode(),
            env={**env, **wanted.author},
            answers=ANY_EXIT if sign else YES,
            timeout=SIGN_TIMEOUT if sign else None,
        )
    except ProcessTimeout as error:
        raise CommitUnavailable(
            f"a commit in {repo.path} was not signed within {SIGN_TIMEOUT:.0f} s",
            hint=SIGNING_HINT,
        ) from error
    if done.code != 0:
        raise CommitUnavailable(
            f"a commit in {repo.path} could not be signed: {output_tail(done.err)}",
            hint=SIGNING_HINT,
            completed=done,
        )
    return CommitId(single_line(done))


def _fingerprint(repo: Repo, wanted: LastingCommit) -> str:
    """Of the commit and of who signs it: another key makes another commit."""
    parts: Sequence[object] = (
        wanted.tree,
        wanted.parents,
        wanted.message,
        wanted.date,
        sorted(wanted.author.items()),
        sorted(repo.committer_config.items()),
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]
