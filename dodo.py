"""Every workspace's two lines, and this project's own tasks: `test`, `lint`, `check`."""

import os
import sys
from pathlib import Path
from typing import Any

from doit.action import CmdAction

from orchestr.dodo import *  # noqa: F403

# Our own interpreter's tools, whatever PATH says.
PYTHON = sys.executable
BIN = Path(PYTHON).parent
# The demo's repositories hold scripts of the same names, which mypy takes for one module.
NOT_OURS = "^demo/(content|repos)/"
LINTERS = {
    "ruff": [PYTHON, "-m", "ruff", "check", "."],
    "format": [PYTHON, "-m", "ruff", "format", "--check", "."],
    "types": [PYTHON, "-m", "mypy", "--exclude", NOT_OURS],
    "layers": [str(BIN / "lint-imports")],
}


def pytest_command(paths: list[str] | None) -> list[str]:
    """The command of the task `test`; `paths` are the words after its name.

    The whole suite waits for processes and disks, too: a worker more than there are cores. Five at
    most: the tests have five ranges of ports.
    """
    workers = min(max(os.cpu_count() or 2, 2) + 1, 5)
    words = paths or ["-n", str(workers), "--dist", "worksteal"]
    return [PYTHON, "-m", "pytest", *words]


def task_test() -> dict[str, Any]:
    """pytest: all tests, or those in the paths given (`test tests/spec`)."""
    return {
        "actions": [CmdAction(pytest_command, shell=False)],
        "pos_arg": "paths",
        "verbosity": 2,
        "io": {"capture": False},  # pytest sees the terminal itself
    }


def conformance_command(agents: list[str] | None) -> list[str]:
    """The command of the task `conformance`."""
    return [PYTHON, "-m", "tests.conformance.matrix", *(agents or ())]


def task_conformance() -> dict[str, Any]:
    """What real agents keep: tries them (or those named), writes the table of docs/agents.md."""
    return {
        "actions": [CmdAction(conformance_command, shell=False)],
        "pos_arg": "agents",
        "verbosity": 2,
        "io": {"capture": False},
    }


def task_lint() -> Any:
    """ruff, formatting, types (mypy), layers (import-linter)."""
    for name, argv in LINTERS.items():
        yield {
            "name": name,
            "actions": [CmdAction(argv, shell=False)],
            "verbosity": 2,
        }


def task_check() -> dict[str, Any]:
    """Everything that CI runs: lint, then test."""
    return {"actions": None, "task_dep": ["lint", "test"]}
