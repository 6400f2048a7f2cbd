"""Make: what is up to date is not done again."""

from __future__ import annotations

from tests.e2e.conftest import MakeWorkspace


def test_the_same_run_again_does_nothing(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {"depends_on": ["a"]}, "c": {}})
    ws.run("run", "demo", code=0)
    assert sorted(ws.starts()) == ["a 1", "b 1", "c 1"]
    heads, prs = ws.heads(), ws.prs()
    done = ws.run("run", "demo", code=0)
    assert done.stdout == "nothing to be done: 3 cells are up to date\n"
    assert len(ws.starts()) == 3
    assert (ws.heads(), ws.prs()) == (heads, prs)
    assert ws.last_run() == []
