"""Signing of commits: off where the settings ask for it, and how to make up for it.

An interactive signer (a card, a password) blocks an agent that nobody sits beside. Where
`[agents.X] sign = "off"` or `[workspace] unsigned = true` says so, and nowhere else, the
agent and our own commits in its worktree do not sign. That travels in the environment; the
repository's config, which the user's own checkout shares, is not touched.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from orchestr.cell.context import CellContext
from orchestr.errors import MachineFault, OrchestrError
from orchestr.git.errors import SIGNING_HINT
from orchestr.spec.phases import Action, Phase
from orchestr.state.events import EventKind
from orchestr.state.results import WorktreeMarker


def agent_git_config(ctx: CellContext) -> dict[str, str]:
    """Settings of git for the agent: who commits, and whether it signs.

    The identity is said outright, because an agent may hide the user's global config from its
    commands (gemini does).
    """
    known = ctx.repo.committer_config
    identity = {key: known.get(key, "").strip() for key in ("user.name", "user.email")}
    return {**{key: value for key, value in identity.items() if value}, **ctx.sign_config}


def sign_command(ctx: CellContext) -> str | None:
    """The command that signs a cell's commits afterwards, None where there is nothing to sign.

    Only for cells whose signing was switched off; a person's own commits (`action: push`) are
    left out.
    """
    if not ctx.sign_config or ctx.cell.action is Action.PUSH:
        return None
    marker, head = WorktreeMarker.read(ctx.dir), ctx.read_head()
    if marker is None or head is None or head.head == head.base or not ctx.worktree.exists():
        return None
    if not has_unsigned_commits(ctx, marker.base):
        return None
    where, base = shlex.quote(str(ctx.worktree)), marker.base[:12]
    return f"git -C {where} rebase {base} --exec 'git commit --amend --no-edit -S'"


def has_unsigned_commits(ctx: CellContext, base: str) -> bool:
    """Whether a commit of the cell's branch has no signature (it is not verified)."""
    try:
        found = ctx.repo.run_readonly(
            "rev-list", "--header", f"{base}..refs/heads/{ctx.cell.branch}"
        )
    except MachineFault:
        raise
    except OrchestrError:
        return False
    commits = [part for part in found.out.split(b"\0") if part.strip()]
    return any(b"\ngpgsig" not in commit.partition(b"\n\n")[0] for commit in commits)


SLOW = 10.0  # s after which a commit of ours counts as waiting for something


@contextmanager
def warn_of_slow_commit(ctx: CellContext) -> Iterator[None]:
    """Around a commit of ours: one that waits says so in the cell, with what helps."""

    def emit_warning() -> None:
        signs = ctx.worktree_repo.signs_commits
        what = "the program that signs it, or a hook" if signs else "a hook of the repository"
        advice = f" ({SIGNING_HINT})" if signs else ""
        limit = ctx.worktree_repo.timeout
        with suppress(OrchestrError, OSError):
            ctx.emit(
                EventKind.CELL_WARNED,
                phase=Phase.IMPLEMENT,
                reason=f"its commit waits for {what}, {limit:.0f} s at most{advice}",
            )

    timer = threading.Timer(SLOW, emit_warning)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
