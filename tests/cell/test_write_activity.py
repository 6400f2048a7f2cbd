"""When did an agent write something: what follows from samples of its bytes. Times are made up."""

from __future__ import annotations

import pytest

from orchestr.cell.worktree.write_activity import WriteTimeline


def timeline(*samples: tuple[float, int], begun: float | None = None) -> WriteTimeline:
    line = WriteTimeline()
    if begun is not None:
        line.begin(begun)
    for moment, total in samples:
        line.sample(7, moment, total)
    return line


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (95.0, None),  # before it began
        (101.0, 50),  # what it wrote before it was looked at
        (104.0, 0),
        (106.5, 30),
        (109.0, None),  # after the last look
    ],
)
def test_what_can_have_been_written_at_a_moment(moment: float, written: int | None) -> None:
    line = timeline((102.0, 50), (106.0, 50), (108.0, 80), begun=100.0)
    assert line.written_about(moment) == written


def test_without_a_begin_nothing_is_known_before_the_first_look() -> None:
    assert timeline((102.0, 50), (106.0, 50)).written_about(101.0) is None


def test_one_that_ended_before_the_first_look_wrote_what_it_counted() -> None:
    line = timeline(begun=100.0)
    line.finish(101.0, 40)
    assert (line.written_about(100.5), line.written_about(105.0)) == (40, 0)


def test_the_next_process_of_an_agent_begins_at_nothing() -> None:
    line = timeline((102.0, 50), begun=100.0)
    line.finish(103.0, 50)
    line.begin(110.0)
    line.sample(8, 111.0, 5)
    assert (line.written_about(106.0), line.written_about(110.5)) == (0, 5)


def test_another_process_without_a_begin_is_a_gap() -> None:
    """It was adopted: how much it had written by then is not known."""
    line = timeline((102.0, 50), begun=100.0)
    line.sample(8, 111.0, 500)
    assert line.written_about(105.0) is None
