"""ignore, clean, special cells, and what several upstreams come to."""

from __future__ import annotations

import shutil
import stat

import pytest

from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both, nothing_to_do, wait_for

# ---- ignore ---------------------------------------------------------------------------------


def test_an_ignored_cell_stands_still_and_its_dependents_use_what_is_there(
    built: Workspace,
) -> None:
    assert built.run("ignore", "demo:a", code=0).stdout == "ignored: demo:a\n"
    built.edit_spec("do a", "do a again")
    built.edit_spec("do b", "do b again")
    built.run("run", "demo", code=0)
    assert built.starts()[3:] == ["b 2"]
    assert built.states() == {"a": "ignored", "b": "done", "c": "done"}
    assert built.run("ignore", "demo:a", code=0).stdout == "demo:a is ignored already\n"
    assert (
        built.run("ignore", "--undo", "demo:a", code=0).stdout == "not ignored any more: demo:a\n"
    )
    built.run("run", "demo", code=0)
    assert built.starts()[4:] == ["a 2"]
    nothing_to_do(built)


@pytest.mark.parametrize("repo", ["app", "lib"])
def test_dependents_of_an_ignored_cell_without_a_result_are_blocked(
    workspace: MakeWorkspace, repo: str
) -> None:
    cells = {"a": {"repo": repo}, "b": {"depends_on": ["a"]}, "c": {}}
    ws = workspace(repos=["app", "lib"], cells=cells)
    ws.run("ignore", "demo:a", code=0)
    done = ws.run("run", "demo", code=1)
    assert ws.starts() == ["c 1"]
    assert ws.states() == {"a": "ignored", "b": "blocked", "c": "done"}
    assert "upstream a has no result yet" in ws.status()["b"]["reason"]
    assert "upstream a has no result yet" in both(done)
    ws.run("ignore", "demo:a", "--undo", code=0)
    ws.run("run", "demo", code=0)
    assert sorted(ws.starts()) == ["a 1", "b 1", "c 1"]


def test_a_feature_with_an_ignored_cell_is_done_without_it(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {}})
    ws.run("ignore", "demo:b", code=0)
    ws.run("run", "demo", code=0)
    assert (ws.starts(), len(ws.prs())) == (["a 1"], 1)
    nothing_to_do(ws)
    ws.run("ignore", "demo:b", "--undo", code=0)
    ws.run("run", "demo", code=0)
    assert (ws.starts(), len(ws.prs())) == (["a 1", "b 1"], 2)
    assert all("/pull/1" in pr["body"] or "/pull/2" in pr["body"] for pr in ws.prs().values())
    nothing_to_do(ws)


def test_ignore_takes_a_feature_and_refuses_phases(built: Workspace) -> None:
    assert built.run("ignore", "demo:a:check", code=2).stderr.startswith("error: cells are")
    built.run("ignore", "demo", code=0)
    assert set(built.states().values()) == {"ignored"}
    built.run("forget", "demo", code=0)
    built.run("run", "demo", code=0)
    assert len(built.starts()) == 3


# ---- clean ----------------------------------------------------------------------------------


def test_clean_removes_worktrees_and_nothing_is_built_again(built: Workspace) -> None:
    done = built.run("clean", "demo", "--dry-run", code=0)
    assert done.stdout.count("would remove") == 3 and built.worktree("a").exists()
    done = built.run("clean", "demo", code=0)
    kept = "kept as refs/orchestr/attempts/demo/{}/1"
    assert sorted(done.stdout.splitlines()) == [
        f"removed {built.worktree(name)}; {kept.format(name)}" for name in "abc"
    ]
    assert not any(built.worktree(name).exists() for name in "abc")
    assert len(git(built.repos / "app", "worktree", "list").splitlines()) == 1
    nothing_to_do(built)
    assert built.run("clean", "demo", code=0).returncode == 0
    head = built.head("c")
    built.run("forget", "demo:c", code=0)
    built.run("run", "demo", code=0)
    assert built.starts()[3:] == ["c 2"]
    assert built.worktree("c").exists()
    assert git(built.repos / "app", "merge-base", head, built.head("c")) == head
    nothing_to_do(built)


def test_a_dependent_finds_its_cleaned_upstream(built: Workspace) -> None:
    built.run("clean", "demo", code=0)
    built.script("b", 'cp "$ORCHESTR_UPSTREAM_A_WORKTREE/a.txt" copied.txt')
    built.run("forget", "demo:b", code=0)
    built.run("run", "demo", code=0)
    assert built.starts()[3:] == ["b 2"]
    assert built.show("b", "copied.txt") == "the work of a"


def test_clean_refuses_what_is_dirty_or_unpublished(built: Workspace) -> None:
    (built.worktree("a") / "mine.txt").write_text("a person's\n")
    (built.worktree("b") / "mine.txt").write_text("a person's\n")
    git(built.worktree("b"), "add", "-A")
    git(built.worktree("b"), "commit", "--quiet", "-m", "mine")
    done = built.run("clean", "demo", code=1)
    assert f"kept {built.worktree('a')}: uncommitted changes (mine.txt)" in done.stdout
    assert f"kept {built.worktree('b')}: commits that were not published" in done.stdout
    assert f"removed {built.worktree('c')}" in done.stdout
    assert (built.worktree("a") / "mine.txt").exists()
    assert (built.worktree("b") / "mine.txt").exists()


