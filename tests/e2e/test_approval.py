"""Gates for people: a plan before the work, a yes before anything is published."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from orchestr.cell.approval import plan_digest
from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both, nothing_to_do, wait_for

# Notes `plan CELL N` and `work CELL N`; `CELL.plan.sh` and `CELL.sh` replace what it does then,
# `CELL.gate` keeps it at its plan until it is removed.
AGENT = """\
if [ -n "$ORCHESTR_PLAN_FILE" ]; then
    echo "plan $ORCHESTR_CELL $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"
    while [ -e "$AGENT_DIR/$ORCHESTR_CELL.gate" ]; do sleep 0.05; done
    if [ -f "$AGENT_DIR/$ORCHESTR_CELL.plan.sh" ]; then
        . "$AGENT_DIR/$ORCHESTR_CELL.plan.sh"
    else
        echo "## Plan $ORCHESTR_ATTEMPT of $ORCHESTR_CELL"
        echo "- write $ORCHESTR_CELL.txt"
    fi
    exit
fi
echo "work $ORCHESTR_CELL $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"
while [ -e "$AGENT_DIR/$ORCHESTR_CELL.busy" ]; do sleep 0.05; done
cp "$ORCHESTR_PROMPT_FILE" "$AGENT_DIR/$ORCHESTR_CELL.prompt"
if [ -f "$AGENT_DIR/$ORCHESTR_CELL.sh" ]; then . "$AGENT_DIR/$ORCHESTR_CELL.sh"; fi
echo "attempt $ORCHESTR_ATTEMPT" >> "$ORCHESTR_CELL.txt"
"""


def gated(make: MakeWorkspace, cells: dict[str, Any]) -> Workspace:
    return make(cells=cells, agent=AGENT)


def log(ws: Workspace) -> list[str]:
    return ws.log.read_text().splitlines()


def approvals(ws: Workspace, cell: str) -> dict[str, str]:
    return {a["gate"]: a["state"] for a in ws.status()[cell]["approvals"]}


def test_the_digest_of_a_plan_names_its_text_and_its_todo() -> None:
    same = plan_digest("text", ["a", "b"])
    assert same == plan_digest("text", ("a", "b"))
    others = [plan_digest("text ", ["a", "b"]), plan_digest("text", ["a b"]),
              plan_digest("text", ["b", "a"]), plan_digest("text", [])]  # fmt: skip
    assert len({same, *others}) == 5


def test_the_work_starts_when_its_plan_is_approved(workspace: MakeWorkspace) -> None:
    ws = gated(workspace, {"low": {"approve": "plan"}, "high": {"depends_on": ["low"]},
                           "other": {}})  # fmt: skip
    done = ws.run("run", "demo", code=1)
    assert sorted(log(ws)) == ["plan low 1", "work other 1"]
    assert ws.states() == {"low": "approval", "high": "approval", "other": "done"}
    assert ws.status()["low"]["phases"]["plan"] == "approval"
    assert "plan" not in ws.status()["other"]["phases"]
    assert "next: orchestr approve demo:low, then orchestr run demo" in done.stdout
    assert "0 failed, 2 waiting for approval" in done.stdout
    assert "waits for the approval of upstream low" in ws.run("explain", "demo:high").stdout
    ws.run("run", "demo", code=1)  # it asks again, and pays for no second plan
    assert len(log(ws)) == 2

    shown = ws.run("approve", "demo:low", "--yes", code=0).stdout
    assert "## Plan 1 of low\n- write low.txt" in shown
    assert ws.states() == {"low": "pending", "high": "pending", "other": "done"}
    ws.run("run", "demo", code=0)
    assert log(ws)[2:] == ["work low 1", "work high 1"]
    assert "> - write low.txt" in (ws.agents / "low.prompt").read_text()
    assert approvals(ws, "low") == {"plan": "approved"}
    given = ws.journal(kind="approval.given")
    assert [(e["cell"], e["data"]["gate"]) for e in given] == [("low", "plan")]
    assert given[0]["data"]["user"] and given[0]["data"]["digest"]
    nothing_to_do(ws)


def test_a_plan_that_changed_since_is_asked_about_again(workspace: MakeWorkspace) -> None:
    ws = gated(workspace, {"a": {"approve": "plan"}})
    ws.run("run", "demo", code=1)
    ws.run("approve", "demo:a", "--yes", code=0)
    plan = ws.cell_dir("a") / "plan.md"
    plan.write_text(plan.read_text() + "- and one more thing\n")
    done = ws.run("run", "demo", code=1)
    assert "which changed since" in both(done) and log(ws) == ["plan a 1"]
    assert approvals(ws, "a") == {"plan": "changed since"}
    ws.run("approve", "demo:a", "--yes", code=0)
    ws.run("run", "demo", code=0)
    assert "and one more thing" in (ws.agents / "a.prompt").read_text()

    ws.edit_spec("do a", "do a better")
    ws.run("run", "demo", code=1)
    assert log(ws) == ["plan a 1", "work a 1", "plan a 2"]
    ws.run("approve", "demo:a", "--yes", code=0)
    ws.run("run", "demo", code=0)
    assert log(ws)[-1] == "work a 2"


def test_a_refused_plan_is_made_again_with_the_reason(workspace: MakeWorkspace) -> None:
    ws = gated(workspace, {"a": {"approve": "plan"}})
    ws.run("run", "demo", code=1)
    assert ws.run("approve", "demo:a", "--reject", "--yes").returncode == 2  # no reason
    ws.run("approve", "demo:a", "--reject", "--reason", "tests are missing", "--yes", code=0)
    ws.run("run", "demo", code=1)
    ws.run("run", "demo", code=1)
    assert log(ws) == ["plan a 1", "plan a 2"]
    prompt = (ws.cell_dir("a") / "plans" / "2" / "prompt.md").read_text()
    assert "Reason: tests are missing" in prompt and "> ## Plan 1 of a" in prompt
    ws.run("approve", "demo:a", "--yes", code=0)
    ws.run("run", "demo", code=0)
    assert log(ws)[-1] == "work a 1"


def test_the_same_plan_after_a_refusal_can_be_approved(workspace: MakeWorkspace) -> None:
    ws = gated(workspace, {"a": {"approve": "plan"}})
    (ws.agents / "a.plan.sh").write_text("echo the one and only plan\n")
    ws.run("run", "demo", code=1)
    ws.run("approve", "demo:a", "--reject", "--reason", "think again", "--yes", code=0)
    ws.run("run", "demo", code=1)
    ws.run("run", "demo", code=1)
    assert log(ws) == ["plan a 1", "plan a 2"]
    ws.run("approve", "demo:a", "--yes", code=0)
    ws.run("run", "demo", code=0)


def test_nothing_is_published_before_it_is_approved(workspace: MakeWorkspace) -> None:
    ws = gated(workspace, {"a": {"approve": "publish"}, "b": {"depends_on": ["a"]}})
    ws.run("run", "demo", code=1)
    assert set(ws.heads()) == {"main"} and ws.prs() == {}
    assert log(ws) == ["work a 1", "work b 1"]  # code is there: a dependent does not wait for it
    assert ws.states() == {"a": "approval", "b": "approval"}
    shown = ws.run("approve", "demo:a", "--yes", code=0).stdout
    assert "a.txt | 1 +" in shown and "title: " in shown and "for main of app" in shown
    ws.run("run", "demo", code=0)
    assert len(ws.prs()) == 2 and len(log(ws)) == 2
    nothing_to_do(ws)

    ws.run("run", "demo:a", "--force", code=1)  # another head: asked about again
    assert approvals(ws, "a") == {"publish": "changed since"}
    ws.run("approve", "demo:a", "--yes", code=0)
    ws.run("run", "demo", code=0)
    assert ws.pr("a")["head_sha"] == ws.head("a")


def test_a_refused_publication_needs_a_person_and_the_agent_is_told(
    workspace: MakeWorkspace,
) -> None:
    ws = gated(workspace, {"a": {"approve": "publish"}})
    ws.run("run", "demo", code=1)
    ws.run("approve", "demo:a", "--reject", "--reason", "no tests", "--yes", code=0)
    assert ws.states() == {"a": "needs_person"}
    ws.run("run", "demo", code=1)
    assert ws.states() == {"a": "needs_person"} and log(ws) == ["work a 1"]
    ws.run("run", "demo:a", "--force", code=1)
    assert "refused to publish the last result: no tests" in (ws.agents / "a.prompt").read_text()
    assert ws.states() == {"a": "approval"} and ws.prs() == {}


def test_a_run_that_waits_goes_on_at_once(workspace: MakeWorkspace) -> None:
    ws = gated(workspace, {"a": {"approve": "plan"}, "busy": {}})
    (ws.agents / "busy.busy").touch()
    run = ws.spawn("run", "demo")
    wait_for(lambda: ws.journal(kind="approval.asked"), "the question")
    assert ws.states()["a"] == "approval"
    ws.run("approve", "demo:a", "--yes", code=0)
    wait_for(lambda: "work a 1" in log(ws), "the work on a")
    (ws.agents / "busy.busy").unlink()
    assert run.ended() == 0, run.said()


def test_what_a_planning_agent_changes_is_kept_and_undone(workspace: MakeWorkspace) -> None:
    ws = gated(workspace, {"a": {"approve": "plan"}})
    (ws.agents / "a.plan.sh").write_text(
        "echo changed > README.md; echo new > new.txt; git add -A\n"
        "git -c user.name=x -c user.email=x@y commit -qm sneaky; echo more > more.txt\n"
        "git checkout -q --detach; rm README.md; echo the plan\n"
    )
    done = ws.run("run", "demo", code=1)
    assert "while it planned, its agent changed" in both(done)
    tree = ws.worktree("a")
    assert git(tree, "status", "--porcelain") == ""
    assert git(tree, "branch", "--show-current") == ws.branch("a")
    assert git(tree, "rev-parse", "HEAD") == ws.heads()["main"]
    kept = git(tree, "for-each-ref", "--format=%(refname)", "refs/orchestr/attempts")
    refs = kept.splitlines()
    assert any(ref.startswith("refs/orchestr/attempts/demo/a/plan-1") for ref in refs)
    names = "".join(git(tree, "ls-tree", "-r", "--name-only", ref) for ref in refs)
    assert "new.txt" in names and "more.txt" in names
    assert (ws.cell_dir("a") / "plan.md").read_text() == "the plan\n"


def test_uncommitted_work_of_an_attempt_outlives_a_planning_agent(workspace: MakeWorkspace) -> None:
    ws = gated(workspace, {"a": {"approve": "plan"}})
    ws.script("a", "echo half > half.txt; exit 3\n")
    ws.run("run", "demo", code=1)
    ws.run("approve", "demo:a", "--yes", code=0)
    ws.run("run", "demo", code=1)
    (ws.agents / "a.plan.sh").write_text("rm half.txt; echo x > x.txt; echo another plan\n")
    ws.edit_spec("do a", "do a well")
    ws.run("run", "demo", code=1)
    assert (ws.worktree("a") / "half.txt").read_text() == "half\n"
    assert not (ws.worktree("a") / "x.txt").exists()


def test_an_agent_without_a_plan_fails(workspace: MakeWorkspace) -> None:
    ws = gated(workspace, {"a": {"approve": "plan"}})
    (ws.agents / "a.plan.sh").write_text("true\n")
    assert "its agent gave no plan" in both(ws.run("run", "demo", code=1))
    assert ws.states() == {"a": "failed"}
    (ws.agents / "a.plan.sh").write_text('echo said; echo written > "$ORCHESTR_PLAN_FILE"\n')
    ws.run("run", "demo", code=1)
    assert (ws.cell_dir("a") / "plan.md").read_text() == "written\n"


def test_a_killed_run_adopts_the_planning_agent(workspace: MakeWorkspace) -> None:
    ws = gated(workspace, {"a": {"approve": "plan"}})
    (ws.agents / "a.gate").touch()
    run = ws.spawn("run", "demo")
    wait_for(lambda: ws.log.exists() and log(ws), "the agent")
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    again = ws.spawn("run", "demo")
    wait_for(lambda: ws.journal(kind="attempt.adopted"), "the adoption")
    (ws.agents / "a.gate").unlink()
    assert again.ended() == 1, again.said()
    assert log(ws) == ["plan a 1"]
    ws.run("approve", "demo:a", "--yes", code=0)
    ws.run("run", "demo", code=0)
    assert log(ws) == ["plan a 1", "work a 1"]


def test_a_planning_agent_can_be_aborted(workspace: MakeWorkspace) -> None:
    ws = gated(workspace, {"a": {"approve": "plan"}})
    (ws.agents / "a.gate").touch()
    run = ws.spawn("run", "demo")
    wait_for(lambda: ws.log.exists() and log(ws), "the agent")
    ws.run("abort", "demo", code=0)
    assert run.ended() == 130, run.said()
    assert ws.states() == {"a": "aborted"}
    wait_for(lambda: not ws.processes(), "the end of its processes")
    (ws.agents / "a.gate").unlink()
    ws.run("run", "demo", code=1)
    assert ws.states() == {"a": "approval"}


def test_a_gate_that_comes_later_asks_for_no_plan_of_what_is_done(
    workspace: MakeWorkspace,
) -> None:
    ws = gated(workspace, {"a": {}})
    ws.run("run", "demo", code=0)
    ws.spec({"a": {"approve": "plan"}})
    ws.run("run", "demo", code=0)
    assert log(ws) == ["work a 1"]
    ws.spec({"a": {"approve": "plan", "todo": ["do more"]}})
    ws.run("run", "demo", code=1)
    assert log(ws) == ["work a 1", "plan a 1"]


def test_a_forced_cell_keeps_its_plan_and_a_forgotten_plan_is_made_again(
    workspace: MakeWorkspace,
) -> None:
    ws = gated(workspace, {"a": {"approve": "plan"}})
    ws.run("run", "demo", code=1)
    ws.run("approve", "demo:a", "--yes", code=0)
    ws.run("run", "demo", code=0)
    ws.run("run", "demo:a", "--force", code=0)
    assert log(ws) == ["plan a 1", "work a 1", "work a 2"]
    ws.run("forget", "demo:a:plan", code=0)
    ws.run("run", "demo", code=1)
    assert log(ws)[-1] == "plan a 2"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["demo:b", "--yes"], "demo:b has no gate"),
        (["demo:a", "--gate", "plan", "--yes"], "demo:a has no gate 'plan'"),
        (["demo:a", "--yes"], "nothing to approve at its gate `publish` yet"),
        (["demo:a", "--reason", "x"], "--reason is for --reject"),
    ],
)
def test_what_cannot_be_approved_is_an_error(
    workspace: MakeWorkspace, words: list[str], told: str
) -> None:
    ws = gated(workspace, {"a": {"approve": "publish"}, "b": {}})
    done = ws.run("approve", *words, code=2)
    assert told in done.stderr and ws.journal(kind="approval.given") == []


def test_approving_twice_adds_a_line_to_the_journal_only(workspace: MakeWorkspace) -> None:
    ws = gated(workspace, {"a": {"approve": "publish"}})
    ws.run("run", "demo", code=1)
    assert "no terminal" in ws.run("approve", "demo:a", code=2).stderr
    ws.run("approve", "demo:a", "--yes", code=0)
    record = ws.result("a", "approvals/publish.toml")
    assert "approved already" in ws.run("approve", "demo:a", "--yes", code=0).stdout
    assert ws.result("a", "approvals/publish.toml") == record
    assert len(ws.journal(kind="approval.given")) == 2
    text = ws.run("status", "--json", code=0).stdout
    cell = json.loads(text)["features"][0]["cells"][0]
    assert cell["state"] == "pending" and cell["approvals"][0]["state"] == "approved"


def test_a_publication_is_shown_with_its_evidence(workspace: MakeWorkspace) -> None:
    checks = [{"kind": "command", "name": "fine", "run": ["true"]},
              {"kind": "command", "name": "broken", "run": ["false"]}]  # fmt: skip
    cell = {"approve": "publish", "checks": checks, "reviewers": [{"agent": "eve"}],
            "allow_partial": True, "repair": {"checks": 0}}  # fmt: skip
    ws = gated(workspace, {"a": cell})
    answer = {"summary": "I read it.", "issues": [
        {"title": "A name", "description": "", "severity": "skippable", "evidence": "",
         "places": [{"path": "a.txt", "line": 1}]}]}  # fmt: skip
    (ws.root / "eve.sh").write_text(f"echo '{json.dumps(answer)}'\n")
    env = {"AGENT_LOG": str(ws.log), "AGENT_DIR": str(ws.agents)}
    sh = {"kind": "command", "run": ["sh", "agent.sh"], "env": env}
    eve = {"kind": "command", "run": ["sh", "eve.sh"]}
    ws.settings(agents={"default": "sh", "sh": sh, "eve": eve})
    ws.run("run", "demo")
    shown = both(ws.run("approve", "demo:a", "--yes", code=0))
    assert f"  checks: fine passed, broken RED: exit 1, not 0 ({ws.cell_dir('a')}" in shown
    assert "    eve: 1 other: I read it.\n    - skippable: A name (a.txt:1)\n" in shown


def test_a_feature_or_a_pattern_means_every_gate_that_waits(workspace: MakeWorkspace) -> None:
    ws = gated(workspace, {"a1": {"approve": "publish"}, "a2": {"approve": "publish"}, "b": {}})
    assert "nothing of demo waits" in ws.run("approve", "demo", "--yes", code=0).stdout
    ws.run("run", "demo", code=1)
    shown = ws.run("approve", "demo:a*", "--yes", code=0).stdout
    for name in ("a1", "a2"):
        assert f"What demo:{name} would publish" in shown
        assert f"demo:{name}: what it would publish is approved" in shown
        assert f"  --- {name}.txt\n  new file mode 100644\n  @@ -0,0 +1 @@\n  +" in shown
    assert shown.count("  commits:\n    ") == 2
    for name in ("a1", "a2"):
        assert f"    Feature `demo`, cell `{name}` of 3 (T-1), repository `app`." in shown
    assert "nothing of demo waits" in ws.run("approve", "demo", "--yes", code=0).stdout
    ws.run("run", "demo", code=0)
    assert len(ws.prs()) == 3
