"""What must be green on a candidate: the checks of cells, features and repositories."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestr.state.ports import is_free
from tests.crash.house import wait_for
from tests.e2e.test_kit import free_base
from tests.landing.house import FEATURE, PLAIN, Yard, both, git

pytestmark = pytest.mark.slow


def told(yard: Yard, word: str) -> list[str]:
    """What checks wrote of themselves, by their first word."""
    return [line for line in yard.checks() if line.startswith(word)]


def check(yard_root: Path, word: str, more: str = "") -> dict[str, object]:
    """A check that writes down what it sees."""
    script = f'echo "{word} $(ls | tr "\\n" " ")" >> {yard_root / "checks.book"}; {more}'
    return {"kind": "command", "name": word, "run": ["sh", "-c", script]}


def test_the_cells_own_checks_and_the_features_cross_checks_decide(tmp_path: Path) -> None:
    root = tmp_path / "w"
    cells = {
        "one": {"checks": [check(root, "one-check")]},
        "two": {"checks": [check(root, "two-check", "test ! -e red")]},
    }
    cross = {"repo": "app", **check(root, "cross", "test -e one.txt && test -e two.txt")}
    yard = Yard.ready(root, cells, build=False, repos=("app",), landing={"repairs": 0})
    yard.spec(cells, cross_checks=[cross])
    yard.run("run", FEATURE, code=0)
    # Only in the integrated state: somebody's file makes the second one's check red.
    yard.somebody_pushes({"red": "1\n"})
    done = yard.run("land", FEATURE, code=1)
    assert yard.history() == ["(somebody else's)", "one"], both(done)
    assert "red: two-check" in done.stdout and yard.states()["two"] == "needs_person"
    assert told(yard, "one-check README.md one.txt red")
    assert all("one.txt" in line and "two.txt" in line for line in told(yard, "cross"))
    # The reason is gone; the second one lands, and the cross check has seen both.
    (yard.root / "checks.book").write_text("")
    yard.somebody_pushes({"red": ""})
    yard.spec({**cells, "two": {"checks": [check(root, "two-check")]}}, cross_checks=[cross])
    yard.run("run", FEATURE, code=0)
    yard.run("land", FEATURE, code=0)
    assert "two" in yard.history() and told(yard, "cross README.md one.txt red two.txt")


def test_a_cross_check_sees_the_other_cells_as_after_a_run(tmp_path: Path) -> None:
    root = tmp_path / "w"
    script = 'test -e "$ORCHESTR_CELL_TWO_WORKTREE/two.txt" && test -n "$ORCHESTR_CELL_ONE_HEAD"'
    cross = {"repo": "app", **check(root, "cross", script)}
    cells = {"one": {}, "two": {"repo": "lib"}}
    yard = Yard.ready(root, cells, build=False, repos=("app", "lib"))
    yard.spec(cells, cross_checks=[cross])
    yard.run("run", FEATURE, code=0)
    yard.somebody_pushes({"else": "1\n"})  # so that it is another tree than the run's
    done = yard.run("land", FEATURE, code=0)
    assert "2 landed, 0 not" in done.stdout, both(done)
    assert told(yard, "cross README.md else one.txt")


def test_a_tree_that_was_checked_is_not_checked_again(tmp_path: Path) -> None:
    root = tmp_path / "w"
    cells = {"one": {"checks": [check(root, "one-check")]}}
    yard = Yard.ready(root, cells, repos=("app",))
    yard.run("land", FEATURE, code=0)
    seen = len(told(yard, "one-check"))
    assert seen >= 1
    yard.run("rollback", FEATURE, code=0)
    assert len(told(yard, "one-check")) == seen  # what the cell had to show is undone


def test_benches_are_set_up_as_worktrees_of_cells_are(tmp_path: Path) -> None:
    root = tmp_path / "w"
    cells = {"one": {"checks": [{"kind": "command", "run": ["sh", "-c", "test -e kit/tool && "
                                 "test -e .made && test -e copied"]}]}}  # fmt: skip
    yard = Yard.ready(root, cells, build=False, repos=("app",))
    clone = yard.repos / "app"
    (clone / "kit").mkdir()
    (clone / "kit" / "tool").write_text("tool\n")
    (clone / "copied").write_text("copied\n")
    (clone / ".git" / "info").mkdir(exist_ok=True)
    (clone / ".git" / "info" / "exclude").write_text("/.made\n/copied\n/kit\n")
    count = f"echo x >> {root / 'setups'}; touch .made"
    yard.settings(repos={"app": {"link": ["kit"], "copy": ["copied"], "setup": [count]}})
    yard.run("run", FEATURE, code=0)
    done = yard.run("land", FEATURE, code=0)
    assert yard.history() == ["one"], both(done)
    setups = (root / "setups").read_text().split()
    assert len(setups) == 3  # the cell's worktree, the one that its checks have, the landing's
    yard.run("rollback", FEATURE, code=0)
    assert (root / "setups").read_text().split() == setups  # the landing's is warm


def test_checks_that_hang_are_ended_with_the_landing(tmp_path: Path) -> None:
    root = tmp_path / "w"
    yard = Yard.ready(root, {"one": {}}, repos=("app",))
    (root / "before.sh").write_text(f"echo $$ > {root / 'pid'}; sleep 600\n")
    first = yard.spawn("land", FEATURE)
    wait_for(lambda: (root / "pid").exists() and (root / "pid").read_text().strip(), "the check")
    pid = int((root / "pid").read_text())
    first.send_signal(signal.SIGINT)
    assert first.ended() == 130, first.said()
    assert not Path(f"/proc/{pid}").exists()
    assert yard.history() == []


def test_an_origin_that_goes_away_stops_its_own_changes_only(tmp_path: Path) -> None:
    """The other repository's change lands; the reason is at the end, and the exit code is 1."""
    root = tmp_path / "w"
    yard = Yard.ready(root, {"one": {}, "two": {"repo": "web"}, "on": {"depends_on": ["one"]}})
    (root / "before.sh").write_text(
        f"case $PWD in */app/*) touch {root / 'busy'};; esac\n"
        f"while [ ! -e {root / 'go'} ]; do sleep 0.1; done\n"
    )
    land = yard.spawn("land", FEATURE)
    wait_for((root / "busy").exists, "the check")
    origin = yard.repos / "app.git"
    origin.rename(root / "away.git")
    (root / "go").touch()
    assert land.ended() == 1, land.said()
    assert "app:main: nothing lands there now: " in land.said() and yard.history("web") == ["two"]
    again = yard.run("land", FEATURE, code=1)  # from its start on it is not there
    assert "does not answer" in both(again) and yard.states()["two"] == "landed"
    (root / "away.git").rename(origin)
    yard.run("land", FEATURE, code=0)
    assert (yard.history(), yard.history("web")) == (["one", "on"], ["two"])


