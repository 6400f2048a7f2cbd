"""Attempts that are opened again for a repair or a review."""

from __future__ import annotations

from pathlib import Path

from orchestr.codec import replace
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


def test_the_log_of_a_plan_is_shown_though_a_phase_before_it_has_an_attempt(tmp_path: Path) -> None:
    assert attempts.latest_work(tmp_path) is None
    early = attempts.open_phase_attempt(
        tmp_path, of="early", key="k", agent="sh", model=None, start="0" * 40
    )
    early = replace(early, opened_at="2026-01-01T00:00:01.000+00:00")
    attempts.write_attempt(tmp_path, early)
    plan = attempts.open_plan(tmp_path, key="k", agent="sh", model=None, start="0" * 40)
    latest = attempts.latest_work(tmp_path)
    assert latest is not None
    assert latest.number == plan.number < 0
