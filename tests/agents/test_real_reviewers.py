"""Real programs as reviewers: their answers by schema, what they may not do, what they cost.

The author is one program, the reviewer another one; both talk to a model that plays a script.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.agents.conftest import MakeHouse
from tests.agents.house import AgentHouse
from tests.agents.model_server import Answer, Run, Say, Write
from tests.conftest import git
from tests.e2e.workspace import both

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
    "claude": "Write exists but is not enabled in this context",
    "codex": "transport 'orchestr-no-push' not allowed",
    "gemini": "Tool execution denied by policy",
    "opencode": "a rule which prevents you from using this specific tool call",
}
PAIRS = [("claude", "codex"), ("codex", "claude")]


def reviews(ws: AgentHouse, cell: str = "a") -> list[Path]:
    return sorted((ws.cell_dir(cell) / "attempts" / "1" / "reviews").iterdir())


def scripts(*tries: Run | Write, answer: Any = BAD) -> dict[str, Any]:
    return {TOLD: REPAIR, AGAIN: [Answer(FINE)], FIRST: [*tries, Answer(answer)]}


@pytest.mark.parametrize(("author", "reviewer"), PAIRS)
def test_a_blocker_of_another_provider_is_repaired(
    house: MakeHouse, author: str, reviewer: str
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
