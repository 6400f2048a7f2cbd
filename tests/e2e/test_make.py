"""Make: what is up to date is not done again; what is stale is, and nothing else."""

from __future__ import annotations

import pytest

from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both, nothing_to_do

PHASES = ("worktree", "implement", "check", "review", "publish")


def phases(cell: str, *only: str) -> list[str]:
    return sorted(f"{cell}:{phase}" for phase in only or PHASES)


def test_the_same_run_again_does_nothing(built: Workspace) -> None:
    nothing_to_do(built)
    assert len(built.prs()) == 3
    assert built.pr("b")["base"] == "T-1-a"


def test_a_forgotten_cell_is_built_again_on_its_branch(built: Workspace) -> None:
    before, prs = built.heads(), built.prs()
    built.say("c", "the work of c\nand more\n")
    built.run("forget", "demo:c", code=0)
    built.run("run", "demo", code=0)
    assert built.last_run() == phases("c", "implement", "check", "review", "publish")
    assert built.starts("c") == ["c 1", "c 2"] and len(built.starts()) == 4
    assert set(built.prs()) == set(prs)
    assert built.pr("c")["head_sha"] == built.head("c") != before["T-1-c"]
    assert (
        git(built.repos / "app", "merge-base", before["T-1-c"], built.head("c"))
        == (before["T-1-c"])
    )
    assert built.show("c", "c.txt") == "the work of c\nand more"
    nothing_to_do(built)


def test_a_forgotten_feature_is_built_again(built: Workspace) -> None:
    prs = set(built.prs())
    built.run("forget", "feature:demo", code=0)
    built.run("run", "demo", code=0)
    assert sorted(built.starts()) == ["a 1", "a 2", "b 1", "b 2", "c 1", "c 2"]
    assert set(built.prs()) == prs
    nothing_to_do(built)


@pytest.mark.parametrize("phase", ["check", "review", "publish"])
def test_a_forgotten_phase_runs_alone(built: Workspace, phase: str) -> None:
    prs = built.prs()
    built.run("forget", f"demo:a:{phase}", code=0)
    built.run("run", "demo", code=0)
    assert built.last_run() == [f"a:{phase}"]
    assert len(built.starts()) == 3
    assert built.prs() == prs
    nothing_to_do(built)


def test_a_forgotten_implement_phase_is_a_new_attempt(built: Workspace) -> None:
    built.run("forget", "demo:a:implement", code=0)
    built.run("run", "demo", code=0)
    assert built.starts("a") == ["a 1", "a 2"]
    nothing_to_do(built)


def test_a_forgotten_worktree_phase_leaves_the_work(built: Workspace) -> None:
    built.run("forget", "demo:a:worktree", code=0)
    built.run("run", "demo", code=0)
    assert len(built.starts()) == 3
    nothing_to_do(built)


def test_an_upstream_with_the_same_tree_stops_the_rebuild(built: Workspace) -> None:
    built.run("forget", "demo:a", code=0)
    built.run("run", "demo", code=0)
    assert built.starts("a") == ["a 1", "a 2"]
    assert built.starts("b") == ["b 1"]
    nothing_to_do(built)


def test_an_upstream_with_new_commits_and_the_same_tree_stops_the_rebuild(
    built: Workspace,
) -> None:
    before = built.head("a")
    me = "git -c user.name=A -c user.email=a@example.org"
    built.script(
        "a",
        f"echo more >> a.txt; {me} commit -qam one; "
        f"git checkout -q HEAD~1 -- a.txt; {me} commit -qam two",
    )
    built.run("forget", "demo:a", code=0)
    built.run("run", "demo", code=0)
    assert built.starts()[3:] == ["a 2"]
    assert built.pr("a")["head_sha"] == built.head("a") != before
    nothing_to_do(built)


def test_an_upstream_with_another_tree_rebuilds_its_dependents_only(built: Workspace) -> None:
    built.say("a", "something else\n")
    built.run("forget", "demo:a", code=0)
    built.run("run", "demo", code=0)
    assert built.starts("a") == ["a 1", "a 2"]
    assert built.starts("b") == ["b 1", "b 2"]
    assert built.starts("c") == ["c 1"]
    assert built.show("b", "a.txt") == "something else"
    assert built.show("b", "b.txt") == "the work of b"
    assert built.pr("b")["head_sha"] == built.head("b")
    nothing_to_do(built)


def test_another_todo_rebuilds_exactly_that_cell(built: Workspace) -> None:
    built.edit_spec("do a", "do a better")
    built.run("run", "demo", code=0)
    assert built.starts()[3:] == ["a 2"]
    assert "do a better" in (built.cell_dir("a") / "attempts/2/prompt.md").read_text()
    nothing_to_do(built)


