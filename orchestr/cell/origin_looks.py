"""What one run has seen of the repositories' origins, so that cells ask a network once."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class BaseFetch:
    """The last fetch of a base branch in a run: when (monotonic seconds), and why it failed."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    at: float | None = None
    error: str | None = None


@dataclass(slots=True)
class RemoteHeads:
    """The last look of a run at a repository's origin: when (monotonic seconds), and what is there
    of the cells' branches."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    at: float | None = None
    heads: Mapping[str, str] = field(default_factory=dict)
