"""What `status`, `explain` and the report tell of rounds, reviews, gates and cross checks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.e2e.workspace import FEATURE, Workspace
from tests.proof.test_repairs import REPAIRS, opinion, says
from tests.proof.test_reviewers import judge_state, reviewed
from tests.report.test_report import Reader

Make = Callable[..., Workspace]
ONE = f"{FEATURE}:one"
TEST = "echo 'FAILED tests/test_a.py::test_rewrap - assert 1 == 2'; exit 1"


def page(ws: Workspace) -> str:
    return Reader(Path(ws.run("report", FEATURE, code=0).stdout.strip())).text


def test_a_red_check_is_named_with_its_test_its_output_and_the_next_command(
    workspace: Make,
) -> None:
    check = {"kind": "command", "name": "unit", "run": ["sh", "-c", TEST]}
    ws = workspace(cells={"one": {"checks": [check], "repair": {"checks": 1}},
                          "two": {"depends_on": ["one"]}})  # fmt: skip
    ws.run("run", FEATURE, code=1)
    said = ws.run("explain", ONE, code=0).stdout
    log = ws.cell_dir("one") / "attempts/1/checks/2/001-unit.log"
    assert log.is_file()
    assert "demo:one failed in check" in said
    for words in ("check unit: RED (exit 1, not 0, on ", "FAILED tests/test_a.py::test_rewrap",
                  f"log:   {log}", "repair 1 in check, changed to "):  # fmt: skip
        assert words in said, words
    assert said.splitlines()[-1] == f"next: orchestr run {ONE}"
    behind = ws.run("explain", f"{FEATURE}:two", code=0).stdout
    assert "upstream one failed: 0 of 1 checks passed" in behind
    assert behind.splitlines()[-1] == f"next: orchestr run {FEATURE} --failed"
    text = page(ws)
    for words in ("1+1", "Checks, repairs and reviews in order", "RED: exit 1, not 0",
                  "repair 1 of 1", "changed something",
                  "tests/test_a.py::test_rewrap"):  # fmt: skip
        assert words in text, words


def test_reviews_of_every_round_are_told_with_their_issues(workspace: Make) -> None:
    ws = reviewed(workspace, "ada", "eve")
    ws.script("one", REPAIRS)
    judge_state(ws, "eve")
    small = opinion({"title": "Odd name", "severity": "skippable", "evidence": ""})
    says(ws, f"echo '{small}'", "ada")
    ws.run("run", FEATURE, code=0)
    said = ws.run("explain", ONE, code=0).stdout
    for words in ("repair 1 in review, changed to ", "review by ada: 1 other, of ",
                  "    skippable: Odd name", "review by eve: no issues, of "):  # fmt: skip
        assert words in said, words
    text = page(ws)
    assert "verdicts below are of an earlier head" not in text
    assert text.count("which was repaired") == 2 and text.count("It is bad") >= 2
    assert text.count("Odd name") == 2 and "skippable" in text and "blocker" in text
    assert "1, 4 reviews" in text, "what reviews took is counted"
    assert "+1" in text and "changed something, for review: It is bad (eve)" in text


def test_a_gate_and_cross_checks_are_told(workspace: Make) -> None:
    ws = workspace(
        cells={"one": {"approve": "publish"}},
        cross_checks=[{"kind": "command", "repo": "app", "name": "whole", "run": ["false"]}],
    )
    ws.run("run", FEATURE, code=1)
    said = ws.run("explain", ONE, code=0).stdout
    assert "- gate publish: waits" in said
    assert said.splitlines()[-1] == f"next: orchestr approve {ONE}, then orchestr run {FEATURE}"
    assert (
        "cross checks in app: not made: they wait for one (needs approval)"
        in ws.run("status", FEATURE, code=0).stdout
    )
    ws.run("approve", ONE, "--yes", code=0)
    ws.run("run", FEATURE, code=1)
    status = ws.run("status", FEATURE, code=0).stdout
    assert "✗ cross checks in app: 0 of 1 checks passed; red: whole (exit 1, not 0)" in status
    said = ws.run("explain", ONE, code=0).stdout
    assert "- gate publish: approved by " in said and "- cross checks in app: RED (" in said
    text = page(ws)
    assert "Cross checks" in text and "publish: approved by " in text
    assert "asks for approval to publish" in text and "approved by " in text
