"""`best_of` from the outside: attempts side by side, which of them is taken, what is left."""

from __future__ import annotations

from typing import Any

from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace

NOTE = 'echo "$ORCHESTR_CELL $1 $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"\n'
FAILS = NOTE + "exit 3\n"
SHORT = NOTE + 'echo "by $1" > a.txt\n'
LONG = NOTE + 'printf "by %s\\nand more\\n" "$1" > a.txt\n'
BROKEN = NOTE + 'echo bad > a.txt\n'
CHECK = {"kind": "command", "run": ["grep", "-q", "^by", "a.txt"], "name": "by"}


def side_by_side(workspace: MakeWorkspace, *scripts: str, **cell: Any) -> Workspace:
    """A cell that `one`, `two`, ... work on at the same time."""
    ws = workspace()
    agents: dict[str, Any] = {}
    names = ["one", "two", "three"][: len(scripts)]
    for name, script in zip(names, scripts, strict=True):
        (ws.root / f"{name}.sh").write_text(script)
        agents[name] = {"kind": "command", "run": ["sh", f"{name}.sh", name],
                        "env": {"AGENT_LOG": str(ws.log)}}  # fmt: skip
    ws.settings(agents=agents)
    ws.spec({"a": {"best_of": {"agents": names}, "checks": [CHECK], **cell}},
            defaults={"agent": "one"})  # fmt: skip
    return ws


def places_left(ws: Workspace) -> list[str]:
    """Worktrees, branches and records of candidates that are still there."""
    trees = [p.name for p in ws.root.rglob("a@*")]
    return trees + git(ws.repos / "app", "branch", "--list", "*candidate*").split()


def test_the_cheapest_green_one_becomes_the_cells_result(workspace: MakeWorkspace) -> None:
    ws = side_by_side(workspace, LONG, SHORT, BROKEN)
    ws.run("run", "demo", code=0)
    assert sorted(line.split()[1] for line in ws.starts()) == ["one", "three", "two"]
    assert ws.show("a", "a.txt") == "by two"
    (judged,) = ws.journal(kind="candidates.judged")
    print(judged)
    assert places_left(ws) == []
    ws.run("run", "demo", code=0)
    assert len(ws.starts()) == 3
