"""Opening a pull request at a host that may take two of one branch when they come at once.

The host's check for a second one is no constraint of its database. So a request whose answer was
lost is not repeated before a look whether it was carried out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from orchestr.forges.base import ForgeAway, ForgeError, PRExists, PullRequest
from orchestr.forges.rate_limit import OutcomeUnknown
from orchestr.forges.rest_answers import RequestRefused

T = TypeVar("T")
TRIES = 3  # to open, each after a look
_EXISTS = re.compile(r"(?:pull|merge) request already exists", re.IGNORECASE)


def open_once(
    send: Callable[[], T], find_open: Callable[[], PullRequest | None], *, refused: str, where: str
) -> T:
    """The answer of ``send``, which opens it and is not repeated by itself.

    ``refused`` begins the message of a refusal, ``where`` is the repository's address. Raises
    PRExists with the open one of that branch, ForgeError, ForgeAway.
    """
    for turn in range(1, TRIES + 1):
        try:
            return send()
        except OutcomeUnknown as unknown:
            there = find_open()
            if there is not None:
                raise PRExists(there) from unknown
            if turn == TRIES:
                raise
        except RequestRefused as error:
            if _EXISTS.search(error.message) is None:
                raise ForgeError(f"{refused}: {error.message}", hint=error.hint) from error
            there = find_open()
            if there is None:
                raise ForgeAway(
                    f"{where}: the forge answers that it is open already ({error.message}), "
                    "but does not show it yet",
                    hint="the same command again",
                ) from error
            raise PRExists(there) from error
    raise AssertionError("the last try ends it")
