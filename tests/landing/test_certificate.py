"""Which heads the landing has made, by the journal: those an audit needs not to be made for."""

from __future__ import annotations

from typing import Any

import pytest

from orchestr.landing.certificate import made_by_landing
from orchestr.state.events import Event, EventKind

REPAIR, UPDATE, WRITTEN = EventKind.LAND_REPAIR, EventKind.LAND_UPDATE, EventKind.RESULT_WRITTEN
HEAD = {"files": {"head.toml": "digest"}}


@pytest.mark.parametrize(
    ("events", "made"),
    [
        ([(REPAIR, "land", {}), (WRITTEN, "land", HEAD)], True),
        ([(UPDATE, "land", {"old": "a", "new": "head"})], True),
        ([(UPDATE, "land", {"old": "a", "new": "another"}), (WRITTEN, "run", HEAD)], False),
        ([(WRITTEN, "run", HEAD), (REPAIR, "run", {})], False),  # it was there before the repair
        ([(REPAIR, "land", {}), (WRITTEN, "run", HEAD)], False),  # a run after the landing
        ([(REPAIR, "land", {}), (WRITTEN, "land", {"files": {"head.toml": "another"}})], False),
        ([(REPAIR, "one", {}), (REPAIR, "two", {}), (WRITTEN, "two", HEAD)], True),  # killed
        ([], False),
    ],
)
def test_a_head_is_the_landing_s_own_where_its_process_wrote_it(
    events: list[tuple[EventKind, str, dict[str, Any]]], made: bool
) -> None:
    lines = [Event(kind, "", run, "demo", "core", data=data) for kind, run, data in events]
    assert made_by_landing(lines, "head", "digest") is made
