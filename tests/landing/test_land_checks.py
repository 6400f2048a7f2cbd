"""What must be green on a candidate: the checks of cells, features and repositories."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.crash.house import wait_for
from tests.landing.house import FEATURE, Yard, both

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
    assert len((root / "setups").read_text().split()) == 2  # the cell's worktree, and the bench
    yard.run("rollback", FEATURE, code=0)
    assert len((root / "setups").read_text().split()) == 2  # it is warm


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
