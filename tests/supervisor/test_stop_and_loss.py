"""Stopping, dying and coming back: what the next run finds, and that nothing is left alive."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from attempts import Attempt, eventually

from orchestr.supervisor import client
from orchestr.supervisor.client import AttemptState, ExitReason
from tests.processes import wait_until_gone

DEAF = "trap '' INT TERM; setsid sh -c 'trap \"\" INT TERM; sleep 300; :' & touch up; sleep 300; :"


def running(attempt: Attempt, script: str = "touch up; sleep 300", **changes: object) -> None:
    """An agent that has started and is busy."""
    attempt.sh(script, **changes)
    attempt.start()
    attempt.until_running()
    eventually(lambda: attempt.has("up"))


def test_stop_interrupts_first(attempt: Attempt) -> None:
    running(attempt, "trap 'echo saved; exit 3' INT; touch up; while :; do sleep 0.05; done")
    ended = client.stop_attempt(attempt.dir, marker=attempt.marker, grace=5)
    assert ended is not None
    assert (ended.reason, ended.code, ended.last_line) == (ExitReason.STOPPED, 3, "saved")
    assert client.read_attempt_state(attempt.dir) is AttemptState.EXITED


def test_stop_kills_the_whole_tree_that_will_not_listen(attempt: Attempt) -> None:
    running(attempt, DEAF, grace=0.2)
    ended = client.stop_attempt(attempt.dir, marker=attempt.marker, grace=0.2)
    assert ended is not None
    assert (ended.reason, ended.signal) == (ExitReason.STOPPED, 9)
    assert not attempt.survivors()


def test_now_does_not_wait_for_the_graces(attempt: Attempt) -> None:
    running(attempt, DEAF, grace=600)
    ended = client.stop_attempt(attempt.dir, marker=attempt.marker, grace=600, now=True)
    assert ended is not None
    assert (ended.reason, ended.signal) == (ExitReason.STOPPED, 9)
    assert not attempt.survivors()


def test_stop_with_less_patience_than_launch_json(attempt: Attempt) -> None:
    running(attempt, DEAF, grace=600)
    ended = client.stop_attempt(attempt.dir, marker=attempt.marker, grace=0.1)
    assert ended is not None and ended.signal == 9


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_to_the_supervisor_itself(attempt: Attempt, number: signal.Signals) -> None:
    running(attempt)
    attempt.children[0].send_signal(number)
    ended = client.wait_for_exit(attempt.dir, child=attempt.children[0], stop=threading.Event())
    assert ended is not None and ended.reason is ExitReason.STOPPED


def test_a_hang_up_does_not_matter(attempt: Attempt) -> None:
    running(attempt, "touch up; while [ ! -e go ]; do sleep 0.05; done; echo done")
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGPIPE):
        attempt.children[0].send_signal(number)
    (attempt.work / "go").touch()
    ended = client.wait_for_exit(attempt.dir, child=attempt.children[0], stop=threading.Event())
    assert ended is not None and (ended.reason, ended.last_line) == (ExitReason.EXITED, "done")


def test_stopping_what_has_ended_or_never_began(attempt: Attempt) -> None:
    assert client.read_attempt_state(attempt.dir) is AttemptState.NEVER_STARTED
    assert client.stop_attempt(attempt.dir, marker=attempt.marker, grace=1) is None
    attempt.sh("exit 4")
    attempt.run()
    ended = client.stop_attempt(attempt.dir, marker=attempt.marker, grace=1)
    assert ended is not None and (ended.reason, ended.code) == (ExitReason.EXITED, 4)


def test_waiting_ends_when_told_to(attempt: Attempt) -> None:
    running(attempt)
    stop = threading.Event()
    stop.set()
    assert client.wait_for_exit(attempt.dir, child=attempt.children[0], stop=stop) is None
    assert client.read_attempt_state(attempt.dir) is AttemptState.RUNNING


@pytest.mark.parametrize("waits", [True, False])
def test_stopped_in_the_moment_of_its_start(attempt: Attempt, waits: bool) -> None:
    """Before the supervisor has its lock nobody can find it, but its parent knows it."""
    attempt.sh("touch up; sleep 300")
    stop = threading.Event()
    stop.set()
    child = attempt.start()
    if waits:
        assert client.wait_for_exit(attempt.dir, child=child, stop=stop) is None
        client.stop_attempt(attempt.dir, marker=attempt.marker, grace=1)
        child.wait(30)
    else:
        client.stop_attempt(attempt.dir, marker=attempt.marker, grace=1, child=child)
    assert child.returncode is not None
    assert not attempt.survivors()
    assert client.read_attempt_state(attempt.dir) is not AttemptState.RUNNING


def test_a_killed_supervisor_is_lost_and_its_agent_is_ended(attempt: Attempt) -> None:
    running(attempt, DEAF)
    attempt.children[0].kill()
    attempt.children[0].wait()
    assert client.read_attempt_state(attempt.dir) is AttemptState.LOST
    assert len(attempt.survivors()) >= 2
    assert client.wait_for_exit(attempt.dir, child=None, stop=threading.Event()) is None
    assert not attempt.survivors()
    assert client.read_attempt_state(attempt.dir) is AttemptState.LOST


def test_a_supervisor_killed_while_we_wait(attempt: Attempt) -> None:
    running(attempt, DEAF)
    threading.Timer(0.2, attempt.children[0].kill).start()
    child = attempt.children[0]
    assert client.wait_for_exit(attempt.dir, child=child, stop=threading.Event()) is None
    assert child.returncode == -signal.SIGKILL
    assert not attempt.survivors()


def test_stopping_a_lost_attempt_ends_what_is_left(attempt: Attempt) -> None:
    running(attempt, DEAF)
    attempt.children[0].kill()
    attempt.children[0].wait()
    assert client.stop_attempt(attempt.dir, marker=attempt.marker, grace=1) is None
    assert not attempt.survivors()


def test_a_supervisor_that_hangs_is_ended_too(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ENDING", 0.2)
    running(attempt, DEAF)
    attempt.children[0].send_signal(signal.SIGSTOP)
    assert client.stop_attempt(attempt.dir, marker=attempt.marker, grace=0, now=True) is None
    assert not attempt.survivors()
    assert attempt.children[0].wait() == -signal.SIGKILL


def test_of_two_supervisors_one_goes(attempt: Attempt) -> None:
    attempt.sh("echo run >> runs; while [ ! -e go ]; do sleep 0.02; done")
    children = [attempt.start() for _ in range(4)]
    eventually(lambda: sum(c.poll() is not None for c in children) == 3)
    assert sorted(str(c.returncode) for c in children) == ["73", "73", "73", "None"]
    (attempt.work / "go").touch()
    loser = next(c for c in children if c.returncode == 73)
    ended = client.wait_for_exit(attempt.dir, child=loser, stop=threading.Event())
    assert ended is not None and ended.code == 0
    assert (attempt.work / "runs").read_text() == "run\n"


def test_an_attempt_that_has_ended_is_not_run_again(attempt: Attempt) -> None:
    attempt.sh("echo run >> runs")
    first = attempt.run()
    assert attempt.run() == first
    assert (attempt.work / "runs").read_text() == "run\n"


def test_a_new_supervisor_ends_what_its_dead_predecessor_left(attempt: Attempt) -> None:
    running(attempt, DEAF)
    old = {p.pid for p in attempt.survivors()}
    attempt.children[0].kill()
    attempt.children[0].wait()
    attempt.sh("echo again")
    assert attempt.run().last_line == "again"
    assert not old & {p.pid for p in attempt.survivors()}


def test_another_process_adopts_it(attempt: Attempt) -> None:
    """The engine that started it is killed; the supervisor goes on; the next engine waits."""
    attempt.sh("touch up; while [ ! -e go ]; do sleep 0.02; done; echo finished")
    engine = (
        "import os, sys, pathlib; from orchestr.supervisor import client;"
        "client.start_supervisor(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", engine, str(attempt.dir)], check=False)
    attempt.until_running()
    assert client.read_attempt_state(attempt.dir) is AttemptState.RUNNING
    (attempt.work / "go").touch()
    ended = client.wait_for_exit(attempt.dir, child=None, stop=threading.Event())
    assert ended is not None and (ended.code, ended.last_line) == (0, "finished")
    assert client.read_attempt_state(attempt.dir) is AttemptState.EXITED


def test_a_reused_pid_is_not_the_supervisor(attempt: Attempt) -> None:
    """supervisor.json names a live process (this one) with another create time."""
    client.SupervisorRecord(os.getpid(), 12345.0, "", os.getpid(), 12345.0).write(attempt.dir)
    attempt.sh("true")
    assert client.read_attempt_state(attempt.dir) is AttemptState.LOST
    assert client.stop_attempt(attempt.dir, marker=attempt.marker, grace=1) is None
    assert client.wait_for_exit(attempt.dir, child=None, stop=threading.Event()) is None


def test_torn_files_raise_nothing(attempt: Attempt) -> None:
    for name in ("exit.json", "supervisor.json", "launch.json"):
        for content in (b"", b'{"pid": 1', b"[]", b"\xff", b'{"pid":"x","code":1}'):
            (attempt.dir / name).write_bytes(content)
            assert client.read_attempt_state(attempt.dir) is AttemptState.NEVER_STARTED
    assert client.wait_for_exit(attempt.dir, child=None, stop=threading.Event()) is None


def test_the_attempt_folder_disappears(attempt: Attempt) -> None:
    running(
        attempt, "touch up; while [ ! -e go ]; do echo x; sleep 0.02; done; sleep 300 & touch ok"
    )
    shutil.rmtree(attempt.dir)
    (attempt.work / "go").touch()
    assert attempt.children[0].wait(30) == 0
    assert attempt.has("ok")
    assert not attempt.dir.exists()
    assert not attempt.survivors()


def test_looking_on_never_stops_a_supervisor_from_starting(attempt: Attempt) -> None:
    attempt.sh("echo ok")
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            client.read_attempt_state(attempt.dir)

    lookers = [threading.Thread(target=look) for _ in range(4)]
    for looker in lookers:
        looker.start()
    try:
        assert attempt.run().last_line == "ok"
    finally:
        done.set()
        for looker in lookers:
            looker.join()


def test_output_beyond_a_file_size_limit(attempt: Attempt) -> None:
    """A write that fails half way: no torn line, the agent goes on, the loss is recorded."""
    attempt.python("for n in range(40_000): print(n)")
    resource_limit = (
        "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536));"
        "os.execv(sys.executable, [sys.executable, '-m', 'orchestr.supervisor', sys.argv[1]])"
    )
    child = subprocess.Popen([sys.executable, "-c", resource_limit, str(attempt.dir)])
    attempt.children.append(child)
    ended = client.wait_for_exit(attempt.dir, child=child, stop=threading.Event())
    assert ended is not None
    assert (ended.code, ended.last_line) == (0, "39999")
    assert "transcript are lost: File too large" in ended.detail
    assert [line["text"] for line in attempt.transcript()][:2] == ["0", "1"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE) != (65_536, 65_536)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """One megabyte, where we may mount it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    attempt = Attempt(small_disk)
    try:
        attempt.python("for n in range(400_000): print(n)")
        ended = attempt.run()
        assert (ended.code, ended.last_line) == (0, "399999")
        assert "No space left on device" in ended.detail
        attempt.transcript()
    finally:
        attempt.clean()


