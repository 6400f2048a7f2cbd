"""SIGTERM, SIGINT and SIGHUP stop a run gracefully; twice stops it at once. Nothing stays alive."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.crash.house import FEATURE, THREE, TWO, House, at_each, both, wait_for
from tests.fork_server import Process

pytestmark = pytest.mark.slow
SHORT = {"limits": {"grace": "0.3s"}}
STEPS = ("run.started", "phase.started", "worktree.added", "attempt.opened", "attempt.started",
         "attempt.exited", "push.intended", "pr.intended", "pr.opened")  # fmt: skip


def attempt(house: House, cell: str, number: int) -> dict[str, object]:
    path = house.cell_dir(cell) / "attempts" / str(number) / "attempt.toml"
    return tomllib.loads(path.read_text())


def goes_on(house: House, cells: object = TWO) -> None:
    """The next run ends well: one PR a cell, no finished agent again.

    One that was signalled between its last word in the book and its exit has not finished: how it
    would have ended nobody knows. (What finished before the signal has tests of its own below.)
    """
    house.run("run", FEATURE, code=0)
    opened = [pr["head"] for pr in house.prs().values()]
    assert sorted(opened) == sorted(house.branch(cell) for cell in cells)  # type: ignore[attr-defined]
    ends = [line.split()[1:] for line in house.starts() if line.startswith("end ")]
    finished = [c for c, n in ends if attempt(house, c, int(n))["outcome"] != "aborted"]
    assert sorted(finished) == sorted(cells)  # type: ignore[call-overload]
    house.sound()


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP"])
def test_a_signal_at_any_kind_of_event_ends_the_run_with_130(name: str, tmp_path: Path) -> None:
    def act(house: House, at: str) -> None:
        stopped = house.crash(at, "run", FEATURE)
        assert stopped.returncode == 130, both(stopped)
        assert "Traceback" not in both(stopped)
        house.quiet()
        goes_on(house)

    steps = STEPS if name == "TERM" else STEPS[::3]
    at_each([f"journal:after#{step}#{name}" for step in steps], tmp_path, act, settings=SHORT)


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP"])
def test_agents_at_work_are_stopped_and_the_next_run_takes_the_next_attempt(
    name: str, tmp_path: Path
) -> None:
    house = House.build(tmp_path / "w", THREE, settings=SHORT)
    house.script("one", 'echo half > half.txt; touch "$AGENT_DIR/wrote"')
    house.close("two", "three")
    house.script("one", "echo half > half.txt; while :; do sleep 0.05; done")
    try:
        run = house.spawn("run", FEATURE)
        house.working(*THREE)
        wait_for((house.worktree("one") / "half.txt").exists, "the agent's file")
        run.send_signal(getattr(signal, f"SIG{name}"))
        assert run.ended() == 130, run.said()
        house.quiet()
        for cell in THREE:
            assert attempt(house, cell, 1)["outcome"] == "aborted"
        assert (house.worktree("one") / "half.txt").read_text() == "half\n"
        assert set(house.states().values()) == {"aborted"}
        house.open(*THREE)
        house.script("one", None)
        goes_on(house, THREE)
        assert house.book()["start one 2"] == house.book()["end one 2"] == 1
    finally:
        house.end()


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_agent_that_had_finished_when_the_signal_came_is_not_paid_again(
    when: str, tmp_path: Path
) -> None:
    house = House.build(tmp_path / "w", settings=SHORT)
    stopped = house.crash(f"journal:{when}#attempt.exited#INT", "run", FEATURE)
    assert stopped.returncode == 130, both(stopped)
    assert attempt(house, "low", 1)["outcome"] == "done"
    goes_on(house)


def test_an_agent_that_ends_well_while_it_is_stopped_is_not_paid_again(tmp_path: Path) -> None:
    """The run has decided to stop it, and it ends by itself before the signal reaches it."""
    house = House.build(tmp_path / "w", settings=SHORT)
    house.close("low")
    stopped = house.crash(
        # By name: a warm server that keeps this environment is no process of the workspace.
        "journal:after#attempt.started#INT",
        "run",
        FEATURE,
        env={"CRASH_LATE": house.agents.name},
    )
    assert stopped.returncode == 130, both(stopped)
    assert attempt(house, "low", 1)["outcome"] == "done"
    goes_on(house)


def test_twice_at_once_kills_agents_that_ignore_everything(tmp_path: Path) -> None:
    house = House.build(tmp_path / "w", {"low": {}}, settings={"limits": {"grace": "60s"}})
    house.script("low", "trap '' INT TERM; (setsid sleep 600 &) ; while :; do sleep 0.05; done")
    try:
        run = house.spawn("run", FEATURE)
        house.working("low")
        run.send_signal(signal.SIGINT)
        wait_for(lambda: "once more" in run.said(), "the first answer")
        run.send_signal(signal.SIGINT)
        assert run.ended(30) == 130, run.said()
        house.quiet()
        assert "Traceback" not in run.said()
        house.script("low", None)
        goes_on(house, ["low"])
    finally:
        house.end()


def test_a_terminal_that_is_closed_ends_the_run_like_a_signal(tmp_path: Path) -> None:
    house = House.build(tmp_path / "w", settings=SHORT)
    house.close("low")
    master, slave = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-m", "orchestr", "run", FEATURE],
        cwd=house.root, env=house.env(), stdin=slave, stdout=slave, stderr=slave,
        start_new_session=True, preexec_fn=lambda: _control(slave),  # noqa: PLW1509
    )  # fmt: skip
    os.close(slave)
    try:
        house.working("low")
        os.close(master)  # the kernel sends SIGHUP; whatever is written from now on fails
        assert run.wait(60) == 130
        house.quiet()
        assert attempt(house, "low", 1)["outcome"] == "aborted"
        house.open("low")
        goes_on(house)
    finally:
        run.kill()
        run.wait()
        house.end()


def _control(slave: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


@pytest.mark.parametrize("stream", ["stdout", "stderr", "both"])
def test_a_closed_pipe_does_not_stop_a_run(stream: str, tmp_path: Path) -> None:
    house = House.build(tmp_path / "w", {"low": {}, "high": {"depends_on": ["low"]}})
    house.close("low")
    run = Process(
        [sys.executable, "-m", "orchestr", "run", FEATURE],
        cwd=house.root, env=house.env(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if stream != "stderr" else subprocess.DEVNULL,
        stderr=subprocess.PIPE if stream != "stdout" else subprocess.DEVNULL,
    )  # fmt: skip
    try:
        house.working("low")
        for pipe in (run.stdout, run.stderr):
            if pipe is not None:
                pipe.close()
        house.open("low")
        assert run.wait(60) == 0
        house.settled()
    finally:
        run.kill()
        run.wait()
        house.end()
