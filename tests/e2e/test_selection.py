"""What a command names is built, with what it needs, and nothing else."""

from __future__ import annotations

import json
import os
import pty
import shlex
import subprocess
import sys

import pytest

from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both, nothing_to_do, wait_for
from tests.fork_server import Process

CHAIN = {"a": {}, "b": {"depends_on": ["a"]}, "c": {}}


@pytest.fixture
def fresh(workspace: MakeWorkspace) -> Workspace:
    """`a`, its dependent `b`, and `c`; nothing was run yet."""
    return workspace(cells=CHAIN)


def test_a_cell_is_built_with_its_upstreams_only(fresh: Workspace) -> None:
    fresh.run("run", "feature:demo:b", code=0)
    assert fresh.starts() == ["a 1", "b 1"]
    assert set(fresh.heads()) == {"main", "T-1-a", "T-1-b"}
    assert fresh.states() == {"a": "done", "b": "done", "c": "pending"}
    fresh.run("run", "demo", code=0)
    assert fresh.starts() == ["a 1", "b 1", "c 1"]


def test_a_phase_is_where_the_run_stops(fresh: Workspace) -> None:
    fresh.run("run", "demo:c:check", code=0)
    assert (fresh.cell_dir("c") / "checks.json").exists()
    assert not (fresh.cell_dir("c") / "review.json").exists()
    assert (fresh.starts(), set(fresh.heads()), fresh.prs()) == (["c 1"], {"main"}, {})
    fresh.run("run", "demo:c", code=0)
    assert fresh.starts() == ["c 1"]
    assert fresh.pr("c")["head_sha"] == fresh.head("c")


@pytest.mark.parametrize(
    "args",
    [
        ["demo", "--jobs", "2"],
        ["--jobs", "2", "demo"],
        ["--jobs=2", "demo"],
        ["-j", "2", "feature:demo"],
        ["demo", "-j2"],
    ],
)
def test_options_stand_before_or_after_the_target(built: Workspace, args: list[str]) -> None:
    assert "nothing to be done" in built.run("run", *args, code=0).stdout
    assert "nothing to be done" in built.doit("run", *args, code=0).stdout


def test_list_takes_options_after_the_target(built: Workspace) -> None:
    one = built.run("list", "demo", "--all", code=0).stdout
    assert one == built.run("list", "--all", "demo", code=0).stdout
    assert one == built.doit("list", "demo", "--all", code=0).stdout
    assert "feature:demo:b:review" in one


@pytest.mark.parametrize("word", ["feature:demo:*", "demo:*", "feature:demo:[ab]*"])
def test_globs_name_cells(fresh: Workspace, word: str) -> None:
    fresh.run("run", word, code=0)
    expected = ["a 1", "b 1"] if "[" in word else ["a 1", "b 1", "c 1"]
    assert sorted(fresh.starts()) == expected


def test_globs_name_phases(fresh: Workspace) -> None:
    fresh.run("run", "feature:demo:*:check", code=0)
    assert sorted(fresh.starts()) == ["a 1", "b 1", "c 1"]
    assert fresh.prs() == {}


def test_a_glob_without_a_match_is_an_error(fresh: Workspace) -> None:
    done = fresh.run("run", "demo:x*", code=2)
    assert done.stderr == ("error: nothing matches 'demo:x*'\nhint: orchestr list --all\n")
    assert fresh.starts() == []


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("demu", "did you mean 'demo'?"),
        ("demo:aa", "did you mean 'a'?"),
        ("demo:a:chek", "phases: worktree, implement, check, review, publish"),
        ("demo:a:check:more", "too many parts"),
        ("feature:", "orchestr list"),
    ],
)
@pytest.mark.parametrize("verb", ["run", "forget", "info", "list", "plan"])
def test_unknown_names_are_usage_errors(built: Workspace, verb: str, word: str, said: str) -> None:
    done = built.run(verb, word, code=2)
    assert said in done.stderr and done.stdout == ""


def test_run_without_names_builds_nothing(fresh: Workspace) -> None:
    done = fresh.run("run", code=2)
    assert done.stderr == ("error: which feature?\nhint: orchestr run FEATURE; features: demo\n")
    assert (fresh.starts(), fresh.journal()) == ([], [])


def test_only_builds_that_cell(built: Workspace) -> None:
    built.edit_spec("do a", "do a again")
    built.edit_spec("do b", "do b again")
    built.edit_spec("do c", "do c again")
    built.run("run", "demo", "--only", "b", code=0)
    assert built.starts()[3:] == ["b 2"]
    built.run("run", "demo", "--only", "a", "--only", "c", code=0)
    assert sorted(built.starts()[4:]) == ["a 2", "c 2"]
    nothing_to_do(built)


