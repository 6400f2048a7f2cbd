"""`branch:` or `jira:` of a built cell changes: branch, worktree and pull request move, unpaid."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import git, write
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.test_branch_owners import push_from_elsewhere
from tests.e2e.test_forge_life import edit_pr, person
from tests.e2e.workspace import Workspace, both, leave_agent_at_work, nothing_to_do, wait_for

pytestmark = pytest.mark.slow

STACK: dict[str, dict[str, Any]] = {"low": {}, "high": {"depends_on": ["low"]}}


def open_prs(ws: Workspace) -> dict[str, str]:
    """Head -> base of what is open."""
    return {pr["head"]: pr["base"] for pr in ws.prs().values() if pr["state"] == "open"}


def branches_at_origin(ws: Workspace) -> set[str]:
    return set(git(ws.repos / "app.git", "for-each-ref", "--format=%(refname:short)",
                   "refs/heads").split())  # fmt: skip


def test_a_new_ticket_moves_the_whole_stack(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=STACK)
    ws.run("run", "demo", code=0)
    heads = {cell: ws.head(cell) for cell in STACK}
    ws.edit_spec("jira: T-1", "jira: T-2")
    planned = both(ws.run("plan", "demo", code=0))
    assert "its branch T-1-low has another name in the spec" in planned
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["low 1", "high 1"]
    assert open_prs(ws) == {"T-2-low": "main", "T-2-high": "T-2-low"}
    assert branches_at_origin(ws) == {"main", "T-2-low", "T-2-high"}
    for cell, head in heads.items():
        assert git(ws.worktree(cell), "symbolic-ref", "--short", "HEAD") == f"T-2-{cell}"
        assert git(ws.repos / "app.git", "rev-parse", f"T-2-{cell}") == head
    closed = [pr for pr in ws.prs().values() if pr["state"] == "closed"]
    assert len(closed) == 2
    nothing_to_do(ws)
    assert len(ws.prs()) == 4
    assert ws.states() == {"low": "done", "high": "done"}


def test_the_old_pull_request_links_the_new_one(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    ws.spec({"a": {"branch": "named/by-hand"}})
    done = ws.run("run", "demo", code=0)
    assert "pull request local://app/pull/1 replaced by local://app/pull/2" in done.stderr
    assert "branch T-1-a renamed to named/by-hand" in done.stderr
    said = "\n".join(p.read_text() for p in (ws.root / ".orchestr/forge/app").glob("1*"))
    assert "goes on as local://app/pull/2" in said
    assert ws.pr("a")["number"] == 2


def test_a_dependent_follows_a_branch_below_it_without_an_agent(workspace: MakeWorkspace) -> None:
    three: dict[str, dict[str, Any]] = {**STACK, "top": {"depends_on": ["high"]}}
    ws = workspace(cells=three)
    ws.run("run", "demo", code=0)
    ws.spec({**three, "low": {"branch": "x/low"}})
    ws.run("run", "demo", code=0)
    assert len(ws.starts()) == 3
    assert open_prs(ws) == {
        "x/low": "main",
        "T-1-high": "x/low",
        "T-1-top": "T-1-high",
    }
    nothing_to_do(ws)


def test_without_its_worktree_only_branch_and_pull_request_move(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=STACK)
    ws.run("run", "demo", code=0)
    ws.run("clean", "demo", code=0)
    ws.edit_spec("jira: T-1", "jira: T-2")
    ws.run("run", "demo", code=0)
    assert len(ws.starts()) == 2
    assert open_prs(ws) == {"T-2-low": "main", "T-2-high": "T-2-low"}
    assert not ws.worktree("high").exists()


def test_with_another_todo_the_attempt_works_on_the_renamed_branch(
    workspace: MakeWorkspace,
) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    first = ws.head("a")
    ws.spec({"a": {"branch": "new", "todo": ["do more"]}})
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1", "a 2"]
    assert open_prs(ws) == {"new": "main"}
    git(ws.repos / "app.git", "merge-base", "--is-ancestor", first, "new")


def test_a_cell_whose_attempt_failed_goes_on_from_its_commits(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.script("a", "echo x > x.txt; git add x.txt; git commit -qm half; exit 3\n")
    ws.run("run", "demo", code=1)
    half = git(ws.repos / "app", "rev-parse", "T-1-a")
    ws.script("a", None)
    ws.spec({"a": {"branch": "new"}})
    ws.run("run", "demo", code=0)
    assert git(ws.worktree("a"), "symbolic-ref", "--short", "HEAD") == "new"
    git(ws.repos / "app.git", "merge-base", "--is-ancestor", half, "new")
    assert git(ws.repos / "app", "for-each-ref", "refs/heads/T-1-a") == ""


def test_what_has_landed_is_not_published_again(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    ws.run("land", "demo", code=0)
    ws.edit_spec("jira: T-1", "jira: T-2")
    ws.run("run", "demo", code=0)
    assert (ws.starts(), len(ws.prs())) == (["a 1"], 1)
    assert "T-2-a" not in branches_at_origin(ws)


@pytest.mark.parametrize("whose", ["a cell's", "a person's", "at the origin"])
def test_a_name_that_is_taken_is_refused_and_nothing_moves(
    workspace: MakeWorkspace, whose: str
) -> None:
    ws = workspace(cells={"a": {}, "b": {}})
    ws.run("run", "demo", code=0)
    taken = {"a cell's": "T-9-b", "a person's": "mine", "at the origin": "theirs"}[whose]
    if whose == "a cell's":
        ws.spec({"b": {"branch": taken}}, feature="other")
        ws.run("run", "other", code=0)
    elif whose == "a person's":
        ws_clone = ws.repos / "app"
        git(ws_clone, "branch", taken, "T-1-b")
    else:
        push_from_elsewhere(ws, taken, {"theirs.txt": "x\n"})
    paid = ws.starts()
    ws.spec({"a": {"branch": taken}, "b": {}})
    done = both(ws.run("run", "demo:a", code=1))
    told = {
        "a cell's": "belongs to cell other:b of this workspace",
        "a person's": "branch T-1-a cannot be renamed: mine exists in",
        "at the origin": "branch T-1-a cannot be renamed: theirs exists at the origin",
    }[whose]
    assert told in done or "is its pull request" in done
    assert ws.starts() == paid
    assert git(ws.worktree("a"), "symbolic-ref", "--short", "HEAD") == "T-1-a"
    if whose == "a person's":  # the hint works
        git(ws.repos / "app", "branch", "-m", taken, f"{taken}-old")
        ws.run("run", "demo:a", code=0)
        assert ws.starts() == paid
    ws.spec({"a": {}, "b": {}})
    ws.run("run", "demo", code=0)
    assert ws.starts() == paid


def test_a_branch_that_a_person_renamed_too(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    git(ws.repos / "app", "branch", "-m", "T-1-a", "new")
    write(ws.worktree("a"), {"more.txt": "x\n"})
    git(ws.worktree("a"), "add", "-A")
    git(ws.worktree("a"), "commit", "-qm", "a person's")
    ws.spec({"a": {"branch": "new"}})
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1"]
    assert open_prs(ws) == {"new": "main"}
    assert git(ws.repos / "app.git", "show", "new:more.txt") == "x"


def test_commits_that_were_pushed_to_the_old_name_are_not_left_behind(
    workspace: MakeWorkspace,
) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    person(ws, "a", {"theirs.txt": "x\n"})
    ws.spec({"a": {"branch": "new"}})
    done = both(ws.run("run", "demo", code=1))
    assert "were pushed to T-1-a: local://app/pull/1" in done
    assert open_prs(ws) == {"T-1-a": "main"}
    git(ws.worktree("a"), "pull", "-q", "--no-rebase", "--no-edit", "origin", "T-1-a")
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1"]
    assert open_prs(ws) == {"new": "main"}
    assert git(ws.repos / "app.git", "show", "new:theirs.txt") == "x"


def test_a_name_below_the_old_one(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {"phases": ["implement", "check"]}})
    ws.run("run", "demo", code=0)
    ws.spec({"a": {"branch": "T-1-a/x"}, "b": {"branch": "T-1-b/x", "phases": ["implement"]}})
    assert "branch T-1-a/x of a cannot be pushed beside T-1-a" in both(
        ws.run("run", "demo", code=2)
    )
    done = both(ws.run("run", "demo", "--skip-preflight", code=1))
    assert "git cannot hold T-1-a and T-1-a/x at once" in done
    assert "set another `branch` for cell a" in done
    assert sorted(ws.starts()) == ["a 1", "b 1"]
    assert open_prs(ws) == {"T-1-a": "main"}
    assert git(ws.worktree("b"), "symbolic-ref", "--short", "HEAD") == "T-1-b/x"


def test_the_old_branch_stays_while_anothers_pull_request_is_for_it(
    workspace: MakeWorkspace,
) -> None:
    ws = workspace(cells={"a": {}, "b": {}})
    ws.run("run", "demo", code=0)
    edit_pr(ws, str(ws.pr("b")["url"]), base="T-1-a", body="a person's", head="T-1-b")
    ws.spec({"a": {"branch": "new"}, "b": {}})
    ws.run("run", "demo:a", code=0)
    assert "T-1-a" in branches_at_origin(ws)


def test_an_agent_that_works_on_without_its_run_is_adopted(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    gate = leave_agent_at_work(ws)
    ws.spec({"a": {"branch": "new"}}, while_agents_work=True)
    again = ws.spawn("run", "demo")
    wait_for(lambda: "adopted from an earlier run" in again.said() or None, "the adoption")
    gate.touch()
    assert again.ended() == 0, again.said()
    assert ws.starts() == ["a 1"]
    assert open_prs(ws) == {"new": "main"}
    assert git(ws.repos / "app", "for-each-ref", "refs/heads/T-1-a") == ""
