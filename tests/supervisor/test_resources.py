"""What counts as used: private and shared memory, what is shared only once, processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestr.supervisor.resources import ResourceWatch

MIB = 1 << 20
SIZE = 64 * MIB
TAKE = f"""\
import mmap, os, sys
kind, children = sys.argv[1], int(sys.argv[2])
if kind == "shared":
    room = mmap.mmap(-1, {SIZE})
    for at in range(0, {SIZE}, 4096):
        room[at] = 1
else:
    room = bytearray(b"x") * {SIZE}
for _ in range(children):
    if os.fork() == 0:
        if kind == "shared":
            sum(room[at] for at in range(0, {SIZE}, 4096))
        os.write(1, b"%d\\n" % os.getpid())
        sys.stdin.read()
        os._exit(0)
os.write(1, b"%d\\n" % os.getpid())
sys.stdin.read()
"""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="needs /proc/PID/smaps_rollup"
)


@contextmanager
def processes(kind: str, children: int = 0) -> Iterator[list[int]]:
    """A process that has 64 MiB in memory, and its children; the pids."""
    argv = [sys.executable, "-c", TAKE, kind, str(children)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        yield [int(one.stdout.readline()) for _ in range(children + 1)]
        assert one.stdin is not None
        one.stdin.close()


@pytest.mark.parametrize("kind", ["private", "shared"])
def test_both_kinds_of_memory_count(kind: str) -> None:
    with processes(kind) as pids:
        words = ResourceWatch(SIZE // 2, 0).explain_excess(pids, 0)
    assert words is not None and words.endswith("of memory, more than limits.memory allows")


@pytest.mark.parametrize("kind", ["private", "shared"])
def test_what_forks_share_counts_once(kind: str) -> None:
    with processes(kind, children=3) as pids:
        assert ResourceWatch(SIZE * 2, 0).explain_excess(pids, 0) is None


def test_processes_are_counted() -> None:
    watch = ResourceWatch(0, 0, 3)
    assert watch.time_to_next is not None
    assert watch.explain_excess([1, 2, 3], 0) is None
    assert watch.explain_excess([1, 2, 3, 4], 0) == "had 4 processes, more than limits.pids allows"
    assert ResourceWatch(0, 0).time_to_next is None


def test_a_process_that_has_ended_uses_nothing() -> None:
    with processes("private") as pids:
        pass
    assert ResourceWatch(1, 0).explain_excess(pids, 0) is None
