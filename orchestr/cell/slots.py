"""Slots: how many agents work at once, over the whole workspace, critical path first.

A slot is a flock on `locks/slot-<pool>-<i>.lock`, so that two runs of different features share
them and a slot dies with its holders: the supervisor inherits it, so an agent whose run was killed
still counts. Within this process the waiter with the highest priority
takes the next one. A provider's usage limit pauses its pool until a time that is kept in
`locks/pause-<provider>.json`, so a restart knows it too.
"""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from orchestr.errors import CorruptState, Interrupted
from orchestr.files import read_json, write_json
from orchestr.process.file_lock import FlockLock

LATEST = 253_370_764_800.0  # 9999-01-01: a later time can be no date
POLL = 0.15  # s; a slot freed by another process is seen this late at the most


class SlotPool:
    """``size`` slots shared by every process that uses the same lock folder and name."""

    def __init__(self, locks: Path, name: str, size: int) -> None:
        self.size = size
        self._paths = [locks / f"slot-{name}-{i}.lock" for i in range(size)]
        self._condition = threading.Condition()
        self._waiters: list[tuple[float, int]] = []
        self._order = count()

    @contextmanager
    def hold_slot(self, priority: float, cancelled: Callable[[], bool]) -> Iterator[int]:
        """Hold one slot; its descriptor, for a child that shall hold it too.

        Raises Interrupted when ``cancelled`` says so while waiting.
        """
        lock = self._wait_for_slot((-priority, next(self._order)), cancelled)
        try:
            yield lock.fileno()
        finally:
            self._release(lock)

    def _wait_for_slot(self, ticket: tuple[float, int], cancelled: Callable[[], bool]) -> FlockLock:
        with self._condition:
            heapq.heappush(self._waiters, ticket)
            try:
                while True:
                    if cancelled():
                        raise Interrupted("stopped while waiting for a free slot")
                    if self._waiters[0] == ticket:
                        lock = self._try_acquire()
                        if lock is not None:
                            return lock
                    self._condition.wait(POLL)
            finally:
                self._waiters.remove(ticket)
                heapq.heapify(self._waiters)
                self._condition.notify_all()

    def _try_acquire(self) -> FlockLock | None:
        for path in self._paths:
            lock = FlockLock(path)
            if lock.try_acquire():
                return lock
        return None

    def _release(self, lock: FlockLock) -> None:
        lock.release()
        with self._condition:
            self._condition.notify_all()


class ProviderPause:
    """A provider that said "not now": nothing of it starts until then. Kept on disk."""

    def __init__(self, locks: Path, provider: str, first: float, most: float) -> None:
        self._path = locks / f"pause-{provider.replace('/', '_')}.json"
        self._first = first
        self._most = most

    def paused_until(self) -> float:
        """Unix time when the agent may start again; 0 when it may now."""
        try:
            until = float(self._read_file().get("until", 0))
        except (TypeError, ValueError):
            return 0.0
        return until if time.time() < until < LATEST else 0.0

    @property
    def reason(self) -> str:
        """Why it is paused, empty for a usage limit."""
        return str(self._read_file().get("reason") or "")

    def extend(
        self,
        until: float | None = None,
        *,
        refusal: str = "",
        reason: str = "",
        again: bool = False,
    ) -> float:
        """Note one more refusal: until the time it named, else twice as long as last time.

        A pause that lasts still is never made shorter, and who was refused in it had started
        before: that does not double the wait. ``again``: it was refused without having got on, so a
        time that it names is not trusted to be enough. The same ``refusal`` once more, after a
        kill, changes nothing. Backing off has 10 % of jitter. Returns the Unix time of the next
        try.
        """
        raw, paused = self._read_file(), self.paused_until()
        with suppress(KeyError, TypeError, ValueError):
            if refusal and raw["refusal"] == refusal:
                return float(raw["until"])
        wait = self._next_wait()
        if paused > 0:
            wait = self._last_wait() or wait
        if until is None or again:
            until = max(until or 0.0, time.time() + wait * random.uniform(1.0, 1.1))
        if paused >= until:
            until, reason = paused, str(raw.get("reason") or "")
        pause = {"until": until, "wait": wait, "refusal": refusal, "reason": reason}
        write_json(self._path, pause)
        return until

    def reset_backoff(self) -> None:
        """The agent worked: the next refusal starts with the shortest wait again.

        A pause that lasts still is kept: what ended now had begun before it.
        """
        raw = self._read_file()
        if raw:
            write_json(self._path, {**raw, "wait": 0})

    def _read_file(self) -> dict[str, Any]:
        """What was noted; nothing, when that cannot be read: then the agent is tried."""
        try:
            raw = read_json(self._path)
        except (CorruptState, OSError):
            return {}
        return raw if isinstance(raw, dict) else {}

    def _next_wait(self) -> float:
        return min(self._most, max(self._first, self._last_wait() * 2))

    def _last_wait(self) -> float:
        try:
            return float(self._read_file().get("wait", 0))
        except (TypeError, ValueError):
            return 0.0