def test_another_todo_that_changes_the_tree_rebuilds_the_dependents(built: Workspace) -> None:
    built.edit_spec("do a", "do a better")
    built.say("a", "better\n")
    built.run("run", "demo", code=0)
    assert built.starts()[3:] == ["a 2", "b 2"]
    nothing_to_do(built)


def test_comments_and_order_rebuild_nothing(built: Workspace) -> None:
    path = built.root / "specs" / "demo.yaml"
    text = path.read_text()
    head, cells = text.split("cells:\n")
    blocks = cells.split("\n  ")
    assert cells.startswith("  a:")
    first, rest = cells[: cells.index("  b:")], cells[cells.index("  b:") :]
    b, c = rest[: rest.index("  c:")], rest[rest.index("  c:") :]
    assert blocks
    path.write_text(f"# a word\n{head}cells:\n{c}  # another\n{first}{b}")
    nothing_to_do(built)


def test_a_title_changes_the_pull_request_only(built: Workspace) -> None:
    before = built.prs()
    built.edit_spec("The demo", "Another name")
    built.run("run", "demo", code=0)
    assert {line.split(":")[1] for line in built.last_run()} == {"publish"}
    assert len(built.starts()) == 3
    after = built.prs()
    assert set(after) == set(before)
    for url, pr in after.items():
        assert "Another name" in pr["title"] + pr["body"]
        assert pr["head_sha"] == before[url]["head_sha"]
    nothing_to_do(built)


def test_scenarios_change_the_body_only(built: Workspace) -> None:
    path = built.root / "specs" / "demo.yaml"
    path.write_text(path.read_text() + "scenarios: [tests/one.yaml]\n")
    built.run("run", "demo", code=0)
    assert {line.split(":")[1] for line in built.last_run()} == {"publish"}
    assert all("tests/one.yaml" in pr["body"] for pr in built.prs().values())
    nothing_to_do(built)


@pytest.mark.parametrize(
    ("name", "remade"),
    [
        ("worktree.toml", ["a:worktree"]),
        ("checks.json", ["a:check"]),
        ("review.json", ["a:review"]),
        ("pr-url", ["a:publish"]),
    ],
)
def test_a_deleted_result_file_reruns_its_phase(
    built: Workspace, name: str, remade: list[str]
) -> None:
    path = built.cell_dir("a") / name
    content, prs = path.read_bytes(), built.prs()
    path.unlink()
    built.run("run", "demo", code=0)
    assert built.last_run() == remade
    assert len(built.starts()) == 3
    assert (path.read_bytes(), built.prs()) == (content, prs)
    nothing_to_do(built)


def test_a_deleted_implement_file_is_a_new_attempt(built: Workspace) -> None:
    (built.cell_dir("a") / "implement.toml").unlink()
    built.run("run", "demo", code=0)
    assert built.starts()[3:] == ["a 2"]
    assert "a:implement" in built.last_run()
    nothing_to_do(built)


@pytest.mark.parametrize("name", ["transcript.jsonl", "tree", "head.toml"])
def test_a_deleted_product_is_only_restored(built: Workspace, name: str) -> None:
    path = built.cell_dir("a") / name
    content, prs = path.read_bytes(), built.prs()
    path.unlink()
    built.run("run", "demo", code=0)
    assert len(built.starts()) == 3
    assert built.last_run() == []
    assert (path.read_bytes(), built.prs()) == (content, prs)
    nothing_to_do(built)


def test_all_result_files_of_two_cells_deleted_but_the_work_is_there(built: Workspace) -> None:
    for cell in ("a", "b"):
        for name in ("checks.json", "review.json", "head.toml", "tree", "pr-url"):
            (built.cell_dir(cell) / name).unlink()
    prs = built.prs()
    built.run("run", "demo", code=0)
    assert len(built.starts()) == 3
    assert built.prs() == prs
    nothing_to_do(built)


def test_a_deleted_database_reruns_nothing(built: Workspace) -> None:
    for path in built.root.glob(".doit.db*"):
        path.unlink()
    starts = built.starts()
    done = built.run("run", "demo", code=0)
    assert "nothing to be done" in done.stdout
    assert (built.starts(), built.last_run()) == (starts, [])
    nothing_to_do(built)


