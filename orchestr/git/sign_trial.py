"""Whether commits can be signed now, tried on an object that is thrown away.

A signer that waits for a person (a passphrase, a card) stops an agent and the engine's own commits
alike, after the work is done. So one commit of the empty tree is signed beforehand, under a short
limit, in a folder of objects of its own: nothing is left in the repository.
"""

from __future__ import annotations

import os
import tempfile

from orchestr.git.errors import output_tail
from orchestr.git.repo import Repo
from orchestr.git.runner import ANY_EXIT, single_line
from orchestr.process.run import ProcessTimeout

TIMEOUT = 10.0  # s; an agent of gpg or ssh that is unlocked needs less than one


def explain_unsigned(repo: Repo, *, timeout: float = TIMEOUT) -> str | None:
    """Why commits in ``repo`` cannot be signed now; None when they can, or need not be."""
    if not repo.signs_commits:
        return None
    empty = single_line(repo.run_git("hash-object", "-t", "tree", os.devnull))
    with tempfile.TemporaryDirectory(prefix="orchestr-sign-") as folder:
        env = {"GIT_OBJECT_DIRECTORY": folder}
        words = ("commit-tree", "-S", empty, "-m", "orchestr: can commits be signed?")
        try:
            done = repo.as_committer().run_git(*words, answers=ANY_EXIT, env=env, timeout=timeout)
        except ProcessTimeout:
            return f"the program that signs waits for something, it gave no answer in {timeout:g} s"
    return None if done.code == 0 else output_tail(done.err, 4)
