"""A landing respects the forge: its required checks and reviews, waited for or a person's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forges.github_stub import GH, NO_GH
from tests.landing.house import FEATURE, Yard, both
from tests.landing.test_land_github import Hub

PAIR = {"low": {}, "high": {"depends_on": ["low"]}}
hosted = pytest.mark.skipif(GH is None, reason=NO_GH)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub.ready(tmp_path / "w", PAIR, repos=("app",))
    assert isinstance(made, Hub)
    yield made
    made.end()


@pytest.mark.slow
@hosted
def test_what_protection_wants_is_refused_waited_for_or_allowed(hub: Hub) -> None:
    github = hub.github
    github.wants["main"] = {"checks": ["test"], "approvals": 1}
    low, high = (next(p for p in hub.prs().values() if p["head"].endswith(c)) for c in PAIR)
    github.report_check(low["head_sha"], "test", "FAILURE", workflow="CI")
    github.review(low["number"], "CHANGES_REQUESTED", "no")
    done = hub.land(code=1)
    url = next(u for u, p in hub.prs().items() if p["number"] == low["number"])
    assert f"the forge is not done with {url}: checks: red: CI / test; " in done.stdout
    assert "approval: changes were requested by rita" in done.stdout
    assert f"orchestr follow {FEATURE} --once" in done.stdout and "--allow-red" in done.stdout
    assert hub.history() == [] and hub.states()["low"] == "done"
    assert {pull["draft"] for pull in hub.prs().values()} == {True}  # un-drafted last

    # Its cures; what is stacked is for a protected branch only when that has landed.
    github.report_check(low["head_sha"], "test", None, workflow="CI")
    github.review(low["number"], "APPROVED", "yes")
    done = hub.land("--wait", "1s", code=1)
    assert "checks: still at work: CI / test" in done.stdout and hub.history() == []

    green = threading.Timer(
        1.0, lambda: github.report_check(low["head_sha"], "test", "SUCCESS", workflow="CI")
    )
    green.start()
    hub.land("--wait", "5m", code=1)
    green.join()
    assert hub.history() == ["low"] and hub.states()["low"] == "landed"
    assert github.pull(high["number"])["draft"] is True

    refused = hub.run("land", FEATURE, "--allow-red", code=2)
    assert f"It lands {FEATURE} in spite of this" in refused.stderr
    assert "0 of 1 approving review" in refused.stderr
    hub.land("--allow-red")
    hub.landed(PAIR, ("app",))
    (allowed,) = hub.journal(kind="land.allowed")
    assert "checks: not reported yet: test" in allowed["data"]["reason"], both(done)
    report = max((hub.root / ".orchestr" / "reports" / "runs").iterdir()) / "report.md"
    assert "let it land in spite of" in report.read_text()


@pytest.mark.slow
def test_settings_want_more_of_the_local_forge(tmp_path: Path) -> None:
    yard = Yard.ready(tmp_path / "w", {"low": {}}, repos=("app",),
                      landing={"land_requires": ["approval"]})  # fmt: skip
    assert isinstance(yard, Yard)
    done = yard.run("land", FEATURE, code=1)
    assert "approval: 0 of 1 approving review" in done.stdout and yard.history() == []
    yard.run("comment", "app#1", "--approve", "fine", code=0)
    yard.run("land", FEATURE, code=0)
    assert yard.history() == ["low"]
