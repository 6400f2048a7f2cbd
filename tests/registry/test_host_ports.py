"""Two workspaces of one user on one host never lease the same ports; what is dead holds nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from orchestr.state.host_ports import PortOwner
from orchestr.state.ports import explain_shortage, lease_ports, port_block
from orchestr.state.registry import Registry
from tests.registry.test_ports import free_base, registry, run_at_once


@pytest.fixture(autouse=True)
def claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of claims, in a state folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "orchestr" / f"ports-{socket.gethostname()}.json"


def workspace(root: Path, *names: str) -> tuple[Registry, dict[str, PortOwner]]:
    """The registry of a workspace with these cells of the feature `f`, and the cells as owners."""
    state = root / ".orchestr"
    state.mkdir(parents=True)
    lease = state / "locks" / "f.lease"
    return registry(state, *names), {
        name: PortOwner(state / "cells" / "f" / name, lease, state) for name in names
    }


def test_two_workspaces_get_different_blocks(tmp_path: Path) -> None:
    base = free_base(3)
    one, mine = workspace(tmp_path / "one", "a", "b")
    two, theirs = workspace(tmp_path / "two", "a")

    assert lease_ports(one, "f/a", base, 3, owner=mine["a"]) == port_block(base, 0)
    assert lease_ports(two, "f/a", base, 3, owner=theirs["a"]) == port_block(base, 1)
    assert lease_ports(one, "f/b", base, 3, owner=mine["b"]) == port_block(base, 2)
    assert lease_ports(two, "f/a", base, 3, owner=theirs["a"]) == port_block(base, 1)  # again

    two.free_ports("f/a")
    theirs["a"].release_ports()
    one.free_ports("f/b")
    mine["b"].release_ports()
    assert lease_ports(one, "f/b", base, 3, owner=mine["b"]) == port_block(base, 1)


def test_blocks_that_overlap_are_one_anothers(tmp_path: Path) -> None:
    base = free_base(3)
    one, mine = workspace(tmp_path / "one", "a")
    two, theirs = workspace(tmp_path / "two", "a")
    assert lease_ports(one, "f/a", base + 5, 1, owner=mine["a"]) == port_block(base + 5, 0)
    assert lease_ports(two, "f/a", base, 2, owner=theirs["a"]) is None
    assert lease_ports(two, "f/a", base, 3, owner=theirs["a"]) == port_block(base, 2)


def test_a_dead_owner_holds_nothing(tmp_path: Path, claims: Path) -> None:
    base = free_base(1)
    one, mine = workspace(tmp_path / "one", "a")
    two, theirs = workspace(tmp_path / "two", "a")
    assert lease_ports(one, "f/a", base, 1, owner=mine["a"]) == port_block(base, 0)
    written = json.loads(claims.read_text())
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    written["claims"][0]["pid"] = gone.pid
    claims.write_text(json.dumps(written))

    assert lease_ports(two, "f/a", base, 1, owner=theirs["a"]) == port_block(base, 0)
    # the killed run goes on: what it had is another's now, so it waits
    assert lease_ports(one, "f/a", base, 1, owner=mine["a"]) is None
    entry = one.lookup("f/a")
    assert entry is not None and entry.ports == ()


def test_a_pid_that_is_another_process_now_holds_nothing(tmp_path: Path, claims: Path) -> None:
    base = free_base(1)
    one, mine = workspace(tmp_path / "one", "a")
    two, theirs = workspace(tmp_path / "two", "a")
    lease_ports(one, "f/a", base, 1, owner=mine["a"])
    written = json.loads(claims.read_text())
    assert written["claims"][0]["pid"] == os.getpid()
    written["claims"][0]["create_time"] -= 1000.0
    claims.write_text(json.dumps(written))
    assert lease_ports(two, "f/a", base, 1, owner=theirs["a"]) == port_block(base, 0)


@pytest.mark.parametrize("content", [b"", b"{", b'{"schema": 1, "claims": 5}', b"[]"])
def test_a_torn_file_is_replaced(tmp_path: Path, claims: Path, content: bytes) -> None:
    base = free_base(1)
    claims.parent.mkdir(parents=True)
    claims.write_bytes(content)
    one, mine = workspace(tmp_path / "one", "a")
    two, theirs = workspace(tmp_path / "two", "a")
    assert lease_ports(one, "f/a", base, 1, owner=mine["a"]) == port_block(base, 0)
    assert lease_ports(two, "f/a", base, 1, owner=theirs["a"]) is None


def test_a_folder_that_cannot_be_made_keeps_nobody_from_work(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file\n")
    one, mine = workspace(tmp_path / "one", "a")
    base = free_base(1)
    assert lease_ports(one, "f/a", base, 1, owner=mine["a"]) == port_block(base, 0)


def test_a_shortage_names_the_programs_and_is_none_while_cells_hold_a_block(
    tmp_path: Path,
) -> None:
    base = free_base(2)
    one, mine = workspace(tmp_path / "one", "a", "b")
    two, theirs = workspace(tmp_path / "two", "a")
    with closing(socket.create_server(("127.0.0.1", base + 3))):
        assert explain_shortage(one, mine["a"], base, 2) is None
        with closing(socket.create_server(("127.0.0.1", base + 11))):
            why = explain_shortage(one, mine["a"], base, 2)
            assert why is not None
            assert why.startswith(f"no block of ten ports ({base} to {base + 19}) is free; ")
            assert f"{base + 3} by " in why and f"(pid {os.getpid()})" in why
        assert lease_ports(two, "f/a", base, 2, owner=theirs["a"]) == port_block(base, 1)
        assert lease_ports(one, "f/a", base, 2, owner=mine["a"]) is None
        assert explain_shortage(one, mine["a"], base, 2) is None  # the other workspace's cell ends


CLAIMER = """\
import sys
from pathlib import Path
from orchestr.state.host_ports import PortOwner
from orchestr.state.ports import lease_ports
from orchestr.state.registry import Registry
root, base = Path(sys.argv[1]), int(sys.argv[2])
known = Registry(root / "registry.json", root / "registry.lock")
sys.stdin.readline()
owner = PortOwner(root / "cells" / "f" / "a", root / "lease", root)
print(*(lease_ports(known, "f/a", base, 20, owner=owner) or ()), flush=True)
sys.stdin.readline()
"""


@pytest.mark.slow
def test_ten_workspaces_at_once_do_not_clash(tmp_path: Path) -> None:
    base = free_base(20)
    roots = [tmp_path / f"w{n}" / ".orchestr" for n in range(10)]
    for root in roots:
        workspace(root.parent, "a")
    lines, _ = run_at_once(CLAIMER, [[str(root), str(base)] for root in roots])
    got = [int(word) for line in lines for word in line.split()]
    assert len(got) == len(set(got)) == 100