def test_a_disk_that_is_full_to_the_end_and_freed_later(small_disk: Path) -> None:
    attempt = Attempt(small_disk)
    ballast = small_disk / "ballast"
    try:
        attempt.sh("touch up; while [ ! -e go ]; do sleep 0.02; done; echo finished")
        child = attempt.start()
        eventually(lambda: attempt.has("up"))
        attempt.until_running()
        (attempt.dir / ".exit.spare").unlink()
        (attempt.work / "go").touch()
        with ballast.open("wb", buffering=0) as stream, pytest.raises(OSError):
            while True:
                stream.write(bytes(4096))
        eventually(lambda: not attempt.survivors())
        assert child.poll() is None
        assert client.read_attempt_state(attempt.dir) is AttemptState.RUNNING
        ballast.unlink()
        ended = client.wait_for_exit(attempt.dir, child=child, stop=threading.Event())
        assert ended is not None and ended.code == 0
    finally:
        attempt.clean()


STRAY = (  # an empty environment, a session of its own, a parent that is gone
    "import os, sys, time\n"
    "if os.fork(): sys.exit()\n"
    "os.setsid()\n"
    "os.execve(sys.executable, [sys.executable, '-c', 'import os, time\\n"
    'open("stray", "w").write(str(os.getpid()))\\n'
    "time.sleep(300)'], {})"
)


