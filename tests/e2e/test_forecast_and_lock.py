"""The forecast before a run, the truth after it, and the lock of the agents."""

from __future__ import annotations

import json

from tests.e2e.conftest import MakeWorkspace


def test_a_run_is_forecast_from_the_runs_before_it(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {"depends_on": ["a"]}}, settings={
        "agents": {"sh": {"paid": True}}})  # fmt: skip
    first = ws.run("plan", "demo", code=0).stdout
    assert "forecast of 2 cells: no history at all: nothing can be forecast\n" in first
    ws.run("run", "demo", "--yes", code=0)
    (report,) = ws.root.glob(".orchestr/reports/runs/*/report.md")
    assert "there was no history, so nothing was forecast; this run adds 2 attempts" in (
        report.read_text()
    )
    idle = ws.run("plan", "demo", code=0).stdout
    assert "\nforecast" not in idle, "no attempt would start"
    shown = ws.run("run", "demo", "--dry-run", "--force", code=0).stdout
    assert "scope: 2 cells, 2 todo items\nforecast from 2 attempts of this workspace\n" in shown
    assert "  a                      " in shown
    asked = ws.run("run", "demo", "--force", code=2).stderr
    assert "(p10 to p90, from 2 attempts)." in asked
    ws.run("run", "demo", "--force", "--yes", code=0)
    newest = max(ws.root.glob(".orchestr/reports/runs/*/report.json"))
    (feature,) = json.loads(newest.read_text())["features"]
    a, b, whole = feature["forecast"]
    assert [a["cell"], b["cell"], whole["cell"]] == ["a", "b", ""]
    assert (a["likeness"], a["attempts"]) == ("same", 2)
    assert a["seconds"]["p10"] <= a["seconds"]["p90"]
    assert a["seconds"]["actual"] > 0
    assert a["cost_usd"]["place"] == "unknown", "a command tells no cost"
    page = newest.with_name("report.html").read_text()
    assert "What it took, against p10 to p90 of before" in page


def test_the_agents_are_locked_by_an_explicit_act(workspace: MakeWorkspace) -> None:
    later = {"kind": "command", "run": ["sh", "agent.sh"],
             "phases": {"repair": {"rounds": [{"since": 2, "model": "huge"}]}}}  # fmt: skip
    cell = {"agents": ["sh", "later"], "model": "large"}
    ws = workspace(cells={"a": cell}, settings={"agents": {"later": later}})
    ws.run("run", "demo", code=0)
    lock = ws.root / "agents.lock.toml"
    assert not lock.exists(), "a run writes no lock"
    locked = ws.run("doctor", "--lock-agents").stdout
    assert "command, version unknown, model large" in locked
    assert "later  command, version unknown, model huge" in locked  # of its chain, too
    text = lock.read_text()
    assert "agents.lock.toml is up to date" in ws.run("doctor", "--lock-agents").stdout
    assert "note: agent" not in ws.run("plan", "demo").stderr
    ws.spec({"a": {"agent": "sh", "model": "small"}})
    said = "note: agent sh is asked for model small, locked: large\n"
    assert said in ws.run("plan", "demo", code=0).stderr
    assert said in ws.run("run", "demo", code=0).stderr
    assert lock.read_text() == text
    lock.write_text("agents = 3\n")
    broken = ws.run("plan", "demo", code=0).stderr
    assert "agents.lock.toml" in broken
    assert "hint: orchestr doctor --lock-agents writes it again" in broken
