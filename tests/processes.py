"""Processes of other programs, as the tests ask after them."""

from __future__ import annotations

import time

import psutil

PATIENCE = 20.0  # seconds


def wait_until_gone(pid: int, *, patience: float = PATIENCE) -> bool:
    """Whether the process ends in time. A zombie has ended: when init reaps it is not ours."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False
