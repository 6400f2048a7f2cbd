"""The lease on a feature: exactly one run, and everybody else learns who it is."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import asdict, replace

from orchestr.errors import Busy
from orchestr.process.file_lock import FlockLock
from orchestr.process.lease import Lease, LeaseRecord, break_lease, read_lease

HOLD = """
import sys; from pathlib import Path
from orchestr.errors import Busy
from orchestr.process.lease import Lease, LeaseRecord
record = LeaseRecord.for_this_process(command="orchestr run mlkem", features=("mlkem",), jobs=3)
try:
    lease = Lease.acquire(Path(sys.argv[1]), record)
except Busy as busy:
    print("busy", busy, flush=True)
    sys.exit(int(busy.exit_code))
print("got it", flush=True)
sys.stdin.read()
lease.release()
"""


def record(**changes: object) -> LeaseRecord:
    mine = LeaseRecord.for_this_process(command="orchestr run mlkem", features=("mlkem",), jobs=3)
    return replace(mine, **changes)  # type: ignore[arg-type]


def holder(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def put(path: Path, what: LeaseRecord) -> None:
    path.write_text(json.dumps(asdict(what)))


def test_taken_read_and_given_back(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "mlkem.lease"
    assert read_lease(path) is None
    mine = record()
    with Lease.acquire(path, mine):
        assert read_lease(path) == mine
        assert json.loads(path.read_text())["nonce"] == mine.nonce
    assert read_lease(path) is None
    assert path.read_bytes() == b""
    Lease.acquire(path, record()).release()


def test_busy_says_who_since_when_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "mlkem.lease"
    other = holder(path)
    assert other.stdout and other.stdout.readline() == "got it\n"
    with pytest.raises(Busy) as raised:
        Lease.acquire(path, record())
    theirs = read_lease(path)
    assert theirs is not None and theirs.pid == other.pid
    assert str(raised.value) == (
        f"mlkem is busy: pid {other.pid} ({theirs.user} on {socket.gethostname()}) "
        f"runs `orchestr run mlkem` since {theirs.started_at}"
    )
    assert raised.value.hint == "orchestr status mlkem, wait for it, or orchestr abort mlkem"
    assert raised.value.exit_code == 4
    with pytest.raises(Busy, match="a live holder's lock is not broken") as refused:
        break_lease(path)
    assert refused.value.hint and "orchestr abort mlkem" in refused.value.hint
    other.communicate("")
    assert read_lease(path) is None


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    other = holder(path)
    assert other.stdout and other.stdout.readline()
    other.kill()
    other.communicate()
    assert path.read_bytes() != b""
    assert read_lease(path) is None
    with Lease.acquire(path, record()) as lease:
        assert read_lease(path) == lease.record


def test_of_twenty_processes_exactly_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    racers = [holder(path) for _ in range(20)]
    said = [r.stdout.readline() for r in racers if r.stdout]
    winners = [r for r, line in zip(racers, said, strict=True) if line == "got it\n"]
    assert len(winners) == 1
    assert sum(f"busy mlkem is busy: pid {winners[0].pid} " in line for line in said) == 19
    for racer in racers:
        racer.communicate("")
    assert sorted(r.returncode for r in racers) == [0] + [4] * 19


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"[1]", b"\xff\xfe", b'{"pid": "x"}', b'{"pid": 1}', b"0" * 5000],
)
def test_a_corrupt_record_is_no_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lease"
    path.write_bytes(content)
    assert read_lease(path) is None
    assert break_lease(path) is None
    path.write_bytes(content)
    with Lease.acquire(path, record()) as lease:
        assert read_lease(path) == lease.record


def test_a_reused_pid_is_stale(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    put(path, record(pid=os.getppid(), create_time=12345.0))
    assert read_lease(path) is None
    Lease.acquire(path, record()).release()


def test_another_hosts_record_stands_until_it_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    theirs = record(host="elsewhere", pid=1)
    put(path, theirs)
    assert read_lease(path) == theirs
    with pytest.raises(Busy, match="on elsewhere") as raised:
        Lease.acquire(path, record())
    assert raised.value.hint and "orchestr run mlkem --break-lock" in raised.value.hint
    assert break_lease(path) == theirs
    assert read_lease(path) is None
    Lease.acquire(path, record()).release()


def test_a_live_record_counts_where_flock_does_not_work(tmp_path: Path) -> None:
    """A file system without flock: pid and create time still bar a second run."""
    path = tmp_path / "lease"
    put(path, record())
    with pytest.raises(Busy):
        Lease.acquire(path, record())
    with pytest.raises(Busy):
        break_lease(path)


def test_a_holder_that_does_not_say_who_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mlkem.lease"
    with FlockLock(path):
        unknown = read_lease(path)
        assert unknown is not None and unknown.pid == 0
        with pytest.raises(Busy, match="a process that does not say who it is"):
            Lease.acquire(path, record())


def test_releasing_twice_does_not_touch_the_next_holder(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    first = Lease.acquire(path, record())
    first.release()
    with Lease.acquire(path, record()) as second:
        first.release()
        assert read_lease(path) == second.record


def test_looking_on_never_makes_it_busy(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    path.touch()
    looker = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from orchestr.process.lease import read_lease\n"
            "print('on', flush=True)\nwhile True: read_lease(Path(sys.argv[1]))",
            str(path),
        ],
        stdout=subprocess.PIPE,
    )
    assert looker.stdout and looker.stdout.readline()
    try:
        for _ in range(200):
            Lease.acquire(path, record()).release()
    finally:
        looker.kill()
        looker.communicate()
