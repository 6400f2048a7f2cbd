"""An agent that writes into the worktree of a sibling at work: of that nothing is published."""

from __future__ import annotations

import pytest

from orchestr.supervisor.write_samples import SLACK, WRITES
from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Spawned, Workspace, both, wait_for

pytestmark = pytest.mark.slow

WAIT = 'touch "$AGENT_DIR/{0}.works"; while [ ! -e "$AGENT_DIR/{0}.go" ]; do sleep 0.1; done; '


def look_again(ws: Workspace, cell: str) -> None:
    """Wait until the supervisor of ``cell`` has looked at its writes once more, and once more."""
    (ws.root / "now").write_text("x")
    now, seen = (ws.root / "now").stat().st_mtime, ws.cell_dir(cell) / "attempts/1" / WRITES
    wait_for(lambda: seen.stat().st_mtime > now + 3 * SLACK, "another look")


def begin(ws: Workspace, *cells: str) -> Spawned:
    """A run up to where these agents wait, and their supervisors have looked since."""
    run = ws.spawn("run", "demo")
    for cell in cells:
        wait_for((ws.agents / f"{cell}.works").exists, f"the agent of {cell}")
        look_again(ws, cell)
    return run


def go(ws: Workspace, cell: str) -> None:
    (ws.agents / f"{cell}.go").touch()


def closed(ws: Workspace) -> list[str]:
    return [event["cell"] for event in ws.journal(kind="attempt.closed")]


def told(ws: Workspace, cell: str) -> str:
    return "\n".join(e["data"]["reason"] for e in ws.journal(kind="cell.warned")
                     if e["cell"] == cell)  # fmt: skip


def make(workspace: MakeWorkspace, script: str) -> Workspace:
    """`good` waits, writes a file and waits; `bad` runs ``script`` in the worktree of `good`."""
    ws = workspace(cells={"good": {}, "bad": {}})
    ws.script("good", f"echo good > good.txt; {WAIT.format('good')} echo more >> good.txt")
    ws.script("bad", f"echo bad > bad.txt; {WAIT.format('bad')} cd {ws.worktree('good')}; {script}")
    return ws


@pytest.mark.parametrize("first", ["good", "bad"])
@pytest.mark.parametrize(
    ("script", "path", "want"),
    [("echo evil > evil.txt", "evil.txt", None), ("mkdir -p d; echo e > d/e", "d/e", None),
     ("echo evil > README.md", "README.md", "app"), ("echo evil >> README.md", "README.md", "app")],
)  # fmt: skip
def test_a_file_of_a_sibling(
    workspace: MakeWorkspace, script: str, path: str, want: str | None, first: str
) -> None:
    ws = make(workspace, f"{script}; touch {{0}}; while [ ! -e {{1}} ]; do sleep 0.1; done")
    done, end = ws.agents / "bad.did", ws.agents / "bad.end"
    ws.script("bad", (ws.agents / "bad.sh").read_text().format(done, end))
    run = begin(ws, "good", "bad")
    go(ws, "bad")
    wait_for(done.exists, "the trespass")
    look_again(ws, "good")
    for cell in ("good", "bad") if first == "good" else ("bad", "good"):
        (ws.agents / "good.go" if cell == "good" else end).touch()
        if cell == first:
            wait_for(lambda: first in closed(ws), f"the end of {first}")
    assert run.ended() == 1, run.said()
    assert ws.states() == {"good": "done", "bad": "failed"}
    assert f"the worktree of demo:good was written to: {path}" in ws.status()["bad"]["reason"]
    assert f"{path} in its worktree was written by the agent of demo:bad" in told(ws, "good")
    names = git(ws.repos / "app.git", "ls-tree", "-r", "--name-only", "T-1-good").splitlines()
    assert ws.show("good", "good.txt") == "good\nmore"
    assert ("evil" not in ws.show("good", path)) if want else path not in names
    kept = git(ws.repos / "app", "show", f"refs/orchestr/attempts/demo/good/1:{path}")
    assert kept.splitlines()[-1][0] == "e"


def test_a_commit_by_a_sibling(workspace: MakeWorkspace) -> None:
    ws = make(workspace, "echo evil > evil.txt; git add -A; git commit -qm evil")
    run = begin(ws, "good", "bad")
    go(ws, "bad")
    wait_for(lambda: "bad" in closed(ws), "the end of bad")
    go(ws, "good")
    assert run.ended() == 1, run.said()
    assert ws.states() == {"good": "failed", "bad": "failed"}
    assert "git add, commit was run in the worktree of demo:good" in ws.status()["bad"]["reason"]
    assert "git add, commit was run by the agent of demo:bad" in ws.status()["good"]["reason"]
    assert list(ws.heads()) == ["main"]
    ws.script("good", None)
    ws.script("bad", None)
    ws.run("run", "demo", "--fresh", code=0)
    assert "evil.txt" not in git(ws.repos / "app.git", "ls-tree", "--name-only", "T-1-good")


