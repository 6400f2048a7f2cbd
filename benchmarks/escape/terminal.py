"""The user's terminal: the tool runs on it; what it shows, and what was typed into it."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import termios
import threading
import tty
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from benchmarks.escape.scene import Scene

PATIENCE = 1200.0  # s


class Terminal:
    """Runs programs of the user on one terminal; what it shows goes to the scene."""

    def __init__(self, scene: Scene, env: Mapping[str, str], slave: int) -> None:
        self.name = os.ttyname(slave)
        self._scene = scene
        self._env = env
        self._slave = slave

    def run(self, words: list[str]) -> int:
        """A program of the user, to its end."""
        with subprocess.Popen(
            ["setsid", "--ctty", "--wait", *words], cwd=self._scene.workspace, env=self._env,
            stdin=self._slave, stdout=self._slave, stderr=self._slave,
        ) as process:  # fmt: skip
            try:
                return process.wait(PATIENCE)
            finally:
                process.kill()


@contextmanager
def run_on_terminal(scene: Scene, env: Mapping[str, str]) -> Iterator[Terminal]:
    """A terminal, read until the end; then `scene.shown` and `scene.typed` are there."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    termios.tcsetwinsize(slave, (50, 1000))  # no sentence is broken
    over = threading.Event()
    chunks: list[bytes] = []

    def read() -> None:
        while True:
            ready, _, _ = select.select([master], [], [], 0.05)
            if ready:
                with suppress(OSError):
                    chunks.append(os.read(master, 1 << 16))
            elif over.is_set():
                return

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield Terminal(scene, env, slave)
        os.set_blocking(slave, False)
        with suppress(BlockingIOError):
            scene.typed = os.read(slave, 1 << 16)
    finally:
        over.set()
        thread.join()
        scene.shown = b"".join(chunks)
        os.close(slave)
        os.close(master)
