"""What a repository offers where nothing is configured: proposed by `plan`, run where asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import git
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


TOOLS = {
    "pytest": ({"tests/test_a.py": "def test_a(): assert 1\n"}, "{kind: pytest}"),
    "go": ({"go.mod": "module x\n"}, "{kind: command, run: [go, test, ./...]}"),
    "mvn": (
        {"pom.xml": "<project/>\n"},
        '{kind: junit, run: [mvn, -B, test], reports: ["**/target/surefire-reports/TEST-*.xml"]}',
    ),
    "npm": (
        {"package.json": '{"scripts": {"test": "vitest"}}'},
        '{kind: command, run: [npm, test], env: {CI: "1"}}',
    ),
    "cargo": ({"Cargo.toml": "[package]\n"}, "{kind: command, run: [cargo, test]}"),
    "make": ({"Makefile": "check:\n\tfalse\n"}, "{kind: command, run: [make, check]}"),
}
# Leaves word that it ran, and what maven is asked for.
TOOL = """\
#!/bin/sh
echo "$0 $*" >> WORD
mkdir -p target/surefire-reports
echo '<testsuite tests="1"><testcase name="a"/></testsuite>' > target/surefire-reports/TEST-a.xml
for word in "$@"; do case "$word" in --junitxml=*)
    echo '<testsuite tests="1"><testcase name="a"/></testsuite>' > "${word#--junitxml=}";;
esac; done
"""


@pytest.mark.parametrize("tool", TOOLS)
def test_each_kind_is_proposed_and_run_only_where_that_is_asked_for(
    workspace: Make, tool: str
) -> None:
    """The tools are programs in PATH that leave word: whether one ran is a fact."""
    files, line = TOOLS[tool]
    ws = workspace(repos=(), cells={"one": {}})
    ws.repo("app", {**files, ".gitignore": "target/\n"})
    tools, word = ws.root / "tools", ws.root / "word"
    tools.mkdir()
    (tools / tool).write_text(TOOL.replace("WORD", str(word)))
    (tools / tool).chmod(0o755)
    env = {"PATH": f"{tools}:{os.environ['PATH']}"}
    rows = json.loads(ws.run("plan", FEATURE, "--json", code=0, env=env).stdout)["proposals"]
    assert [(row["check"], row["runs"]) for row in rows] == [(line, False)]
    ws.run("run", FEATURE, code=0, env=env)
    for verb in ("validate", "status", "explain", "doctor"):
        ws.run(verb, *([] if verb in ("validate", "doctor") else [FEATURE]), code=0, env=env)
    assert not word.exists() and ws.journal(kind="check.done") == []
    ws.settings(**DETECT)
    rows = json.loads(ws.run("plan", FEATURE, "--json", code=0, env=env).stdout)["proposals"]
    assert [(row["check"], row["runs"]) for row in rows] == [(line, True)]
    assert not word.exists()
    ws.run("run", FEATURE, code=0, env=env)
    assert word.read_text().startswith(f"{tools / tool} ")
    assert [e["data"]["passed"] for e in ws.journal(kind="check.done")] == [True]


def test_the_folders_of_a_monorepo(workspace: Make) -> None:
    ws = workspace(repos=(), cells={"one": {}})
    green = f"check:\n\tpwd >> {ws.root}/ran; test -f Makefile\n"
    ws.repo("app", {"packages/a/Makefile": green, "packages/b/Makefile": green})
    told = ws.run("plan", FEATURE, code=0).stdout
    assert '{kind: command, run: [make, check], cwd: "packages/a"}  (Makefile has' in told
    assert "in packages/b)" in told
    ws.settings(**DETECT)
    ws.run("run", FEATURE, code=0)
    names = [e["data"]["name"] for e in ws.journal(kind="check.done")]
    assert names == ["make packages/a", "make packages/b"]
    place = ws.root / ".orchestr" / "checkouts" / "app" / "1" / "packages"
    assert (ws.root / "ran").read_text().split() == [str(place / name) for name in "ab"]


def test_hostile_files_of_a_repository_stop_nothing(workspace: Make) -> None:
    ws = workspace(repos=(), cells={"one": {}})
    sandbox = ws.repo("app", {"package.json": '{"scripts": {"test": "x' + "x" * (2 << 20),
                              "web/package.json": "[" * 100_000})  # fmt: skip
    (sandbox.path / "go.mod").symlink_to("/etc/hostname")
    git(sandbox.path, "add", "-A")
    git(sandbox.path, "commit", "-qm", "a link out of the tree")
    git(sandbox.path, "push", "-q", "origin", "main")
    assert json.loads(ws.run("plan", FEATURE, "--json", code=0).stdout)["proposals"] == []
    ws.settings(**DETECT)
    ws.run("run", FEATURE, code=0)
    assert ws.journal(kind="check.done") == []