@pytest.mark.parametrize("how", ["garbage", "truncated", "empty", "holed"])
@pytest.mark.parametrize("verb", ["run", "list"])
def test_a_corrupt_database_is_set_aside(built: Workspace, how: str, verb: str) -> None:
    for path in built.root.glob(".doit.db-*"):
        path.unlink()
    path = built.root / ".doit.db"
    data = path.read_bytes()
    match how:
        case "garbage":
            path.write_bytes(b"this is no database\n" * 400)
        case "truncated":
            path.write_bytes(data[: len(data) // 2])
        case "empty":
            path.write_bytes(b"")
        case _:
            middle = b"\xff" * (len(data) - 4096)
            path.write_bytes(data[:4096] + middle)
    args = ["run", "demo"] if verb == "run" else ["list", "--all", "--status"]
    done = built.run(*args, code=0)
    kept = list(built.root.glob(".doit.db.corrupt-*"))
    if how == "empty":
        assert (kept, done.stderr.count("warning")) == ([], 0)
    else:
        assert len(kept) == 1
        assert done.stderr.count(f"it was kept as {kept[0]}") == 1
    nothing_to_do(built)


def test_a_moved_base_branch_rebuilds_nothing(built: Workspace) -> None:
    clone = built.repos / "app"
    git(clone, "commit", "--quiet", "--allow-empty", "-m", "moved on")
    git(clone, "push", "--quiet", "origin", "main")
    nothing_to_do(built)


def test_track_base_builds_again_on_a_moved_base(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {"track_base": True}, "b": {"depends_on": ["a"]}, "c": {}})
    ws.run("run", "demo", code=0)
    ws.run("run", "demo", code=0)
    assert len(ws.starts()) == 3
    clone = ws.repos / "app"
    (clone / "moved.txt").write_text("moved\n")
    git(clone, "add", "-A")
    git(clone, "commit", "--quiet", "-m", "moved on")
    git(clone, "push", "--quiet", "origin", "main")
    ws.run("run", "demo", code=0)
    assert ws.starts("a") == ["a 1", "a 2"] and ws.starts("b") == ["b 1", "b 2"]
    assert ws.starts("c") == ["c 1"]
    assert ws.show("a", "moved.txt") == ws.show("b", "moved.txt") == "moved"
    ws.run("run", "demo", code=0)
    assert len(ws.starts()) == 5


def test_cells_that_begin_together_fetch_their_base_once(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={name: {} for name in "abcd"})
    book = ws.root / "fetches"
    script = ws.root / "upload-pack"
    script.write_text(f'#!/bin/sh\necho x >> "{book}"\nexec git-upload-pack "$@"\n')
    script.chmod(0o755)
    git(ws.repos / "app", "config", "remote.origin.uploadpack", str(script))
    ws.run("run", "demo:*:worktree", code=0)
    together = len(book.read_text().split())
    # one for the base; the others are looks: of the pre-flight, at pull requests, for an owner
    assert together <= 5, together
    ws.run("run", "demo", code=0)
    assert set(ws.states().values()) == {"done"}


def test_overrides_make_nothing_stale(built: Workspace) -> None:
    built.settings(agents={"other": {"kind": "command", "run": ["sh", "agent.sh"]}})
    nothing_to_do(built, "--model", "huge")
    nothing_to_do(built, "--agent", "sh", "--timeout", "5m")
    nothing_to_do(built, "--jobs", "1")
    nothing_to_do(built)


def test_overrides_count_for_attempts_that_start_anyway(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.script("a", 'echo "$ORCHESTR_MODEL" > a.txt')
    ws.run("run", "demo", "--model", "huge", code=0)
    assert ws.show("a", "a.txt") == "huge"
    nothing_to_do(ws)
    nothing_to_do(ws, "--model", "tiny")


def test_timeout_stops_an_attempt(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    ws.script("a", "echo begun; sleep 60")
    done = ws.run("run", "demo", "--timeout", "1s", code=1)
    assert "timed out after 1 s" in both(done)
    assert ws.processes() == []
    ws.script("a", None)
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1", "a 2"]


def test_jobs_is_how_many_agents_work_at_once(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={name: {} for name in "abcd"})
    for name in "abcd":
        ws.script(
            name,
            'mkdir "$AGENT_DIR/busy" 2>/dev/null || touch "$AGENT_DIR/two-at-once"\n'
            'sleep 0.1; rmdir "$AGENT_DIR/busy" 2>/dev/null; echo x > "$ORCHESTR_CELL.txt"',
        )
    ws.run("run", "--jobs", "1", "demo", code=0)
    assert not (ws.agents / "two-at-once").exists()
    assert len(ws.starts()) == 4
    done = ws.run("run", "demo", "--jobs", "0", code=2)
    assert "--jobs" in done.stderr
