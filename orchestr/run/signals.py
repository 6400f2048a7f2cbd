"""Signals during a run: stop once, stop harder, and leave nothing behind."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from orchestr.cell.context import FeatureRun
from orchestr.errors import ExitCode
from orchestr.state import attempts
from orchestr.supervisor import client
from orchestr.views.terminal.output import print_stderr

LONGEST_SLEEP = 1.0  # s, of the main thread


class WakingQueue(queue.Queue[Any]):
    """A queue that the main thread may wait on for hours and still see a signal within a second.

    Python runs a handler in the main thread, when that next wakes. The system may give the signal
    to another thread, or a moment before the main thread falls asleep on a lock: then nothing
    wakes it, and Ctrl+C would wait for the end of a cell.
    """

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """As `queue.Queue.get`."""
        while block and timeout is None:
            with suppress(queue.Empty):
                return super().get(timeout=LONGEST_SLEEP)
        return super().get(block, timeout)


class InterruptHandler:
    """Ctrl+C and SIGTERM: once stops gracefully, twice at once.

    The first only sets a flag that every phase looks at; agents get their grace. The second
    kills all agents of this run and leaves with 130.
    """

    def __init__(self, runs: Sequence[FeatureRun]) -> None:
        self._runs = runs
        self.count = 0
        self._old: dict[int, Any] = {}

    def __enter__(self) -> InterruptHandler:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                self._old[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: object) -> None:
        self.count += 1
        if self.count == 1:
            # Not written here: we may have interrupted a write to the same stream.
            words = "\nstopping: agents get their grace; once more stops at once"
            threading.Thread(target=print_stderr, args=(words,), daemon=True).start()
            for run in self._runs:
                run.stop.set()
            return
        for run in self._runs:
            run.kill.set()
        threading.Thread(target=self._kill_and_exit, daemon=True).start()

    def _kill_and_exit(self) -> None:
        from orchestr.cell.candidate import with_candidates
        from orchestr.cell.phases import cross_checks
        from orchestr.cell.worktree.worktree_guard import kill_leftover_checks

        for run in self._runs:
            for plan in run.plan.cells:
                for ctx in with_candidates(run.cell_context(plan.name)):
                    newest = attempts.current_attempt(ctx.dir)
                    if newest is not None and newest.is_open:
                        folder = attempts.attempt_folder(ctx.dir, newest.number)
                        client.stop_attempt(
                            folder, marker=newest.process_marker(ctx.key), grace=0, now=True
                        )
                    kill_leftover_checks(ctx)
            cross_checks.kill_leftover_cross_checks(run)
        time.sleep(2.0)  # the phases journal what they can
        os._exit(int(ExitCode.INTERRUPTED))
