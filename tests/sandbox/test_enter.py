"""The program that enters a sandbox: what it starts, with stand-ins for bubblewrap and systemd."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestr.sandbox.wall import ENTER, explain_broken_wall

SHOW = """#!/bin/sh
echo "$(basename "$0"): $*"
case $0 in
    *systemd-run) while [ "$1" != -- ]; do shift; done; shift; exec "$@";;
esac
for word; do
    case $word in
        --args) shift; tr '\\0' ' ' < /proc/self/fd/$1; echo; break;;
        *) shift;;
    esac
done
echo "token: $TOKEN"
"""


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with a bubblewrap and a systemd-run that say what they are given."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("bwrap", "systemd-run"):
        (folder / name).write_text(SHOW)
        (folder / name).chmod(0o755)
    return folder


def enter(tools: Path, **changes: Any) -> subprocess.CompletedProcess[str]:
    plan = {
        "bwrap": str(tools / "bwrap"),
        "mounts": ["--ro-bind", "/", "/"],
        "network": {"kind": "none"},
        "kept": None,
        "limits": {"memory": None, "cpus": None, "pids": None, "scope": False},
        **changes,
    }
    path = tools / "plan.json"
    path.write_text(json.dumps(plan))
    return subprocess.run(
        [sys.executable, "-I", "-S", str(ENTER), str(path), "--", "the", "command"],
        env={"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "TOKEN": "t0ken"},
        cwd=tools, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_words_of_bubblewrap(tools: Path) -> None:
    said = enter(tools).stdout
    assert "-- the command" in said
    for words in (
        "--unshare-pid",
        "--cap-drop ALL",
        "--die-with-parent",
        "--ro-bind / /",
        "--proc /proc --ro-bind /proc/sys",
        f"--chdir {tools}",
        "--unshare-net",
    ):
        assert words in said
    assert "--unshare-net" not in enter(tools, network={"kind": "all"}).stdout


def test_only_the_variables_that_are_kept_go_inside(tools: Path) -> None:
    assert "token: t0ken" in enter(tools).stdout
    assert "t0ken" not in enter(tools, kept=["PATH"]).stdout


def test_limits_by_a_control_group(tools: Path) -> None:
    limits = {"memory": 1 << 30, "cpus": 1.5, "pids": 64, "scope": True}
    said = enter(tools, limits=limits).stdout
    assert said.startswith("systemd-run: --user --scope --quiet --collect -p MemoryMax=1073741824")
    assert "-p CPUQuota=150% -p TasksMax=64" in said
    assert "bwrap: --args" in said


def test_limits_without_one(tools: Path) -> None:
    said = enter(tools, limits={"memory": 1, "cpus": 1, "pids": 64, "scope": False}).stdout
    assert "-- prlimit --nproc=64 -- the command" in said


@pytest.mark.parametrize(
    "broken", [{"bwrap": "/no/such/bwrap"}, {"mounts": None}, {"network": {}}, {"limits": {}}],
    ids=str,
)  # fmt: skip
def test_what_cannot_begin_says_so(tools: Path, broken: dict[str, Any]) -> None:
    done = enter(tools, **broken)
    assert done.returncode == 126
    why = explain_broken_wall(done.returncode, done.stdout.encode(), done.stderr.encode())
    assert why is not None
    assert why.startswith("its sandbox could not be entered: orchestr: sandbox: ")


@pytest.mark.parametrize(
    "code, output, errors", [(0, b"", b"bwrap: x"), (1, b"said", b"bwrap: x"), (1, b"", b"error"),
                             (2, b"", b"bwrap: x"), (None, b"", b"bwrap: x")],
)  # fmt: skip
def test_what_began_is_the_programs_own(code: int | None, output: bytes, errors: bytes) -> None:
    assert explain_broken_wall(code, output, errors) is None
