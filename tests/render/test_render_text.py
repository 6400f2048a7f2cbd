"""Words, widths and columns; and that nothing an agent writes can drive a terminal."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr.views.terminal.text import (
    clean_line,
    clip,
    display_width,
    format_clock,
    format_dollars,
    format_duration,
    format_size,
    format_stopwatch,
    format_table,
    headline,
    pad,
    paint,
    seconds_between,
)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "red"),
        ("\x1bc\x1b(Breset", "reset"),
        ("10%\r50%\r100%\n", "100%"),
        ("a\tb\n  c", "a b c"),
        ("x\x00\x08\x7fy", "xy"),
        ("exe\u202etxt.", "exetxt."),
        ("\x1b[", ""),
        ("日本語", "日本語"),
    ],
)
def test_clean_leaves_words_only(raw: str, shown: str) -> None:
    assert clean_line(raw) == shown


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_nothing_that_drives_a_terminal_survives(raw: str) -> None:
    shown = clean_line("\x1b[2J" + raw + "\x1b]0;x")
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)


@given(st.text("ab日é\u0301 ", max_size=30), st.integers(0, 20))
def test_clip_and_pad_keep_to_their_columns(text: str, columns: int) -> None:
    assert display_width(clip(text, columns)) <= columns
    assert display_width(pad(text, columns)) == columns


def test_tables_align_and_never_cut_the_last_column() -> None:
    url = "https://" + "x" * 100
    assert format_table(("A", "B", "C"), [("日本", "1", url), ("a", "", "")]) == [
        "A     B  C",
        f"日本  1  {url}",
        "a",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (0, "0.0 s"),
        (3.21, "3.2 s"),
        (59.99, "1 min 00 s"),
        (245, "4 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7380, "2 h 03 min"),
    ],
)
def test_spans_in_words(seconds: float | None, words: str) -> None:
    assert format_duration(seconds) == words


def test_small_words() -> None:
    assert [format_stopwatch(s) for s in (-1, 7, 723, 11045)] == [
        "0:00",
        "0:07",
        "12:03",
        "3:04:05",
    ]
    assert (format_clock("2026-05-18T12:35:01+00:00"), format_clock("nonsense")) == (
        "12:35:01",
        "--:--:--",
    )
    assert seconds_between("2026-05-18T12:00:00+00:00", "2026-05-18T12:00:03Z") == 3.0
    assert seconds_between(None, "2026-05-18T12:00:03Z") is None
    assert [format_size(n) for n in (5, 2048, 300 << 20, 5 << 40)] == [
        "5 B",
        "2.0 KB",
        "300 MB",
        "5.0 TB",
    ]
    assert [format_dollars(1, True), format_dollars(1, False), format_dollars(0, False)] == [
        "$1.00",
        "$1.00 + unknown",
        "unknown",
    ]
    assert headline("\n\x1b[1m first \nsecond") == "first"
    assert paint("x", "bold red", True) == "\x1b[1;31mx\x1b[0m"
    assert paint("x", "bold red", False) == paint("x", "", True) == "x"
