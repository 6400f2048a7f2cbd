"""The end of an agent's prompt: what its sandbox allows."""

from __future__ import annotations

from orchestr.cell.context import CellContext

IN_A_SANDBOX = """
You work in a sandbox. You can write in your worktree and in /tmp, and read most of the rest;
the network leads to your model, to package registries and to nothing else. What is refused stays
refused: do not look for a way around it, say in your last message what you would have needed.
"""
UNSIGNED = """
Commits here are signed, and the key is not in the sandbox. Leave your changes uncommitted: the
engine commits and signs them.
"""


def describe_wall(ctx: CellContext, walled: bool) -> str:
    """The end of a prompt: what the sandbox allows; empty without one."""
    if not walled:
        return ""
    return IN_A_SANDBOX + (UNSIGNED if ctx.worktree_repo.signs_commits else "")