def test_clean_one_cell(built: Workspace) -> None:
    built.run("clean", "demo:b", code=0)
    assert [n for n in "abc" if built.worktree(n).exists()] == ["a", "c"]


def test_clean_and_forget_refuse_while_the_feature_runs(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.script("a", 'while [ ! -e "$AGENT_DIR/go" ]; do sleep 0.05; done; echo x > a.txt')
    child = ws.spawn("run", "demo")
    wait_for(ws.starts, "the agent")
    for verb in ("clean", "forget"):
        done = ws.run(verb, "demo", code=4)
        assert str(child.pid) in done.stderr and "hint: " in done.stderr
    assert ws.worktree("a").exists()
    (ws.agents / "go").touch()
    assert child.ended() == 0, child.said()
    assert ws.starts() == ["a 1"]


# ---- special cells --------------------------------------------------------------------------


def test_no_change_needed_is_an_outcome_of_its_own(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {"depends_on": ["a"]}, "d": {"depends_on": ["b"]}})
    ws.script("b", 'echo "ORCHESTR no_change_needed: it is there already"')
    ws.run("run", "demo", code=0)
    assert ws.result("b", "pr-url") == "none"
    assert set(ws.heads()) == {"main", "T-1-a", "T-1-d"}
    assert ws.pr("d")["base"] == "T-1-a"
    assert ws.show("d", "a.txt") == "attempt 1"
    assert "it is there already" in ws.result("b", "implement.toml")
    assert ws.states() == {"a": "done", "b": "done", "d": "done"}
    nothing_to_do(ws)


def test_no_change_needed_without_an_upstream(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {"depends_on": ["a"]}})
    ws.script("a", 'echo "ORCHESTR no_change_needed: done by hand"')
    ws.run("run", "demo", code=0)
    assert ws.result("a", "pr-url") == "none"
    assert ws.pr("b")["base"] == "main"
    nothing_to_do(ws)
    ws.script("a", None)
    ws.run("forget", "demo:a", code=0)
    ws.run("run", "demo", code=0)
    assert ws.pr("a")["base"] == "main" and ws.pr("b")["base"] == "T-1-a"
    assert ws.starts("b") == ["b 1", "b 2"]
    nothing_to_do(ws)


def test_a_claim_of_no_change_beside_changes_is_work(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.script("a", 'echo x > a.txt; echo "ORCHESTR no_change_needed: or is it"')
    ws.run("run", "demo", code=0)
    assert ws.show("a", "a.txt") == "x"


PUSH = {"hand": {"action": "push", "branch": "by-hand"}, "after": {"depends_on": ["hand"]}}


def test_a_push_cell_pushes_what_a_person_committed(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=PUSH)
    app = ws.repos / "app"
    git(app, "checkout", "--quiet", "-b", "by-hand")
    (app / "hand.txt").write_text("one\n")
    git(app, "add", "-A")
    git(app, "commit", "--quiet", "-m", "by hand")
    (app / "dirty.txt").write_text("not yet\n")
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["after 1"]
    assert ws.heads()["by-hand"] == git(app, "rev-parse", "HEAD")
    assert ws.pr("hand")["head"] == "by-hand" and ws.pr("after")["base"] == "by-hand"
    assert not (ws.cell_dir("hand") / "attempts").exists()
    assert not (ws.cell_dir("hand") / "transcript.jsonl").exists()
    assert (app / "dirty.txt").read_text() == "not yet\n"
    nothing_to_do(ws)
    (app / "hand.txt").write_text("two\n")
    git(app, "commit", "--quiet", "-m", "more", "hand.txt")
    ws.run("run", "demo", code=0)
    assert ws.heads()["by-hand"] == git(app, "rev-parse", "HEAD")
    assert ws.pr("hand")["head_sha"] == ws.heads()["by-hand"]
    assert ws.starts() == ["after 1", "after 2"]
    assert ws.show("after", "hand.txt") == "two"
    assert len(ws.prs()) == 2
    nothing_to_do(ws)


def test_a_push_cell_with_the_wrong_branch_checked_out(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=PUSH)
    done = ws.run("run", "demo", code=1)
    assert "by-hand" in both(done) and "main" in both(done)
    assert f"git -C {ws.repos / 'app'} switch by-hand" in both(done)
    assert ws.states() == {"hand": "failed", "after": "blocked"}
    assert (ws.starts(), set(ws.heads())) == ([], {"main"})


def test_a_push_cell_without_commits_says_so(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=PUSH)
    git(ws.repos / "app", "checkout", "--quiet", "-b", "by-hand")
    done = ws.run("run", "demo", code=1)
    assert "no commit" in both(done)
    assert set(ws.heads()) == {"main"}


def test_phases_without_publish_leave_the_origin_alone(workspace: MakeWorkspace) -> None:
    ws = workspace(
        cells={"a": {}, "b": {"depends_on": ["a"]}},
        defaults={"phases": ["implement", "check", "review"]},
    )
    ws.run("run", "demo", code=0)
    assert (set(ws.heads()), ws.prs()) == ({"main"}, {})
    assert ws.result("a", "pr-url") == ws.result("b", "pr-url") == "none"
    assert (ws.worktree("b") / "a.txt").exists()
    nothing_to_do(ws)


# ---- several upstreams ----------------------------------------------------------------------

JOINED = {"a": {}, "b": {}, "c": {"depends_on": ["a", "b"]}}


def test_several_upstreams_are_merged_first(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=JOINED)
    ws.run("run", "demo", code=0)
    assert ws.show("c", "a.txt") == ws.show("c", "b.txt") == ws.show("c", "c.txt") == "attempt 1"
    assert ws.pr("c")["base"] == "main"
    nothing_to_do(ws)
    ws.say("a", "changed\n")
    ws.run("run", "demo:a", "--force", code=0)
    ws.run("run", "demo", code=0)
    assert ws.starts("b") == ["b 1"] and ws.starts("c") == ["c 1", "c 2"]
    assert ws.show("c", "a.txt") == "changed"
    nothing_to_do(ws)


def test_upstreams_that_conflict_are_both_named(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=JOINED)
    for cell in "ab":
        ws.script(cell, f"echo {cell} > both.txt")
    done = ws.run("run", "demo", code=1)
    assert ws.states() == {"a": "done", "b": "done", "c": "failed"}
    reason = ws.status()["c"]["reason"]
    assert "its upstreams demo:a and demo:b conflict in both.txt" in reason
    assert reason in both(done)
    ws.script("b", "echo a > both.txt")
    ws.run("forget", "demo:b", code=0)
    ws.run("run", "demo", code=0)
    assert ws.show("c", "both.txt") == "a"


def test_a_diamond_stacks_on_the_reduced_upstream(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {"depends_on": ["a"]}, "c": {"depends_on": ["a", "b"]}})
    ws.run("run", "demo", code=0)
    assert ws.pr("c")["base"] == "T-1-b"
    nothing_to_do(ws)


