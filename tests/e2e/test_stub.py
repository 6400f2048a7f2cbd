"""`run --stub`: everything real but the agents, in a copy that reaches nothing real."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from orchestr.process.tree import list_attempt_processes
from tests.conftest import git, write
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace


def picture(ws: Workspace) -> list[str]:
    """All refs of the real clones and origins, and what the real state says."""
    places = [*ws.repos.glob("*"), *ws.repos.glob("*.git")]
    refs = [git(place, "for-each-ref") for place in sorted(places)]
    journal = ws.root / ".orchestr" / "journal"
    return [*refs, str(sorted(journal.glob("*"))), str((ws.root / ".orchestr/forge").exists())]


def test_a_whole_feature_is_played_and_nothing_of_it_is_real(workspace: MakeWorkspace) -> None:
    news = '#!/bin/sh\ncat >> "$(pwd)/news.json"\n'
    ws = workspace(
        repos=("app", "sdk"),
        cells={
            "a": {
                "owned_paths": ["src/**"],
                "checks": [{"kind": "command", "run": ["test", "-f", "src/orchestr-stub-a.txt"]}],
                "reviewers": [{"agent": "sh"}],
            },
            "b": {"repo": "sdk", "depends_on": ["a"], "approve": ["publish"]},
            "mine": {"repo": "sdk", "action": "push", "branch": "by-hand"},
        },
        settings={
            "notify": {"command": ["./news.sh"]},
            "repos": {"sdk": {"url": str(Path("/nowhere/sdk.git")), "path": "repos/sdk"}},
            "agents": {"sh": {"paid": True}},
        },
    )
    sdk = ws.repos / "sdk"
    git(sdk, "checkout", "-q", "-b", "by-hand")
    write(sdk, {"mine.txt": "mine\n"})
    git(sdk, "add", "mine.txt")
    git(sdk, "commit", "-q", "-m", "mine")
    (ws.root / "news.sh").write_text(news)
    (ws.root / "news.sh").chmod(0o755)
    before = picture(ws)
    two = {"ORCHESTR_SET_LIMITS_JOBS": "2"}
    shown = ws.run("run", "demo", "--stub", code=1, env=two)  # a gate waits
    assert "stub: nothing of this run was real; the commands above belong into its" in shown.stderr
    assert "look at it: cd .orchestr/stub/demo && orchestr status demo" in shown.stderr
    assert picture(ws) == before
    assert not ws.starts(), "no agent of the user's was started"
    stub = Workspace(ws.root / ".orchestr" / "stub" / "demo")
    assert "jobs = 2" in (stub.root / "orchestr.toml").read_text()
    assert '"feature"' in (stub.root / "news.json").read_text()
    stub.run("approve", "demo:b", "--yes", code=0)
    stub.run("run", "demo", code=0)
    assert picture(ws) == before
    assert git(stub.root / "origins" / "sdk.git", "log", "-1", "--format=%s", "by-hand") == "mine"
    trailer = git(stub.root / "origins" / "app.git", "log", "-1", "--format=%B", "T-1-a")
    assert "Orchestr-Stub: nothing of this commit is real work" in trailer
    said = stub.run("run", "demo", "--stub", code=2).stderr
    assert "this is the workspace of a stub run" in said
    assert "3 cells: 3 pending" in ws.run("status", "demo").stdout


def test_a_killed_stub_leaves_nothing_and_the_next_begins_again(workspace: MakeWorkspace) -> None:
    ws = workspace(
        cells={"a": {"checks": [{"kind": "command", "run": ["sleep", "77"]}]}},
        settings={"sandbox": {"mode": "none"}},  # a wall would end the check by itself
    )
    before = picture(ws)
    stub = ws.root / ".orchestr" / "stub" / "demo"
    first = ws.spawn("run", "demo", "--stub")
    log = stub / ".orchestr" / "journal" / "demo.jsonl"
    end = time.monotonic() + 60
    while not (log.exists() and '"phase":"check"' in log.read_text()):
        assert first.poll() is None, first.said()
        assert time.monotonic() < end
        time.sleep(0.02)
    busy = ws.run("run", "demo", "--stub", code=4).stderr
    assert "pid" in busy.lower()
    assert f"cd {stub} && orchestr abort demo" in busy, "the abort of here would end real work"
    os.kill(first.pid, signal.SIGKILL)
    first.ended()
    below = str(stub)
    end = time.monotonic() + 60  # without a next command
    while any(where.startswith(below) for _, _, where in list_attempt_processes()):
        assert time.monotonic() < end, "a killed stub left something at work"
        time.sleep(0.02)
    ws.spec({"a": {"checks": [{"kind": "command", "run": ["true"]}]}})
    ws.run("run", "demo", "--stub", "--remove-stub", code=0)
    assert not stub.exists()
    assert picture(ws) == before
    ws.run("run", "demo", code=0)
    assert ws.log.read_text() == "a 1\n", "the real run starts from nothing"


@pytest.mark.parametrize(
    "words", [("demo", "--remove-stub"), ("spec:demo", "--stub"), ("repo:app", "--stub")]
)
def test_nothing_real_starts_where_a_stub_was_asked_for(
    workspace: MakeWorkspace, words: tuple[str, ...]
) -> None:
    ws = workspace(cells={"a": {}})
    assert "orchestr run FEATURE --stub" in ws.run("run", *words, code=2).stderr
    assert not ws.starts() and not (ws.root / ".orchestr" / "worktrees").exists()
