"""Leases, verbs beside a run, and two features that share the agents' slots."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestr.process.lease import read_lease
from tests.crash.house import FEATURE, House, both, wait_for

pytestmark = pytest.mark.slow
SHORT = {"limits": {"grace": "0.3s"}}


def lease_file(house: House, feature: str = FEATURE) -> Path:
    return house.root / ".orchestr" / "locks" / f"feature-{feature}.lock"


def forge_record(house: House, **changes: Any) -> None:
    """A lease record as a run writes it, with what the case is about."""
    record = {
        "schema": 1, "pid": os.getpid(), "create_time": psutil.Process().create_time(),
        "host": socket.gethostname(), "user": "tess", "command": "orchestr run demo",
        "started_at": "2024-05-06T07:08:09+00:00", "features": [FEATURE], "jobs": 3, "nonce": "x",
    }  # fmt: skip
    lease_file(house).parent.mkdir(parents=True, exist_ok=True)
    lease_file(house).write_text(json.dumps(record | changes))


def test_of_two_runs_at_once_exactly_one_works(tmp_path: Path) -> None:
    house = House.build(tmp_path / "w", settings=SHORT)
    house.close("low")
    try:
        runs = [house.spawn("run", FEATURE) for _ in range(3)]
        wait_for(lambda: sum(r.poll() is not None for r in runs) == 2, "the two that lose")
        house.working("low")
        winner = next(r for r in runs if r.poll() is None)
        for loser in (r for r in runs if r is not winner):
            assert loser.poll() == 4, loser.said()
            words = loser.err.read_text()
            assert f"pid {winner.pid}" in words
            assert re.search(r"since \d{4}-\d\d-\d\dT", words)
            assert f"orchestr abort {FEATURE}" in words
            assert "Traceback" not in words
        house.open("low")
        assert winner.ended() == 0, winner.said()
        house.settled()
    finally:
        house.end()


def test_other_verbs_work_during_a_run(tmp_path: Path) -> None:
    house = House.build(tmp_path / "w", settings=SHORT)
    house.spec({"solo": {}}, feature="other")
    house.run("run", "other", code=0)
    house.close("low")
    try:
        run = house.spawn("run", FEATURE)
        house.working("low")
        for verb in ("list", "status", "plan"):
            house.run(verb, FEATURE, code=0)
        assert house.run("info", FEATURE).returncode == 1  # doit's own: it is not up to date
        house.run("list", "--all", code=0)
        house.run("list", "-s", code=0)
        house.run("doctor", code=0)
        house.run("explain", f"{FEATURE}:low", code=0)
        assert "working on low" in house.run("logs", f"{FEATURE}:low", code=0).stdout
        follow = house.spawn("logs", f"{FEATURE}:low", "-f")
        wait_for(lambda: "working on low" in follow.said(), "what the agent said")
        for words in (["forget", FEATURE], ["forget", f"{FEATURE}:low"], ["clean", FEATURE]):
            refused = house.run(*words, code=4)
            assert str(run.pid) in refused.stderr, both(refused)
        house.run("forget", "other:solo", code=0)
        house.run("run", "other", code=0)
        house.open("low")
        assert run.ended() == 0, run.said()
        assert follow.ended(20) == 0, follow.said()
        assert house.book()["end low 1"] == house.book()["end solo 2"] == 1
        house.sound()
    finally:
        house.end()


def test_two_features_share_the_slots(tmp_path: Path) -> None:
    """Never more agents than `jobs`, over both processes: each agent notes how many work."""
    house = House.build(tmp_path / "w", {c: {} for c in ("a", "b", "c")},
                        settings={"limits": {"jobs": 2, "grace": "0.3s"}})  # fmt: skip
    house.spec({c: {"repo": "app"} for c in ("x", "y", "z")}, feature="other")
    count = (
        'mkdir -p "$AGENT_DIR/at-work"; touch "$AGENT_DIR/at-work/$ORCHESTR_CELL"\n'
        'ls "$AGENT_DIR/at-work" | wc -l >> "$AGENT_DIR/counts"; sleep 0.3\n'
        'ls "$AGENT_DIR/at-work" | wc -l >> "$AGENT_DIR/counts"\n'
        'rm "$AGENT_DIR/at-work/$ORCHESTR_CELL"\n'
    )
    for cell in "abcxyz":
        house.script(cell, count)
    try:
        runs = [house.spawn("run", feature) for feature in (FEATURE, "other")]
        for run in runs:
            assert run.ended() == 0, run.said()
        counts = [int(n) for n in (house.agents / "counts").read_text().split()]
        assert len(counts) == 12
        assert max(counts) == 2
        for feature in (FEATURE, "other"):
            house.sound(feature)
    finally:
        house.end()


def test_an_agent_whose_run_was_killed_still_holds_its_slot(tmp_path: Path) -> None:
    house = House.build(tmp_path / "w", {"a": {}}, settings={"limits": {"jobs": 1}})
    house.spec({"x": {}}, feature="other")
    house.close("a")
    try:
        run = house.spawn("run", FEATURE)
        house.working("a")
        run.kill()
        run.wait()
        second = house.spawn("run", "other")
        wait_for(lambda: house.journal("other", "attempt.opened"), "the other feature's attempt")
        again = house.spawn("run", FEATURE)
        wait_for(lambda: house.journal(kind="attempt.adopted"), "the adoption")
        assert house.book()["start x 1"] == 0
        house.open("a")
        assert again.ended() == 0, again.said()
        assert second.ended() == 0, second.said()
        assert house.starts() == ["start a 1", "end a 1", "start x 1", "end x 1"]
    finally:
        house.end()


@pytest.mark.parametrize("changes", [
    {"pid": 2**22 - 3}, {"create_time": 1000.0}, {"pid": 0}, None,
], ids=["dead", "reused", "zero", "torn"])  # fmt: skip
def test_a_stale_lease_is_taken_over_in_silence(
    changes: dict[str, Any] | None, tmp_path: Path
) -> None:
    house = House.build(tmp_path / "w", {"low": {}})
    if changes is None:
        lease_file(house).parent.mkdir(parents=True)
        lease_file(house).write_text('{"pid": 12')
    else:
        forge_record(house, **changes)
    done = house.run("run", FEATURE, code=0)
    assert "busy" not in both(done)
    assert lease_file(house).exists()
    assert read_lease(lease_file(house)) is None


def test_another_hosts_lease_bars_until_it_is_broken(tmp_path: Path) -> None:
    house = House.build(tmp_path / "w", {"low": {}})
    forge_record(house, host="elsewhere", pid=7)
    busy = house.run("run", FEATURE, code=4)
    assert "elsewhere" in busy.stderr
    assert "--break-lock" in busy.stderr
    assert house.starts() == []
    house.run("run", FEATURE, "--break-lock", code=0)
    house.settled(["low"])


def test_a_live_holder_is_not_broken(tmp_path: Path) -> None:
    house = House.build(tmp_path / "w", {"low": {}}, settings=SHORT)
    house.close("low")
    try:
        run = house.spawn("run", FEATURE)
        house.working("low")
        refused = house.run("run", FEATURE, "--break-lock", code=4)
        assert f"orchestr abort {FEATURE}" in refused.stderr
        assert "is not broken" in refused.stderr
        run.send_signal(signal.SIGTERM)
        assert run.ended() == 130
    finally:
        house.end()
