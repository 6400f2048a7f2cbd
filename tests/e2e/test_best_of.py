"""`best_of` from the outside: attempts side by side, which of them is taken, what is left."""

from __future__ import annotations

from typing import Any

from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, wait_for

NOTE = 'echo "$ORCHESTR_CELL $1 $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"\n'
FAILS = NOTE + "exit 3\n"
SHORT = NOTE + 'echo "by $1" > a.txt\n'
LONG = NOTE + 'printf "by %s\\nand more\\n" "$1" > a.txt\n'
BROKEN = NOTE + "echo bad > a.txt\n"
CHECK = {"kind": "command", "run": ["grep", "-q", "^by", "a.txt"], "name": "by"}


READS = """\
if grep -q more a.txt; then
    issue='{"severity": "blocker", "title": "more", "description": "d", "evidence": "e",
        "places": []}'
fi
echo "{\\"summary\\": \\"read\\", \\"issues\\": [$issue]}"
"""


def side_by_side(workspace: MakeWorkspace, *scripts: str, **cell: Any) -> Workspace:
    """A cell that `one`, `two`, ... work on at the same time."""
    ws = workspace()
    agents: dict[str, Any] = {}
    names = ["one", "two", "three"][: len(scripts)]
    for name, script in zip(names, scripts, strict=True):
        (ws.root / f"{name}.sh").write_text(script)
        agents[name] = {"kind": "command", "run": ["sh", f"{name}.sh", name],
                        "env": {"AGENT_LOG": str(ws.log)}}  # fmt: skip
    (ws.root / "reads.sh").write_text(READS)
    agents["reader"] = {"kind": "command", "run": ["sh", "reads.sh"]}
    ws.settings(agents=agents)
    ws.spec({"a": {"best_of": {"agents": names}, "checks": [CHECK], **cell}},
            defaults={"agent": "one"})  # fmt: skip
    return ws


def places_left(ws: Workspace) -> list[str]:
    """Worktrees, branches and records of candidates that are still there."""
    trees = [p.name for p in ws.root.rglob("a@*")]
    return trees + git(ws.repos / "app", "branch", "--list", "*candidate*").split()


def test_the_best_green_one_becomes_the_cells_result(workspace: MakeWorkspace) -> None:
    ws = side_by_side(workspace, LONG, SHORT, BROKEN, reviewers=[{"agent": "reader"}])
    planned = ws.run("plan", "demo", code=0).stdout
    assert "agent     one, two, three side by side, the best is taken" in planned
    ws.run("run", "demo", code=0)

    assert sorted(ws.starts()) == ["a one 1", "a three 3", "a two 2"]
    assert ws.show("a", "a.txt") == "by two"
    (judged,) = ws.journal(kind="candidates.judged")
    assert (judged["attempt"], judged["data"]["agent"]) == (2, "two")
    rows = judged["data"]["results"]
    assert [row[2:4] for row in rows] == [[1, "blocked"], [2, "green"], [3, "red"]]
    heard = [event["attempt"] for event in ws.journal(kind="review.done")]
    assert sorted(heard) == [1, 2]  # no red one is read, and none twice
    assert "attempt = 2" in (ws.cell_dir("a") / "implement.toml").read_text()
    assert places_left(ws) == []
    told = ws.run("explain", "demo:a", code=0).stdout
    assert "attempt 2 of 3 side by side was taken: the only one that is green" in told
    assert "- attempt 3 by three: red, 1 changed line: 0 of 1 checks passed; red: by" in told
    kept = git(ws.repos / "app", "for-each-ref", "--format=%(refname)", "refs/orchestr/attempts")
    assert {ref.split("/")[-1].partition("-")[0] for ref in kept.split()} >= {"1", "2", "3"}
    ws.run("run", "demo", code=0)  # a result stands
    assert len(ws.starts()) == 3


def test_the_best_red_one_is_repaired(workspace: MakeWorkspace) -> None:
    mends = NOTE + '[ -n "$ORCHESTR_ROUND" ] && echo "by $1" > a.txt || echo bad > a.txt\n'
    ws = side_by_side(workspace, FAILS, mends)
    ws.run("run", "demo", code=0)
    assert sorted(ws.starts()) == ["a one 1", "a two 2", "a two 2"]
    assert ws.show("a", "a.txt") == "by two"
    assert places_left(ws) == []
    told = ws.run("explain", "demo:a", code=0).stdout
    assert "attempt 2 of 2 side by side was taken: the only one that is red" in told
    assert "- attempt 1 by one: failed: exit 3" in told


def test_where_none_has_a_result_the_cell_fails_and_begins_again(workspace: MakeWorkspace) -> None:
    ws = side_by_side(workspace, FAILS, FAILS)
    told = ws.run("run", "demo", code=1).stdout
    assert "none of 2 attempts side by side made a result: 1 (one): exit 3" in told
    assert places_left(ws) == []
    first = ws.run("explain", "demo:a", code=0).stdout.splitlines()[1]
    assert first.endswith(("attempt 1 by one", "attempt 2 by two"))  # whoever was started last
    (ws.root / "one.sh").write_text(SHORT)
    ws.run("run", "demo", code=0)
    assert sorted(ws.starts()) == ["a one 1", "a one 3", "a two 2", "a two 4"]
    assert ws.show("a", "a.txt") == "by one"


def commit_meanwhile(ws: Workspace, name: str, *, code: int = 0) -> str:
    """A run in which a person commits a file in the cell's worktree while both agents work; what it
    said."""
    place = ws.root / ".orchestr" / "worktrees" / "demo" / "a"
    gate = ws.agents / "gate"
    gate.touch()
    for agent in ("one", "two"):
        path = ws.root / f"{agent}.sh"
        wait = f'while [ -e "{gate}" ]; do sleep 0.05; done\n'
        path.write_text(path.read_text().replace(NOTE, NOTE + wait))
    run = ws.spawn("run", "demo")
    wait_for(lambda: len(ws.starts()) == 2, "both at work")
    (place / name).write_text("by hand\n")
    git(place, "add", name)
    git(place, "commit", "--quiet", "-m", "by a person")
    gate.unlink()
    assert run.ended() == code, run.said()
    return run.said()


def test_commits_that_come_meanwhile_are_in_the_result(workspace: MakeWorkspace) -> None:
    ws = side_by_side(workspace, SHORT, LONG)
    commit_meanwhile(ws, "person.txt")
    assert ws.show("a", "a.txt") == "by one"
    assert ws.show("a", "person.txt") == "by hand"
    assert len(ws.journal(kind="check.done")) == 3  # of each attempt, and of what was merged
    assert places_left(ws) == []


def test_nothing_is_done_without_commits_that_conflict(workspace: MakeWorkspace) -> None:
    ws = side_by_side(workspace, SHORT, LONG)
    said = commit_meanwhile(ws, "a.txt", code=1)
    assert "while its candidates worked conflict with the chosen one" in said
    assert not (ws.cell_dir("a") / "implement.toml").exists()
    place = ws.root / ".orchestr" / "worktrees" / "demo" / "a"
    command = said.partition("hint: git ")[2].partition(", then:")[0].split()
    git(place, *command[2:], "-X", "theirs")
    ws.run("run", "demo", code=0)
    assert ws.show("a", "a.txt") == "by one"
    assert "by a person" in git(place, "log", "--format=%s")
    assert len(ws.starts()) == 2
    assert places_left(ws) == []
