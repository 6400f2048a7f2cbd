"""The scripted agent, and how the trials of these tests start `orchestr`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestr.conformance.connect import CONNECTIONS
from orchestr.conformance.house import Subject
from orchestr.conformance.perform import Finding, try_promises
from orchestr.conformance.promises import PROMISES
from tests.fork_server import run_process

SCRIPTED = Path(__file__).with_name("scripted_agent.py")
NIGHTLY = "ORCHESTR_TEST_NIGHTLY"
TryScripted = Callable[..., dict[str, Finding]]


def nightly(test: Any) -> Any:
    """Mark a test that is for the night: minutes of many trials."""
    why = f"many trials; {NIGHTLY}=1 runs them"
    return pytest.mark.slow(pytest.mark.skipif(os.environ.get(NIGHTLY) != "1", reason=why)(test))


def run_forked(
    argv: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float
) -> tuple[int, str]:
    """`orchestr ARGV` by the fork server."""
    done = run_process(
        [sys.executable, "-m", "orchestr", *argv], cwd=cwd, env=dict(env),
        stdin=subprocess.DEVNULL, text=True, timeout=timeout,
    )  # fmt: skip
    return done.returncode, f"{done.stdout}{done.stderr}"


def make_scripted(broken: str = "") -> Subject:
    """The scripted agent, which breaks the promises that are named, with commas between them."""
    table = {"kind": "claude", "program": str(SCRIPTED), "env": {"CLAUDE_CODE_BROKEN": broken}}
    return Subject("scripted", table, CONNECTIONS["claude"], os.environ["PATH"])


@pytest.fixture
def try_scripted(tmp_path: Path) -> TryScripted:
    """``try_scripted(trial, broken="")``: promise -> finding of the trial's promises."""

    def run(trial: str, broken: str = "") -> dict[str, Finding]:
        promises = [p for p in PROMISES if p.trial == trial]
        found = try_promises(make_scripted(broken), promises, runner=run_forked, place=tmp_path)
        return {finding.promise: finding for finding in found}

    return run
