"""Whether pull requests merge into their bases, by git in the clone.

A Forgejo says `mergeable: false` of every draft, of one that it has not judged yet and of one in
conflict. Git tells these apart without a checkout; what the clone lacks is fetched by commit, so
that no branch of it moves.
"""

from __future__ import annotations

from collections.abc import Collection

from orchestr.forges.base import RepoRef
from orchestr.git.errors import GitError
from orchestr.git.repo import Repo

Pair = tuple[str, str]  # a head and its base, as commits


def judge_merges(ref: RepoRef, pairs: Collection[Pair]) -> dict[Pair, bool]:
    """Whether each head merges with its base; one that cannot be judged (there is no clone, the
    origin is away) has no answer."""
    if not pairs or not ref.path.is_dir():
        return {}
    repo = Repo(ref.path)
    try:
        commits = dict.fromkeys(commit for pair in pairs for commit in pair)
        missing = [commit for commit in commits if repo.resolve_commit(commit) is None]
        if missing:
            repo.fetch(ref.remote, *missing)
    except GitError:
        return {}
    found: dict[Pair, bool] = {}
    for head, base in pairs:
        try:
            found[head, base] = not repo.merge_trees(base, head).conflicts
        except GitError:
            continue  # no history in common: the host says what it thinks of that
    return found
