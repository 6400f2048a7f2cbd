"""Real programs as reviewers: their answers by schema, what they may not do, what they cost.

The author is one program, the reviewer another one; both talk to a model that plays a script.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from orchestr.cell.agent.verdict import SCHEMA
from tests.agents.conftest import MakeHouse
from tests.agents.house import AgentHouse
from tests.agents.model_server import STRUCTURED, Answer, Asked, Fault, Run, Say, Write
from tests.agents.test_real_agents import QUICK, limit
from tests.conftest import git
from tests.e2e.workspace import both, wait_for
from tests.sandbox.walls import BOTH_WALLS

pytestmark = pytest.mark.slow

ISSUE = {
    "title": "It is bad",
    "description": "It should be good.",
    "severity": "blocker",
    "places": [{"path": "a.txt", "line": 1}],
    "evidence": "line 1 says bad",
}
BAD = {"summary": "I read it.", "issues": [ISSUE]}
FINE = {"summary": "I read it again.", "issues": []}
WORK = [Run("echo bad > a.txt"), Say("Done.")]
REPAIR = [*WORK[:1], Run("echo good > a.txt"), Say("Mended.")]
# By a text in the request: the repair, the second review, the first one.
TOLD, AGAIN, FIRST = "Reviewers have read your commit", "\\n+good", "# Review: "
REFUSED = {
    # Of the push. What it says of a file differs: its versions write files with another tool each.
    "claude": "Permission to use Bash with command git push",
    "codex": "transport 'orchestr-no-push' not allowed",
    "gemini": "Tool execution denied by policy",
    "opencode": "a rule which prevents you from using this specific tool call",
}
DOT = (  # one pixel, PNG
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)
PAIRS = [("claude", "codex"), ("codex", "claude")]


def reviews(ws: AgentHouse, cell: str = "a") -> list[Path]:
    return sorted((ws.cell_dir(cell) / "attempts" / "1" / "reviews").iterdir())


def scripts(*tries: Run | Write, answer: Any = BAD) -> dict[str, Any]:
    return {TOLD: REPAIR, AGAIN: [Answer(FINE)], FIRST: [*tries, Answer(answer)]}


@BOTH_WALLS
@pytest.mark.parametrize(("author", "reviewer"), PAIRS)
def test_a_blocker_of_another_provider_is_repaired(
    house: MakeHouse, author: str, reviewer: str, wall: str
) -> None:
    prices = {"price_input_usd": 1.0, "price_output_usd": 10.0}
    cells = {"a": {"reviewers": [{"agent": reviewer}]}}
    ws = house(author, WORK, also=[reviewer], cells=cells, scripts=scripts(),
               settings={"agents": {"codex": prices}})  # fmt: skip
    ws.run("run", "demo", "--yes", code=0)

    assert ws.show("a", "a.txt") == "good"
    assert ws.pr("a")["head_sha"] == ws.head("a")
    exits = ws.journal(kind="attempt.exited")
    of_author = [e["data"]["session"] for e in exits if "part" not in e["data"]]
    of_reviewer = [e["data"]["session"] for e in exits if "part" in e["data"]]
    assert len(of_author) == 2 and len(set(of_author)) == 1  # the same session mends it
    assert len(of_reviewer) == 2 and len(set(of_reviewer)) == 2  # a fresh one each time
    assert {*of_author, *of_reviewer}.isdisjoint({None, ""})
    assert [json.loads((f / "opinion.json").read_text())["summary"] for f in reviews(ws)] == [
        BAD["summary"], FINE["summary"],
    ]  # fmt: skip
    # Every request that was paid counts once: of the author and of the reviewer.
    cell = ws.status()["a"]
    assert cell["tokens"]["input"] == 1000 * len(ws.model.asked)
    assert cell["cost_usd"] > 0
    assert ws.processes() == []


@pytest.mark.parametrize(("author", "reviewer"), PAIRS)
def test_a_reviewer_is_held_to_the_form_by_its_own_program(
    house: MakeHouse, author: str, reviewer: str
) -> None:
    """claude offers a tool of the schema's form, codex asks the provider for the form."""
    cells = {"a": {"reviewers": [{"agent": reviewer}]}}
    ws = house(author, WORK, also=[reviewer], cells=cells, scripts={FIRST: [Answer(FINE)]})
    ws.run("run", "demo", "--yes", code=0)
    asked = [a for a in ws.model.asked if FIRST in a.text]
    assert len(asked) == 1
    if reviewer == "claude":
        tool = next(t for t in asked[0].body["tools"] if t["name"] == STRUCTURED)
        form = tool["input_schema"]
    else:
        form = asked[0].body["text"]["format"]["schema"]
    assert form["properties"]["issues"]["items"]["properties"] == SCHEMA["properties"]["issues"][
        "items"]["properties"]  # fmt: skip
    assert set(form["required"]) == {"summary", "issues"}


