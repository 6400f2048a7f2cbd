"""A commit that a person makes on a cell's branch is the cell's head; no agent replaces it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import git, write
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both, wait_for

pytestmark = pytest.mark.slow

GREEN = {"kind": "command", "name": "t", "run": ["test", "-e", "more.txt"]}


def worktree(ws: Workspace, cell: str) -> Path:
    return ws.root / ".orchestr/worktrees/demo" / cell


def commit(place: Path, files: dict[str, str], *options: str) -> str:
    """A person commits, as they do: all that lies there."""
    write(place, files)
    git(place, "add", "-A")
    git(place, "commit", "--quiet", "-m", "a person's", *options)
    return git(place, "rev-parse", "HEAD")


def published(ws: Workspace, cell: str) -> str:
    return git(ws.repos / "app.git", "rev-parse", ws.branch(cell))


def test_a_commit_in_a_done_cells_worktree_is_shown_published_and_landed(
    workspace: MakeWorkspace,
) -> None:
    ws = workspace(cells={"a": {}, "b": {"depends_on": ["a"]}})
    ws.run("run", "demo", code=0)
    mine = commit(worktree(ws, "a"), {"more.txt": "more\n"})
    assert ws.states()["a"] == "pending"
    assert f"a: a person's commit {mine[:12]} is on its branch" in ws.run("status", "demo").stdout
    assert f"a person's commit {mine[:12]} is on its branch" in both(ws.run("plan", "demo"))
    done = ws.run("run", "demo", code=0)
    assert f"commit {mine[:12]} that a person made on its branch is its head now" in both(done)
    assert ws.starts() == ["a 1", "b 1", "b 2"]  # what is built on it is built again
    assert (published(ws, "a"), ws.head("a")) == (mine, mine)
    ws.run("run", "demo", code=0)
    assert ws.last_run() == []
    ws.run("land", "demo", code=0)
    git(ws.repos / "app.git", "merge-base", "--is-ancestor", mine, "main")


def test_a_commit_in_the_clone_counts_when_the_worktree_is_gone(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    ws.run("clean", "demo", code=0)
    git(ws.repos / "app", "switch", "--quiet", "T-1-a")
    mine = commit(ws.repos / "app", {"more.txt": "more\n"})
    git(ws.repos / "app", "switch", "--quiet", "main")
    git(ws.repos / "app", "pack-refs", "--all")
    ws.run("run", "demo", code=0)
    assert (ws.starts(), published(ws, "a")) == (["a 1"], mine)


def test_an_amended_commit_replaces_ours_and_ours_is_kept(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    ours = ws.head("a")
    mine = commit(worktree(ws, "a"), {"more.txt": "more\n"}, "--amend")
    ws.run("run", "demo", code=0)
    assert (ws.starts(), published(ws, "a")) == (["a 1"], mine)
    assert ours in git(ws.repos / "app", "for-each-ref", "--format=%(objectname)", "refs/orchestr")


def test_work_that_a_person_finished_starts_no_agent(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.script("a", "echo half > half.txt; git add -A; git commit -qm half; exit 3\n")
    ws.run("run", "demo", code=1)
    mine = commit(worktree(ws, "a"), {"whole.txt": "whole\n"})
    ws.run("run", "demo", code=0)
    assert (ws.starts(), published(ws, "a")) == (["a 1"], mine)


def test_what_a_failed_agent_committed_is_no_persons(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.script("a", "echo half > half.txt; git add -A; git commit -qm half; exit 3\n")
    ws.run("run", "demo", code=1)
    ws.script("a", None)
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1", "a 2"]


@pytest.mark.parametrize("wish", ["--force", "--fresh", "forget"])
def test_a_wish_to_rebuild_outranks_a_persons_commit(workspace: MakeWorkspace, wish: str) -> None:
    ws = workspace(cells={"a": {}})
    ws.script("a", "exit 3\n")
    ws.run("run", "demo", code=1)
    commit(worktree(ws, "a"), {"whole.txt": "whole\n"})
    ws.script("a", None)
    if wish == "forget":
        ws.run("forget", "demo:a", code=0)
        ws.run("run", "demo", code=0)
    else:
        ws.run("run", "demo", wish, code=0)
    assert ws.starts() == ["a 1", "a 2"]


def test_the_agent_is_asked_for_what_is_still_red(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {"checks": [GREEN]}})
    ws.script("a", "exit 3\n")
    ws.run("run", "demo", code=1)
    mine = commit(worktree(ws, "a"), {"whole.txt": "whole\n"})
    ws.script("a", 'test -n "${ORCHESTR_ROUND:-}" && echo more > more.txt\n')
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1", "a 1"]  # the same attempt goes on with a repair
    git(ws.repos / "app.git", "merge-base", "--is-ancestor", mine, "T-1-a")


def test_a_commit_outside_the_owned_paths_is_refused_without_an_agent(
    workspace: MakeWorkspace,
) -> None:
    ws = workspace(cells={"a": {"owned_paths": ["a.txt"]}})
    ws.run("run", "demo", code=0)
    before = published(ws, "a")
    mine = commit(worktree(ws, "a"), {"other.txt": "x\n"})
    done = ws.run("run", "demo", code=1)
    assert f"commit {mine[:12]} that a person made on T-1-a is not acceptable" in both(done)
    assert (ws.starts(), published(ws, "a")) == (["a 1"], before)
    git(worktree(ws, "a"), "rm", "--quiet", "other.txt")
    commit(worktree(ws, "a"), {"a.txt": "by a person\n"})
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1"]


def test_a_merge_of_the_base_by_a_person_keeps_the_owned_paths(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {"owned_paths": ["a.txt"]}})
    ws.run("run", "demo", code=0)
    clone = ws.repos / "app"
    commit(clone, {"elsewhere.txt": "x\n"})
    git(clone, "push", "--quiet", "origin", "main")
    git(worktree(ws, "a"), "merge", "--quiet", "--no-edit", "main")
    mine = git(worktree(ws, "a"), "rev-parse", "HEAD")
    ws.run("run", "demo", code=0)
    assert (ws.starts(), published(ws, "a")) == (["a 1"], mine)
    ws.run("run", "demo", code=0)
    assert ws.last_run() == []


@pytest.mark.parametrize("todo", ["same", "changed"])
def test_what_a_force_push_dropped_is_not_merged_back(workspace: MakeWorkspace, todo: str) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    ours = ws.head("a")
    clone = ws.root / "person"
    git(ws.root, "clone", "--quiet", "--branch", "T-1-a", str(ws.repos / "app.git"), str(clone))
    git(clone, "reset", "--quiet", "--hard", "origin/main")
    mine = commit(clone, {"clean.txt": "without the secret\n"})
    git(clone, "push", "--quiet", "--force", "origin", "T-1-a")
    if todo == "changed":
        ws.edit_spec("do a", "do more")
    ws.run("run", "demo", code=0)
    history = git(ws.repos / "app.git", "rev-list", "T-1-a").split()
    assert mine in history
    assert ours not in history
    assert ws.starts() == (["a 1"] if todo == "same" else ["a 1", "a 2"])
    assert ours in git(ws.repos / "app", "for-each-ref", "--format=%(objectname)", "refs/orchestr")


def test_a_resolution_after_a_landing_conflict_lands(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {}}, settings={"landing": {"repairs": 0}})
    for cell in ("a", "b"):
        ws.script(cell, f"echo {cell} > same.txt\n")
    ws.run("run", "demo", code=0)
    ws.run("land", "demo", code=1)
    (stuck,) = (name for name, state in ws.states().items() if state != "landed")
    place = worktree(ws, stuck)
    git(place, "fetch", "--quiet", "origin")
    with pytest.raises(AssertionError):
        git(place, "merge", "--quiet", "origin/main")
    mine = commit(place, {"same.txt": "both\n"})
    ws.run("run", f"demo:{stuck}", code=0)
    ws.run("land", "demo", code=0)
    assert sorted(ws.starts()) == ["a 1", "b 1"]
    git(ws.repos / "app.git", "merge-base", "--is-ancestor", mine, "main")


def test_a_commit_while_a_check_runs_stays_and_buys_no_repair(workspace: MakeWorkspace) -> None:
    wait = "touch BEGUN; while [ ! -e GO ]; do sleep 0.05; done"
    ws = workspace(
        cells={"a": {"checks": [{"kind": "command", "name": "t", "run": ["sh", "-c", wait]}]}}
    )
    begun, go = str(ws.root / "begun"), str(ws.root / "go")
    ws.edit_spec("BEGUN", begun)
    ws.edit_spec("GO", go)
    run = ws.spawn("run", "demo")
    wait_for(lambda: Path(begun).exists(), "the check")
    mine = commit(worktree(ws, "a"), {"more.txt": "more\n"})
    Path(go).touch()
    assert run.ended() == 1
    assert f"a person put T-1-a on commit {mine[:12]} while" in run.said()
    ws.run("run", "demo", code=0)
    assert (ws.starts(), published(ws, "a")) == (["a 1"], mine)


def test_commits_beside_the_branch_are_named_with_the_way_back(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    place = worktree(ws, "a")
    git(place, "switch", "--quiet", "--detach")
    mine = commit(place, {"more.txt": "more\n"})
    wanted = f"git -C {place} switch T-1-a && git -C {place} merge {mine[:12]}"
    assert wanted in both(ws.run("plan", "demo")) and wanted in both(ws.run("doctor"))
    assert wanted in both(ws.run("run", "demo", "--force", code=1))
    git(place, "switch", "--quiet", "T-1-a")
    git(place, "merge", "--quiet", mine[:12])
    ws.run("run", "demo", code=0)
    assert mine in git(ws.repos / "app.git", "rev-list", "T-1-a")


def test_a_rebase_under_way_is_named(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    place, name = worktree(ws, "a"), "a.txt"
    commit(ws.repos / "app", {name: "theirs\n"})
    with pytest.raises(AssertionError, match="CONFLICT"):
        git(place, "rebase", "main")
    said = both(ws.run("doctor"))
    assert f"git -C {place} rebase --continue" in said and "rebase --abort" in said


def test_a_worktree_that_a_person_moved_is_brought_back_by_the_hint(
    workspace: MakeWorkspace,
) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo", code=0)
    place, other = worktree(ws, "a"), ws.root / "elsewhere"
    git(ws.repos / "app", "worktree", "move", str(place), str(other))
    (other / "mine.txt").write_text("precious\n")
    line = f"git -C {ws.repos / 'app'} worktree move {other} {place}"
    assert f"hint: {line}" in both(ws.run("doctor"))
    git(ws.repos / "app", *line.split()[3:])
    assert (place / "mine.txt").read_text() == "precious\n"
    assert "nothing is wrong" in both(ws.run("doctor"))
