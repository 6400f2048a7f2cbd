"""Whatever a journal holds, replay reads it; and a fold is a fold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr.state.events import Event, EventKind
from orchestr.state.replay import apply_event, median_durations, replay, reset_interrupted
from orchestr.state.states import CellState, FeatureState, may_follow, summarize_states

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 200),
    st.floats(),
    st.sampled_from(["", "open", "aborted", "failed", "exited", "check"]),
    st.lists(st.sampled_from(["check", "publish", "nonsense"]), max_size=2),
)
NAMES = "exit phases url state draft outcome reason seconds code cost_usd until changed aborted"
KEYS = st.sampled_from(NAMES.split())
EVENTS = st.lists(
    st.builds(
        Event,
        kind=st.sampled_from(list(EventKind)),
        ts=st.just("2026-05-18T12:00:00+00:00"),
        run=st.sampled_from(["", "r1", "r2"]),
        feature=st.just("f"),
        cell=st.sampled_from(["", "a", "b"]),
        phase=st.sampled_from(["", "worktree", "implement", "check", "publish", "land"]),
        attempt=st.integers(0, 3),
        data=st.dictionaries(KEYS, VALUES, max_size=4),
    ),
    max_size=25,
)


@given(EVENTS)
def test_every_prefix_can_be_replayed(events: list[Event]) -> None:
    for end in range(len(events) + 1):
        reset_interrupted(replay(events[:end]), live=False)
    median_durations(events)


@given(EVENTS, EVENTS)
def test_replay_is_a_fold(first: list[Event], second: list[Event]) -> None:
    whole = replay([*first, *second])
    assert whole == replay(second, start=replay(first))
    view = replay([])
    for event in [*first, *second]:
        before = view
        view = apply_event(view, event)
        assert before.cells is not view.cells
    assert whole == view


@given(EVENTS)
def test_nothing_moves_when_nobody_lives(events: list[Event]) -> None:
    view = reset_interrupted(replay(events), live=False)
    assert not any(c.state.is_moving for c in view.cells.values())
    assert reset_interrupted(view, live=False) == view


@pytest.mark.parametrize("state", list(CellState))
def test_every_state_has_its_looks(state: CellState) -> None:
    assert len(state.symbol) == 1
    assert state.label
    assert state.style
    assert may_follow(state, state)
    assert state.is_moving or may_follow(state, CellState.RUNNING)


def test_the_symbols_differ() -> None:
    assert len({s.symbol for s in CellState}) == len(CellState)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("", "pending"),
        ("pending pending", "pending"),
        ("done running failed", "running"),
        ("done waiting failed", "waiting"),
        ("done failed blocked", "failed"),
        ("done aborted blocked", "aborted"),
        ("aborted failed", "failed"),
        ("done pending", "partial"),
        ("done ignored", "done"),
        ("ignored ignored", "done"),
        ("ignored pending", "pending"),
        ("landed landed", "landed"),
        ("landed done", "done"),
    ],
)
def test_the_state_of_a_feature(cells: str, expected: str) -> None:
    assert summarize_states(CellState(c) for c in cells.split()) is FeatureState(expected)