def test_an_upstream_in_another_repository_is_read_from_its_worktree(
    workspace: MakeWorkspace,
) -> None:
    ws = workspace(repos=["app", "lib"], cells={"a": {"repo": "lib"}, "b": {"depends_on": ["a"]}})
    ws.script("b", 'cp "$ORCHESTR_UPSTREAM_A_WORKTREE/a.txt" from-a.txt')
    ws.run("run", "demo", code=0)
    assert ws.show("b", "from-a.txt") == "attempt 1"
    assert ws.pr("b")["base"] == "main"
    assert ws.result("a", "pr-url") in ws.pr("b")["body"]
    assert ws.result("b", "pr-url") in ws.pr("a")["body"]
    nothing_to_do(ws)
    ws.say("a", "two\n")
    ws.run("run", "demo:a", "--force", code=0)
    ws.run("run", "demo", code=0)
    assert ws.show("b", "from-a.txt") == "two"
    assert ws.starts("b") == ["b 1", "b 2"]


def test_the_local_clone_is_left_as_it_was(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=JOINED)
    app = ws.repos / "app"
    config = (app / ".git" / "config").read_bytes()
    index, head = (app / ".git" / "index").read_bytes(), git(app, "rev-parse", "HEAD")
    ws.run("run", "demo", code=0)
    ws.run("run", "demo", "--force", code=0)
    ws.run("clean", "demo", code=0)
    assert (app / ".git" / "config").read_bytes() == config
    assert (app / ".git" / "index").read_bytes() == index
    assert (git(app, "rev-parse", "HEAD"), git(app, "rev-parse", "--abbrev-ref", "HEAD")) == (
        head, "main",
    )  # fmt: skip
    assert git(app, "status", "--porcelain") == ""


def test_info_says_why(built: Workspace) -> None:
    done = built.run("info", "demo:a", code=0)
    assert done.stdout.startswith("feature:demo:a\n") and "status: up to date" in done.stdout
    built.edit_spec("do a", "do a again")
    done = built.run("info", "demo", code=1)
    assert "status: would run" in done.stdout and "a:implement: its todo" in done.stdout
    assert built.run("info", "demo:a:check", code=0).stdout.startswith("feature:demo:a:check\n")


def test_a_worktree_removed_by_hand_comes_back(built: Workspace) -> None:
    shutil.rmtree(built.worktree("c"))
    nothing_to_do(built)
    built.run("forget", "demo:c", code=0)
    built.run("run", "demo", code=0)
    assert built.starts()[3:] == ["c 2"]
    nothing_to_do(built)


@pytest.mark.parametrize("verb", ["forget", "clean", "ignore"])
def test_verbs_without_names_say_what_to_do(built: Workspace, verb: str) -> None:
    done = built.run(verb, code=2)
    assert done.stderr.startswith("error: ") and "hint: " in done.stderr
    nothing_to_do(built)


def test_the_state_is_its_owners_alone(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.run("run", "demo:a:worktree", code=0)
    assert stat.S_IMODE((ws.root / ".orchestr").stat().st_mode) == 0o700
