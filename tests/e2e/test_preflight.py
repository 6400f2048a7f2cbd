"""What a run is refused for before an agent is paid; every verb that looks ahead says so."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestr.cell.worktree import ports as cell_ports
from orchestr.errors import NotEvaluated
from orchestr.run.workspace import Session
from orchestr.state.ports import SHORTAGE_HINT
from tests.conftest import git, write
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both, nothing_to_do, wait_for
from tests.registry.test_ports import free_base

LOOKS = (["run", "demo"], ["run", "demo", "--dry-run"], ["plan", "demo"], ["doctor"])


def refused_for(ws: Workspace, words: str) -> None:
    """Every verb says it, plain doit too; a run is refused, and nothing was started for it."""
    for look in LOOKS:
        told = both(ws.run(*look))
        assert f"error: {words}" in told, f"{look}: {told}"
    assert f"error: {words}" in both(ws.doit("run", "demo", code=2))
    ws.run("run", "demo", code=2)
    assert (ws.starts(), ws.journal()) == ([], [])


def fork_of(ws: Workspace) -> Path:
    fork = ws.repos / "fork.git"
    git(ws.repos, "clone", "--quiet", "--bare", str(ws.repos / "app.git"), str(fork))
    git(ws.repos / "app", "config", "remote.origin.pushurl", str(fork))
    return fork


def test_a_push_url_of_a_fork(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    fork = fork_of(ws)
    refused_for(ws, f"app: pushes go to {fork}, which is another repository than the one fetched")
    done = both(ws.run("run", "demo", "--skip-preflight", code=1))
    assert f"pushes go to {fork}" in done
    assert git(fork, "for-each-ref", "--format=%(refname)") == "refs/heads/main"

    git(ws.repos / "app", "config", "--unset-all", "remote.origin.pushurl")  # what the hint says
    ws.run("run", "demo", code=0)
    assert ws.starts() == ["a 1"]
    assert ws.head("a")


def test_to_work_in_the_fork_it_becomes_the_origin(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    fork = fork_of(ws)
    app = ws.repos / "app"
    git(app, "config", "--unset-all", "remote.origin.pushurl")
    git(app, "remote", "set-url", "origin", str(fork))
    ws.run("run", "demo", code=0)
    assert "T-1-a" in git(fork, "for-each-ref", "--format=%(refname)")


def test_a_push_url_that_names_the_same_repository(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    git(ws.repos / "app", "config", "remote.origin.pushurl", f"file://{ws.repos / 'app.git'}")
    ws.run("run", "demo", code=0)
    assert ws.head("a")


def test_a_mirror_is_no_place_to_work_in(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    git(ws.repos / "app", "config", "remote.origin.mirror", "true")
    refused_for(ws, "app: a push to origin would be refused: fatal: --mirror can't be combined")


def test_a_default_branch_that_was_renamed(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    origin, app = ws.repos / "app.git", ws.repos / "app"
    git(origin, "branch", "-m", "main", "trunk")
    git(origin, "symbolic-ref", "HEAD", "refs/heads/trunk")
    words = "app: base branch main is not at the origin; its default branch is trunk"
    refused_for(ws, words)
    told = both(ws.run("plan", "demo"))
    assert (
        f"git -C {app} fetch origin trunk, then git -C {app} remote set-head origin --auto" in told
    )
    git(app, "fetch", "--quiet", "origin", "trunk")
    git(app, "remote", "set-head", "origin", "--auto")
    ws.run("run", "demo", code=0)
    assert ws.pr("a")["base"] == "trunk"


def test_another_default_branch_beside_the_old_one(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    origin = ws.repos / "app.git"
    git(origin, "branch", "trunk", "main")
    git(origin, "symbolic-ref", "HEAD", "refs/heads/trunk")
    told = both(ws.run("run", "demo", code=0))
    assert "warning: app: cells start from main; the origin's default branch is trunk" in told
    ws.settings(repos={"app": {"base": "main"}})
    assert "default branch" not in both(ws.run("plan", "demo", code=0))


def test_a_base_that_was_never_pushed(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {"base": "next"}})
    app = ws.repos / "app"
    git(app, "branch", "next")
    refused_for(ws, "app: base branch next is not at the origin; its default branch is main")
    assert f"git -C {app} push origin next" in both(ws.run("plan", "demo"))
    git(app, "push", "--quiet", "origin", "next")
    ws.run("run", "demo", code=0)


@pytest.mark.parametrize(("theirs", "ours"), [("T-1", "T-1/a"), ("T-1/a/more", "T-1/a")])
def test_a_branch_that_cannot_be_beside_another(
    workspace: MakeWorkspace, theirs: str, ours: str
) -> None:
    ws = workspace(cells={"a": {"branch": ours}})
    git(ws.repos / "app.git", "branch", theirs, "main")
    refused_for(ws, f"app: branch {ours} of a cannot be pushed beside {theirs}")


def test_an_origin_that_is_away_is_only_warned_of(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    (ws.repos / "app.git").rename(ws.root / "away.git")
    done = ws.run("plan", "demo", code=0)
    assert "warning: app: origin cannot be asked before the work: " in done.stderr
    assert "a run would be refused" not in done.stderr


def test_what_is_up_to_date_asks_nobody(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {"depends_on": ["a"]}})
    ws.run("run", "demo", code=0)
    (ws.repos / "app.git").rename(ws.root / "away.git")
    assert "origin" not in ws.run("plan", "demo", code=0).stderr
    forced = ws.run("run", "demo:b", "--force", "--dry-run", code=0).stderr
    assert "warning: app: origin cannot be asked" in forced
    (ws.root / "away.git").rename(ws.repos / "app.git")
    nothing_to_do(ws)


def test_findings_are_in_the_plan_for_programs(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    fork_of(ws)
    findings = json.loads(ws.run("plan", "demo", "--json", code=0).stdout)["findings"]
    assert [(f["severity"], "fork.git" in f["what"]) for f in findings] == [("error", True)]


def test_ports_that_other_programs_hold(workspace: MakeWorkspace) -> None:
    base = free_base(1)
    ws = workspace(
        cells={"a": {"ports": True}, "b": {}}, settings={"ports": {"base": base, "slots": 1}}
    )
    with closing(socket.create_server(("127.0.0.1", base + 4))):
        last = base + 9
        refused_for(ws, f"no block of ten ports ({base} to {last}) is free; other programs hold")
        assert f"{base + 4} by python" in both(ws.run("doctor", code=1))
        ws.run("run", "demo:b", code=0)  # it wants none
    ws.run("run", "demo", code=0)
    assert ws.starts("a") == ["a 1"]


def test_work_that_is_only_in_the_checkout_is_named(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {"depends_on": ["a"]}})
    app = ws.repos / "app"
    write(app, {"more.txt": "more\n"})
    git(app, "add", "more.txt")
    git(app, "commit", "--quiet", "-m", "not pushed")
    write(app, {"more.txt": "even more\n", "new.txt": "untracked\n"})
    words = (
        f"warning: app: main in {app} has 1 commit that is not at the origin",
        f"warning: app: not committed in {app}, so cells start without: more.txt\n",
    )
    for look in (["plan", "demo"], ["run", "demo"]):
        told = both(ws.run(*look, code=0))
        assert [told.count(text) for text in words] == [1, 1], told
    git(app, "push", "--quiet", "origin", "main")
    git(app, "checkout", "--quiet", "more.txt")
    ws.spec({"a": {}, "b": {"depends_on": ["a"]}, "c": {}})
    told = both(ws.run("plan", "demo", code=0))
    assert "cells start without" not in told


def test_a_branch_with_a_persons_commits_is_named_beforehand(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}, "b": {}})
    app = ws.repos / "app"
    git(app, "switch", "--quiet", "-c", "T-1-a")
    write(app, {"mine.txt": "mine\n"})
    git(app, "add", "mine.txt")
    git(app, "commit", "--quiet", "-m", "mine")
    git(app, "switch", "--quiet", "main")
    git(app, "branch", "T-1-b", "main")  # nothing of anybody is on it
    told = both(ws.run("plan", "demo", code=0))
    assert f"warning: demo:a: branch T-1-a exists in {app}" in told
    assert "T-1-b exists" not in told
    assert "set `adopt: true` for cell a" in told


PORT = 'echo "$ORCHESTR_PORT_0" > "$AGENT_DIR/port"\necho x > a.txt\n'
WAITS = 'while [ ! -e "$AGENT_DIR/go" ]; do sleep 0.05; done\n'


def test_two_workspaces_at_work_have_ports_of_their_own(workspace: MakeWorkspace) -> None:
    base = free_base(2)
    made: dict[str, Any] = {"cells": {"a": {"ports": True}}, "settings": {"ports": {"base": base}}}
    one, two = workspace(**made), workspace(**made)
    one.script("a", PORT + WAITS)
    two.script("a", PORT)
    run = one.spawn("run", "demo")
    wait_for((one.agents / "port").exists, "the first agent")
    two.run("run", "demo", code=0)
    (one.agents / "go").touch()
    assert run.ended() == 0, run.said()
    assert [int((ws.agents / "port").read_text()) for ws in (one, two)] == [base, base + 10]
    two.run("run", "demo", "--force", code=0)  # the first block is free again
    assert int((two.agents / "port").read_text()) == base


def test_programs_that_take_the_ports_later_are_not_waited_for_for_ever(
    workspace: MakeWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = free_base(1)
    ws = workspace(cells={"a": {"ports": True}}, settings={"ports": {"base": base, "slots": 1}})
    ws.run("run", "demo:a:worktree", code=0)
    cell = Session(ws.root).load_run("demo").cell_context("a")
    monkeypatch.setattr(cell_ports, "FOREIGN_PATIENCE", 0.0)
    monkeypatch.setattr(cell_ports, "POLL", 0.01)
    told: list[str | None] = []
    taken = socket.create_server(("127.0.0.1", base))
    with closing(taken), pytest.raises(NotEvaluated) as raised:
        cell_ports.lease_free_block(cell, told.append, lambda: None, threading.Event())
    assert raised.value.hint == SHORTAGE_HINT
    assert told == [raised.value.reason.partition(" (waited")[0]]
    assert f"{base} by " in raised.value.reason
    leased = cell_ports.lease_free_block(cell, told.append, lambda: None, threading.Event())
    assert (leased, len(told)) == (tuple(range(base, base + 10)), 1)
    cell_ports.release_ports(cell)


def test_a_signer_is_tried_for_a_repository_that_is_still_to_be_cloned(
    workspace: MakeWorkspace,
) -> None:
    ws = workspace(cells={"a": {}})
    ws.settings(repos={"app": {"url": str(ws.repos / "app.git")}})
    shutil.rmtree(ws.repos / "app")
    mine = ws.root / "mine.gitconfig"
    mine.write_text("[commit]\n\tgpgSign\n[gpg]\n\tprogram = /nowhere/gpg\n")
    done = ws.run("run", "demo", env={"GIT_CONFIG_GLOBAL": str(mine)}, code=2)
    assert "app: commits cannot be signed, as commit.gpgSign asks for: " in done.stderr
    assert not (ws.repos / "app").exists()


def test_a_cross_check_that_cannot_run_is_met_before_the_agents(workspace: MakeWorkspace) -> None:
    cross = {"repo": "app", "kind": "command", "name": "together", "run": ["nosuchcheck"]}
    ws = workspace(cells={"a": {}}, cross_checks=[cross])
    refused_for(ws, "nosuchcheck is not there, and checks need it: the cross check together of app")
