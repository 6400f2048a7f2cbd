"""The escape suite with each wall: only what is documented, with a reason, goes unnoticed."""

from __future__ import annotations

import pytest

from benchmarks.escape.adapters.orchestr import Orchestr
from benchmarks.escape.attempts import ATTEMPTS
from benchmarks.escape.judge import Verdict, run_attempts
from benchmarks.escape.unnoticed import DEPENDING, UNNOTICED

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("wall", ["none", "bwrap"])
def test_nothing_gets_through_unnoticed_but_what_is_documented(wall: str) -> None:
    tool = Orchestr()
    why = tool.explain_unusable(wall)
    if why is not None:
        pytest.skip(why)
    results = run_attempts(tool, wall, ATTEMPTS)
    found = {one.attempt.name: one.verdict for one in results}
    assert [name for name, verdict in found.items() if verdict is Verdict.IDLE] == []
    through = {name for name, verdict in found.items() if verdict is Verdict.NOT}
    documented = set(UNNOTICED[wall])
    assert through - documented == set()
    assert documented - through - DEPENDING == set(), (
        "take them out of benchmarks/escape/unnoticed.py"
    )
