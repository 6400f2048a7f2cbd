"""`logs` over attempts, repairs and reviews, in the order in which they began."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from tests.e2e.workspace import FEATURE, Workspace, both, wait_for
from tests.proof.test_repairs import REPAIRS
from tests.proof.test_reviewers import BAD, FINE, judge_state, reviewed

Make = Callable[..., Workspace]
ONE = f"{FEATURE}:one"


def headings(text: str) -> list[str]:
    """Without clocks, commits and numbers of rounds' checks."""
    found = [line.removeprefix("== ") for line in text.splitlines() if line.startswith("== ")]
    found = [re.sub(r", \d\d:\d\d:\d\d", "", line) for line in found]
    return [re.sub(r"of [0-9a-f]{10}", "of HEAD", line) for line in found]


def repaired(workspace: Make) -> Workspace:
    """One review with a blocker, one repair, one review without."""
    check = {"kind": "command", "name": "there", "run": ["test", "-f", "state.txt"]}
    ws = reviewed(workspace, "eve", checks=[check])
    ws.script("one", f'echo "I am at work"; {REPAIRS}')
    judge_state(ws, "eve")
    ws.run("run", FEATURE, code=0)
    return ws


def test_everything_is_told_in_order_and_parts_of_it_alone(workspace: Make) -> None:
    ws = repaired(workspace)
    said = ws.run("logs", ONE, code=0).stdout
    assert headings(said) == [
        "attempt 1 of demo:one, sh",
        "checks of attempt 1, of HEAD: 1 passed",
        "review 1 of attempt 1 by eve, of HEAD: 1 blocker",
        "repair 1 of attempt 1: review: It is bad (eve), sh, closed",
        "checks of attempt 1, of HEAD: 1 passed",
        "review 2 of attempt 1 by eve, of HEAD: no issues",
    ]
    assert said.count("I am at work") == 2
    assert "✗ blocker: It is bad" in said and said.rstrip().endswith("✓ no issues")
    reviews = ws.run("logs", ONE, "--review", "eve", code=0).stdout
    assert [line[:8] for line in headings(reviews)] == ["review 1", "review 2"]
    assert ws.run("logs", ONE, "--reviews", code=0).stdout == reviews
    none = both(ws.run("logs", ONE, "--review", "bob", code=2))
    assert "has no review by 'bob' yet" in none and "reviewers: eve" in none
    raw = ws.run("logs", ONE, "--raw", code=0)
    assert raw.stdout.count("I am at work") == 2 and "==" not in raw.stdout
    assert all(line.startswith("{") for line in raw.stdout.splitlines())
    few = ws.run("logs", ONE, "--last", "2", code=0)
    assert len(headings(few.stdout)) == 2 and "--last 0" in few.stderr
    hits = ws.run("logs", ONE, "--grep", "at work", code=0)
    assert len(hits.stdout.splitlines()) == 2
    assert [line[:8] for line in headings(hits.stderr)] == ["attempt ", "repair 1"]


def test_an_earlier_attempt_is_told_before_the_next_one(workspace: Make) -> None:
    ws = workspace(cells={"one": {}})
    ws.script("one", "echo first; exit 3")
    ws.run("run", FEATURE, code=1)
    ws.script("one", "echo second; echo x > one.txt")
    ws.run("run", FEATURE, code=0)
    said = ws.run("logs", ONE, code=0).stdout
    assert said.index("first") < said.index("== attempt 2") < said.index("second")
    only = ws.run("logs", ONE, "--attempt", "1", code=0).stdout
    assert "first" in only and "second" not in only
    gone = both(ws.run("logs", ONE, "--attempt", "7", code=2))
    assert "has no attempt 7" in gone and "attempts: 1, 2" in gone


def test_following_goes_on_over_repairs_and_reviews(workspace: Make) -> None:
    ws = reviewed(workspace, "eve")
    ws.script("one", f'echo "I am at work"; sleep 0.5; {REPAIRS}')
    again = f"if grep -q good state.txt; then {FINE}; else {BAD}; fi"
    (ws.agents / "eve.review").write_text(f"echo eve reads; sleep 0.5; {again}")
    run = ws.spawn("run", FEATURE)
    wait_for(lambda: ws.journal(kind="attempt.started"), "the agent")
    logs = ws.spawn("logs", ONE, "-f")
    assert run.ended() == 0
    assert logs.ended() == 0
    said = logs.said()
    order = ["== attempt 1", "== review 1", "eve reads", "✗ blocker: It is bad", "== repair 1",
             "I am at work", "== review 2", "✓ no issues"]  # fmt: skip
    at = 0
    for words in order:
        at = said.index(words, at)
    assert said.count("== ") == 4 and said.count("I am at work") == 2


def test_two_gigabytes_open_at_once(workspace: Make) -> None:
    ws = repaired(workspace)
    path = ws.cell_dir("one") / "attempts/1/transcript.jsonl"
    line = b'{"ts":"2026-05-18T12:00:00+00:00","stream":"stdout","text":"the end"}\n'
    with path.open("r+b") as stream:
        stream.seek(2 << 30)
        stream.write(b"\n" + line * 300)
    begun = time.monotonic()
    told: Any = ws.run("logs", ONE, "--attempt", "1", "--last", "5", code=0)
    assert "--last 0" in told.stderr
    took = time.monotonic() - begun
    assert path.stat().st_blocks < 100_000, "sparse"
    assert took < 10, "it is read from the end"
