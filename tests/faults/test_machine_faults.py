"""What the machine does to a run and a landing: no agent more than needed, nothing red for it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestr.files import read_file
from tests.faults.broken_git import KILL, BrokenGit
from tests.landing.house import FEATURE, Yard, both, git

pytestmark = pytest.mark.slow
ONE: dict[str, dict[str, Any]] = {"one": {}}
# No network: what a package manager says, and how it ends. With `net` there is one.
SETUP = "test -e NET || { echo getaddrinfo EAI_AGAIN registry.npmjs.org >&2; exit 1; }"


def use_setup(yard: Yard, net: Path) -> None:
    text = (yard.root / "orchestr.toml").read_text()
    command = SETUP.replace("NET", str(net))
    line = f"setup = ['''{command}''']\n"
    (yard.root / "orchestr.toml").write_text(text.replace("[repos.app]\n", f"[repos.app]\n{line}"))


def assert_no_repair(yard: Yard, said: str) -> None:
    """No agent was asked for a repair, and none was started again."""
    assert not yard.journal(kind="land.repair"), said
    assert [line.split()[0] for line in yard.starts()].count("start") == 1, said
    assert "its agent mends" not in said and "a fault in orchestr" not in said, said


def test_a_set_up_without_network_is_no_red_check(tmp_path: Path) -> None:
    yard, net = Yard.ready(tmp_path / "w", ONE, repos=("app",), build=False), tmp_path / "net"
    use_setup(yard, net)
    net.touch()
    yard.run("run", FEATURE, code=0)
    net.unlink()
    head = yard.head("one")
    yard.somebody_pushes({"else": "1\n"})  # so that the candidate has to be checked
    done = yard.run("land", FEATURE, code=1, env={"ORCHESTR_SET_LIMITS_RETRIES": "1"})
    assert "EAI_AGAIN" in done.stderr and "tried again" in done.stderr, both(done)
    assert_no_repair(yard, both(done))
    assert yard.head("one") == head
    net.touch()
    yard.run("land", FEATURE, code=0)
    yard.always_green(("app",))
    assert yard.states() == {"one": "landed"}


def test_a_candidate_that_git_gc_took_is_made_again(tmp_path: Path) -> None:
    yard = Yard.ready(tmp_path / "w", ONE, repos=("app",))
    yard.somebody_pushes({"else": "1\n"})
    clone = yard.repos / "app"
    # While its check runs: the ref holds it. Then a landing that was killed, of a version without.
    gc = f"git -C {clone} gc --prune=now --quiet"
    (yard.root / "before.sh").write_text(f"{gc}; kill -9 $(cat {yard.root}/pid); sleep 60\n")
    child = yard.spawn("land", FEATURE)
    (yard.root / "pid").write_text(str(child.pid))
    assert child.ended() == -signal.SIGKILL, child.said()
    (made,) = yard.queue_events("Made")
    assert git(clone, "cat-file", "-t", made["commit"]) == "commit"
    git(clone, "update-ref", "-d", f"refs/orchestr/landing/{made['commit']}")
    git(clone, "worktree", "prune")
    for place in (yard.root / ".orchestr" / "landing" / "app").glob("[0-9]"):
        git(clone, "worktree", "remove", "--force", "--force", str(place))
    subprocess.run(gc.split(), check=True)
    (yard.root / "before.sh").unlink()
    done = yard.run("land", FEATURE, code=0)
    assert_no_repair(yard, both(done))
    yard.always_green(("app",))
    assert yard.states() == {"one": "landed"}
    assert not git(clone, "for-each-ref", "refs/orchestr/landing")


def test_a_check_that_was_killed_is_not_evaluated(tmp_path: Path) -> None:
    yard = Yard.ready(tmp_path / "w", ONE, repos=("app",))
    yard.somebody_pushes({"else": "1\n"})
    (yard.root / "before.sh").write_text("kill -9 $$\n")
    done = yard.run("land", FEATURE, code=1)
    assert "not evaluated" in both(done) and "killed by SIGKILL" in both(done), both(done)
    assert_no_repair(yard, both(done))
    (yard.root / "before.sh").unlink()
    yard.run("land", FEATURE, code=0)


def test_a_git_that_is_killed_for_good_stops_the_run_and_pays_no_second_agent(
    tmp_path: Path,
) -> None:
    yard = Yard.ready(tmp_path / "w", ONE, repos=("app",), build=False)
    broken = BrokenGit(tmp_path / "git")
    env = {"ORCHESTR_SET_LIMITS_RETRIES": "1"}
    done = yard.run("run", FEATURE, code=1, env={**env, **broken.env(KILL, words=" commit ",
                                                                     times=100)})  # fmt: skip
    assert "killed by SIGKILL" in both(done) and "tried again" in both(done), both(done)
    yard.run("run", FEATURE, code=0)
    assert [line.split()[0] for line in yard.starts()].count("start") == 1
    assert yard.states() == {"one": "done"}


def test_a_dependent_that_a_killed_landing_left_half_brought_up_to_date_lands(
    tmp_path: Path,
) -> None:
    cells = {"low": {}, "third": {}, "high": {"depends_on": ["low", "third"]}}
    yard = Yard.ready(tmp_path / "w", cells, repos=("app",), landing={"strategy": "squash"})
    yard.run("ignore", f"{FEATURE}:third", code=0)  # so that `high` waits, and low lands alone
    killed = yard.crash("journal:after#phase.started", "land", FEATURE)
    assert killed.returncode == -signal.SIGKILL, both(killed)
    done = yard.run("land", FEATURE, code=1)
    assert "its evidence is for another head" not in both(done), both(done)
    assert "it needs third" in done.stdout, both(done)  # nothing else is in its way
    yard.run("ignore", "--undo", f"{FEATURE}:third", code=0)
    yard.run("land", FEATURE, code=0)
    assert yard.states() == dict.fromkeys(cells, "landed")


@pytest.mark.parametrize("what", ["folder", "pipe", "loop"])
@pytest.mark.parametrize("name", ["implement.toml", "checks.json", "tree", "attempts/1/exit.json"])
def test_what_is_no_file_is_named_and_starts_no_agent(what: str, name: str, tmp_path: Path) -> None:
    yard = Yard.ready(tmp_path / "w", ONE, repos=("app",))
    path = yard.cell_dir("one") / name
    path.unlink()
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path)
    with pytest.raises(OSError, match=path.name):
        read_file(path)
    done = yard.run("run", FEATURE)
    assert_no_repair(yard, both(done))
    if name != "attempts/1/exit.json":  # which nothing reads any more
        assert done.returncode == 2 and str(path) in done.stderr, both(done)


def test_a_lost_marker_of_what_has_landed_starts_no_agent(tmp_path: Path) -> None:
    yard = Yard.ready(tmp_path / "w", ONE, repos=("app",))
    yard.run("land", FEATURE, code=0)
    (yard.cell_dir("one") / "worktree.toml").unlink()
    for words in (["run", FEATURE], ["land", FEATURE]):
        done = yard.run(*words, code=0)
        assert_no_repair(yard, both(done))
    assert yard.states() == {"one": "landed"}
