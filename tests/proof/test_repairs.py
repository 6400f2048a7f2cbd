"""Checks, repairs and reviews of whole runs, as a person sees them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import git
from tests.e2e.workspace import FEATURE, Workspace, both, nothing_to_do

Make = Callable[..., Workspace]

# Without a repair it writes `bad`, then what it is told to: the check wants `good`.
REPAIRS = """\
if [ -n "$ORCHESTR_ROUND" ]; then
    cp "$ORCHESTR_REPAIR_FILE" "$AGENT_DIR/told-$ORCHESTR_ROUND.md"
    cp "$ORCHESTR_PROMPT_FILE" "$AGENT_DIR/prompt-$ORCHESTR_ROUND.md"
    echo good > state.txt
else
    echo bad > state.txt
fi
"""
GOOD = {"kind": "command", "name": "state", "run": ["grep", "-q", "good", "state.txt"]}


def opinion(*issues: dict[str, Any]) -> str:
    """A reviewer's answer."""
    full = [
        {"description": "", "severity": "blocker", "places": [], "evidence": "line 1", **issue}
        for issue in issues
    ]
    return json.dumps({"summary": "I read it.", "issues": full})


REVIEWER = """\
echo "$ORCHESTR_REVIEWER $ORCHESTR_HEAD" >> "$AGENT_LOG"
. "$AGENT_DIR/$ORCHESTR_REVIEWER.review"
"""


def reviewed(workspace: Make, **cell: Any) -> Workspace:
    """A workspace with a reviewer `eve`, whose answer is the script `eve.review`."""
    ws = workspace(cells={"one": {"reviewers": [{"agent": "eve"}], **cell}})
    (ws.root / "eve.sh").write_text(REVIEWER)
    env = {"AGENT_LOG": str(ws.log), "AGENT_DIR": str(ws.agents)}
    ws.settings(
        agents={"default": "sh", "eve": {"kind": "command", "run": ["sh", "eve.sh"], "env": env}}
    )
    return ws


def says(ws: Workspace, script: str, reviewer: str = "eve") -> None:
    (ws.agents / f"{reviewer}.review").write_text(script)


def test_a_red_check_is_repaired_by_the_author(workspace: Make) -> None:
    ws = workspace(cells={"one": {"checks": [GOOD]}})
    ws.script("one", REPAIRS)
    done = ws.run("run", FEATURE, code=0)
    assert "check state: RED" in both(done)
    assert "repair 1 of 4" in both(done)
    assert ws.show("one", "state.txt") == "good"
    assert ws.starts() == ["one 1", "one 1"]
    told = (ws.agents / "told-1.md").read_text()
    assert "they are red" in told and "check state" in told
    assert told in (ws.agents / "prompt-1.md").read_text()
    evidence = json.loads(ws.result("one", "checks.json"))
    assert evidence["head"] == ws.head("one") != evidence["origin"]
    body = ws.pr("one")["body"]
    assert "✅ `state`" in body
    red = f"- 0 of 1 checks passed; red: state (exit 1, not 0) → `{ws.head('one')[:10]}`"
    assert f"### Repaired by its author\n\n{red}\n" in body
    explained = ws.run("explain", f"{FEATURE}:one", code=0).stdout
    assert "repair 1 in check, changed to" in explained
    assert "1+1" in ws.run("status", FEATURE, code=0).stdout
    nothing_to_do(ws)


def test_what_stays_red_has_no_pull_request(workspace: Make) -> None:
    ws = workspace(cells={"one": {"checks": [GOOD]}, "two": {"depends_on": ["one"]}, "three": {}})
    ws.script("one", 'echo "$ORCHESTR_ROUND" >> state.txt')
    done = ws.run("run", FEATURE, code=1)
    assert ws.starts("one") == ["one 1"] * 5  # its work, then 4 repairs
    assert "4 of 4 repairs made" in both(done)
    assert ws.states() == {"one": "failed", "two": "blocked", "three": "done"}
    assert [pr["head"] for pr in ws.prs().values()] == ["T-1-three"]
    # A person mends it; no agent is asked again.
    tree = ws.worktree("one")
    (tree / "state.txt").write_text("good\n")
    git(tree, "commit", "-qam", "mend (T-1)")
    ws.run("run", FEATURE, code=0)
    assert ws.starts("one") == ["one 1"] * 5
    assert ws.show("one", "state.txt") == "good"


