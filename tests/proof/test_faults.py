"""Faults of the programs before us that must not come back.

The table in docs/design/proof.md names the test of each; here are those that need a whole run.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from orchestr.state.ports import SIZE
from tests.conftest import git
from tests.e2e.test_kit import free_base
from tests.e2e.workspace import FEATURE, Workspace, both

Make = Callable[..., Workspace]


def test_a_suite_runs_once_per_round(workspace: Make) -> None:
    """Green once for each head that there was, no second time to be sure."""
    count = "echo x >> $COUNT; test $(wc -l < $COUNT) -ge 3"
    suite = {"kind": "command", "name": "suite", "run": ["sh", "-c", count]}
    other = {"kind": "command", "name": "other", "run": ["sh", "-c", "echo y >> $COUNT.other"]}
    ws = workspace(cells={"one": {"checks": [suite, other]}})
    counted = ws.root / "count"
    for check in (suite, other):
        check["env"] = {"COUNT": str(counted)}
    ws.spec({"one": {"checks": [suite, other]}})
    ws.script("one", 'echo "round $ORCHESTR_ROUND" >> state.txt')
    ws.run("run", FEATURE, code=0)
    assert ws.starts("one") == ["one 1"] * 3  # the work, two repairs: three heads
    assert counted.read_text().splitlines() == ["x"] * 3
    assert (ws.root / "count.other").read_text().splitlines() == ["y"] * 3
    ws.run("run", FEATURE, code=0)
    assert counted.read_text().splitlines() == ["x"] * 3


def test_many_failures_are_one_run_of_the_suite(workspace: Make) -> None:
    """Once per round, however many tests fail, and the agent is told of one first."""
    rows = [{"test_name": n, "passed": False, "execution_command": f"echo {n} >> ONE"}
            for n in ("a", "b", "c")]  # fmt: skip
    red, green = json.dumps(rows), json.dumps([{"test_name": n, "passed": True} for n in "abc"])
    script = (
        f"echo x >> $COUNT; if grep -q done state.txt; then echo '{green}'; else echo '{red}'; fi"
    )
    ws = workspace(cells={"one": {}})
    counted = ws.root / "count"
    suite = {"kind": "tests", "name": "suite", "run": ["sh", "-c", script],
             "env": {"COUNT": str(counted)}}  # fmt: skip
    ws.spec({"one": {"checks": [suite]}})
    told = 'cp "$ORCHESTR_REPAIR_FILE" "$AGENT_DIR/told-$ORCHESTR_ROUND.md"'
    ws.script("one", f'if [ -z "$ORCHESTR_ROUND" ]; then echo begun > state.txt; else {told}\n'
                     '[ "$ORCHESTR_ROUND" = 1 ] && echo a >> state.txt || echo done >> state.txt\n'
                     "fi")  # fmt: skip
    ws.run("run", FEATURE, code=0)
    assert counted.read_text().splitlines() == ["x"] * 3  # the work and two repairs
    assert not list(ws.root.rglob("ONE"))  # nor single tests, beside the suite
    assert "2 more fail; leave them for now" in (ws.agents / "told-1.md").read_text()
    assert "more fail" not in (ws.agents / "told-2.md").read_text()


def test_a_failed_cell_keeps_its_worktree_and_its_evidence(workspace: Make) -> None:
    """Red is no pull request, and all that shows why is still there."""
    bad = {"kind": "command", "name": "bad", "run": ["sh", "-c", "echo the reason; exit 3"]}
    ws = workspace(cells={"one": {"checks": [bad], "repair": {"checks": 1}}})
    ws.script("one", 'echo "round $ORCHESTR_ROUND" >> state.txt')
    done = ws.run("run", FEATURE, code=1)
    assert ws.prs() == {} and "T-1-one" not in ws.heads()
    tree = ws.worktree("one")
    assert git(tree, "status", "--porcelain", "--branch") == "## T-1-one"
    assert (tree / "state.txt").read_text().splitlines() == ["round ", "round 1"]
    logs = sorted(ws.cell_dir("one").glob("attempts/1/checks/*/001-bad.log"))
    assert [log.read_text().splitlines()[-1] for log in logs] == ["the reason"] * 2
    assert str(logs[-1].parent) in both(done) and str(tree) in both(done)


def test_a_check_that_hangs_is_ended_and_red(workspace: Make) -> None:
    """A time limit of its own, the output is kept, the program and its children are gone."""
    slow = {"kind": "command", "name": "slow", "timeout": "1s",
            "run": ["sh", "-c", f"echo begun; {'sleep 600 & ' * 2} sleep 600"]}  # fmt: skip
    ws = workspace(cells={"one": {"checks": [slow], "repair": {"checks": 0}}})
    done = ws.run("run", FEATURE, code=1)
    assert "check slow: RED: timed out after 1 s" in both(done)
    log = ws.cell_dir("one") / "attempts" / "1" / "checks" / "1" / "001-slow.log"
    assert "begun" in log.read_text()
    assert ws.processes() == []


@pytest.mark.parametrize("answer", ["exit 1", "echo '{'", "true", "echo all is well"])
def test_no_answer_of_a_reviewer_is_no_yes(workspace: Make, answer: str) -> None:
    """Failed, cut short, empty, or prose: nothing is published."""
    ws = workspace(cells={"one": {"reviewers": [{"agent": "eve"}]}})
    (ws.root / "eve.sh").write_text(f"{answer}\n")
    ws.settings(agents={"default": "sh", "eve": {"kind": "command", "run": ["sh", "eve.sh"]}})
    done = ws.run("run", FEATURE, code=1)
    assert ws.prs() == {}, both(done)


@pytest.mark.parametrize("printed", ["", "ok", '{"passed": true}', "[]", '[{"passed": true}]'])
def test_results_that_cannot_be_read_are_red(workspace: Make, printed: str) -> None:
    """No list of tests is no list without failures."""
    tests = {"kind": "tests", "name": "tests", "run": ["printf", "%s", printed]}
    ws = workspace(cells={"one": {"checks": [tests], "repair": {"checks": 0}}})
    assert "check tests: RED" in both(ws.run("run", FEATURE, code=1))
    assert ws.prs() == {}


LONG = "sandbox-wo-"  # with these, every cell of the first of them began at the same slot


def test_alike_names_have_their_own_ports_in_the_range_of_the_settings(workspace: Make) -> None:
    """The block is the first free one, by the settings, in every process the same."""
    base = free_base(3)
    ports = {"kind": "command", "name": "ports", "run": ["sh", "-c", "echo $BACKEND_PORT >> $SEEN"]}
    ws = workspace(cells={})
    ports["env"] = {"SEEN": str(ws.root / "seen")}
    cells = {f"{LONG}{n}": {"ports": True, "checks": [ports]} for n in "ab"}
    ws.spec(cells)
    ws.settings(ports={"base": base, "slots": 3}, limits={"jobs": 2})
    held = f'touch "$AGENT_DIR/$ORCHESTR_CELL.here"; until [ -e "$AGENT_DIR/{LONG}a.here" ] && '
    held += f'[ -e "$AGENT_DIR/{LONG}b.here" ]; do sleep 0.05; done; echo x > $ORCHESTR_CELL.txt'
    for name in cells:
        ws.script(name, held)
    ws.run("run", FEATURE, code=0, env={"PYTHONHASHSEED": "1"})
    assert sorted((ws.root / "seen").read_text().split()) == [str(base), str(base + SIZE)]
    (ws.root / "seen").unlink()
    for seed in ("2", "3"):
        ws.run("run", f"{FEATURE}:{LONG}b", "--force", code=0, env={"PYTHONHASHSEED": seed})
    seen = (ws.root / "seen").read_text().split() if (ws.root / "seen").exists() else []
    assert set(seen) <= {str(base)}


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("{kind: pytest}", "checks: must be a list, got a mapping"),
        ("[pytest]", "checks[0]: must be a mapping, got a text"),
        ('[{kind: pytest, selector: ""}]', "checks[0].selector: is empty"),
        ("[{kind: command}]", "checks[0].run: is required and not there"),
        ("[{kind: browser_journey, run: [x], evidence: []}]", "checks[0].evidence: is empty"),
        ('[{kind: state_invariant, probes: {n: {run: [x]}}, expression: ""}]',
         "checks[0].expression: is empty"),
        ('[{kind: state_invariant, probes: {n: {run: [x]}}, '
         'expression: "__import__(\'os\').system(\'touch PWNED\')"}]',
         "checks[0].expression: cannot hold a call"),
    ],
)  # fmt: skip
def test_a_check_that_cannot_run_is_refused_with_its_line(
    workspace: Make, check: str, said: str
) -> None:
    """Before anything starts, not at night."""
    ws = workspace(cells={"one": {}})
    ws.edit_spec("todo:", f"checks: {check}\n    todo:")
    for verb in (["validate"], ["plan", FEATURE], ["run", FEATURE]):
        done = ws.run(*verb, code=2)
        assert f"specs/{FEATURE}.yaml:" in both(done) and f"cells.one.{said}" in both(done)
    assert ws.starts() == [] and not list(ws.root.rglob("PWNED"))


def test_an_origin_that_is_away_is_said_and_nothing_is_lost(workspace: Make) -> None:
    """Work goes on with what is here, and says so; the push fails, the work is not redone."""
    ws = workspace(cells={"one": {}})
    bare = ws.repos / "app.git"
    bare.rename(ws.repos / "away.git")
    done = ws.run("run", FEATURE, code=1)  # whether it has a pull request already is not known
    assert "cannot be asked now" in both(done) and "app.git" in both(done)
    assert ws.starts("one") == [] and ws.states() == {"one": "failed"}
    (ws.repos / "away.git").rename(bare)
    ws.run("run", FEATURE, code=0)
    bare.rename(ws.repos / "away.git")
    ws.say("one", "another\n")
    done = ws.run("run", FEATURE, "--fresh", code=1)
    assert "origin cannot be fetched, using what is here: " in both(done)
    assert "app.git" in both(done) and "hint:" in both(done)
    (ws.repos / "away.git").rename(bare)
    ws.run("run", FEATURE, code=0)
    assert ws.states() == {"one": "done"}
    assert len(ws.starts("one")) == 2 and len(ws.prs()) == 1
