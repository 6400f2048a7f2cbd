"""CI of the local forge through `follow`: siblings with and without a wall, and Ctrl+C."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from orchestr.errors import ExitCode

from .conftest import MakeWorkspace
from .workspace import FEATURE, Workspace, both, wait_for

STEP = (Path(__file__).parents[2] / "docs/ci.md").read_text().split("```sh\n")[1].split("```")[0]


def set_ci(ws: Workspace, command: str) -> None:
    """Give the local forge its CI."""
    path = ws.root / "orchestr.toml"
    path.write_text(path.read_text().replace("[forge]\n", f'[forge]\nci = "{command}"\n'))


@pytest.mark.parametrize("wall", ["none", "bwrap"], indirect=True)
def test_ci_has_what_a_pull_request_depends_on(workspace: MakeWorkspace, wall: str) -> None:
    ws = workspace(
        repos=("lib", "app"),
        cells={"core": {"repo": "lib"}, "use": {"repo": "app", "depends_on": ["core"]}},
    )
    script = ws.root / "ci.sh"
    script.write_text(
        f'set -e\norchestr() {{ {sys.executable} -m orchestr "$@"; }}\n{STEP}\n'
        'test "$ORCHESTR_CI_BRANCH" = main || test "$ORCHESTR_CI_REPO" = lib || '
        "cat siblings/lib/core.txt\n"
    )
    set_ci(ws, f"sh {script}")
    ws.run("run", FEATURE, code=0)

    done = ws.run("follow", FEATURE, "--once")

    logs = [path.read_text() for path in (ws.root / ".orchestr/forge").glob("*/ci/*.log")]
    assert done.returncode == ExitCode.DONE, "\n".join([both(done), *logs])
    assert "waiting for local CI: on " in done.stderr
    assert done.stdout.count("it can be merged") == 2
    assert any("attempt 1" in log for log in logs), logs  # the file of the other repository


def test_ctrl_c_does_not_wait_for_ci(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"a": {}})
    started = ws.root / "started"
    set_ci(ws, f"echo $$ >> {started}; exec sleep 300")
    ws.run("run", FEATURE, code=0)
    follow = ws.spawn("follow", FEATURE)
    wait_for(lambda: started.exists() and len(started.read_text().split()) == 2, "both runs of CI")
    begin = time.monotonic()
    follow.send_signal(signal.SIGINT)
    assert follow.wait() == ExitCode.INTERRUPTED
    assert time.monotonic() - begin < 20
    for pid in started.read_text().split():
        assert not Path("/proc", pid).exists()
    assert not list((ws.root / ".orchestr/forge/app/ci").glob("*.json"))
