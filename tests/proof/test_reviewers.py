"""Several reviewers, and what comes between: stops, limits, budgets, changed specs, hostility."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import git
from tests.e2e.workspace import FEATURE, Spawned, Workspace, both, nothing_to_do, wait_for
from tests.proof.test_repairs import REPAIRS, REVIEWER, opinion, says

Make = Callable[..., Workspace]

FINE = f"echo '{opinion()}'"
BAD = f"echo '{opinion({'title': 'It is bad'})}'"
WAITS = 'touch "$AGENT_DIR/works"; while [ ! -f "$AGENT_DIR/go" ]; do sleep 0.05; done\n'


def reviewed(workspace: Make, *names: str, agent: Any = None, **cell: Any) -> Workspace:
    """A workspace with reviewers ``names``, each says what its script `NAME.review` prints."""
    ws = workspace(cells={"one": {"reviewers": [{"agent": name} for name in names], **cell}})
    (ws.root / "reviewer.sh").write_text(REVIEWER)
    env = {"AGENT_LOG": str(ws.log), "AGENT_DIR": str(ws.agents)}
    table = {"kind": "command", "run": ["sh", "reviewer.sh"], "env": env, **(agent or {})}
    ws.settings(agents={"default": "sh", **dict.fromkeys(names, table)})
    for name in names:
        says(ws, FINE, name)
    return ws


def judge_state(ws: Workspace, *names: str) -> None:
    """These want `good` in state.txt."""
    for name in names:
        says(ws, f"if grep -q good state.txt; then {FINE}; else {BAD}; fi", name)


@pytest.mark.parametrize(
    ("rule", "against", "repairs"),
    [("majority", 1, 0), ("majority", 2, 1), ("all", 2, 0), ("all", 3, 1), ("any", 1, 1)],
)
def test_how_many_of_three_must_see_a_blocker(
    workspace: Make, rule: str, against: int, repairs: int
) -> None:
    names = ("ada", "bob", "eve")
    ws = reviewed(workspace, *names, review_rule=rule)
    ws.script("one", REPAIRS)
    judge_state(ws, *names[:against])
    ws.run("run", FEATURE, code=0)
    assert len(ws.starts("one")) == 1 + repairs
    assert ws.show("one", "state.txt") == ("good" if repairs else "bad")
    rows = json.loads(ws.result("one", "review.json"))["items"]
    assert [row["reviewer"] for row in rows] == list(names)
    if not repairs:  # what was outvoted is told all the same
        assert "It is bad" in ws.pr("one")["body"]
    nothing_to_do(ws)


@pytest.mark.parametrize("rule", ["majority", "all"])
def test_one_of_two_is_no_majority(workspace: Make, rule: str) -> None:
    ws = reviewed(workspace, "ada", "eve", review_rule=rule)
    says(ws, BAD)
    ws.run("run", FEATURE, code=0)
    assert ws.starts("one") == ["one 1"]


def test_a_usage_limit_of_a_reviewer_is_waited_for(workspace: Make) -> None:
    ws = reviewed(workspace, "ada", "eve", agent={"retry_after": "1s", "retry_max": "1s"})
    says(ws, f'if [ ! -f "$AGENT_DIR/was" ]; then touch "$AGENT_DIR/was"; exit 75; fi; {FINE}')
    ws.run("run", FEATURE, code=0)
    assert len(ws.starts("eve")) == 2
    assert len(ws.starts("ada")) == 1
    limits = ws.journal(kind="attempt.limited")
    assert [e["data"]["part"] for e in limits if "reason" not in e["data"]] == ["review-2-eve"] or (
        [e["data"]["part"] for e in limits if "reason" not in e["data"]] == ["review-1-eve"]
    )
    assert not list((ws.cell_dir("one") / "attempts/1/reviews").glob("3-*"))  # the same review


def begin(ws: Workspace) -> Spawned:
    """A run up to where `$AGENT_DIR/works` is there."""
    run = ws.spawn("run", FEATURE)
    wait_for((ws.agents / "works").exists, "the agent that waits")
    return run


def goes_on(ws: Workspace, **starts: int) -> None:
    """Nothing runs; the next run comes to the pull request with so many starts of all."""
    assert ws.processes() == []
    (ws.agents / "go").touch()
    ws.run("run", FEATURE, code=0)
    assert {name: len(ws.starts(name)) for name in starts} == starts
    assert len(ws.prs()) == 1
    assert ws.pr("one")["head_sha"] == ws.head("one")
    tree = ws.worktree("one")
    assert git(tree, "status", "--porcelain", "--branch") == "## T-1-one"
    nothing_to_do(ws)


@pytest.mark.parametrize("how", ["INT", "TERM", "abort", "abort-feature", "KILL"])
def test_a_run_is_stopped_while_a_reviewer_works(workspace: Make, how: str) -> None:
    ws = reviewed(workspace, "ada", "eve")
    says(ws, WAITS + FINE)
    run = begin(ws)
    wait_for(lambda: ws.journal(kind="review.done"), "the other opinion")
    stop(ws, run, how)
    goes_on(ws, one=1, ada=1, eve=2)


def stop(ws: Workspace, run: Spawned, how: str) -> None:
    match how:
        case "abort":
            ws.run("abort", f"{FEATURE}:one", code=0)
            assert run.ended() != 0, run.said()
        case "abort-feature":
            ws.run("abort", FEATURE, code=0)
            assert run.ended() == 130, run.said()
        case "KILL":  # the agent goes on; a person ends it
            run.kill()
            run.wait()
            done = ws.run("abort", FEATURE, code=0)
            assert "Aborted 1 cell" in both(done)
        case _:
            run.send_signal(getattr(signal, f"SIG{how}"))
            assert run.ended() == 130, run.said()
    assert "Traceback" not in run.said()


@pytest.mark.parametrize("how", ["INT", "abort", "KILL"])
def test_a_run_is_stopped_while_a_repair_works(workspace: Make, how: str) -> None:
    ws = reviewed(workspace, "ada", "eve")
    ws.script("one", f'if [ -n "$ORCHESTR_ROUND" ]; then {WAITS} fi\n{REPAIRS}')
    judge_state(ws, "eve")
    run = begin(ws)
    stop(ws, run, how)
    # Its work, the repair that was stopped, and once more; each reviewer once for each head.
    goes_on(ws, one=3, ada=2, eve=2)
    assert ws.show("one", "state.txt") == "good"


@pytest.mark.parametrize("how", ["INT", "abort", "abort-feature", "KILL"])
def test_a_review_of_a_persons_commits_is_stopped(workspace: Make, how: str) -> None:
    """There is no attempt that it belongs to; it is found all the same, and asked again."""
    ws = reviewed(workspace, "eve", action="push", branch="mine")
    repo = ws.repos / "app"
    git(repo, "switch", "-qc", "mine")
    (repo / "new.txt").write_text("new\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "mine (T-1)")
    says(ws, WAITS + FINE)
    run = begin(ws)
    stop(ws, run, how)
    assert ws.processes() == []
    (ws.agents / "go").touch()
    ws.run("run", FEATURE, code=0)
    assert len(ws.starts("eve")) == 2
    assert [pr["head"] for pr in ws.prs().values()] == ["mine"]
    assert git(repo, "status", "--porcelain", "--branch").startswith("## mine")
    nothing_to_do(ws)


def test_a_cell_is_aborted_while_its_checks_run(workspace: Make) -> None:
    """No agent is at work then: the cell stops, the other one goes on."""
    waits = {"kind": "command", "name": "waits", "run": ["sh", "-c", "touch $0.works; sleep 60"]}
    ws = workspace(cells={"one": {"checks": [waits]}, "two": {}})
    waits["run"] = [*waits["run"], str(ws.agents / "check")]
    ws.spec({"one": {"checks": [waits]}, "two": {}})
    run = ws.spawn("run", FEATURE)
    wait_for((ws.agents / "check.works").exists, "the check")
    assert "Aborted 1 cell" in both(ws.run("abort", f"{FEATURE}:one", code=0))
    assert run.ended() == 1, run.said()
    assert ws.states() == {"one": "aborted", "two": "done"}
    assert git(ws.worktree("one"), "status", "--porcelain", "--branch") == "## T-1-one"


def test_info_names_the_transcripts_of_the_reviewers(workspace: Make) -> None:
    ws = reviewed(workspace, "ada", "eve")
    says(ws, f"echo I have read all of it; {FINE}")
    ws.run("run", FEATURE, code=0)
    said = ws.run("info", f"{FEATURE}:one:review", code=0).stdout
    named = [line.strip() for line in said.partition("reviews:\n")[2].splitlines()]
    assert [line.rsplit("/", 2)[1] for line in named] == ["1-ada", "2-eve"]
    assert "I have read all of it" in Path(named[1]).read_text()
    assert "reviews:" not in ws.run("info", f"{FEATURE}:one:check", code=0).stdout


def test_what_is_no_blocker_is_told_in_the_pull_request(workspace: Make) -> None:
    """It starts no repair; two reviewers that see the same are both named."""
    ws = reviewed(workspace, "ada", "eve")
    later = opinion({"title": "Slow", "severity": "tech_debt", "places": [
        {"path": "one.txt", "line": 1}]}, {"title": "A typo", "severity": "skippable"})  # fmt: skip
    for name in ("ada", "eve"):
        says(ws, f"echo '{later}'", name)
    ws.run("run", FEATURE, code=0)
    assert ws.starts("one") == ["one 1"]
    body = ws.pr("one")["body"]
    assert body.count("Slow") == 2 and body.count("A typo") == 2
    assert "one.txt:1" in body and "ada" in body and "eve" in body


def test_a_reviewer_that_runs_is_adopted_after_a_kill(workspace: Make) -> None:
    ws = reviewed(workspace, "eve")
    says(ws, WAITS + FINE)
    run = begin(ws)
    run.kill()
    run.wait()
    (ws.agents / "go").touch()
    ws.run("run", FEATURE, code=0)
    assert len(ws.starts("eve")) == 1


def test_a_reviewer_of_another_head_is_stopped(workspace: Make) -> None:
    """Killed while a reviewer works; a person commits; nobody pays for the old head's review.

    Who committed cannot be told, so the commit is put aside, named, and theirs to take back.
    """
    ws = reviewed(workspace, "eve")
    says(ws, WAITS + FINE)
    run = begin(ws)
    run.kill()
    run.wait()
    tree = ws.worktree("one")
    (tree / "more.txt").write_text("more\n")
    git(tree, "add", "-A")
    git(tree, "commit", "-qm", "more (T-1)")
    mine = git(tree, "rev-parse", "HEAD")
    done = ws.run("run", FEATURE, code=1)
    assert f"branch T-1-one was moved to {mine[:12]}; it was put back" in both(done)
    assert f"git -C {tree} merge {mine[:12]}" in both(done)
    git(tree, "merge", "--ff-only", mine[:12])
    says(ws, FINE)
    ws.run("run", FEATURE, code=0)
    assert ws.processes() == []
    assert ws.show("one", "more.txt") == "more"
    ended = [e["data"] for e in ws.journal(kind="attempt.exited") if "part" in e["data"]]
    assert [(e["part"], e["reason"]) for e in ended] == [
        ("review-1-eve", "stopped"), ("review-2-eve", "exited"),
    ]  # fmt: skip


def test_a_changed_todo_supersedes_a_repair(workspace: Make) -> None:
    ws = reviewed(workspace, "eve")
    ws.script("one", f'if [ -n "$ORCHESTR_ROUND" ]; then {WAITS} fi\n{REPAIRS}')
    judge_state(ws, "eve")
    run = begin(ws)
    run.kill()
    run.wait()
    ws.edit_spec("do one", "do one otherwise")
    ws.script("one", "echo good > state.txt")
    ws.run("run", FEATURE, code=0)
    assert ws.processes() == []
    assert ws.starts("one")[-1] == "one 2"
    assert ws.show("one", "state.txt") == "good"
    assert len(ws.starts("eve")) == 2
    nothing_to_do(ws)


def test_forgotten_reviews_are_asked_again_and_counted_both(workspace: Make) -> None:
    ws = reviewed(workspace, "eve")
    ws.run("run", FEATURE, code=0)
    ws.run("forget", f"{FEATURE}:one:review", code=0)
    ws.run("run", FEATURE, code=0)
    assert len(ws.starts("eve")) == 2
    assert ws.starts("one") == ["one 1"]
    parts = {e["data"]["part"] for e in ws.journal(kind="attempt.exited") if "part" in e["data"]}
    assert len(parts) == 2
    assert len(ws.prs()) == 1


def test_a_failing_screenshot_fails_nothing(workspace: Make) -> None:
    good = {"kind": "command", "name": "shot", "run":
            ["sh", "-c", 'echo PNG > "$ORCHESTR_ARTEFACTS/home.png"']}  # fmt: skip
    bad = {"kind": "command", "name": "broken", "run": ["false"]}
    ws = reviewed(workspace, "eve", screenshots=[good, bad])
    says(ws, f'cp "$ORCHESTR_PROMPT_FILE" "$AGENT_DIR/prompt.md"; {FINE}')
    ws.run("run", FEATURE, code=0)
    prompt = (ws.agents / "prompt.md").read_text()
    lines = [line for line in prompt.splitlines() if line.endswith("home.png")]
    assert len(lines) == 1, prompt
    assert len(ws.prs()) == 1
