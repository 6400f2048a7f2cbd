"""Flock locks: one holder, nobody waits for a dead one, the file stays."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from orchestr.errors import Busy
from orchestr.process.file_lock import FlockLock


def test_one_holder_at_a_time_and_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "repo.lock"
    first, second = FlockLock(path), FlockLock(path)
    with first:
        assert (first.is_held, second.try_acquire(), second.is_held) == (True, False, False)
    assert second.try_acquire()
    second.release()
    second.release()
    assert path.exists()


def test_waiting_has_an_end(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        FlockLock(path),
        pytest.raises(Busy, match="is locked by another process") as raised,
        FlockLock(path, timeout=0.05),
    ):
        pass
    assert raised.value.exit_code == 4
    assert raised.value.hint


@pytest.mark.parametrize("timeout", [None, 30.0])
def test_a_waiting_thread_gets_it_next(tmp_path: Path, timeout: float | None) -> None:
    path, got = tmp_path / "lock", threading.Event()

    def want() -> None:
        with FlockLock(path, timeout=timeout):
            got.set()

    first = FlockLock(path)
    first.acquire()
    thread = threading.Thread(target=want)
    thread.start()
    assert not got.wait(0.05)
    first.release()
    assert got.wait(30)
    thread.join()


def test_taking_it_twice_is_a_fault_of_ours(tmp_path: Path) -> None:
    lock = FlockLock(tmp_path / "lock")
    with lock, pytest.raises(RuntimeError):
        lock.try_acquire()


def test_it_dies_with_its_holder_and_is_not_inherited(tmp_path: Path) -> None:
    """The holder starts a child that lives on, then is killed: the lock is free."""
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys, time; from pathlib import Path\n"
            "from orchestr.process.file_lock import FlockLock\n"
            "lock = FlockLock(Path(sys.argv[1] + '2')); lock.acquire()\n"
            "child = subprocess.Popen(['sleep', '60'], close_fds=False)\n"
            "print(child.pid, flush=True); time.sleep(60)",
            str(path),
        ],
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    child = int(holder.stdout.readline())
    kept = FlockLock(Path(f"{path}2"))
    try:
        assert not kept.try_acquire()
        holder.kill()
        holder.wait()
        kept.acquire(10)
        kept.release()
    finally:
        holder.stdout.close()
        subprocess.run(["kill", str(child)], check=True)


def test_a_lock_file_deleted_by_hand_does_not_let_two_in(tmp_path: Path) -> None:
    """Who waited on the deleted file notices, and locks the new one."""
    path, got = tmp_path / "lock", threading.Event()
    old = FlockLock(path)
    old.acquire()
    late = FlockLock(path)

    def want() -> None:
        late.acquire()
        got.set()

    thread = threading.Thread(target=want)
    thread.start()
    time.sleep(0.05)
    path.unlink()
    new = FlockLock(path)
    assert new.try_acquire()
    old.release()
    assert not got.wait(0.1)
    new.release()
    assert got.wait(30)
    thread.join()
    late.release()
