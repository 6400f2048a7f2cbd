"""Agents, checks and reviewers that change specs, settings or templates; persons who may."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestr.supervisor.write_samples import SLACK, WRITES
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Spawned, Workspace, both, wait_for

pytestmark = pytest.mark.slow

RED = {"kind": "command", "name": "hard", "run": ["false"]}
CHEAT = "sed -i 's/false/true/' {root}/specs/demo.yaml"
WAIT = 'touch "$AGENT_DIR/{0}.works"; while [ ! -e "$AGENT_DIR/{0}.go" ]; do sleep 0.1; done; '


def make(workspace: MakeWorkspace) -> Workspace:
    """A cell with a red check and no repair."""
    cell = {"checks": [RED], "repair": {"checks": 0}}
    return workspace(cells={"one": cell})


def snapshot(ws: Workspace) -> dict[Path, str]:
    paths = [*(ws.root / "specs").iterdir(), *(ws.root / "prompts").glob("*"),
             ws.root / "orchestr.toml", ws.root / "dodo.py"]  # fmt: skip
    return {path: path.read_text() for path in paths}


def kept(ws: Workspace, name: str, cell: str = "one", folder: str = "changed/workspace") -> str:
    return (ws.cell_dir(cell) / "attempts/1" / folder / name).read_text()


def begin(ws: Workspace, *cells: str) -> Spawned:
    """A run up to where all agents wait, and their supervisors have looked at them since."""
    run = ws.spawn("run", "demo")
    for cell in cells:
        works = ws.agents / f"{cell}.works"
        wait_for(works.exists, f"the agent of {cell}")
        seen = ws.cell_dir(cell) / "attempts/1" / WRITES
        wait_for(lambda w=works, s=seen: s.stat().st_mtime > w.stat().st_mtime + 3 * SLACK, "look")
    return run


@pytest.mark.parametrize(
    ("script", "name", "word"),
    [(CHEAT, "specs/demo.yaml", "changed"), ("rm {root}/specs/demo.yaml", "specs/demo.yaml", ""),
     ("cp {root}/specs/demo.yaml {root}/specs/new.yaml", "specs/new.yaml", "made"),
     ("echo '[checks]' >> {root}/orchestr.toml", "orchestr.toml", "changed"),
     ("echo no > {root}/prompts/cell.md.j2", "prompts/cell.md.j2", "changed"),
     ("echo 'raise SystemExit(0)' > {root}/dodo.py", "dodo.py", "changed"),
     ("cd {root}; mv specs/demo.yaml x; ln -s ../x specs/demo.yaml; echo 1234 >> x",
      "specs/demo.yaml", "")],
)  # fmt: skip
def test_what_an_agent_changes_is_put_back(
    workspace: MakeWorkspace, script: str, name: str, word: str
) -> None:
    ws = make(workspace)
    ws.settings(workspace={"repos": "repos", "prompt": "prompts/cell.md.j2"})
    (ws.root / "prompts").mkdir()
    (ws.root / "prompts" / "cell.md.j2").write_text("{{ cell.name }}\n")
    before = snapshot(ws)
    ws.script("one", f"echo work > a; {script.format(root=ws.root)}")
    said = both(ws.run("run", "demo", code=1))
    assert snapshot(ws) == before
    assert not (ws.root / name).is_symlink()
    if word:
        assert f"while its agent worked, {name} was {word}; it was put back" in said
        assert kept(ws, name) != before.get(ws.root / name)
        assert ws.status()["one"]["phases"]["implement"] == "failed"
    else:
        assert f"{name} was removed; it was put back" in said
    ws.run("run", "demo", code=1)
    assert ws.prs() == {} and list(ws.heads()) == ["main"]


def test_a_persons_edit_stays(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"one": {}})
    ws.script("one", f"{WAIT.format('one')} echo work > a")
    run = begin(ws, "one")
    former = (ws.root / "specs/demo.yaml").read_text()
    ws.edit_spec("do one", "do more", while_agents_work=True)
    (ws.agents / "one.go").touch()
    assert run.ended() == 0, run.said()
    assert "do more" in (ws.root / "specs/demo.yaml").read_text()
    assert "specs/demo.yaml was changed, and not by its agent: that stays" in run.said()
    assert kept(ws, "specs/demo.yaml", folder="changed/former") == former


def test_of_two_agents_only_the_one_that_did_it_fails(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"good": {}, "bad": {}})
    before = (ws.root / "specs/demo.yaml").read_text()
    ws.script("good", f"{WAIT.format('good')} echo work > good")
    ws.script("bad", f"{WAIT.format('bad')} sed -i 's/do good/do less/' {ws.root}/specs/demo.yaml\n"
                     "echo x > bad")  # fmt: skip
    run = begin(ws, "good", "bad")
    (ws.agents / "bad.go").touch()
    wait_for(lambda: ws.journal(kind="attempt.closed"), "the end of bad")
    assert (ws.root / "specs/demo.yaml").read_text() == before
    (ws.agents / "good.go").touch()
    assert run.ended() == 1
    assert ws.states() == {"good": "done", "bad": "failed"}
    assert ws.status()["bad"]["reason"].startswith("while its agent worked, specs/demo.yaml was")


def test_a_check_that_changes_its_spec(workspace: MakeWorkspace) -> None:
    """It cannot be told from a person's edit, so both texts are kept."""
    ws = make(workspace)
    ws.script("one", f"printf '%s\\n' '{CHEAT.format(root=ws.root)}' false > t.sh")
    ws.edit_spec("- 'false'", "- sh\n      - t.sh")
    before = (ws.root / "specs/demo.yaml").read_text()
    ws.script("one", f"printf '%s\\n' 'echo \"# x\" >> {ws.root}/specs/demo.yaml' false > t.sh")
    said = both(ws.run("run", "demo", code=1))
    assert (ws.root / "specs/demo.yaml").read_text() == before
    assert "specs/demo.yaml was changed; it was put back" in said
    assert f"if that was you: cp {ws.cell_dir('one')}" in said
    assert kept(ws, "specs/demo.yaml") == f"{before}# x\n"


