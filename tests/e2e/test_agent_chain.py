"""`agents: [first, second]` from the outside: failures, usage limits, what is recorded."""

from __future__ import annotations

from typing import Any

from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace

NOTE = 'echo "$ORCHESTR_CELL $1 $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"\n'
FAILS = NOTE + "exit 3\n"
LIMITED = NOTE + "exit 75\n"
WORKS = NOTE + 'cat > a.prompt; echo "by $1" > a.txt; rm a.prompt\n'


def chain(workspace: MakeWorkspace, first: str, second: str = WORKS, **cell: Any) -> Workspace:
    """A cell that `one` works on, and after it `two`."""
    ws = workspace()
    agents: dict[str, Any] = {}
    for name, script in (("one", first), ("two", second)):
        (ws.root / f"{name}.sh").write_text(script)
        agents[name] = {"kind": "command", "run": ["sh", f"{name}.sh", name],
                        "retry_after": "100s", "env": {"AGENT_LOG": str(ws.log)}}  # fmt: skip
    ws.settings(agents=agents)
    ws.spec({"a": {"agents": ["one", "two"], **cell}}, defaults={"agent": "sh"})
    return ws


def test_the_next_agent_works_after_one_that_failed(workspace: MakeWorkspace) -> None:
    ws = chain(workspace, FAILS)
    assert "agent     one, at most 1 min 00 s; after it fails two" in ws.run("plan", "demo").stdout
    ws.run("run", "demo", code=0)

    assert ws.starts() == ["a one 1", "a two 2"]
    assert ws.show("a", "a.txt") == "by two"
    warned = [e["data"]["reason"] for e in ws.journal(kind="cell.warned")]
    assert warned[-1].startswith("attempt 1 of one failed: exit 3")
    assert warned[-1].endswith("two works on it next")
    told = ws.run("explain", "demo:a", code=0).stdout
    assert "two works on it instead of one, whose attempt 1 ended as failed: exit 3" in told
    assert "0 would run" in ws.run("plan", "demo").stdout  # the result stands, whoever made it


def test_a_limit_is_waited_for_no_longer_than_max_wait(workspace: MakeWorkspace) -> None:
    ws = chain(workspace, LIMITED, max_wait="50s")
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a one 1", "a two 2"]
    closed = [e["data"] for e in ws.journal(kind="attempt.closed")]
    assert closed[0]["outcome"] == "failed"
    assert "longer than max_wait (50 s)" in closed[0]["reason"]
    assert closed[1]["outcome"] == "done"


def test_where_all_have_failed_the_next_run_begins_with_the_first(workspace: MakeWorkspace) -> None:
    ws = chain(workspace, FAILS, FAILS, retry=1)
    ws.run("run", "demo", "--model", "large", "--effort", "high", code=1)
    assert ws.starts() == ["a one 1", "a two 2", "a two 3"]  # `retry` is the last one's
    asked = [e["data"]["options"] for e in ws.journal(kind="attempt.started")]
    assert asked[:2] == [{"model": "large", "effort": "high"}, {"effort": "high"}]
    (ws.root / "one.sh").write_text(WORKS)
    ws.run("run", "demo", code=0)
    assert ws.starts()[3:] == ["a one 4"]


def test_what_a_later_agent_cannot_be_given_is_refused_before_the_first_is_paid(
    workspace: MakeWorkspace,
) -> None:
    ws = chain(workspace, FAILS)
    ws.settings(agents={"one": {"kind": "command", "run": ["sh", "one.sh"]},
                        "two": {"kind": "codex", "program": "true", "paid": False}})  # fmt: skip
    done = ws.run("run", "demo", "--option", "implement.fallback_model=x", code=2)
    assert "agent two: kind `codex` cannot be given `fallback_model`" in done.stderr
    assert ws.starts() == []


def test_only_one_place_names_the_first(workspace: MakeWorkspace) -> None:
    ws = chain(workspace, WORKS, agent="two")
    told = ws.run("validate", code=2).stdout
    assert "cells.a.agent: `agents` names the first one already" in told
    ws.spec({"a": {"agents": ["one"], "max_wait": "20m"}})
    told = ws.run("validate", code=0).stdout
    assert "cells.a.max_wait: `max_wait` counts only where another agent follows" in told
    ws.spec({"a": {"agents": ["one", "three"]}})
    assert "cells.a.agents[1]: there is no agent `three`" in ws.run("validate", code=2).stdout