def test_pictures_are_handed_to_codex(house: MakeHouse) -> None:
    """Those of a screenshot that works; one that fails leaves none, and fails nothing."""
    draw = (
        "import base64, os\n"
        "place = os.environ['ORCHESTR_ARTEFACTS'] + '/home.png'\n"
        f"open(place, 'wb').write(base64.b64decode('{DOT}'))\n"
    )
    shots = [{"kind": "command", "name": "home", "run": ["python3", "-c", draw]},
             {"kind": "command", "name": "broken", "run": ["false"]}]  # fmt: skip
    cells = {"a": {"reviewers": [{"agent": "codex"}], "screenshots": shots}}
    ws = house("claude", WORK, also=["codex"], cells=cells, scripts={FIRST: [Answer(FINE)]})
    ws.run("run", "demo", "--yes", code=0)
    asked = [a for a in ws.model.asked if FIRST in a.text]
    pictures = [part for item in asked[0].body["input"] for part in item.get("content") or ()
                if part.get("type") == "input_image"]  # fmt: skip
    assert len(pictures) == 1
    assert pictures[0]["image_url"].startswith("data:image/png;base64,")
    kept = list((ws.cell_dir("a") / "attempts" / "1" / "screenshots").rglob("home.png"))
    assert len(kept) == 1


@pytest.mark.parametrize(("author", "reviewer"), PAIRS)
@pytest.mark.parametrize("who", ["reviewer", "repair"])
def test_a_usage_limit_in_a_review_or_a_repair_is_waited_for(
    house: MakeHouse, author: str, reviewer: str, who: str
) -> None:
    """Refused with a time of reset: the same session goes on, nothing is asked twice."""
    text = FIRST if who == "reviewer" else TOLD
    until: list[float] = []

    def fault(asked: Asked, _number: int) -> Fault | None:
        mine = text in asked.text and (who == "repair" or TOLD not in asked.text)
        if not mine or (until and time.time() >= until[0]):
            return None
        if not until:
            until.append(time.time() + 2)
        return limit(until[0])

    cells = {"a": {"reviewers": [{"agent": reviewer}]}}
    quick = {"retry_after": "1s", "retry_max": "1s"}
    ws = house(author, WORK, also=[reviewer], cells=cells, scripts=scripts(), fault=fault,
               settings={"agents": {"claude": quick, "codex": quick}})  # fmt: skip
    ws.run("run", "demo", "--yes", code=0, env=QUICK)
    assert until, "nobody was refused"
    limits = [e["data"].get("part", "author") for e in ws.journal(kind="attempt.limited")]
    assert {"reviewer": "review-1-" + reviewer, "repair": "author"}[who] in limits
    assert ws.show("a", "a.txt") == "good"
    assert [e["attempt"] for e in ws.journal(kind="attempt.opened")] == [1]
    assert len(reviews(ws)) == 2


@pytest.mark.parametrize(("author", "reviewer"), PAIRS)
def test_a_reviewer_that_runs_is_adopted_after_a_kill(
    house: MakeHouse, author: str, reviewer: str
) -> None:
    gate = threading.Event()

    def fault(asked: Asked, _number: int) -> Fault | None:
        if FIRST in asked.text:
            gate.wait(60)
        return None

    cells = {"a": {"reviewers": [{"agent": reviewer}]}}
    ws = house(author, WORK, also=[reviewer], cells=cells, scripts={FIRST: [Answer(FINE)]},
               fault=fault)  # fmt: skip
    run = ws.spawn("run", "demo", "--yes")
    wait_for(lambda: any(FIRST in a.text for a in ws.model.asked), "the reviewer's question")
    run.kill()
    run.wait()
    gate.set()
    ws.run("run", "demo", "--yes", code=0)
    assert sum(FIRST in a.text for a in ws.model.asked) == 1
    assert len(reviews(ws)) == 1 and len(ws.prs()) == 1
    assert ws.processes() == []


