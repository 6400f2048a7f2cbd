"""Keep other processes of the same user from reading ours: its environment, memory and open files.

An agent without a sandbox runs as the user, and what the user exported (a forge token, say) stands
in `/proc/PID/environ` of every process of ours. Linux keeps that from processes without privileges
where the process is not *dumpable*. Its identity (`stat`, `status`, `cmdline`) stays readable, so
`doctor`, `abort` and adoption see it as before. What it starts is dumpable again after its exec.
"""

from __future__ import annotations

from contextlib import suppress

from orchestr.process.tree import LINUX

PR_SET_DUMPABLE = 4


def hide_this_process() -> None:
    """Make this process unreadable for others; nothing happens where the system cannot.

    Its own `/proc/self/environ`, `io` and the like cannot be opened any more either, only read
    where they are open already.
    """
    if not LINUX:
        return
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
