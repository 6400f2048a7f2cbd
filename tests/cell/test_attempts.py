"""Attempts that are opened again for a repair or a review."""

from __future__ import annotations

from pathlib import Path

from orchestr.state import attempts


def test_what_a_reader_closed_is_open_again_for_a_repair(tmp_path: Path) -> None:
    """After a kill the caller's record says that reviewers work; they end, then a repair begins."""
    first = attempts.open_attempt(tmp_path, key="k", agent="sh", model=None, start="0" * 40)
    read_before = attempts.reopen(tmp_path, first, "review")
    attempts.close(tmp_path, read_before, "done", "")

    opened = attempts.reopen(tmp_path, read_before, "review")

    assert opened.state == "review"
    found = attempts.read_attempt(tmp_path, first.number)
    assert found is not None
    assert found.is_open
