"""`init`: where the new workspace is made, and whether what it says comes next can be typed."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from tests.fork_server import run_process


def init(cwd: Path, *args: str, **env: str) -> str:
    """What `orchestr init ARGS` says."""
    program = [sys.executable, "-m", "orchestr", "init", *args]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ORCHESTR_")}
    done = run_process(program, cwd=cwd, env=clean | env, text=True)
    done.check_returncode()
    return str(done.stdout)


def test_a_folder_is_made_where_the_person_stands(tmp_path: Path) -> None:
    """`doitw` goes to its own folder first, and there is none in the new workspace."""
    here, there = tmp_path / "a person's", tmp_path / "clone"
    here.mkdir()
    there.mkdir()
    said = init(there, "my ws", ORCHESTR_FROM=str(here), ORCHESTR_AS="./doitw")
    assert (here / "my ws" / "orchestr.toml").exists()
    assert list(there.iterdir()) == []
    last = said.splitlines()[-1].removeprefix("next: ")
    step, _, rest = last.partition(", edit ")
    command = f"{step} && {rest.partition(', then ')[2]}"
    done = subprocess.run(
        ["sh", "-c", command], cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, command + done.stderr
    assert "example: An example feature" in done.stdout


def test_without_a_folder_it_is_the_current_one(tmp_path: Path) -> None:
    assert "next: edit specs/example.yaml, then orchestr plan example" in init(tmp_path)
    assert "next: cd ws, edit" in init(tmp_path, "ws")
    assert shlex.split(init(tmp_path, "b c").splitlines()[-1])[:3] == ["next:", "cd", "b c,"]
    assert (tmp_path / "b c" / "specs" / "example.yaml").exists()