def test_a_reviewer_that_changes_the_settings(workspace: MakeWorkspace) -> None:
    ws = workspace(
        cells={"one": {"reviewers": [{"agent": "eye"}]}},
        settings={"agents": {"eye": {"kind": "command", "run": ["sh", "eye.sh"]}}},
    )
    fine = json.dumps({"verdict": "approve", "issues": []})
    (ws.root / "eye.sh").write_text(f"echo '# mine' >> {ws.root}/orchestr.toml; echo '{fine}'\n")
    before = (ws.root / "orchestr.toml").read_text()
    said = both(ws.run("run", "demo", code=1))
    assert (ws.root / "orchestr.toml").read_text() == before
    assert "orchestr.toml was changed; it was put back" in said
    assert ws.prs() == {}


KILLS: dict[str, Callable[[Workspace], object]] = {
    "spec": lambda ws: CHEAT.format(root=ws.root),
    "settings that cannot be read": lambda ws: f"echo '[broken' >> {ws.root}/orchestr.toml",
}


@pytest.mark.parametrize("what", KILLS)
def test_an_agent_that_does_it_after_the_run_was_killed(
    workspace: MakeWorkspace, what: str
) -> None:
    """The next run puts it back before it reads anything, and the attempt fails."""
    ws = make(workspace)
    ws.script("one", f"{WAIT.format('one')} {KILLS[what](ws)}; echo x > a")
    before = snapshot(ws)
    run = begin(ws, "one")
    run.kill()
    run.wait()
    (ws.agents / "one.go").touch()
    wait_for((ws.cell_dir("one") / "attempts/1/exit.json").exists, "its end")
    assert snapshot(ws) != before
    said = both(ws.run("run", "demo", code=1))
    assert snapshot(ws) == before
    assert "while its agent worked" in said and "it was put back" in said
    assert ws.starts() == ["one 1"] and ws.prs() == {}


def test_a_person_edits_after_the_run_was_killed(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"one": {}})
    ws.script("one", f"{WAIT.format('one')} echo work > a")
    run = begin(ws, "one")
    run.kill()
    run.wait()
    (ws.agents / "one.go").touch()
    wait_for((ws.cell_dir("one") / "attempts/1/exit.json").exists, "its end")
    over = (ws.cell_dir("one") / "attempts/1/exit.json").stat().st_mtime
    wait_for(lambda: (ws.root / "now").write_text("") == 0
             and (ws.root / "now").stat().st_mtime > over + 3 * SLACK, "a later time")  # fmt: skip
    ws.edit_spec("title: The demo", "title: Another demo")
    ws.run("run", "demo", code=0)
    assert "Another demo" in (ws.root / "specs/demo.yaml").read_text()
    assert ws.starts() == ["one 1"]
