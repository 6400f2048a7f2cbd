"""Whether a word stands anywhere in the files of a commit."""

from __future__ import annotations

from orchestr.git.repo import CommitId, Repo
from orchestr.git.runner import YES_OR_NO


def has_word(repo: Repo, commit: CommitId, word: str) -> bool:
    """Whether a file of the commit holds ``word``, as a whole word. Raises GitError."""
    words = ("grep", "--quiet", "--fixed-strings", "--word-regexp", "-I", "-e", word)
    return repo.run_readonly(*words, commit, "--", answers=YES_OR_NO).code == 0
