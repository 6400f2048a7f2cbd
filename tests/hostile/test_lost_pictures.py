"""Agents and checks that remove what they are compared with, or objects that a clone needs."""

from __future__ import annotations

import tomllib

import pytest
import tomli_w

from orchestr.cell.worktree.branch_guard import BRANCHES
from orchestr.cell.worktree.picture_loss import MARK
from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Spawned, Workspace, both, wait_for

pytestmark = pytest.mark.slow

WAIT = 'touch "$AGENT_DIR/works"; while [ ! -e "$AGENT_DIR/go" ]; do sleep 0.1; done; '
TAKE_AWAY = "rm -rf {state}/surroundings {state}/cells/demo/*/attempts/*/pictures.json\n"
REWRITE = (
    "git update-ref refs/heads/other $(git commit-tree 'HEAD^{{tree}}' -m evil)\n"
    "echo 'raise SystemExit' > {root}/dodo.py\n"
)
LOOSE = 'rm -rf "$(git rev-parse --git-common-dir)"/objects/??\n'


def make(workspace: MakeWorkspace, **cell: object) -> Workspace:
    """A clone with a commit on `other` that was never pushed."""
    ws = workspace(cells={"one": cell})
    repo = ws.repos / "app"
    git(repo, "switch", "-q", "-c", "other")
    (repo / "mine.txt").write_text("mine\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "not pushed")
    git(repo, "switch", "-q", "main")
    return ws


def fill(ws: Workspace, text: str) -> str:
    return text.format(root=ws.root, state=ws.root / ".orchestr")


def kill_while_it_works(ws: Workspace) -> Spawned:
    """A run that is killed while its agent waits for the file `go`."""
    run = ws.spawn("run", "demo")
    wait_for((ws.agents / "works").exists, "the agent")
    run.kill()
    run.wait()
    return run


def let_it_end(ws: Workspace) -> None:
    (ws.agents / "go").touch()
    wait_for((ws.cell_dir("one") / "attempts/1/exit.json").exists, "its end")


def test_pictures_that_an_agent_removes_come_from_memory(workspace: MakeWorkspace) -> None:
    ws = make(workspace)
    before = git(ws.repos / "app", "rev-parse", "other"), (ws.root / "dodo.py").read_text()
    folder = ws.cell_dir("one") / "attempts/1"
    ws.script("one", f"{fill(ws, TAKE_AWAY + REWRITE)} rm {folder / BRANCHES}; echo work > a")
    said = both(ws.run("run", "demo", code=1))
    after = git(ws.repos / "app", "rev-parse", "other"), (ws.root / "dodo.py").read_text()
    assert after == before
    for word in ("of its clone", "of specs and settings", "of the user's config of git",
                 "of its feature's branches"):  # fmt: skip
        assert f"the picture {word} (" in said
    assert "branch other was rewritten" in said and "dodo.py was changed" in said
    assert ws.states() == {"one": "failed"} and ws.prs() == {}


def test_pictures_that_are_gone_after_a_kill(workspace: MakeWorkspace) -> None:
    ws = make(workspace)
    ws.script("one", f"{WAIT} echo work > a")
    kill_while_it_works(ws)
    for path in (ws.root / ".orchestr/surroundings").glob("*.json"):
        path.unlink() if path.name == "user.json" else path.write_text("{")
    let_it_end(ws)
    said = both(ws.run("run", "demo", code=1))
    assert "the picture of its clone (" in said and "nobody can say what it changed there" in said
    assert (ws.starts(), ws.prs()) == (["one 1"], {})
    ws.script("one", "echo work > a")
    ws.run("run", "demo", code=0)


def test_all_that_is_removed_after_a_kill(workspace: MakeWorkspace) -> None:
    ws = make(workspace)
    ws.script("one", f"{WAIT} {fill(ws, TAKE_AWAY)} echo work > a")
    kill_while_it_works(ws)
    let_it_end(ws)
    said = both(ws.run("run", "demo", code=1))
    assert f"attempts/1/{MARK}" in said and "was removed or cannot be read" in said


def test_an_attempt_of_an_earlier_version_goes_on(workspace: MakeWorkspace) -> None:
    ws = make(workspace)
    ws.script("one", f"{WAIT} {fill(ws, TAKE_AWAY)} echo work > a")
    kill_while_it_works(ws)
    path = ws.cell_dir("one") / "attempts/1/attempt.toml"
    known = tomllib.loads(path.read_text())
    assert known.pop("pictured") is True
    path.write_text(tomli_w.dumps(known))
    let_it_end(ws)
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["one 1"]


def test_pictures_that_a_check_removes(workspace: MakeWorkspace) -> None:
    ws = make(workspace, checks=[{"kind": "command", "name": "sly", "run": ["sh", "t.sh"]}])
    before = (ws.root / "dodo.py").read_text()
    ws.script("one", f"cat > t.sh <<'E'\n{fill(ws, TAKE_AWAY + REWRITE)}E")
    said = both(ws.run("run", "demo", code=0))
    assert (ws.root / "dodo.py").read_text() == before
    assert "the picture of specs and settings (" in said and "dodo.py was changed" in said


@pytest.mark.parametrize("wall", ["none", "bwrap"], indirect=True)
def test_an_agent_that_removes_loose_objects(workspace: MakeWorkspace, wall: str) -> None:
    ws = make(workspace)
    ws.script("one", f"echo work > a; {LOOSE}")
    said = both(ws.run("run", "demo", code=1))
    assert "while its agent worked, objects of " in said and "all were put back" in said
    assert git(ws.repos / "app", "fsck", "--full", "--no-dangling") == ""
    assert git(ws.repos / "app", "show", "other:mine.txt") == "mine"
    assert ws.states() == {"one": "failed"}
    assert not list((ws.root / ".orchestr/surroundings").glob("*.objects"))
    ws.script("one", "echo work > a")
    ws.run("run", "demo", code=0)


def test_objects_that_are_removed_after_a_kill(workspace: MakeWorkspace) -> None:
    ws = make(workspace)
    ws.script("one", f"echo work > a; {WAIT} {LOOSE}")
    kill_while_it_works(ws)
    let_it_end(ws)
    said = both(ws.run("run", "demo", code=1))
    assert "objects of " in said and "all were put back" in said
    assert git(ws.repos / "app", "fsck", "--full", "--no-dangling") == ""
    assert ws.starts() == ["one 1"] and ws.states() == {"one": "failed"}


def test_a_check_that_removes_objects(workspace: MakeWorkspace) -> None:
    """It damages its own checkout, too, and is red for that."""
    check = {"kind": "command", "name": "sly", "run": ["sh", "t.sh"]}
    ws = make(workspace, checks=[check], repair={"checks": 0})
    ws.script("one", f"cat > t.sh <<'E'\n{LOOSE}E")
    said = both(ws.run("run", "demo", code=1))
    assert "while it was checked or reviewed, objects of " in said
    assert git(ws.repos / "app", "fsck", "--full", "--no-dangling") == ""
    assert git(ws.repos / "app", "show", "other:mine.txt") == "mine"


def test_a_persons_gc_meanwhile(workspace: MakeWorkspace) -> None:
    ws = make(workspace)
    ws.script("one", f"{WAIT} echo work > a")
    run = ws.spawn("run", "demo")
    wait_for((ws.agents / "works").exists, "the agent")
    git(ws.repos / "app", "gc", "-q")
    (ws.agents / "go").touch()
    assert run.ended() == 0, run.said()
    assert "objects of" not in run.said() and ws.states() == {"one": "done"}
