"""A process that hides itself: its environment is read with privileges only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# As another user, because root reads everything; changing the user hides a process, too.
PROGRAM = """
import ctypes, os, sys
from orchestr.process.hiding import hide_this_process
from orchestr.process.tree import read_command_line, read_create_time, read_environ
from orchestr.process.written_bytes import WriteCounter
if os.geteuid() == 0:
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
counter = WriteCounter(os.getpid())
if sys.argv[1] == "hidden":
    hide_this_process()
pid = os.getpid()
child = os.fork()
if child == 0:
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
    print(bool(read_environ(pid)), read_create_time(pid) is not None,
          "-c" in read_command_line(pid), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(counter.read() is not None)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")
@pytest.mark.parametrize(("how", "readable"), [("shown", True), ("hidden", False)])
def test_only_its_identity_can_be_read(how: str, readable: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how],
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "GH_TOKEN": "gho_1234567890"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == [str(readable), "True", "True", "True"]
