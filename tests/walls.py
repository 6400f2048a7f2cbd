"""Tests behind the wall and without it: which stand here, and how a test asks for them."""

from __future__ import annotations

import shutil

import pytest

from orchestr.sandbox.choose import SandboxKind, probe_program

MODE = "ORCHESTR_SET_SANDBOX_MODE"
NONE, BWRAP = "none", "bwrap"

# `@BOTH_WALLS` with an argument ``wall``: its name; the workspaces of the test have that mode.
BOTH_WALLS = pytest.mark.parametrize("wall", [NONE, BWRAP], indirect=True)
BEHIND_THE_WALL = pytest.mark.parametrize("wall", [BWRAP], indirect=True)


def explain_no_bwrap() -> str | None:
    """Why bubblewrap is of no use on this machine; None when it works."""
    program = shutil.which(BWRAP)
    if program is None:
        return "bubblewrap is not installed"
    why = probe_program(SandboxKind.BWRAP, program)
    return None if why is None else f"bubblewrap does not work here: {why}"


def set_wall(name: str, patch: pytest.MonkeyPatch) -> str:
    """Let workspaces have this wall, or skip the test where there is none."""
    why = explain_no_bwrap() if name == BWRAP else None
    if why is not None:
        pytest.skip(why)
    patch.setenv(MODE, name)
    return name
