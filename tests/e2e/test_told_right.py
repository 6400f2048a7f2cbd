"""What views say is true now: the cause, the reason, the order of time, what stops a run."""

from __future__ import annotations

import json
import re

from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import both, wait_for

PAIR = {"low": {}, "high": {"depends_on": ["low"]}}


def test_a_cell_is_not_blocked_by_what_was_repaired(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={**PAIR, "top": {"depends_on": ["high"]}})
    ws.script("low", "exit 3")
    ws.run("run", "demo", code=1)
    assert "blocked" in ws.run("status", "demo").stdout
    ws.script("low", None)
    ws.run("run", "demo:low", code=0)
    for cell in ("high", "top"):
        told = ws.run("explain", f"demo:{cell}").stdout
        assert "is blocked" not in told and "has no result" not in told
        assert f"next: orchestr run demo:{cell}" in told
    assert "blocked" not in ws.run("status", "demo").stdout
    ws.run("run", "demo", "--failed", code=0)
    assert len(ws.starts("high")) == len(ws.starts("top")) == 1


def test_the_report_gives_each_cell_its_own_reason(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={**PAIR, "far": {}})
    ws.run("run", "demo", code=0)
    ws.run("run", "demo:low", "--force", code=0)
    ws.spec({**PAIR, "far": {"todo": ["something else"]}})
    ws.run("run", "demo", code=0)
    ws.run("report", "demo", "-o", "r.html", code=0)
    page = (ws.root / "r.html").read_text()
    assert re.search(r"changed: [^<]*upstream low", page)
    assert "changed: todo[0]" in page


def test_cached_checks_stand_behind_the_work_that_they_judge(workspace: MakeWorkspace) -> None:
    check = {"kind": "command", "name": "tcheck", "run": ["sh", "-c", "sleep 0.1"]}
    ws = workspace(cells={"one": {"checks": [check]}})
    ws.script("one", 'echo "WORK $ORCHESTR_ATTEMPT"; echo same > new.txt')
    ws.run("run", "demo", code=0)
    ws.run("run", "demo:one", "--force", code=0)
    told = ws.run("logs", "demo:one", "-l", "0", code=0).stdout
    assert "(cached)" in told
    seen = re.findall(r"WORK \d|✓ tcheck", told)
    assert seen == ["WORK 1", "✓ tcheck", "WORK 2", "✓ tcheck"]


def test_plan_says_what_would_stop_the_run(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"one": {}}, settings={"agents": {"sh": {"run": ["no-such-agent"]}}})
    refused = ws.run("run", "demo", code=2).stderr.splitlines()[0]
    for words in (["plan", "demo"], ["run", "demo", "--dry-run"]):
        told = both(ws.run(*words))
        assert refused in told and "a run would be refused" in told
    (finding,) = json.loads(ws.run("plan", "demo", "--json").stdout)["findings"]
    assert finding["severity"] == "error" and "no-such-agent" in finding["what"]


def test_plan_shows_where_worktrees_will_be(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"one": {}, "tests": {"repo": "app", "action": "push"}})
    place = ws.root / ".orchestr" / "worktrees" / "demo" / "one"
    for words in (["plan", "demo"], ["run", "demo", "--dry-run"]):
        assert f"worktree  {place} (not made yet)" in ws.run(*words, code=0).stdout
    cells = json.loads(ws.run("plan", "demo", "--json").stdout)["cells"]
    assert {c["name"]: c["worktree"] for c in cells} == {"one": str(place), "tests": None}
    assert not place.exists()
    ws.run("run", "demo:one", code=0)
    told = ws.run("plan", "demo").stdout
    assert f"worktree  {place}\n" in told and place.exists()


def test_no_run_is_named_while_one_is_at_work(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {}})
    wait = f"while [ ! -e {ws.root}/go ]; do sleep 0.05; done\n:\n"
    ws.script("a", wait)
    ws.script("b", wait)
    run = ws.spawn("run", "demo")
    wait_for(lambda: len(ws.starts()) == 2 or None, "both agents")
    stopped = ws.run("abort", "demo:a", code=0).stdout
    assert "Go on with: orchestr run demo:a, once the run at work has ended" in stopped
    wait_for(lambda: ws.states()["a"] == "aborted" or None, "the end of a")
    assert "next: orchestr run demo:a, once the run at work has ended" in ws.run("status").stdout
    (ws.root / "go").touch()
    run.ended()
    assert "next: orchestr run demo:a\n" in ws.run("status").stdout