def test_a_target_of_another_history_stops_its_own_changes_only(tmp_path: Path) -> None:
    yard = Yard.ready(tmp_path / "w", {"one": {}, "two": {"repo": "web"}})
    origin = yard.repos / "app.git"
    first, tree = yard.main(), git(origin, "rev-parse", "main^{tree}")
    git(origin, "update-ref", "refs/heads/main", git(origin, "commit-tree", "-m", "other", tree))
    done = yard.run("land", FEATURE, code=1)
    assert "shares no history with what it lands on" in done.stdout, both(done)
    assert "put the branch back at the origin" in done.stdout
    assert yard.history("web") == ["two"] and yard.states()["one"] == "done"
    git(origin, "update-ref", "refs/heads/main", first)
    yard.run("land", FEATURE, code=0)
    assert yard.history() == ["one"]


def test_a_check_whose_paths_did_not_change_is_not_run_again_in_a_landing(tmp_path: Path) -> None:
    """Each candidate has another tree than what its cell was checked on, but for what is read."""
    root = tmp_path / "w"
    run = ["sh", "-c", f"echo $ORCHESTR_CELL >> {root / 'runs'}"]
    cells = {
        name: {"checks": [{"kind": "command", "run": run, "reads": reads}]}
        for name, reads in (("one", ["one.txt"]), ("two", ["two.txt"]), ("three", ["*.txt"]))
    }
    yard = Yard.build(root, cells, agent=PLAIN, repos=("app",))
    yard.run("run", FEATURE, code=0)
    first = (root / "runs").read_text().split()
    yard.run("land", FEATURE, code=0)
    again = (root / "runs").read_text().split()[len(first) :]
    assert sorted(first) == ["one", "three", "two"] and again == ["three"]


