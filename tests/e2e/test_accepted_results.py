"""`orchestr accept`: a reworded spec pays no agent again, and a person answers for it."""

from __future__ import annotations

import json

import pytest

from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both, nothing_to_do

WORDS = {"todo": ["Add the lbrary"]}
RIGHT = {"todo": ["Add the library"]}
STACK = {"a": WORDS, "b": {"depends_on": ["a"]}}


def would(ws: Workspace, name: str) -> str:
    cells = json.loads(ws.run("plan", "demo", "--json").stdout)["cells"]
    return str(next(c["would"] for c in cells if c["name"] == name))


def test_a_reworded_todo_starts_no_agent(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=STACK)
    ws.run("run", "demo", code=0)
    head = ws.head("a")
    ws.spec({**STACK, "a": RIGHT})
    assert "orchestr accept demo:a lets its result stand" in ws.run("plan", "demo").stdout
    told = ws.run("explain", "demo:a", code=0).stdout
    assert (
        "\nor:   orchestr accept demo:a lets its result stand\nnext: orchestr run demo:a\n" in told
    )

    done = ws.run("accept", "demo:a", "--yes", "--reason", "a typo", code=0)

    assert "was  Add the lbrary" in done.stdout and "is   Add the library" in done.stdout
    assert "lets its result stand" not in ws.run("plan", "demo").stdout
    assert "lets its result stand" not in ws.run("explain", "demo:a", code=0).stdout
    ws.run("run", "demo", code=0)
    assert sorted(ws.starts()) == ["a 1", "b 1"]
    assert (ws.head("a"), ws.pr("a")["head_sha"]) == (head, head)
    assert "Add the library" in str(ws.pr("a")["body"])
    (event,) = ws.journal(kind="cell.accepted")
    assert (event["cell"], event["data"]["reason"]) == ("a", "a typo")
    assert event["data"]["changes"] == [["implement", "todo[0]", *WORDS["todo"], *RIGHT["todo"]]]
    nothing_to_do(ws)


def test_nothing_is_accepted_without_a_yes(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": WORDS})
    ws.run("run", "demo", code=0)
    ws.spec({"a": RIGHT})
    ws.run("accept", "demo:a", "--dry-run", code=0)
    refused = ws.run("accept", "demo:a", code=2)
    assert "a person answers for it" in both(refused)
    assert would(ws, "a") == "run"
    assert ws.journal(kind="cell.accepted") == []


def test_what_is_up_to_date_needs_no_acceptance(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=STACK)
    ws.run("run", "demo", code=0)
    assert "nothing to accept" in ws.run("accept", "demo", "--yes", code=0).stdout


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({}, {"owned_paths": ["elsewhere/"]}, "does not fit the edited spec"),
        ({}, {"base": "next"}, "more than another wording"),
    ],
)
def test_what_is_more_than_words_is_refused(
    workspace: MakeWorkspace, before: dict[str, object], after: dict[str, object], words: str
) -> None:
    ws = workspace(cells={"a": before})
    git(ws.repos / "app", "push", "--quiet", "origin", "main:next")
    ws.run("run", "demo", code=0)
    ws.spec({"a": after})
    said = both(ws.run("accept", "demo:a", "--yes", code=1))
    assert words in said and "hint: orchestr run demo:a" in said
    assert ws.journal(kind="cell.accepted") == []


def test_what_was_never_built_cannot_stand(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {}})
    ws.run("run", "demo:a", code=0)
    assert "no result that could stand" in both(ws.run("accept", "demo:b", "--yes", code=1))
    assert "nothing to accept" in ws.run("accept", "demo", "--yes", code=0).stdout


def test_changed_checks_run_all_the_same(workspace: MakeWorkspace) -> None:
    check = {"kind": "command", "name": "there", "run": ["test", "-e", "a.txt"]}
    ws = workspace(cells={"a": {**WORDS, "checks": [check]}})
    ws.run("run", "demo", code=0)
    ws.spec({"a": {**RIGHT, "checks": [{**check, "run": ["test", "-e", "missing.txt"]}]}})
    ws.run("accept", "demo:a", "--yes", code=0)
    ws.run("run", "demo", "--only", "a", code=1)
    assert ws.journal(kind="check.done")[-1]["data"]["passed"] is False


def test_a_plan_that_was_approved_stands_with_it(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {**WORDS, "approve": ["plan"]}})
    ws.run("run", "demo", code=1)
    ws.run("approve", "demo:a", "--yes", code=0)
    ws.run("run", "demo", code=0)
    starts = ws.starts()
    ws.spec({"a": {**RIGHT, "approve": ["plan"]}})
    ws.run("accept", "demo:a", "--yes", code=0)
    ws.run("run", "demo", code=0)
    assert ws.starts() == starts
    nothing_to_do(ws)
