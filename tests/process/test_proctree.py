"""Who is who: identities, descendants, markers, and ending exactly those."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from orchestr.process import tree
from orchestr.process.run import (
    find_marked,
    is_process_alive,
    kill_marked,
    kill_tree,
    read_create_time,
)
from orchestr.state import attempts

SH = "/bin/sh"


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    children: list[subprocess.Popen[bytes]] = []

    def start(script: str, marker: str = "") -> subprocess.Popen[bytes]:
        env = {"PATH": os.environ["PATH"]} | ({"ORCHESTR_ATTEMPT_ID": marker} if marker else {})
        child = subprocess.Popen(
            [SH, "-c", script], env=env, stdout=subprocess.PIPE, start_new_session=True
        )
        children.append(child)
        return child

    yield start
    for child in children:
        if child.poll() is None:
            child.kill()
        child.communicate()


def said(child: subprocess.Popen[bytes]) -> bytes:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def ended(pid: int) -> bool:
    end = time.monotonic() + 20
    while read_create_time(pid) is not None:
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def test_create_time_is_noted_in_two_ways() -> None:
    """As it is read now, and as psutil counts it: earlier versions noted that."""
    assert is_process_alive(os.getpid(), read_create_time(os.getpid()) or 0.0)
    assert is_process_alive(os.getpid(), psutil.Process().create_time())
    assert not is_process_alive(os.getpid(), psutil.Process().create_time() - 60)
    assert read_create_time(2**22 + 1) is None


# What a program sees whose clock was set by two hours: the boot is later by as much.
SET_CLOCK = """\
sed 's/^btime .*/btime 1000000000/' /proc/stat > "$1" && mount --bind "$1" /proc/stat && shift &&
exec "$@"
"""


def set_clock(folder: Path, *argv: str) -> list[str]:
    """The command for whom the clock was set; skips where that cannot be shown to it."""
    words = ["unshare", "--mount", "sh", "-c", SET_CLOCK, "sh", str(folder / "stat"), *argv]
    tried = subprocess.run([*words[:7], "true"], capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip("no mount namespace, so no program can get another /proc/stat")
    return words


def test_a_process_is_the_same_one_after_the_clock_was_set(
    spawn: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    child = spawn("echo up; exec sleep 300")
    said(child)
    born = read_create_time(child.pid)
    code = (
        "from orchestr.process.tree import *\n"
        f"print(is_process_alive({child.pid}, {born!r}), kill_tree({child.pid}, {born!r}, grace=0))"
    )
    done = subprocess.run(
        set_clock(tmp_path, sys.executable, "-c", code), capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["True", "1"], done.stderr
    assert child.wait() == -signal.SIGKILL


def test_alive_needs_pid_and_create_time(spawn: Callable[..., subprocess.Popen[bytes]]) -> None:
    child = spawn("echo up; exec sleep 300")
    said(child)
    born = read_create_time(child.pid)
    assert born is not None
    assert is_process_alive(child.pid, born)
    assert not is_process_alive(child.pid, born - 60)
    assert not is_process_alive(0, born)
    child.kill()
    assert ended(child.pid)  # a zombie until it is waited for, and dead all the same
    assert not is_process_alive(child.pid, born)


def test_a_name_with_brackets_is_read_well(tmp_path) -> None:
    program = tmp_path / "a) S 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "300"]) as child:
        assert is_process_alive(child.pid, psutil.Process(child.pid).create_time())
        child.kill()


def test_kill_tree_finds_other_sessions(spawn: Callable[..., subprocess.Popen[bytes]]) -> None:
    child = spawn("setsid sh -c 'trap \"\" TERM; sleep 300 & echo $!; wait' & wait")
    grandchild = int(said(child))
    born = read_create_time(child.pid)
    assert born is not None
    assert kill_tree(child.pid, born - 60, grace=0) == 0
    assert is_process_alive(child.pid, born)
    assert kill_tree(child.pid, born, grace=0.1) == 3
    assert ended(grandchild)
    assert child.wait() == -signal.SIGTERM


def until_bare(pid: int, marker: str) -> None:
    """Wait until ``env -i`` ran: before its exec the fork still carries the marker."""
    while marker.encode() in Path(f"/proc/{pid}/environ").read_bytes():
        time.sleep(0.01)


def test_kill_marked_ends_all_that_carry_it_and_their_children(
    spawn: Callable[..., subprocess.Popen[bytes]],
) -> None:
    marker = f"test/{secrets.token_hex(6)}"
    child = spawn("env -i sleep 300 & echo $!; wait", marker)
    bare = int(said(child))
    until_bare(bare, marker)
    other = spawn("echo up; exec sleep 300", marker + "0")
    said(other)
    assert [p.pid for p in find_marked(marker)] == [child.pid]
    assert kill_marked(marker) == 2
    assert ended(bare) and child.wait() == -signal.SIGKILL
    assert other.poll() is None
    assert kill_marked(marker) == 0


def test_an_empty_marker_names_nobody(spawn: Callable[..., subprocess.Popen[bytes]]) -> None:
    assert find_marked("") == []
    assert kill_marked("") == 0


def test_psutil_gives_the_same_answers_elsewhere(
    spawn: Callable[..., subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way taken where there is no /proc."""
    monkeypatch.setattr(tree, "LINUX", False)
    marker = f"test/{secrets.token_hex(6)}"
    child = spawn("env -i sleep 300 & echo $!; wait", marker)
    bare = int(said(child))
    until_bare(bare, marker)
    born = read_create_time(child.pid)
    assert born is not None and is_process_alive(child.pid, born)
    assert [p.pid for p in find_marked(marker)] == [child.pid]
    assert kill_marked(marker) == 2
    assert ended(bare)


def test_equal_attempts_of_two_workspaces_do_not_end_each_others_agents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spawn: Callable[..., subprocess.Popen[bytes]]
) -> None:
    monkeypatch.setattr(attempts, "utc_timestamp", lambda: "2026-01-02T03:04:05.678+00:00")
    markers = []
    for place in ("mine", "theirs"):
        attempts.open_attempt(tmp_path / place, key="k", agent="sh", model=None, start="s")
        again = attempts.read_attempt(tmp_path / place, 1)  # as after a kill
        assert again is not None
        markers.append(again.process_marker("demo/low"))
    mine, theirs = (spawn("exec sleep 60", marker) for marker in markers)
    assert kill_marked(markers[0]) == 1
    assert mine.wait(10) == -signal.SIGKILL
    assert theirs.poll() is None
