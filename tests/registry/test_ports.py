"""Ports: leased under the registry's lock, tested by binding."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from orchestr.state import ports
from orchestr.state.ports import SIZE, env_file_content, is_free, lease_ports, port_env_variables
from orchestr.state.registry import Registry, RegistryEntry

ROOT = Path(__file__).parents[2]


def registry(tmp_path: Path, *names: str) -> Registry:
    found = Registry(tmp_path / "registry.json", tmp_path / "registry.lock")
    for name in names:
        found.reserve(RegistryEntry(f"f/{name}", "r", "/r/.git", f"/w/{name}", name, "", ""))
    return found


def free_base(blocks: int) -> int:
    """The start of ports that are free now, away from those that the kernel hands out."""
    for base in range(20000, 30000, 50):
        if all(is_free(port) for port in range(base, base + blocks * SIZE)):
            return base
    raise AssertionError("no free ports")


def test_blocks_of_ten_by_turns_and_the_same_again(tmp_path: Path) -> None:
    base = free_base(2)
    known = registry(tmp_path, "a", "b", "c")

    first, second = (lease_ports(known, f"f/{name}", base, 2) for name in "ab")

    assert first == tuple(range(base, base + 10))
    assert second == tuple(range(base + 10, base + 20))
    assert lease_ports(known, "f/a", base, 2) == first
    assert lease_ports(known, "f/c", base, 2) is None  # none free: wait
    entry = known.lookup("f/a")
    assert entry is not None and entry.ports == first
    known.release("f/a")
    assert lease_ports(known, "f/c", base, 2) == first


def test_a_block_with_a_busy_port_is_passed_over(tmp_path: Path) -> None:
    base = free_base(3)
    known = registry(tmp_path, "a")
    with closing(socket.create_server(("127.0.0.1", base + 7))):
        assert lease_ports(known, "f/a", base, 3) == ports.port_block(base, 1)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_listener_makes_a_port_busy(host: str) -> None:
    with closing(socket.create_server((host, 0))) as server:
        assert not is_free(server.getsockname()[1])


def test_only_a_cell_with_a_worktree_gets_ports(tmp_path: Path) -> None:
    known = registry(tmp_path, "a")
    known.release("f/a")
    for key in ("f/a", "f/none"):
        with pytest.raises(KeyError):
            lease_ports(known, key)


def test_variables_and_file() -> None:
    block = ports.port_block(9000, 1)
    assert port_env_variables(block)["ORCHESTR_PORT_9"] == "9019"
    assert port_env_variables(block)["BACKEND_PORT"] == "9010"
    assert port_env_variables(block)["FRONTEND_PORT"] == "9011"
    text = env_file_content(block)
    assert "ORCHESTR_PORT_0=9010\n" in text
    assert "PORT_RANGE_START=9010\nPORT_RANGE_END=9019\nPORT_RANGE_SIZE=10\n" in text
    assert text.endswith("VITE_BACKEND_URL=http://localhost:9010\n")
    assert (port_env_variables(()), env_file_content(())) == ({}, "")


BINDER = """\
import socket, sys
from pathlib import Path
from orchestr.state.ports import lease_ports
from orchestr.state.registry import Registry
root, key, base = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
known = Registry(root / "registry.json", root / "registry.lock")
sys.stdin.readline()
got = lease_ports(known, key, base, 20)
held = [socket.create_server(("127.0.0.1", port)) for port in got]
print(*got, flush=True)
sys.stdin.readline()
"""


def run_at_once(script: str, argument_lists: list[list[str]]) -> tuple[list[str], list[int]]:
    """One process of `script` per argument list: the line each prints on "go", and its exit code.

    All stand until every line is read, so that none frees what it holds too early.
    """
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for arguments in argument_lists
    ]
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    lines = [process.stdout.readline() for process in running if process.stdout]
    for process in running:
        process.communicate("end\n")
    return lines, [process.returncode for process in running]


@pytest.mark.slow
def test_fifteen_at_once_do_not_clash(tmp_path: Path) -> None:
    """Each leases and binds at once; no port twice, no bind refused."""
    base = free_base(20)
    names = [f"c{i}" for i in range(15)]
    registry(tmp_path, *names)
    lines, codes = run_at_once(BINDER, [[str(tmp_path), f"f/{name}", str(base)] for name in names])

    got = [int(word) for line in lines for word in line.split()]
    assert codes == [0] * 15
    assert len(got) == len(set(got)) == 150
