"""The sandbox of a cell's programs: which folders its agent, reviewers, set-up and checks get.

Decides from the cell what `orchestr.sandbox.wall` is asked for, and turns a command into the one
that runs behind the wall. Without a sandbox (the settings, or the machine) a command stays as it
is; what it touches outside is then noticed by the guards (`clone_guard`, `workspace_guard`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from orchestr.agents.base import AgentLaunch
from orchestr.agents.config_servers import list_config_servers
from orchestr.agents.own_servers import list_own_servers
from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.worktree.loose_branches import unpack_sibling_branches
from orchestr.checks.base import CommandWall
from orchestr.errors import NotEvaluated, OrchestrError
from orchestr.git.locate import locate_git_dirs
from orchestr.git.push_place import list_remote_hosts
from orchestr.process.redaction import is_secret_name
from orchestr.sandbox.choose import ChosenSandbox, SandboxKind, choose_sandbox
from orchestr.sandbox.config_copies import list_login_copies
from orchestr.sandbox.enclose import enclose_command
from orchestr.sandbox.hosts import (
    PACKAGE_HOSTS,
    read_base_url_rules,
    read_package_url_rules,
)
from orchestr.sandbox.mounts import SandboxError
from orchestr.sandbox.wall import (
    OWN_PLACES,
    PLAN,
    GitPlaces,
    NetworkPlan,
    WallRequest,
    locate_shared_places,
)
from orchestr.settings.records import AgentSettings
from orchestr.supervisor.protocol import LOCK

_GIT_ALONE = re.compile(r"\s*git (?:submodule|lfs)(?: [\w./=@-]+)*\s*")
# git's own record of resolved conflicts is the user's; it is not an agent's to add to.
GIT_SETTINGS = {"rerere.enabled": "false"}


@dataclass(frozen=True, slots=True)
class WalledCommand:
    """A command as it is started, and the logins that its supervisor keeps equal."""

    argv: tuple[str, ...]
    env: dict[str, str]
    logins: tuple[tuple[str, str], ...] = ()


_choose = cache(choose_sandbox)


def find_sandbox(run: FeatureRun) -> ChosenSandbox:
    """The sandbox of this run. Raises SandboxError when a required one is not there."""
    return _choose(run.settings.sandbox)


def is_walled(run: FeatureRun) -> bool:
    """Whether agents and checks run in a sandbox."""
    return find_sandbox(run).kind is not SandboxKind.NONE


def wall_author(
    ctx: CellContext,
    launch: AgentLaunch,
    env: dict[str, str],
    folder: Path,
    *,
    agent: AgentSettings,
    can_write: bool,
    read: tuple[Path, ...],
    write: tuple[Path, ...],
) -> WalledCommand:
    """The command and environment of an author's or planner's agent, behind the wall.

    ``folder`` is the attempt's. It is read-only inside; ``write`` are the places in it that the
    agent answers in.
    """
    if not is_walled(ctx.run):
        return WalledCommand(launch.argv, env)
    request = replace(
        _make_request(ctx, folder, ctx.worktree, env, kind="agents"),
        can_write=can_write,
        git=find_git_places(ctx.worktree, ctx.cell.branch if can_write else None),
        read=read,
        write=write,
    )
    return _wrap_agent(ctx, request, launch, agent)


def wall_reviewer(
    ctx: CellContext,
    launch: AgentLaunch,
    env: dict[str, str],
    folder: Path,
    *,
    agent: AgentSettings,
    tree: Path,
    read: tuple[Path, ...],
) -> WalledCommand:
    """The same for a reviewer in its throw-away clone ``tree``."""
    if not is_walled(ctx.run):
        return WalledCommand(launch.argv, env)
    request = replace(
        _make_request(ctx, folder, tree, env, kind="reviewers"),
        read=(ctx.repo.common_dir(), *read),
    )
    return _wrap_agent(ctx, request, launch, agent)


def wall_command(
    ctx: CellContext,
    argv: tuple[str, ...],
    env: Mapping[str, str],
    *,
    place: Path,
    folder: Path,
    kind: str = "checks",
    read: tuple[Path, ...] = (),
    write: tuple[Path, ...] = (),
) -> tuple[tuple[str, ...], dict[str, str]]:
    """A check's or set-up's command in the checkout ``place``, behind the wall.

    ``folder`` is for the plan and the private `/tmp`; ``kind`` says whose caches it shares.
    """
    if not is_walled(ctx.run):
        return argv, dict(env)
    request = replace(
        _make_request(ctx, folder, place, env, kind=kind),
        git=find_git_places(place, None),
        read=read,
        write=write,
        network=NetworkPlan(ctx.repo_settings.network, setting=f"[repos.{ctx.cell.repo}] network"),
    )
    return _wrap(ctx, request, argv)


def wall_setup(
    ctx: CellContext,
    argv: tuple[str, ...],
    env: Mapping[str, str],
    *,
    place: Path,
    folder: Path,
    kind: str,
) -> tuple[tuple[str, ...], dict[str, str]]:
    """A set-up command behind the wall: it runs what the worktree holds, so of the user's variables
    those that look secret stay outside, but for `[repos.X] pass_env`.

    git's own way to fetch submodules and LFS files stays outside: it writes into the clone, wants
    the user's login, and runs nothing that the worktree holds.
    """
    if not is_walled(ctx.run) or _GIT_ALONE.fullmatch(argv[-1]):
        return argv, dict(env)
    passed = set(ctx.repo_settings.pass_env)
    known = {k: v for k, v in env.items() if k in passed or not is_secret_name(k)}
    return wall_command(ctx, argv, known, place=place, folder=folder, kind=kind)


def wall_hook(
    ctx: CellContext, env: Mapping[str, str], *, place: Path, folder: Path
) -> tuple[str, ...]:
    """The words before a hook of git that runs in the worktree ``place``.

    A hook may add to what is committed, so it writes what a commit writes. Of its environment it
    keeps what is in ``env``, and all that git gives it.
    """
    request = replace(
        _make_request(ctx, folder, place, env, kind="agents"),
        git=find_git_places(place, ctx.cell.branch),
        network=NetworkPlan(ctx.repo_settings.network),
        kept=tuple(env),
    )
    return _wrap(ctx, request, ())[0]


def wall_checks(ctx: CellContext, kind: str = "checks") -> CommandWall | None:
    """The wall around the programs of a cell's checks; None without a sandbox.

    They read every folder that a variable of ours names: the trees of upstreams and other cells.
    """
    if not is_walled(ctx.run):
        return None

    def wall(
        argv: tuple[str, ...],
        env: Mapping[str, str],
        *,
        place: Path,
        folder: Path,
        write: tuple[Path, ...],
    ) -> tuple[tuple[str, ...], dict[str, str]]:
        named = [Path(value) for name, value in env.items()
                 if name.startswith("ORCHESTR_") and value.startswith("/")]  # fmt: skip
        folders = [path for path in named if path.is_dir()]
        found = [locate_git_dirs(path) for path in folders]
        clones = [dirs[1] for dirs in found if dirs is not None]  # so that git works there
        read = tuple(dict.fromkeys((*folders, *clones)))
        return wall_command(
            ctx, argv, env, place=place, folder=folder, kind=kind, read=read, write=write
        )

    return wall


def plan_agent_network(
    ctx: CellContext, agent: AgentSettings, env: Mapping[str, str], servers: tuple[str, ...] = ()
) -> NetworkPlan:
    """Its own servers, package managers, and what the settings add; never the forge.

    ``servers`` are rules for those that its own settings name.
    """
    setting = f"[agents.{agent.name}] network"
    if agent.network is not None and (not agent.network or "all" in agent.network):
        return NetworkPlan(agent.network, setting=setting)
    known = [*list_own_servers(agent),
             *(host for hosts in PACKAGE_HOSTS.values() for host in hosts),
             *read_base_url_rules(env), *read_package_url_rules(env), *servers]  # fmt: skip
    return NetworkPlan(
        agent.network or (),
        tuple(dict.fromkeys(known)),
        list_remote_hosts(ctx.repo),
        setting,
    )


def find_git_places(worktree: Path, branch: str | None) -> GitPlaces | None:
    """The git folders of a checkout; None when it has none that can be read.

    Where ``branch`` may be moved, the other branches in its folder get files of their own first.
    """
    found = locate_git_dirs(worktree)
    if found is None:
        return None
    git_dir, common_dir = found
    if branch is not None:
        unpack_sibling_branches(common_dir, branch)
    return GitPlaces(git_dir, common_dir, branch)


def _make_request(
    ctx: CellContext, folder: Path, place: Path, env: Mapping[str, str], *, kind: str
) -> WallRequest:
    state = ctx.run.layout.state
    blank, caches = locate_shared_places(state, kind, ctx.cell.repo)
    _touch(blank)
    return WallRequest(
        worktree=place,
        folder=folder,
        hidden=state,
        caches=caches,
        blank=blank,
        settings=ctx.run.settings.sandbox,
        env=env,
        common=_common_reads(ctx),
        limits=ctx.run.settings.limits,
    )


def _common_reads(ctx: CellContext) -> tuple[Path, ...]:
    """What every program of a cell may read, wherever it lies: the workspace without its state,
    the main checkout, our excludes, and our own interpreter."""
    layout = ctx.run.layout
    found = (layout.root, ctx.repo_path, layout.excludes_file.parent, *OWN_PLACES)
    return tuple(path for path in found if path.exists())


def _wrap_agent(
    ctx: CellContext, request: WallRequest, launch: AgentLaunch, agent: AgentSettings
) -> WalledCommand:
    """What is the same for every agent: its settings, its network, the folder of its work."""
    hidden = (request.folder / LOCK, request.folder / PLAN)
    for path in (*hidden, ctx.git_record):  # only what is there can be hidden, or mounted
        _touch(path)
    request = replace(
        request,
        read=(request.folder, *request.read),
        write=(ctx.git_record, *request.write, *launch.write),
        masked=hidden,
        config=launch.config,
        network=plan_agent_network(
            ctx, agent, request.env, (*list_config_servers(launch.config), *launch.hosts)
        ),
    )
    words, known = _wrap(ctx, request, launch.argv)
    if find_sandbox(ctx.run).kind is not SandboxKind.BWRAP:  # others have no copies
        return WalledCommand(words, known)
    return WalledCommand(words, known, list_login_copies(request.config, request.folder))


def _wrap(
    ctx: CellContext, request: WallRequest, argv: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The command and the environment to start, for a run that has a sandbox."""
    try:
        return enclose_command(request, find_sandbox(ctx.run), argv)
    except (SandboxError, OSError) as error:
        raise _explain_failure(ctx, error) from error


def _explain_failure(ctx: CellContext, error: SandboxError | OSError) -> OrchestrError:
    why, hint = str(error), None
    if isinstance(error, SandboxError):
        why, hint = error.message, error.hint
    return NotEvaluated(
        f"its sandbox cannot be made: {why}",
        hint=hint or f"free what is in the way, then: orchestr run {ctx.name}",
        cell=ctx.name,
    )


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
