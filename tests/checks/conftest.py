"""One check in a folder: real programs, no mocks."""

from __future__ import annotations

import os
import shlex
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from orchestr.checks import make_check
from orchestr.checks.base import CheckRequest, CheckResult
from orchestr.spec.check_models import read_checks
from orchestr.spec.checks import CheckDef
from tests.conftest import write

Ask = Callable[..., CheckResult]
PYTHON = sys.executable


def define(**fields: object) -> CheckDef:
    """The record of a check as a spec would write it."""
    found, faults = read_checks([fields])
    assert not faults, faults
    return found[0]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """``ask({"file": "content"}, kind="command", run=[...])``: run one check there."""

    def run(
        files: Mapping[str, str | bytes] | None = None,
        *,
        stop: threading.Event | None = None,
        ports: tuple[int, ...] = (),
        environ: Mapping[str, str] | None = None,
        user: Mapping[str, str] | None = None,
        **fields: object,
    ) -> CheckResult:
        worktree = tmp_path / "tree"
        worktree.mkdir(exist_ok=True)
        write(worktree, files or {})
        definition = fields.pop("definition", None) or define(**fields)
        request = CheckRequest(
            worktree=worktree,
            head="0" * 40,
            env={"PATH": f"{Path(PYTHON).parent}:{os.environ['PATH']}", **(environ or {})},
            log=tmp_path / "out" / "check.log",
            artefacts=tmp_path / "out" / "artefacts",
            marker=f"test/{tmp_path.name}",
            ports=ports,
            stop=stop or threading.Event(),
            environ=user or {},
        )
        return make_check(definition).run(request)  # type: ignore[arg-type]

    return run


def sh(script: str) -> list[str]:
    """A shell script as a command."""
    return ["sh", "-c", script]


def py(script: str) -> list[str]:
    """A Python program as a command."""
    return [PYTHON, "-c", script]


def quoted(words: list[str]) -> str:
    return shlex.join(words)
