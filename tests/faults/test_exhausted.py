"""A machine with nothing left starts no program and knows no process: neither is a "no"."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

START = """
import os, resource, sys
from pathlib import Path
from orchestr.errors import MachineFault
from orchestr.git.repo import Repo
from orchestr.process.run import run_command
from orchestr.process.tree import is_process_alive, read_create_time
me = (os.getpid(), read_create_time(os.getpid()))
repo = Repo(Path("/"))
repo.build_command("rev-parse")
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
"""
ASKED = {
    "a program": "run_command(('true',), cwd=Path('/'), env={'PATH': '/bin:/usr/bin'})",
    "git": "repo.resolve_commit('HEAD')",
    "a process": "is_process_alive(*me)",
}


@pytest.mark.parametrize("what", ASKED)
def test_no_file_handle_is_left(what: str) -> None:
    code = f"""{START}
try:
    print("answered", {ASKED[what]})
except MachineFault as error:
    print("fault", error.retry_after)
except OSError as error:
    print("fault", error.errno)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout.startswith("fault"), done.stdout + done.stderr
