"""Try again what the machine or the network kept from an answer: bounded, and never silent.

Owns how often and after which pauses. The error itself says what may be tried again
(`orchestr.errors.Unavailable.retry_after`); that the work can be done twice is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from orchestr.errors import OrchestrError, Unavailable, explain_os_error

LONGEST = 60.0  # s between two tries

T = TypeVar("T")


def try_until_available(
    work: Callable[[], T],
    *,
    retries: int,
    pause: Callable[[Unavailable, float], None],
    patience: float = 0.0,
) -> T:
    """What ``work`` returns; after an `Unavailable` that may pass it is done again, up to
    ``retries`` times, each pause twice as long as the one before.

    What is usually there (`Unavailable.is_passing`) is tried for longer: until the pauses come to
    ``patience`` seconds, unless there are no retries at all. ``pause`` is given the error and the
    seconds: it says so, waits, and raises when stopped meanwhile. Raises what the last try raised.
    """
    waits, tries, waited = Backoff(), 0, 0.0
    while True:
        try:
            return work()
        except Exception as raised:
            error = as_unavailable(raised)
            if error is None or error.retry_after is None or retries <= 0:
                raise
            seconds = waits.next_after(error)
            if tries >= retries and not (error.is_passing and waited + seconds <= patience):
                raise
            tries, waited = tries + 1, waited + seconds
            pause(error, seconds)


class Backoff:
    """The pauses of one piece of work: the first is what the error asks for, then doubled."""

    def __init__(self) -> None:
        self._factor = 1

    def next_after(self, error: Unavailable) -> float:
        """Seconds to wait after this error."""
        seconds = min(LONGEST, (error.retry_after or 0.0) * self._factor)
        self._factor *= 2
        return seconds


def as_unavailable(error: BaseException) -> Unavailable | None:
    """The error as the machine's or the network's; None for one that says something of the work."""
    found = error if isinstance(error, OrchestrError) else explain_os_error(error)
    return found if isinstance(found, Unavailable) else None
