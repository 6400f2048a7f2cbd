"""Kill a fork of the test at one of the lines that it runs."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


def is_killed_at(line: int, act: Callable[[], object], is_traced: Callable[[str], bool]) -> bool:
    """Fork, act, and SIGKILL the fork at the n-th line that any of its threads runs in a file whose
    name ``is_traced``; True if it was killed."""
    child = os.fork()
    if child == 0:  # pragma: no cover
        left = line

        def trace(frame: FrameType, event: str, arg: object) -> Any:
            nonlocal left
            if not is_traced(frame.f_code.co_filename):
                return None
            if event == "line":
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        try:
            threading.settrace(trace)
            sys.settrace(trace)
            act()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
