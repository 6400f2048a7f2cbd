"""`plan` says who would work, for how long, what proves it and where a person is asked."""

from __future__ import annotations

import json

from tests.e2e.conftest import MakeWorkspace


def test_agent_model_time_checks_reviews_and_gates_are_shown(workspace: MakeWorkspace) -> None:
    ws = workspace(
        cells={
            "a": {
                "model": "large",
                "timeout": "90s",
                "checks": [{"kind": "command", "name": "lint", "run": ["true"]}],
                "reviewers": [{"agent": "sh", "name": "eve"}],
                "approve": ["publish"],
            },
            "b": {"checks": "none"},
            "c": {"action": "push", "branch": "mine"},
        },
        settings={"repos": {"app": {"checks": [{"kind": "pytest", "name": "unit"}]}}},
    )
    shown = ws.run("plan", "demo", code=0).stdout
    assert f"    repo      app at {ws.repos / 'app'}, branch T-1-a\n" in shown
    assert "    agent     sh, model large, at most 1 min 30 s\n" in shown
    proof = "    checks    unit, lint\n    reviews   eve\n    asks      for your yes: publish\n"
    assert proof in shown
    assert shown.count("    agent     ") == 2, "no agent works where a person pushes"
    found = {c["name"]: c for c in json.loads(ws.run("plan", "demo", "--json").stdout)["cells"]}
    a, c = found["a"], found["c"]
    assert (a["agent"], a["model"], a["timeout_s"]) == ("sh", "large", 90.0)
    assert (a["checks"], a["reviewers"], a["gates"]) == (["unit", "lint"], ["eve"], ["publish"])
    assert (c["agent"], c["timeout_s"], c["worktree"]) == (None, None, None)
    other = ws.run("run", "demo", "--dry-run", "--model", "small", code=0).stdout
    assert "    agent     sh, model small, at most 1 min 30 s\n" in other


def test_why_nothing_is_checked_is_shown(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {"checks": "none"}, "b": {"phases": ["implement", "publish"]}})
    shown = ws.run("plan", "demo", code=0).stdout
    assert "    checks    none: its spec says `checks: none`\n" in shown
    assert "    checks    none: its phases leave out `check`\n" in shown
