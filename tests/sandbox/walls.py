"""Whether a wall works here, for tests that need one."""

from __future__ import annotations

import shutil

import pytest

from orchestr.sandbox.choose import SandboxKind, probe_program


def why_no_wall(kind: SandboxKind = SandboxKind.BWRAP) -> str:
    """Why tests of a wall are skipped; empty where it works."""
    program = shutil.which(kind.value)
    if program is None:
        return f"{kind} is not installed"
    return probe_program(kind, program) or ""


needs_bwrap = pytest.mark.skipif(bool(why_no_wall()), reason=why_no_wall() or "bwrap works")

# `@BOTH_WALLS` with an argument ``wall``: the workspaces of the test have that mode; see the
# fixture in `tests.conftest`.
BOTH_WALLS = pytest.mark.parametrize("wall", ["none", "bwrap"], indirect=True)
BEHIND_THE_WALL = pytest.mark.parametrize("wall", ["bwrap"], indirect=True)