def test_what_left_its_environment_and_its_parent_is_ended_with_a_killed_supervisor(
    attempt: Attempt,
) -> None:
    """By what the supervisor noted; the marker is not in an empty environment."""
    (attempt.work / "stray.py").write_text(STRAY)
    bystander = subprocess.Popen(["sleep", "300"], cwd=attempt.work, start_new_session=True)
    running(attempt, f"{sys.executable} stray.py; touch up; sleep 300")
    eventually(lambda: attempt.has("stray") and (attempt.work / "stray").read_text())
    stray = int((attempt.work / "stray").read_text())
    eventually(lambda: f"\n{stray} " in (attempt.dir / "processes").read_text())
    attempt.children[0].kill()
    attempt.children[0].wait()
    try:
        assert client.stop_attempt(attempt.dir, marker=attempt.marker, grace=0) is None
        assert wait_until_gone(stray)
        assert bystander.poll() is None  # a person's process in the worktree
    finally:
        bystander.kill()
        bystander.wait()


def test_notes_of_another_boot_name_nobody(attempt: Attempt) -> None:
    """The machine was restarted: the numbers belong to other processes now."""
    bystander = subprocess.Popen(["sleep", "300"], start_new_session=True)
    created = psutil.Process(bystander.pid).create_time()
    line = f"{bystander.pid} {created:.2f} {bystander.pid}\n"
    (attempt.dir / "processes").write_text(f"boot another\n{line}")
    try:
        assert client.end_leftovers(attempt.dir, attempt.marker) == 0
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
