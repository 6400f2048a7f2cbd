"""Questions of many threads about one repository's pull requests, asked together.

Who asks while a query is under way waits for the next one, which asks for all that wait. So the
answer is never older than the question (a cache by time would show the head before our push), and
50 cells that end together cost a handful of queries.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence

from orchestr.forges.base import PullRequest

Found = dict[str, tuple[PullRequest, ...]]


class QueryBatcher:
    """One repository's questions: those that come in during a query share the next one."""

    def __init__(self, ask: Callable[[Sequence[str]], Found]) -> None:
        self._ask = ask
        self._turn = threading.Lock()
        self._mutex = threading.Lock()
        self._waiting: list[_PendingQuery] = []

    def query_pull_requests(self, heads: Collection[str]) -> Found:
        """The answer of a query that began after this call. An error is the asker's alone."""
        mine = _PendingQuery(heads)
        with self._mutex:
            self._waiting.append(mine)
        with self._turn:
            if mine.answer is None:
                with self._mutex:
                    batch, self._waiting = self._waiting, []
                try:
                    every = dict.fromkeys(head for question in batch for head in question.heads)
                    answer = self._ask(list(every))
                except BaseException:
                    with self._mutex:
                        self._waiting += [other for other in batch if other is not mine]
                    raise
                for question in batch:
                    question.answer = answer
        assert mine.answer is not None
        return {head: mine.answer[head] for head in mine.heads}


class _PendingQuery:
    """What one thread asked for; ``answer`` is set by whoever asked for all."""

    def __init__(self, heads: Collection[str]) -> None:
        self.heads = tuple(dict.fromkeys(heads))
        self.answer: Found | None = None
