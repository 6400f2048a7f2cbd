"""The main thread of a run sees a signal that the system gave to another thread."""

from __future__ import annotations

import signal
import sys
import threading
import time

from orchestr.run.signals import WakingQueue


def wait_until_asleep(thread: int) -> None:
    """Until the thread waits on a lock in `Condition.wait`, as seen several times in a row."""
    looks = 0
    while looks < 5:
        time.sleep(0.01)
        asleep = sys._current_frames()[thread].f_code is threading.Condition.wait.__code__
        looks = looks + 1 if asleep else 0


def test_a_signal_of_another_thread_wakes_the_main_thread() -> None:
    results = WakingQueue()
    main = threading.get_ident()
    handled: list[int] = []

    def send_signal() -> None:
        wait_until_asleep(main)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)  # to this thread, not the main
        for _ in range(2000):
            if handled:
                break
            time.sleep(0.01)
        results.put("seen" if handled else "slept on")

    old = signal.signal(signal.SIGUSR1, lambda number, _frame: handled.append(number))
    try:
        worker = threading.Thread(target=send_signal, daemon=True)
        worker.start()
        assert results.get() == "seen"
        worker.join()
    finally:
        signal.signal(signal.SIGUSR1, old)
    assert handled == [signal.SIGUSR1]
