"""The live table on a terminal: draws `rows.build_table` with rich, at most four times a second.

The only module that imports rich. Owns the terminal between `__init__` and `close`: the cursor is
given back whatever happens (also at interpreter exit), and when drawing fails for any reason the
run goes on with plain lines on the same stream.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TextIO

from rich.console import Console, ConsoleDimensions
from rich.control import Control
from rich.live import Live
from rich.text import Text

from orchestr.plan.dag import FeaturePlan
from orchestr.state.events import Event
from orchestr.state.replay import FeatureView, apply_event
from orchestr.views.live import rows
from orchestr.views.live.plain import PlainProgress
from orchestr.views.live.progress import CellText, Progress
from orchestr.views.terminal.door import make_printable, put_door, stream_behind

_PERIOD = 0.25
_TAIL_PERIOD = 0.5
_SHOW_CURSOR = "\x1b[?25h"
# Terminals that know it show a drawing at once, whole; the others pass over it.
_BEGIN, _COMPLETE = "\x1b[?2026h", "\x1b[?2026l"


class _Screen(Console):
    """A rich console that keeps its hands off the process and knows its own terminal's size."""

    @property
    def size(self) -> ConsoleDimensions:
        # rich asks stdin first, which may be another terminal, or none.
        try:
            columns, lines = os.get_terminal_size(self.file.fileno())
        except (OSError, ValueError):
            return super().size
        return ConsoleDimensions(columns, lines) if columns and lines else super().size

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        raise NotImplementedError("the terminal decides")

    def on_broken_pipe(self) -> None:
        # rich would send our stdout to /dev/null and raise SystemExit here.
        raise BrokenPipeError


class LiveProgress(Progress):
    """A table that is drawn again in place. Raises OSError or ValueError if it cannot begin."""

    def __init__(
        self,
        plans: Sequence[FeaturePlan],
        stream: TextIO,
        *,
        slots: int = 0,
        tail: CellText | None = None,
        log: CellText | None = None,
        keep: bool = False,
        views: Mapping[str, FeatureView] | None = None,
    ) -> None:
        self._plans = list(plans)
        self._stream = stream = stream_behind(stream)
        self._slots = slots
        self._tail = tail
        self._tails: dict[tuple[str, str], tuple[float, str | None]] = {}
        self._views: dict[str, FeatureView] = {p.feature: FeatureView() for p in plans}
        self._views |= views or {}
        self._lock = threading.Lock()
        self._drawing = threading.Lock()
        self._stop = threading.Event()
        self._plain: PlainProgress | None = None
        self._log = log
        # NO_COLOR, TERM and later resizes are rich's business; the size is asked at every draw.
        self._console = _Screen(file=stream, force_terminal=True, highlight=False, markup=False)
        self._columns = self._console.width
        self._drawn: list[rows.Line] | None = None
        self._live = Live(
            console=self._console,
            get_renderable=self._make_renderable,
            auto_refresh=False,
            transient=not keep,
            redirect_stdout=False,
            # A warning that is printed meanwhile goes above the table, not through it.
            redirect_stderr=True,
        )
        atexit.register(self.close)
        try:
            self._live.start()
            sys.stderr = put_door(sys.stderr)  # rich has put its own there; it ends that itself
        except BaseException:
            self.close()
            raise
        self._ticker = threading.Thread(
            target=self._draw_until_stopped, name="progress", daemon=True
        )
        self._ticker.start()

    def show_event(self, event: Event) -> None:
        with self._lock:
            view = self._views.get(event.feature)
            if view is not None:
                self._views[event.feature] = apply_event(view, event)
            elif not event.feature:
                self._views = {name: apply_event(v, event) for name, v in self._views.items()}
            plain = self._plain
        if plain is not None:
            plain.show_event(event)

    def show_views(self, views: Mapping[str, FeatureView]) -> None:
        """Draw these from now on: for who reads the journal instead of being told."""
        with self._lock:
            self._views = dict(views)

    def close(self) -> None:
        if self._stop.is_set():
            return
        self._stop.set()
        atexit.unregister(self.close)
        ticker = getattr(self, "_ticker", None)
        if ticker is not None and ticker is not threading.current_thread():
            ticker.join(timeout=2)
        self._stop_drawing()

    def _draw_until_stopped(self) -> None:
        while not self._stop.wait(_PERIOD):
            try:
                self._draw_table()
            except Exception:
                # Not only a lost terminal: a fault in the table must not cost the night's run.
                self._fall_back()
                return

    def _draw_table(self) -> None:
        with self._drawing:
            columns, height = self._console.size
            lines = self._table_lines(columns, height)
            if lines == self._drawn and columns == self._columns:
                return  # nothing moved: a terminal that is not written to cannot flicker
            self._stream.write(_BEGIN)
            if columns < self._columns or len(self._drawn or ()) >= height:
                # The terminal has wrapped our longer lines, or pushed the upper ones out of sight,
                # so going up by as many lines as were drawn would leave their heads behind: start
                # on a clean screen.
                self._console.control(Control.home(), Control.clear())
            self._columns, self._drawn = columns, lines
            self._live.refresh()
            self._stream.write(_COMPLETE)
            self._stream.flush()

    def _fall_back(self) -> None:
        self._stop_drawing()
        with self._lock:
            self._plain = PlainProgress(self._plans, self._stream, log=self._log)

    def _stop_drawing(self) -> None:
        # A terminal stopped by Ctrl+S holds the ticker inside a write: do not wait for it for ever.
        if not self._drawing.acquire(timeout=2):
            return
        try:
            self._live.stop()
        except Exception:
            # A fault here is one of drawing; the stream may be gone, too.
            pass
        finally:
            with suppress(OSError, ValueError):
                self._stream.write(_SHOW_CURSOR)
                self._stream.flush()
            self._drawing.release()

    def _table_lines(self, columns: int, height: int) -> list[rows.Line]:
        with self._lock:
            views = dict(self._views)
        return rows.build_table(
            self._plans,
            views,
            columns,
            height,
            datetime.now(UTC),
            slots=self._slots,
            tail=self._last_words if self._tail else None,
        )

    def _make_renderable(self) -> Text:
        lines = self._drawn
        if lines is None or self._stop.is_set():  # the first drawing, and the last one
            lines = self._table_lines(*self._console.size)
        text = Text(no_wrap=True, overflow="crop", end="")
        for index, line in enumerate(lines):
            text.append("\n" if index else "")
            for words, style in line:
                text.append(make_printable(words), style or None)
        return text

    def _last_words(self, feature: str, cell: str) -> str | None:
        """The agent's last line, read at most twice a second whatever the drawing needs."""
        now = time.monotonic()
        read_at, words = self._tails.get((feature, cell), (-_TAIL_PERIOD, None))
        if self._tail is not None and now - read_at >= _TAIL_PERIOD:
            with suppress(OSError, ValueError):
                words = self._tail(feature, cell)
            self._tails[feature, cell] = (now, words)
        return words