def test_only_names_every_unknown_cell(fresh: Workspace) -> None:
    done = fresh.run("run", "demo", "--only", "x", "--only", "a", "--only", "y", code=2)
    assert done.stderr == "error: --only names unknown cells: x, y\nhint: cells: a, b, c\n"
    assert fresh.starts() == []


def test_only_asks_for_the_upstreams(fresh: Workspace) -> None:
    done = fresh.run("run", "demo", "--only", "b", code=2)
    assert done.stderr == (
        "error: --only b: its upstream a has no result yet\n"
        "hint: orchestr run demo:a, or --ignore-deps\n"
    )
    assert fresh.starts() == []


def test_ignore_deps_goes_without_the_upstreams(fresh: Workspace) -> None:
    fresh.run("run", "demo", "--only", "b", "--ignore-deps", code=0)
    assert fresh.starts() == ["b 1"]
    assert fresh.pr("b")["base"] == "main"
    fresh.run("run", "demo", code=0)
    assert sorted(fresh.starts()) == ["a 1", "b 1", "b 2", "c 1"]
    assert fresh.pr("b")["base"] == "T-1-a"
    assert fresh.show("b", "a.txt") == "attempt 1"
    nothing_to_do(fresh)


def test_a_failure_stops_only_what_depends_on_it(fresh: Workspace) -> None:
    fresh.script("a", "echo broken; exit 3")
    done = fresh.run("run", "demo", code=1)
    assert sorted(fresh.starts()) == ["a 1", "c 1"]
    cells = fresh.status()
    assert {n: c["state"] for n, c in cells.items()} == {"a": "failed", "b": "blocked", "c": "done"}
    assert "exit 3: broken" in cells["a"]["reason"]
    assert "a" in cells["b"]["reason"]
    assert "exit 3: broken" in both(done)
    again = fresh.run("run", "demo", code=1)
    assert "nothing to be done" not in again.stdout
    assert sorted(fresh.starts()) == ["a 1", "a 2", "c 1"]
    fresh.script("a", None)
    fresh.run("run", "demo", code=0)
    assert sorted(fresh.starts()) == ["a 1", "a 2", "a 3", "b 1", "c 1"]
    nothing_to_do(fresh)


def test_failed_builds_only_what_failed_or_was_blocked(fresh: Workspace) -> None:
    fresh.script("a", "exit 3")
    fresh.run("run", "demo", code=1)
    fresh.script("a", None)
    fresh.edit_spec("do c", "do c again")
    fresh.run("run", "demo", "--failed", code=0)
    assert sorted(fresh.starts()) == ["a 1", "a 2", "b 1", "c 1"]
    fresh.run("run", "demo", "--failed", code=0)
    assert len(fresh.starts()) == 4
    fresh.run("run", "demo", code=0)
    assert fresh.starts()[4:] == ["c 2"]


def test_force_rebuilds_the_named_cell(built: Workspace) -> None:
    before, prs = built.heads(), set(built.prs())
    built.say("b", "more\n")
    built.run("run", "demo:b", "--force", code=0)
    assert built.starts()[3:] == ["b 2"]
    assert set(built.prs()) == prs
    assert (
        git(built.repos / "app.git", "merge-base", before["T-1-b"], built.head("b"))
        == (before["T-1-b"])
    )
    nothing_to_do(built)
    built.run("run", "demo:b", "--force", code=0)
    assert built.starts()[4:] == ["b 3"]


def test_fresh_with_the_same_tree_keeps_the_old_head(built: Workspace) -> None:
    before, prs = built.heads(), built.prs()
    built.run("run", "demo:a", "--fresh", code=0)
    assert built.starts()[3:] == ["a 2"]
    assert (built.heads(), built.prs()) == (before, prs)
    nothing_to_do(built)


def test_fresh_starts_again_from_the_base(built: Workspace) -> None:
    before, prs = built.heads(), set(built.prs())
    built.script("a", "test -e a.txt && exit 9; echo anew > other.txt")
    built.run("run", "demo:a", "--fresh", code=0)
    assert built.starts()[3:] == ["a 2"]
    app = built.repos / "app"
    kept = git(app, "for-each-ref", "refs/orchestr/attempts/demo/a",
               "--format=%(objectname)").splitlines()  # fmt: skip
    assert before["T-1-a"] in kept
    assert git(app, "rev-list", "--count", f"main..{built.head('a')}") == "1"
    assert set(built.prs()) == prs
    assert built.pr("a")["head_sha"] == built.head("a") != before["T-1-a"]
    built.run("run", "demo", code=0)
    assert built.starts()[4:] == ["b 2"]
    assert built.show("b", "other.txt") == "anew"
    assert built.show("b", "b.txt") == "the work of b"
    nothing_to_do(built)


