"""`launch.json` of an agent that only reads: a reviewer, an auditor, one that drafts a spec."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestr.agents import AgentLaunch
from orchestr.cell.agent.launch import write_launch_record
from orchestr.cell.context import CellContext
from orchestr.cell.worktree.wall import wall_reviewer
from orchestr.git.agent_environment import agent_git_env
from orchestr.git.repo import Repo
from orchestr.settings.records import AgentSettings


def write_reader_launch(
    ctx: CellContext,
    launch: AgentLaunch,
    folder: Path,
    *,
    agent: AgentSettings,
    tree: Path,
    place: Path,
    read: tuple[Path, ...],
    marker: str,
    inside: Mapping[str, str],
    timeout: float,
) -> None:
    """Write it into ``folder``. The agent starts in the throw-away clone ``tree``, and git answers
    there for ``place``; it reads ``read``, too, and finds no credentials of a forge's program.

    ``marker`` is its ORCHESTR_ATTEMPT_ID, ``inside`` says to our own verbs who calls them;
    ``timeout`` in seconds.
    """
    git = agent_git_env(Repo(place), place, ctx.run.layout.excludes_file, record=ctx.git_record)
    env = {
        "GH_CONFIG_DIR": str(ctx.run.layout.state / "no-gh"),
        **launch.env,
        **git,
        **inside,
        "ORCHESTR_ATTEMPT_ID": marker,
    }
    command = wall_reviewer(ctx, launch, env, folder, agent=agent, tree=tree, read=read)
    write_launch_record(
        ctx,
        folder,
        launch,
        command,
        cwd=tree,
        marker=marker,
        timeout=timeout,
        idle_timeout=ctx.run.settings.limits.idle_timeout,
    )