@pytest.mark.parametrize("who", ["reviewer", "repair"])
def test_a_budget_is_reached_in_a_review_or_a_repair(house: MakeHouse, who: str) -> None:
    """It ends there with the figure; raised, the next run goes on, and pays no finished work."""
    slow = [*(Run(f"git log -{n}") for n in range(1, 40)), Say("Done.")]
    played = scripts()
    played[FIRST if who == "reviewer" else TOLD] = slow
    author, reviewer = ("codex", "claude") if who == "reviewer" else ("claude", "codex")
    cells = {"a": {"reviewers": [{"agent": reviewer}]}}
    ws = house(author, WORK, also=[reviewer], cells=cells, scripts=played,
               fault=lambda _a, _n: time.sleep(0.3),
               settings={"limits": {"grace": "1s"}})  # fmt: skip
    ws.run("run", "demo", "--yes", "--budget-tokens", "9000", code=1)
    cell = ws.status()["a"]
    assert "the budget of this run is reached" in cell["reason"]
    assert ws.prs() == {} and ws.processes() == []
    assert cell["tokens"]["input"] >= 8000  # what was spent in vain counts
    assert git(ws.worktree("a"), "status", "--porcelain") == ""
    # The session goes on: what it has called before counts as turns of the script.
    ws.model.scripts = {**scripts(), TOLD: [*[Run("echo good > a.txt")] * 20, Say("Mended.")]}
    ws.model.fault = lambda _a, _n: None
    ws.run("run", "demo", "--yes", code=0)
    assert ws.show("a", "a.txt") == "good"
    assert [e["attempt"] for e in ws.journal(kind="attempt.opened")] == [1]


@pytest.mark.parametrize(
    ("author", "reviewer"), [*PAIRS, ("codex", "gemini"), ("codex", "opencode")]
)
def test_a_reviewer_that_wants_to_change_things_is_refused(
    house: MakeHouse, author: str, reviewer: str
) -> None:
    cells = {"a": {"reviewers": [{"agent": reviewer}]}}
    open_ = {"agents": {"codex": {"sandbox": "danger-full-access"}}}  # not for a reviewer
    ws = house(author, [Run("echo good > a.txt"), Say("Done.")], also=[reviewer], cells=cells,
               settings=open_)  # fmt: skip
    tree = ws.worktree("a")
    tries = [
        Write("evil.txt", "evil"),
        Write(f"{tree}/evil.txt", "evil"),
        Run("echo evil > a.txt"),
        Run(f"echo evil > {tree}/a.txt"),
        Run("git commit --allow-empty -m evil"),
        Run(f"git -C {tree} commit --allow-empty -m evil"),
        Run(f"git push {ws.repos}/app.git HEAD:refs/heads/evil"),
        Run("git log --oneline"),
    ]
    ws.model.scripts = {"# Review: ": [*tries, Answer(FINE)]}
    done = ws.run("run", "demo", "--yes", code=0)
    assert len(ws.model.asked) == len(tries) + 3, both(done)

    assert ws.show("a", "a.txt") == "good"
    assert "evil" not in ws.heads()
    assert git(tree, "status", "--porcelain") == ""
    assert "evil" not in git(tree, "log", "--format=%s")
    said = (reviews(ws)[0] / "transcript.jsonl").read_text()
    assert "first" in said  # the log of the repository: it may read
    assert REFUSED[reviewer] in said
    assert ws.processes() == []


@pytest.mark.parametrize(("author", "reviewer"), PAIRS)
def test_a_reviewer_that_does_not_keep_to_the_form_is_asked_once_more(
    house: MakeHouse, author: str, reviewer: str
) -> None:
    cells = {"a": {"reviewers": [{"agent": reviewer}]}}
    ws = house(author, [Run("echo good > a.txt"), Say("Done.")], also=[reviewer], cells=cells,
               scripts={"# Review: ": [Say("It looks good to me.")]})  # fmt: skip
    done = ws.run("run", "demo", "--yes", code=1)
    assert f"reviewer {reviewer} gave no answer that can be read" in both(done)
    exits = [e for e in ws.journal(kind="attempt.exited") if "part" in e["data"]]
    assert len(exits) == 2
    assert ws.prs() == {}
    # The next run asks afresh; the author is not paid again.
    ws.model.scripts = {"# Review: ": [Answer(FINE)]}
    before = len(ws.model.asked)
    ws.run("run", "demo", "--yes", code=0)
    assert len(ws.model.asked) == before + 1
