"""The live table on a real pseudo-terminal: it draws, gives the cursor back, and never kills."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO

import pytest
from render_stories import ALL_DONE, FAILING, FINISHED, MIDDLE, PLAN, whole

from orchestr.state.replay import replay
from orchestr.views.live import rows
from orchestr.views.live.choose import make_progress
from orchestr.views.live.live import LiveProgress
from orchestr.views.live.plain import PlainProgress

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Terminal:
    """Our end of a pseudo-terminal: what a person would see, as it is written."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        self.stream: TextIO = os.fdopen(slave, "w", encoding="utf-8")
        self.resize(80, 24)
        self._seen = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def resize(self, columns: int, lines: int) -> None:
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self.stream.fileno(), termios.TIOCSWINSZ, size)

    def _read(self) -> None:
        while True:
            try:
                self._seen += os.read(self.master, 65536)
            except OSError:
                return

    @property
    def seen(self) -> str:
        return self._seen.decode("utf-8", "replace")

    def until(self, found: Callable[[str], bool]) -> str:
        end = time.monotonic() + 20
        while not found(self.seen):
            assert time.monotonic() < end, self.seen
            time.sleep(0.01)
        return self.seen

    def close(self) -> None:
        self.stream.close()
        self._reader.join(timeout=5)
        os.close(self.master)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    opened = Terminal()
    yield opened
    opened.close()


def live(terminal: Terminal) -> LiveProgress:
    progress = make_progress(PLAN, terminal.stream, out=io.StringIO(), slots=3)
    assert isinstance(progress, LiveProgress)
    return progress


def test_it_draws_the_cells_and_gives_the_cursor_back(terminal: Terminal) -> None:
    with live(terminal) as progress:
        for event in MIDDLE:
            progress.show_event(event)
        seen = terminal.until(lambda text: "1 of 4 done" in text)
        assert HIDE in seen
    terminal.until(lambda text: text.rstrip().endswith(SHOW))


def test_an_exception_inside_gives_the_cursor_back(terminal: Terminal) -> None:
    with pytest.raises(KeyboardInterrupt), live(terminal):
        raise KeyboardInterrupt
    terminal.until(lambda text: text.rstrip().endswith(SHOW))


def test_closing_twice_is_fine(terminal: Terminal) -> None:
    progress = live(terminal)
    progress.close()
    progress.close()


def test_events_may_come_from_many_threads(terminal: Terminal) -> None:
    with live(terminal) as progress:

        def feed() -> None:
            for event in ALL_DONE:
                progress.show_event(event)

        feeders = [threading.Thread(target=feed) for _ in range(4)]
        for feeder in feeders:
            feeder.start()
        for feeder in feeders:
            feeder.join()
        terminal.until(lambda text: "4 of 4 done" in text)


def test_no_color_is_honoured(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with live(terminal) as progress:
        for event in MIDDLE:
            progress.show_event(event)
        seen = terminal.until(lambda text: "1 of 4 done" in text)
    assert "\x1b[3" not in seen.replace("\x1b[3J", "")


def test_a_narrower_window_starts_on_a_clean_screen(terminal: Terminal) -> None:
    with live(terminal) as progress:
        for event in MIDDLE:
            progress.show_event(event)
        terminal.until(lambda text: "1 of 4 done" in text)
        terminal.resize(50, 24)
        terminal.until(lambda text: "\x1b[2J" in text)


def test_a_lower_window_starts_on_a_clean_screen(terminal: Terminal) -> None:
    with live(terminal) as progress:
        for event in MIDDLE:
            progress.show_event(event)
        terminal.until(lambda text: "1 of 4 done" in text)
        terminal.resize(80, 4)
        seen = terminal.until(lambda text: "\x1b[2J" in text)
        terminal.until(lambda text: "1 of 4 done" in text[len(seen) :])


def test_what_did_not_change_is_not_drawn_again(terminal: Terminal) -> None:
    done = {"mlkem": replay([*ALL_DONE, FINISHED])}
    progress = make_progress(PLAN, terminal.stream, out=io.StringIO(), views=done)
    with progress:
        terminal.until(lambda text: "4 of 4 done" in text)
        time.sleep(1)  # four times drawn, if it were
    terminal.until(lambda text: text.rstrip().endswith(SHOW))
    assert terminal.seen.count("4 of 4 done") <= 3  # begin, first look, end


def test_what_was_done_before_counts_from_the_start(terminal: Terminal) -> None:
    before = {"mlkem": replay(whole("platform-proto"))}
    with make_progress(PLAN, terminal.stream, out=io.StringIO(), views=before):
        terminal.until(lambda text: "1 of 4 done" in text)


def test_a_fault_in_drawing_falls_back_to_plain_lines(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with live(terminal) as progress:
        assert isinstance(progress, LiveProgress)

        def broken(*_: object, **__: object) -> object:
            raise RuntimeError("a bug in the table")

        monkeypatch.setattr(rows, "build_table", broken)
        terminal.until(lambda text: SHOW in text)
        progress._ticker.join(timeout=5)
        for event in FAILING:
            progress.show_event(event)
        seen = terminal.until(lambda text: "FAILED: exit code 2" in text)
    assert "Traceback" not in seen


def test_a_terminal_that_goes_away_does_not_end_the_run() -> None:
    class Gone(io.StringIO):
        broken = False

        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            if self.broken:
                raise BrokenPipeError
            return super().write(text)

    stream = Gone()
    progress = make_progress(PLAN, stream, out=io.StringIO(), environ={"TERM": "xterm"})
    assert isinstance(progress, LiveProgress)
    stream.broken = True
    for event in MIDDLE:
        progress.show_event(event)
    progress._ticker.join(timeout=10)
    for event in FAILING:
        progress.show_event(event)
    progress.close()


def test_a_terminal_that_is_gone_before_the_start_gets_plain_lines() -> None:
    class Dead(io.StringIO):
        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            raise BrokenPipeError

    progress = make_progress(PLAN, Dead(), out=io.StringIO(), environ={"TERM": "xterm"})
    assert isinstance(progress, PlainProgress)
    progress.show_event(MIDDLE[0])