# Binds all of its cell's ports for a while, as a service under test does.
BIND = """\
import os, socket, time
from pathlib import Path
ports = [int(os.environ[f"ORCHESTR_PORT_{i}"]) for i in range(10)]
env = dict(line.split("=", 1) for line in Path(".ports.env").read_text().splitlines())
assert env["BACKEND_PORT"] == os.environ["BACKEND_PORT"] == str(ports[0])
servers = [socket.create_server(("127.0.0.1", port)) for port in ports]
with open(os.environ["BOUND"], "a") as book: book.write(f"{os.getcwd()} {ports[0]}\\n")
time.sleep(0.5)
"""


def bound(root: Path) -> list[str]:
    return (root / "bound").read_text().splitlines() if (root / "bound").exists() else []


def with_ports(root: Path, names: str, slots: int) -> tuple[Yard, int]:
    base = free_base(slots)
    one: dict[str, Any] = {"kind": "command", "name": "bind", "run": [sys.executable, "-c", BIND],
                           "env": {"BOUND": str(root / "bound")}, "timeout": "60s"}  # fmt: skip
    cells = {name: {"ports": True, "checks": [one]} for name in names.split()}
    yard = Yard.ready(root, cells, build=False, repos=("app",))
    yard.settings(ports={"base": base, "slots": slots}, landing={"jobs": 3, "repairs": 0})
    yard.run("run", FEATURE, code=0)
    return yard, base


@pytest.mark.parametrize("slots", [1, 3])
def test_candidates_have_their_cells_ports_and_give_them_back(tmp_path: Path, slots: int) -> None:
    """One block for three cells: they wait for each other, which is no verdict."""
    yard, base = with_ports(tmp_path / "w", "one two three", slots)
    (yard.root / "bound").unlink()
    yard.somebody_pushes({"else": "1\n"})  # so that nothing is known of the trees
    done = yard.run("land", FEATURE, code=0)
    assert sorted(yard.history()) == ["(somebody else's)", "one", "three", "two"], both(done)
    assert len(bound(yard.root)) >= 3
    assert all("/landing/app/" in line for line in bound(yard.root))
    entries = json.loads((yard.root / ".orchestr" / "registry.json").read_text())["entries"]
    assert all(entry["ports"] == [] for entry in entries.values())
    assert all(is_free(port) for port in range(base, base + slots * 10))


def test_ports_for_a_cell_whose_worktree_was_cleaned_away(tmp_path: Path) -> None:
    yard, _ = with_ports(tmp_path / "w", "one", 1)
    yard.run("clean", FEATURE, code=0)
    yard.somebody_pushes({"else": "1\n"})
    done = yard.run("land", FEATURE, code=0)
    assert yard.history() == ["(somebody else's)", "one"], both(done)
    (entry,) = json.loads((yard.root / ".orchestr/registry.json").read_text())["entries"].values()
    assert (entry["status"], entry["ports"]) == ("released", [])


@pytest.mark.parametrize("cleaned", [False, True])
def test_a_landing_killed_in_a_check_leaves_no_lease(tmp_path: Path, cleaned: bool) -> None:
    yard, _ = with_ports(tmp_path / "w", "one", 1)
    (yard.root / "bound").unlink()
    if cleaned:
        yard.run("clean", FEATURE, code=0)
    yard.somebody_pushes({"else": "1\n"})
    first = yard.spawn("land", FEATURE)
    wait_for(lambda: bound(yard.root), "the check")
    first.kill()
    first.wait()
    yard.run("land", FEATURE, code=0)
    assert yard.history() == ["(somebody else's)", "one"]
    (entry,) = json.loads((yard.root / ".orchestr/registry.json").read_text())["entries"].values()
    assert (entry["status"], entry["ports"]) == ("released", [])


def test_the_kit_is_taken_down_with_a_log_before_a_landed_worktree_goes(tmp_path: Path) -> None:
    yard = Yard.ready(tmp_path / "w", {"one": {}}, build=False, repos=("app",))
    book = yard.root / "downs"
    yard.settings(repos={"app": {"teardown": [f"echo $PWD >> {book}", "echo broken; exit 4"]}})
    yard.run("run", FEATURE, code=0)
    done = yard.run("land", FEATURE, code=0)
    assert book.read_text().split() == [str(yard.worktree("one"))]
    assert "warning: cell demo:one: teardown command 2 failed" in both(done)
    assert (yard.cell_dir("one") / "teardown-2.log").read_text() == "broken\n"
    assert not yard.worktree("one").exists()