def test_no_progress_ends_it_early(workspace: Make) -> None:
    ws = workspace(cells={"one": {"checks": [GOOD]}})
    ws.script("one", "echo bad > state.txt")
    done = ws.run("run", FEATURE, code=1)
    assert ws.starts("one") == ["one 1"] * 2
    assert "changed nothing and the same is red" in both(done)


def test_allow_partial_opens_one_that_says_so(workspace: Make) -> None:
    ws = workspace(
        cells={"one": {"checks": [GOOD], "allow_partial": True, "repair": {"checks": 0}}}
    )
    ws.script("one", "echo bad > state.txt")
    assert "✓ done, partial" in ws.run("run", FEATURE, code=0).stdout
    assert "✓ done, partial" in ws.run("status", FEATURE, code=0).stdout
    assert ws.status()["one"]["with_red"] is True
    pr = ws.pr("one")
    assert pr["title"].startswith("[partial] ")
    assert "**Partial**" in pr["body"] and "❌ `state`" in pr["body"]


def test_tests_may_not_be_taken_away(workspace: Make) -> None:
    test = {"kind": "command", "name": "ok", "run": ["true"]}
    ws = workspace(repos=(), cells={"one": {"checks": [test], "repair": {"checks": 1}}})
    ws.repo("app", {"test_it.py": "def test_a():\n    assert 1\n\n\ndef test_b():\n    pass\n"})
    ws.script("one", 'echo x > new.txt; printf "def test_a():\\n    assert 1\\n" > test_it.py')
    done = ws.run("run", FEATURE, code=1)
    assert "test_b" in both(done) and "deleted or skipped" in both(done)
    assert ws.prs() == {}
    ws.edit_spec("todo:", "allow_skipped_tests: true\n    todo:")
    ws.run("run", FEATURE, code=0)


