"""Rate limits of a host: one request at a time, paced, retried while that can help.

The same lane serves every forge that is asked over a network; its numbers are GitHub's, the
strictest of them. GitHub counts requests of a user in an hour (points) and in a minute (secondary
limits), and asks clients to send one after the other and to wait as long as an answer says. So all
threads of this process share one `RequestPacer` a host: a lock, two token buckets (reading,
writing), the waits.

A request that may be tried again raises `Retry`. The waits double from 1/300 of the patience on
(5 minutes: 1 s), with jitter; ``Retry-After`` and the reset of a used-up quota are honoured to
the second. What would take longer than the patience is `ForgeAway` at once. A host that never
answered is given little patience (a laptop without a network must not stand still for
minutes), one that was given up is tried once a call until it answers again.

While one request waits all requests to its host wait. A stop (Ctrl+C) ends a wait, never a
request.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from orchestr.errors import Interrupted
from orchestr.forges.base import ForgeAway, WaitListener

T = TypeVar("T")
PATIENCE = 300.0  # s of waiting for one request, see `[forge] patience`
FIRST = 1 / 300  # of the patience: the first wait
HASTY = 1 / 60  # of the patience: for a host that never answered
LONGEST = 365 * 86_400.0  # s; a host may name any time
REPORTED_WAIT = 2.0  # s; waits from here on are reported to the user


class OutcomeUnknown(ForgeAway):
    """A request that is not to be repeated may have been carried out, or was too large to be."""


class Retry(Exception):
    """The request was not served now. ``after`` is in seconds, where the answer said so.

    ``done`` says that it may have been carried out in spite of that (a dropped connection).
    """

    def __init__(self, reason: str, *, after: float | None = None, done: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after
        self.done = done


@dataclass(slots=True)
class TokenBucket:
    """``burst`` requests at once, ``rate`` a second in the long run."""

    burst: float
    rate: float
    left: float = field(init=False)
    at: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.left = self.burst

    def take_token(self, now: float) -> float:
        """Take one; the seconds to wait before using it."""
        self.left = min(self.burst, self.left + max(now - self.at, 0.0) * self.rate) - 1
        self.at = now
        return max(0.0, -self.left / self.rate)


def wait_or_stop(seconds: float, stop: threading.Event | None) -> bool:
    """Wait; True when the stop came first."""
    if stop is not None:
        return stop.wait(seconds)
    time.sleep(seconds)
    return False


def is_this_machine(host: str) -> bool:
    """Whether a host is a development server here, with no limits to respect: `localhost:3000`,
    `127.0.0.1:8080`, a name below ``.localhost``."""
    name = host.partition(":")[0]
    return name in ("localhost", "127.0.0.1") or name.endswith(".localhost")


class RequestPacer:
    """The rate limiter of one host; tests replace ``clock`` and ``wait``."""

    def __init__(
        self,
        host: str,
        patience: float = PATIENCE,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float, threading.Event | None], bool] = wait_or_stop,
    ) -> None:
        self.host = host
        self.patience = patience
        self._clock = clock
        self._wait = wait
        self._lock = threading.Lock()
        paced = not is_this_machine(host)
        # 80 requests a minute that make something, 900 that read (GitHub's secondary limits)
        self._writes = TokenBucket(20, 1) if paced else None
        self._reads = TokenBucket(60, 5) if paced else None
        self._closed_until = 0.0
        self._why = ""
        self._answered = False
        self._given_up = False

    def send_with_retries(
        self,
        request: Callable[[], T],
        *,
        writes: bool,
        again: bool = True,
        stop: threading.Event | None = None,
        on_wait: WaitListener | None = None,
    ) -> T:
        """Carry out ``request`` in its turn, again while it raises `Retry`.

        ``on_wait`` is called before every wait that a user would notice.
        ``again`` False: not after an answer that leaves open whether it was carried out.
        Raises ForgeAway when the patience is at its end, Interrupted when a wait was stopped,
        and what ``request`` raises.
        """
        with self._lock:
            spent = self._wait_until_open(stop, on_wait)
            step = self.patience * FIRST
            while True:
                bucket = self._writes if writes else self._reads
                if bucket is not None:
                    self._sleep_unless_stopped(bucket.take_token(self._clock()), stop)
                try:
                    result = request()
                except Retry as retry:
                    if retry.done and not again:
                        raise OutcomeUnknown(
                            f"{self.host}: {retry.reason}; whether it was done is not known"
                        ) from retry
                    spent += self._wait_before_retry(retry, spent, step, stop, on_wait)
                    step *= 2
                else:
                    self._answered, self._given_up = True, False
                    return result

    def _wait_until_open(self, stop: threading.Event | None, on_wait: WaitListener | None) -> float:
        """Wait until the time that the host named to an earlier request; how long that was."""
        wait = self._closed_until - self._clock()
        if wait <= 0:
            return 0.0
        if wait > self.patience:
            raise self._unavailable_error(self._why, wait)
        self._report_wait(on_wait, self._why, wait)
        self._sleep_unless_stopped(wait, stop)
        return wait

    def _wait_before_retry(
        self,
        retry: Retry,
        spent: float,
        step: float,
        stop: threading.Event | None,
        on_wait: WaitListener | None,
    ) -> float:
        """Wait before the next try, if ``spent`` seconds leave room for it; how long that was."""
        wait = step * random.uniform(0.5, 1.0)
        if retry.after is not None:  # it is there and says when: the whole patience is due
            self._answered, self._given_up = True, False
            wait += retry.after
            self._closed_until, self._why = self._clock() + wait, retry.reason
            if spent + wait > self.patience:
                raise self._unavailable_error(retry.reason, wait) from retry
        elif spent + wait > self._current_patience():
            self._given_up = True
            raise self._unavailable_error(retry.reason) from retry
        self._report_wait(on_wait, retry.reason, wait)
        self._sleep_unless_stopped(wait, stop)
        return wait

    def _report_wait(self, on_wait: WaitListener | None, reason: str, wait: float) -> None:
        if on_wait is not None and wait >= REPORTED_WAIT:
            on_wait(self.host, reason, wait)

    def _current_patience(self) -> float:
        if self._given_up:
            return 0.0
        return self.patience if self._answered else self.patience * HASTY

    def _sleep_unless_stopped(self, seconds: float, stop: threading.Event | None) -> None:
        if seconds > 0 and self._wait(seconds, stop):
            raise Interrupted(f"stopped while waiting for {self.host}")

    def _unavailable_error(self, reason: str, wait: float | None = None) -> ForgeAway:
        if wait is None:
            return ForgeAway(f"{self.host} cannot be asked now: {reason}", hint="try again later")
        at = datetime.now(UTC) + timedelta(seconds=min(wait, LONGEST))
        return ForgeAway(
            f"{self.host} takes no more requests until {at:%H:%M:%S} UTC: {reason}",
            hint="the same command after that; or a longer [forge] patience, to wait for it",
        )


_LANES: dict[str, RequestPacer] = {}
_MAKING = threading.Lock()


def pacer_for_host(host: str, patience: float = PATIENCE) -> RequestPacer:
    """The pacer of this process for a host; the first caller's patience counts."""
    with _MAKING:
        if host not in _LANES:
            _LANES[host] = RequestPacer(host, patience)
        return _LANES[host]
