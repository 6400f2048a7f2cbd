"""Act after this process is gone, however it ended: also after SIGKILL, which runs no handler.

A small copy of the process (fork) waits at a pipe whose other end only we hold. The end of the file
without a word is our death. Used where nothing would come later to tidy up.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

WELL = b"."  # written by who leaves in good order: nothing is done


@contextmanager
def act_after_death(action: Callable[[], object]) -> Iterator[None]:
    """While the body runs, a child waits; if this process dies in it, the child does ``action``.

    To be entered before threads are started. What this process holds by `flock` is held until the
    child has ended: no other process gets in between. The child ends within the action; Ctrl+C is
    not for it.
    """
    read, write = os.pipe()  # neither is inherited by programs that are started
    child = os.fork()
    if child == 0:
        _wait_and_act(read, write, action)
    os.close(read)
    try:
        yield
    finally:
        with suppress(OSError):
            os.write(write, WELL)
        os.close(write)
        with suppress(ChildProcessError):
            os.waitpid(child, 0)


def _wait_and_act(read: int, write: int, action: Callable[[], object]) -> None:
    """The child's whole life; never returns."""
    try:
        os.close(write)
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):  # a pipe of ours that is read to its end must not wait for it
            os.dup2(null, stream)
        if not os.read(read, 1):
            action()
    finally:
        os._exit(0)
