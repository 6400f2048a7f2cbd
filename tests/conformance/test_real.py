"""Real agents, where they are installed: `$ORCHESTR_TEST_AGENTS`, see `agents.py`.

What is recorded as kept (recorded.json, the table of docs/agents.md) stays kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from orchestr.conformance.perform import try_promises
from orchestr.conformance.promises import PROMISES, Promise
from tests.conformance.agents import AGENTS, find_program, make_request
from tests.conformance.conftest import nightly, run_forked
from tests.conformance.matrix import read_record

pytestmark = pytest.mark.slow


def find_newly_broken(name: str, promises: Sequence[Promise]) -> dict[str, str]:
    """What the record has as kept and is not kept now: promise -> why."""
    if find_program(AGENTS[name].program) is None:
        pytest.skip(f"{AGENTS[name].program} is not installed")
    request = make_request(name)
    recorded = read_record()["agents"].get(name, {"findings": {}})["findings"]
    found = try_promises(request.make_subject(), promises, request.find_lacks(), runner=run_forked)
    return {f.promise: f.note for f in found
            if f.kept is False and recorded.get(f.promise, [True])[0]}  # fmt: skip


@pytest.mark.parametrize("name", AGENTS)
def test_a_real_agent_does_its_work_and_keeps_what_was_recorded(name: str) -> None:
    assert find_newly_broken(name, [p for p in PROMISES if p.trial == "work"]) == {}


@nightly
@pytest.mark.parametrize("name", AGENTS)
def test_a_real_agent_keeps_all_that_was_recorded(name: str) -> None:
    assert find_newly_broken(name, [p for p in PROMISES if p.trial != "work"]) == {}