def test_a_sibling_whose_transcript_names_the_file(workspace: MakeWorkspace) -> None:
    """The one that it was done to writes all the time; what the other one said decides."""
    ws = workspace(cells={"good": {}, "bad": {}})
    ws.script("good", 'touch "$AGENT_DIR/good.works"\nwhile [ ! -e "$AGENT_DIR/good.go" ]; do\n'
                      "echo a line of some length >> good.txt; done")  # fmt: skip
    evil = ws.worktree("good") / "evil.txt"
    ws.script("bad", f'while [ ! -e "$AGENT_DIR/good.works" ]; do sleep 0.1; done\n'
                     f'echo x > bad.txt; echo "writes {evil}"; echo evil > {evil}')  # fmt: skip
    run = ws.spawn("run", "demo")
    wait_for(lambda: "bad" in closed(ws), "the end of bad")
    go(ws, "good")
    assert run.ended() == 1, run.said()
    assert ws.states() == {"good": "done", "bad": "failed"}
    assert "evil.txt" not in git(ws.repos / "app.git", "ls-tree", "--name-only", "T-1-good")


def test_after_a_kill_of_the_run(workspace: MakeWorkspace) -> None:
    """Both agents go on without it; the next run knows what they did."""
    ws = make(workspace, "echo evil > evil.txt")
    run = begin(ws, "good", "bad")
    run.kill()
    run.wait()
    go(ws, "bad")
    wait_for((ws.cell_dir("bad") / "attempts/1/exit.json").exists, "the end of bad")
    look_again(ws, "good")
    go(ws, "good")
    wait_for((ws.cell_dir("good") / "attempts/1/exit.json").exists, "the end of good")
    ws.run("run", "demo", code=1)
    assert ws.states() == {"good": "done", "bad": "failed"}
    assert ws.starts() == ["good 1", "bad 1"] or ws.starts() == ["bad 1", "good 1"]
    assert "evil.txt" not in git(ws.repos / "app.git", "ls-tree", "--name-only", "T-1-good")


def test_siblings_that_keep_to_themselves(workspace: MakeWorkspace) -> None:
    """Agents that write at the same time, read each other and copy are not blamed."""
    ws = workspace(cells={"a": {}, "b": {}, "c": {}})
    for cell in ("a", "b", "c"):
        others = " ".join(str(ws.worktree(one)) for one in ("a", "b", "c") if one != cell)
        ws.script(cell, f"for i in 1 2 3 4 5; do echo $i > {cell}.$i; cp {cell}.$i {cell}.$i.copy\n"
                        f"ls {others}; git add {cell}.$i; git commit -qm $i; sleep 0.05\n"
                        f"seq 100 >> {cell}.log; done; mv {cell}.log {cell}.moved")  # fmt: skip
    said = both(ws.run("run", "demo", code=0))
    assert "worktree was written" not in said
    for cell in ("a", "b", "c"):
        names = git(ws.repos / "app.git", "ls-tree", "--name-only", f"T-1-{cell}").splitlines()
        assert len([name for name in names if name.startswith(f"{cell}.")]) == 11


def test_a_worktree_whose_agent_waits_for_a_slot(workspace: MakeWorkspace) -> None:
    """What a sibling leaves there before an agent starts is in none of its commits."""
    ws = workspace(cells={"bad": {}, "good": {}}, settings={"limits": {"jobs": 1}})
    waits = 'while [ ! -e "$s/cells/demo/{0}/attempts/1/notes.txt" ]; do sleep 0.1; done'
    trespass = f's="$AGENT_DIR/../.orchestr"; {waits}; echo evil > $s/worktrees/demo/{{0}}/evil.txt'
    ws.script("bad", trespass.format("good"))
    ws.script("good", trespass.format("bad"))
    ws.run("run", "demo")
    cell = "good" if ws.starts()[0] == "bad 1" else "bad"  # the one that came second
    assert "evil.txt" in told(ws, cell)
    names = git(ws.worktree(cell), "ls-tree", "-r", "--name-only", "HEAD").splitlines()
    assert names == ["README.md"]
    assert git(ws.repos / "app", "show", f"refs/orchestr/attempts/demo/{cell}/1-person:evil.txt")
