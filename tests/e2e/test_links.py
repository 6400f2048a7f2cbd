"""The pull requests of a feature name each other, however its run ended."""

from __future__ import annotations

from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, nothing_to_do, wait_for

RED = {"checks": [{"kind": "command", "name": "t", "run": ["test", "-e", "fixed.txt"]}],
       "repair": {"checks": 0}}  # fmt: skip


def named(ws: Workspace, cell: str) -> set[str]:
    """The cells whose pull request the body of this one's links to."""
    others = [c for c in ("a", "b", "c") if c != cell and (ws.cell_dir(c) / "pr-url").exists()]
    return {other for other in others if ws.result(other, "pr-url") in ws.pr(cell)["body"]}


def count_edits(ws: Workspace) -> int:
    return len(ws.journal(kind="pr.updated"))


def test_the_published_siblings_of_a_failed_cell_name_each_other(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {}, "c": RED})
    ws.run("run", "demo", code=1)
    assert (named(ws, "a"), named(ws, "b")) == ({"b"}, {"a"})
    edits = count_edits(ws)
    ws.run("run", "demo", code=1)
    assert count_edits(ws) == edits, "equal addresses are told already"
    ws.script("c", "touch fixed.txt\n")
    ws.run("run", "demo", "--force", "--only", "c", code=0)
    assert (named(ws, "a"), named(ws, "c")) == ({"b", "c"}, {"a", "b"})
    nothing_to_do(ws, "demo")


def test_a_body_tells_no_todo_that_was_not_worked_on(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {}, "c": {}})
    ws.run("run", "demo:a", code=0)
    ws.edit_spec("do a", "do more in a")
    ws.script("a", "exit 1\n")
    ws.run("run", "demo", code=1)
    assert (named(ws, "b"), named(ws, "a")) == ({"a", "c"}, set())
    assert "do more" not in ws.pr("a")["body"]


def test_an_ignored_cell_is_left_alone(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {}, "c": {}})
    ws.run("run", "demo:a", code=0)
    ws.run("ignore", "demo:a", code=0)
    before = ws.pr("a")
    ws.run("run", "demo:b", "demo:c", code=0)
    assert named(ws, "b") == {"a", "c"}
    assert ws.pr("a") == before


def test_what_was_published_before_an_abort_is_linked(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {}, "c": {}})
    ws.script("c", "sleep 300\n")
    run = ws.spawn("run", "demo")
    for name in ("a", "b"):
        wait_for((ws.cell_dir(name) / "pr-url").exists, f"the pull request of {name}")
    ws.run("abort", "demo", code=0)
    assert run.ended() == 130
    assert (named(ws, "a"), named(ws, "b")) == ({"b"}, {"a"})


def test_a_cell_behind_a_gate_keeps_nobody_from_being_linked(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {"depends_on": ["a"]}, "c": {"approve": "publish"}})
    ws.run("run", "demo", code=1)
    assert (named(ws, "a"), named(ws, "b")) == ({"b"}, {"a"})
