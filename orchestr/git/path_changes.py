"""Which paths many pairs of commits differ in, by one git process for each repository."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from orchestr.errors import OrchestrError
from orchestr.git.diff import TIMEOUT, Pair
from orchestr.git.repo import Repo

# Without rename detection: both names of a renamed file are paths that it changes.
COMMAND = ("diff-tree", "--stdin", "--always", "-r", "--name-only", "--no-renames", "-z")


def read_changed_paths(
    repo: Repo, pairs: Collection[Pair], most: int
) -> dict[Pair, tuple[str, ...] | None]:
    """Pair (base, head) -> the paths that differ, relative to the repository; None: more than
    ``most``. Pairs that git cannot compare are left out."""
    found: dict[Pair, tuple[str, ...] | None]
    found = {pair: () for pair in pairs if pair[0] == pair[1]}
    todo = [pair for pair in dict.fromkeys(pairs) if pair not in found]
    read = _read_pairs(repo, todo, most) if todo else {}
    if read is None:  # a commit that is not there ends git: each is asked by itself
        alone = (_read_pairs(repo, [pair], most) or {} for pair in todo if len(todo) > 1)
        return found | {pair: paths for answer in alone for pair, paths in answer.items()}
    return found | read


def _read_pairs(
    repo: Repo, pairs: Sequence[Pair], most: int
) -> dict[Pair, tuple[str, ...] | None] | None:
    """The answer for all of them; None when git failed."""
    wanted = "".join(f"{head} {base}\n" for base, head in pairs).encode()
    env = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1"}
    try:
        done = repo.run_git(*COMMAND, input=wanted, env=env, timeout=TIMEOUT)
    except OrchestrError:
        return None
    text = done.out.decode("utf-8", "surrogateescape")
    return {
        pair: tuple(paths) if len(paths) <= most else None
        for pair, paths in _split_answer(text, pairs)
    }


def _split_answer(text: str, pairs: Sequence[Pair]) -> list[tuple[Pair, list[str]]]:
    """Each pair with its paths: a record that is the next pair's head begins its paths."""
    found: list[tuple[Pair, list[str]]] = []
    waiting = list(pairs)
    for record in text.split("\0"):
        head = record.rstrip("\n")
        if waiting and head == waiting[0][1]:
            found.append((waiting.pop(0), []))
        elif record and found:
            found[-1][1].append(record)
    return found