def test_fresh_never_overwrites_what_somebody_pushed(built: Workspace) -> None:
    app = built.repos / "app"
    git(app, "checkout", "--quiet", "--detach", "origin/T-1-c")
    git(app, "commit", "--quiet", "--allow-empty", "-m", "theirs")
    theirs = git(app, "rev-parse", "HEAD")
    git(app, "push", "--quiet", "origin", "HEAD:refs/heads/T-1-c")
    git(app, "checkout", "--quiet", "main")
    built.script("c", "echo anew > other.txt")
    done = built.run("run", "demo:c", "--fresh")
    assert git(app, "merge-base", theirs, built.head("c")) == theirs, both(done)


def test_dry_run_starts_nothing(fresh: Workspace) -> None:
    done = fresh.run("run", "demo", "--dry-run", code=0)
    assert "\n3 would run, 0 up to date\n" in done.stdout
    assert (fresh.starts(), set(fresh.heads()), fresh.journal()) == ([], {"main"}, [])
    assert not (fresh.root / ".orchestr" / "cells").exists()
    value = json.loads(fresh.run("run", "demo", "--dry-run", "--json", code=0).stdout)
    assert sorted((c["name"], c["would"]) for c in value["cells"]) == [
        ("a", "run"), ("b", "run"), ("c", "run"),
    ]  # fmt: skip


def test_dry_run_says_what_force_would_do(built: Workspace) -> None:
    events = built.journal()
    for option in ("--force", "--fresh"):
        done = built.run("run", "demo:a", "--dry-run", option, "--json", code=0)
        would = [c["name"] for c in json.loads(done.stdout)["cells"] if c["would"] == "run"]
        assert would == ["a"]
    assert (len(built.starts()), built.journal()) == (3, events)


def test_plan_says_what_would_run_and_why(built: Workspace) -> None:
    value = json.loads(built.run("plan", "demo", "--json", code=0).stdout)
    assert set(value) >= {"feature", "cells", "critical_path"}
    # The agents take milliseconds here, so which chain took longer is the machine's affair.
    took = {e["cell"]: e["data"]["seconds"] for e in built.journal(kind="attempt.exited")}
    longest = ["a", "b"] if took["a"] + took["b"] > took["c"] else ["c"]
    assert value["feature"] == "demo" and value["critical_path"] == longest
    for cell in value["cells"]:
        assert set(cell) >= {
            "name", "wave", "repo", "branch", "base", "upstreams", "would", "why", "pr",
        }  # fmt: skip
        assert cell["would"] == "up-to-date"
    built.edit_spec("do a", "do a again")
    value = json.loads(built.run("plan", "demo", "--json", code=0).stdout)
    would = {c["name"]: (c["would"], c["why"]) for c in value["cells"]}
    assert would["a"][0] == "run" and "todo" in would["a"][1]
    assert would["b"][0] == "run" and "a" in would["b"][1]
    assert would["c"][0] == "up-to-date"
    assert built.run("plan", "demo", code=0).stdout.count("[PR EXISTS: local://app/pull/") == 3


def test_status_has_the_documented_shape(built: Workspace) -> None:
    value = json.loads(built.run("status", "--json", code=0).stdout)
    assert list(value) == ["features"]
    (feature,) = value["features"]
    assert feature["name"] == "demo" and feature["state"] == "done"
    for cell in feature["cells"]:
        assert set(cell) >= {
            "name", "repo", "branch", "base", "head", "tree", "worktree", "state", "attempt",
            "upstreams", "phases", "pr", "cost_usd", "started_at", "finished_at", "reason",
        }  # fmt: skip
        assert cell["phases"] == dict.fromkeys(
            ["worktree", "implement", "check", "review", "publish"], "done"
        )
        assert cell["pr"]["state"] == "open" and cell["pr"]["draft"] is True
        assert cell["pr"]["url"] == built.result(cell["name"], "pr-url")
        assert cell["head"] == built.head(cell["name"])
        assert cell["tree"] == built.result(cell["name"], "tree")
        assert (cell["attempt"], cell["state"]) == (1, "done")
        assert cell["cost_usd"] is None


