"""Which objects a repository does not have; one git process for many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestr.git.runner import GitPath

# Not from a promisor: an object that is only there would count as one that is here.
NO_LAZY_FETCH: Mapping[str, str] = {"GIT_NO_LAZY_FETCH": "1"}


def find_missing_objects(
    repo: GitPath, names: Iterable[str], env: Mapping[str, str] | None = None
) -> set[str]:
    """Those of the object names that git does not find. Raises GitError."""
    asked = dict.fromkeys(names)
    if not asked:
        return set()
    words = ("cat-file", "--batch-check=%(objectname) %(objecttype)", "--buffer")
    done = repo.run_git(*words, input="".join(f"{name}\n" for name in asked).encode(), env=env)
    lines = done.text.splitlines()
    return {line.removesuffix(" missing") for line in lines if line.endswith(" missing")}
