"""The turn that exclusive checks of this user take on this host, over all workspaces.

`exclusive-HOST.lock` lies in the user's state folder, beside the claims of ports. Its flock is held
while one check runs, so it ends with its holder, also with a killed one. What is written in it is
for people only: who has the turn.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestr.errors import Interrupted
from orchestr.process.file_lock import FlockLock

POLL = 0.15  # s; a turn that ends in another process is seen this late at the most
LONGEST = 300  # characters of a holder's name that are shown


def host_file(stem: str, suffix: str) -> Path:
    """A file of this user for this host, which all workspaces share."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "orchestr" / f"{stem}-{socket.gethostname()}{suffix}"


@contextmanager
def hold_host_turn(
    holder: str, stop: threading.Event, tell: Callable[[str | None], None]
) -> Iterator[None]:
    """Hold the turn; ``holder`` names the check for those who wait.

    When it must be waited for, ``tell`` is called once with who has it, and with None when the wait
    is over. Raises Interrupted when ``stop`` is set meanwhile, NoFileLocks or OSError where no
    file can be locked.
    """
    path = host_file("exclusive", ".lock")
    lock = FlockLock(path)
    waits = False
    while not lock.try_acquire():
        if not waits:
            waits = True
            tell(f"another exclusive check runs on this host{_describe_holder(path)}")
        if stop.wait(POLL):
            raise Interrupted("stopped while waiting for an exclusive check")
    try:
        with suppress(OSError):  # a full disk costs the name
            lock.write_content(f"{holder} (pid {os.getpid()})".encode())
        if waits:
            tell(None)
        yield
        with suppress(OSError):
            lock.write_content(b"")
    finally:
        lock.release()


def _describe_holder(path: Path) -> str:
    with suppress(OSError):
        text = path.read_text("utf-8", "replace")
        name = "".join(c for c in text if c.isprintable()).strip()[:LONGEST]
        return f": {name}" if name else ""
    return ""