def test_json_events_are_lines_and_nothing_else(fresh: Workspace) -> None:
    fresh.script("c", "exit 1")
    done = fresh.run("run", "demo", "--json", code=1)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [event["kind"] for event in events]
    assert kinds[0] == "run.started" and kinds[-1] == "run.finished"
    assert "phase.done" in kinds and "phase.failed" in kinds
    fresh.script("c", None)
    fresh.run("run", "demo", code=0)
    again = fresh.run("run", "demo", "--json", code=0)
    assert {json.loads(line)["kind"] for line in again.stdout.splitlines()} <= {
        "run.started", "run.finished", "pr.seen",
    }  # fmt: skip


@pytest.mark.parametrize(
    "words", ["list --all", "run demo", "status", "run demo --json", "plan demo"]
)
@pytest.mark.parametrize("program", ["orchestr", "doit"])
def test_a_closed_pipe_is_no_fault(built: Workspace, words: str, program: str) -> None:
    built.run("forget", "demo:c:check", code=0)
    run_without_reader(built, program, *words.split())


@pytest.mark.parametrize("words", ["--help", "--version", "help run"])
def test_a_closed_pipe_is_no_fault_of_help(built: Workspace, words: str) -> None:
    run_without_reader(built, "orchestr", *words.split())


def run_without_reader(built: Workspace, program: str, *words: str) -> None:
    """Run a program whose stdout is closed: exit 0, without fuss."""
    reader, stdout = os.pipe()
    os.close(reader)
    child = Process(
        [sys.executable, "-m", program, *words],
        cwd=built.root, env=built.env(), stdin=subprocess.DEVNULL,
        stdout=stdout, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(stdout)
    assert child.stderr is not None
    said = child.stderr.read().decode()
    child.stderr.close()
    assert child.wait(60) == 0, said
    assert "Traceback" not in said and "BrokenPipe" not in said and "Exception ignored" not in said


PAID = {"agents": {"sh": {"paid": True}}}


def test_a_paid_agent_needs_a_yes(fresh: Workspace) -> None:
    fresh.settings(**PAID)
    done = fresh.run("run", "demo", code=2)
    assert "error: this run needs a confirmation and there is no terminal" in done.stderr
    assert "--yes" in done.stderr
    assert (fresh.starts(), fresh.journal()) == ([], [])
    assert fresh.run("run", "demo", "--dry-run", code=0).stderr == ""
    fresh.run("run", "demo", "--yes", code=0)
    assert len(fresh.starts()) == 3


def test_nothing_is_asked_when_nothing_would_start(fresh: Workspace) -> None:
    fresh.settings(**PAID)
    fresh.run("run", "demo", "--yes", code=0)
    nothing_to_do(fresh)
    fresh.edit_spec("The demo", "Another name")
    fresh.run("run", "demo", code=0)
    assert len(fresh.starts()) == 3


@pytest.mark.parametrize(("answer", "started"), [("n", False), ("", False), ("y", True)])
def test_a_terminal_is_asked(fresh: Workspace, answer: str, started: bool) -> None:
    fresh.settings(**PAID)
    leader, follower = pty.openpty()
    out = fresh.root / "tty.out"
    with out.open("wb") as said:
        child = Process(
            [sys.executable, "-m", "orchestr", "run", "demo:c"],
            cwd=fresh.root, env=fresh.env(), stdin=follower, stdout=said, stderr=said,
            start_new_session=True,
        )  # fmt: skip
    os.close(follower)
    try:
        wait_for(lambda: b"Continue? [y/N]" in out.read_bytes(), "the question")
        assert fresh.starts() == []
        os.write(leader, f"{answer}\n".encode())
        assert child.wait(60) == 0
    finally:
        os.close(leader)
    assert bool(fresh.starts()) is started
    if not started:
        assert out.read_text().rstrip().endswith("Aborted.")
        assert (fresh.journal(), (fresh.root / ".orchestr" / "cells").exists()) == ([], False)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_run_whose_streams_are_closed_is_a_run(workspace: MakeWorkspace, closed: str) -> None:
    """As some daemons start programs: no journal may get the number of stdout."""
    ws = workspace(cells={"one": {}})
    for words in (["run", "demo"], ["status"]):
        line = f"{shlex.join([sys.executable, '-m', 'orchestr', *words])} {closed}"
        done = subprocess.run(["sh", "-c", line], cwd=ws.root, env=ws.env(), check=False,
                              capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, both(done)
    assert ws.states() == {"one": "done"}
    assert not (ws.root / ".orchestr" / "fault.log").exists()
