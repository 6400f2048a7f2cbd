"""What a repository offers where nothing is configured: proposed by `plan`, run where asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.e2e.workspace import FEATURE, Workspace, both, nothing_to_do

Make = Callable[..., Workspace]
DETECT = {"repos": {"app": {"detect": True}}}


def made(workspace: Make, **cell: Any) -> Workspace:
    """A workspace whose `app` has a Makefile: green while `state.txt` says good."""
    ws = workspace(repos=(), cells={"one": cell})
    ws.repo("app", {"Makefile": "check:\n\ttouch $(CURDIR).ran\n\tgrep -q good state.txt\n"})
    return ws


def test_plan_proposes_and_runs_nothing(workspace: Make) -> None:
    ws = made(workspace)
    told = ws.run("plan", FEATURE, code=0).stdout
    assert "nothing checks app (one); it could be checked with" in told
    assert "  {kind: command, run: [make, check]}  (Makefile has a target `check`)" in told
    assert "[repos.app] detect = true" in told
    rows = json.loads(ws.run("plan", FEATURE, "--json", code=0).stdout)["proposals"]
    assert rows == [{"repo": "app", "cells": ["one"], "runs": False,
                     "check": "{kind: command, run: [make, check]}",
                     "reason": "Makefile has a target `check`"}]  # fmt: skip
    ws.run("run", FEATURE, code=0)
    assert ws.journal(kind="check.done") == []
    assert list(ws.root.rglob("*.ran")) == []
    assert "nothing checks app" in ws.run("plan", FEATURE, code=0).stdout


def test_who_has_checks_or_wants_none_gets_no_proposal(workspace: Make) -> None:
    ws = made(workspace, checks=[{"kind": "command", "run": ["true"]}])
    assert "could be checked" not in ws.run("plan", FEATURE, code=0).stdout
    ws.spec({"one": {"phases": ["implement", "publish"]}})
    assert "could be checked" not in ws.run("plan", FEATURE, code=0).stdout
    ws.spec({"one": {}})
    ws.settings(repos={"app": {"checks": [{"kind": "command", "run": ["true"]}]}})
    assert "could be checked" not in ws.run("plan", FEATURE, code=0).stdout


def test_the_line_it_proposes_is_a_check(workspace: Make) -> None:
    ws = made(workspace)
    ws.script("one", "echo bad > state.txt")
    line = json.loads(ws.run("plan", FEATURE, "--json", code=0).stdout)["proposals"][0]["check"]
    ws.edit_spec("todo:", f"repair: {{checks: 0}}\n    checks: [{line}]\n    todo:")
    assert "RED: exit 2, not 0" in both(ws.run("run", FEATURE, code=1))


def test_detect_runs_what_is_there_red_and_green(workspace: Make) -> None:
    ws = made(workspace)
    ws.settings(**DETECT)
    ws.script("one", 'if [ -n "$ORCHESTR_ROUND" ]; then echo good; else echo bad; fi > state.txt')
    assert "checks of app (one), detected and run:" in ws.run("plan", FEATURE, code=0).stdout
    done = ws.run("run", FEATURE, code=0)
    assert "check make: RED" in both(done) and "repair 1 of 4" in both(done)
    assert [e["data"]["passed"] for e in ws.journal(kind="check.done")] == [False, True]
    assert "✅ `make`" in ws.pr("one")["body"]
    nothing_to_do(ws)