def test_a_persons_branch_is_checked_in_a_worktree_of_its_own(workspace: Make) -> None:
    see = {"kind": "command", "name": "see", "run": ["sh", "-c", "pwd > $SEEN; test -f done.txt"],
           "env": {"SEEN": "PLACE"}}  # fmt: skip
    ws = workspace(cells={"one": {"action": "push", "branch": "mine", "checks": [see]}})
    ws.edit_spec("PLACE", str(ws.root / "seen"))
    repo = ws.repos / "app"
    git(repo, "switch", "-qc", "mine")
    (repo / "test_new.py").write_text("import pytest\n\npytest.skip('sleeps')\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "mine (T-1)")
    done = ws.run("run", FEATURE, code=1)
    assert "the commits are a person's" in both(done) and "on branch mine" in both(done)
    assert ws.prs() == {}
    (repo / "done.txt").write_text("yes\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "done (T-1)")
    ws.run("run", FEATURE, code=0)
    assert "/.orchestr/checkouts/app/" in (ws.root / "seen").read_text()
    assert not ws.worktree("one").exists()
    assert git(repo, "status", "--porcelain", "--branch").startswith("## mine")


def test_a_hostile_check_is_undone(workspace: Make) -> None:
    script = (
        "echo x > README.md; git checkout -q -b other; git commit -qam x --no-verify; touch new"
    )
    bad = {"kind": "command", "name": "bad", "run": ["sh", "-c", script]}
    ws = workspace(cells={"one": {"checks": [bad], "repair": {"checks": 0}}})
    done = ws.run("run", FEATURE, code=1)
    assert "while the checks ran" in both(done)
    tree = ws.worktree("one")
    assert git(tree, "status", "--porcelain", "--branch") == "## T-1-one"
    assert not (tree / "new").exists()
    assert (tree / "README.md").read_text() != "x\n"


def test_a_check_that_changes_files_stays_red(workspace: Make) -> None:
    writes = {"kind": "command", "name": "format", "run": ["sh", "-c", "echo x >> README.md"]}
    ws = workspace(cells={"one": {"checks": [writes], "repair": {"checks": 1}}})
    done = ws.run("run", FEATURE, code=1)
    assert "tracked files of the worktree were changed" in both(done)
    assert ws.states() == {"one": "failed"}
    ws.run("run", FEATURE, code=1)
    assert ws.prs() == {}


def test_checks_are_cached_by_tree(workspace: Make) -> None:
    count = {"kind": "command", "name": "count", "run": ["sh", "-c", "echo x >> $COUNT"],
             "env": {"COUNT": "PLACE"}}  # fmt: skip
    ws = workspace(cells={"one": {"checks": [count]}})
    book = ws.root / "count"
    ws.edit_spec("PLACE", str(book))
    ws.run("run", FEATURE, code=0)
    ws.run("forget", f"{FEATURE}:one:check", code=0)
    ws.run("run", FEATURE, code=0)
    assert book.read_text() == "x\n"


def test_a_blocker_is_repaired_and_reviewed_again(workspace: Make) -> None:
    ws = reviewed(workspace)
    ws.script("one", REPAIRS)
    says(ws, f"if grep -q good state.txt; then echo '{opinion()}'; else\n"
             f"echo '{opinion({'title': 'It is bad'})}'; fi")  # fmt: skip
    ws.run("run", FEATURE, code=0)
    assert ws.show("one", "state.txt") == "good"
    assert "It is bad" in (ws.agents / "told-1.md").read_text()
    assert len(ws.starts("eve")) == 2
    review = json.loads(ws.result("one", "review.json"))
    assert review["head"] == ws.head("one") != review["origin"]
    assert "Reviews by agents" in ws.pr("one")["body"]
    assert "\n- review: It is bad (eve) → `" in ws.pr("one")["body"]
    nothing_to_do(ws)


def test_checks_run_again_after_a_repair_in_the_review(workspace: Make) -> None:
    ws = reviewed(workspace, checks=[{"kind": "command", "name": "ok", "run": ["true"]}])
    ws.script("one", REPAIRS)
    says(ws, f"if grep -q good state.txt; then echo '{opinion()}'; else\n"
             f"echo '{opinion({'title': 'It is bad'})}'; fi")  # fmt: skip
    ws.run("run", FEATURE, code=0)
    review = json.loads(ws.result("one", "review.json"))
    assert [row["passed"] for row in review["checks"]] == [True]
    phases = [e["phase"] for e in ws.journal(kind="check.done")]
    assert phases == ["check", "review"]


def test_an_unreadable_answer_is_asked_again_and_then_fails(workspace: Make) -> None:
    ws = reviewed(workspace)
    says(ws, "echo 'looks good to me'")
    done = ws.run("run", FEATURE, code=1)
    assert "reviewer eve gave no answer that can be read" in both(done)
    assert len(ws.starts("eve")) == 2
    assert ws.prs() == {}
    says(ws, f"echo 'Here you are:'; echo '{opinion()}'")
    ws.run("run", FEATURE, code=0)
    assert ws.starts("one") == ["one 1"]


def test_a_blocker_without_evidence_starts_no_repair(workspace: Make) -> None:
    ws = reviewed(workspace)
    says(ws, f"echo '{opinion({'title': 'Not evaluated', 'evidence': ''})}'")
    ws.run("run", FEATURE, code=0)
    assert ws.starts("one") == ["one 1"]
    assert "Claimed blocker, without evidence: **Not evaluated**" in ws.pr("one")["body"]


def test_blockers_that_stay_have_no_pull_request(workspace: Make) -> None:
    ws = reviewed(workspace)
    ws.script("one", 'echo "$ORCHESTR_ROUND" >> state.txt')
    says(ws, f"echo '{opinion({'title': 'Never good'})}'")
    done = ws.run("run", FEATURE, code=1)
    assert "Never good (eve) (3 of 3 repairs made)" in both(done)
    assert ws.prs() == {}
    assert len(ws.starts("eve")) == 4
    ws.run("run", FEATURE, "--dry-run", code=0)


def test_a_reviewer_cannot_change_the_authors_worktree(workspace: Make) -> None:
    ws = reviewed(workspace)
    tree = ws.worktree("one")
    says(ws, f"echo evil > {tree}/one.txt; touch {tree}/new; git -C {tree} commit -qam evil;"
             f" echo '{opinion()}'")  # fmt: skip
    done = ws.run("run", FEATURE, code=1)
    assert "while it was reviewed" in both(done)
    assert (tree / "one.txt").read_text() == "attempt 1\n"
    assert git(tree, "status", "--porcelain") == ""
    assert "evil" not in git(tree, "log", "--format=%s")


def test_a_reviewer_has_no_push_and_its_own_checkout(workspace: Make, tmp_path: Path) -> None:
    ws = reviewed(workspace)
    seen = ws.root / "seen"
    says(ws, f"pwd > {seen}; git remote >> {seen}; git log --oneline | wc -l >> {seen};"
             f"echo '{opinion()}'")  # fmt: skip
    ws.run("run", FEATURE, code=0)
    where, *rest = seen.read_text().splitlines()
    assert where.startswith(str(ws.cell_dir("one"))) and not Path(where).exists()
    assert [line.strip() for line in rest] == ["2"]  # no remote; the base and the change


def test_cross_checks_see_the_merge_of_all_heads(workspace: Make) -> None:
    both_there = {"repo": "app", "kind": "command", "name": "together",
                  "run": ["sh", "-c", "cat one.txt two.txt > $ORCHESTR_ARTEFACTS/all;"
                          " ls $ORCHESTR_CELL_ONE_WORKTREE/one.txt"]}  # fmt: skip
    ws = workspace(cells={"one": {}, "two": {}}, cross_checks=[both_there])
    ws.run("run", f"{FEATURE}:one", code=0)
    assert ws.journal(kind="check.done") == []
    done = ws.run("run", FEATURE, code=0)
    assert "cross check together in app: passed" in both(done)
    assert git(ws.repos / "app", "status", "--porcelain", "--branch") == "## main"
    nothing_to_do(ws)


def test_red_cross_checks_fail_the_feature(workspace: Make) -> None:
    bad = {"repo": "app", "kind": "command", "name": "together", "run": ["test", "-f", "none"]}
    ws = workspace(cells={"one": {}, "two": {}}, cross_checks=[bad])
    done = ws.run("run", FEATURE, code=1)
    assert "cross checks of demo are red: app: 0 of 1 checks passed; red: together" in both(done)
    logs = ws.root / ".orchestr" / "cells" / FEATURE / "cross-checks"
    assert f"hint: look into {logs}, mend a cell, then: orchestr run demo\n" in done.stderr
    assert list(logs.rglob("*.log"))
    assert len(ws.prs()) == 2
    ws.run("run", FEATURE, code=1)
    assert len(ws.starts()) == 2


def test_heads_that_conflict_are_red(workspace: Make) -> None:
    ok = {"repo": "app", "kind": "command", "name": "together", "run": ["true"]}
    ws = workspace(cells={"one": {}, "two": {}}, cross_checks=[ok])
    for cell in ("one", "two"):
        ws.script(cell, f"echo {cell} > README.md")
    done = ws.run("run", FEATURE, code=1)
    assert "one and two conflict in README.md" in both(done)
