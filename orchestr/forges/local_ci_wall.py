"""The sandbox of the local CI: what a run of it may reach. Agents wrote the code that it runs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from threading import Event

from orchestr.errors import OrchestrError
from orchestr.forges.base import ForgeError, RepoRef, WaitListener
from orchestr.forges.local_ci import CiPlace, CiWall, LocalCi
from orchestr.forges.local_origin import local_path
from orchestr.git.repo import Repo
from orchestr.git.runner import YES_OR_NO_REMOTE
from orchestr.process.inside import Surrounding, mark_inside
from orchestr.sandbox.choose import SandboxKind, choose_sandbox
from orchestr.sandbox.enclose import enclose_command
from orchestr.sandbox.mounts import SandboxError
from orchestr.sandbox.wall import OWN_PLACES, NetworkPlan, WallRequest, locate_shared_places
from orchestr.settings.records import Settings
from orchestr.settings.remotes import read_remotes
from orchestr.settings.repo_paths import repo_path

CACHES = "ci"  # who shares the caches: not with checks, whose evidence they could change


def make_local_ci(settings: Settings, stop: Event | None, on_wait: WaitListener | None) -> LocalCi:
    """The CI of `[forge] ci`, which is set. Raises ForgeError, see `make_ci_wall`."""
    places = settings.workspace
    inside = mark_inside(Surrounding(str(places.root), str(places.state), cell="", role="CI"))
    return LocalCi(
        settings.forge.ci or "",
        wall=make_ci_wall(settings),
        stop=stop,
        on_wait=on_wait,
        inside=inside,
        locate=partial(locate_origin, settings),
    )


def locate_origin(settings: Settings, name: str) -> str:
    """The folder of a repository's origin; empty where it is none (an address may hold a login)."""
    path = repo_path(settings, name)
    if not path.is_dir():
        return ""
    try:
        done = Repo(path).run_readonly(
            "remote", "get-url", "--", read_remotes(settings, name).push, answers=YES_OR_NO_REMOTE
        )
    except OrchestrError:
        return ""
    folder = local_path(done.text.strip(), path) if done.code == 0 else None
    return str(folder.resolve()) if folder is not None and folder.is_dir() else ""


def make_ci_wall(settings: Settings) -> CiWall | None:
    """What puts a command behind the wall; None without a sandbox.

    Raises ForgeError when the settings require one and there is none.
    """
    try:
        sandbox = choose_sandbox(settings.sandbox)
    except SandboxError as error:
        raise ForgeError(f"CI of the local forge: {error.message}", hint=error.hint) from error
    if sandbox.kind is SandboxKind.NONE:
        return None
    places = settings.workspace

    def wall(
        repo: RepoRef, place: CiPlace, argv: tuple[str, ...], env: Mapping[str, str]
    ) -> tuple[tuple[str, ...], dict[str, str]]:
        blank, caches = locate_shared_places(places.state, CACHES, repo.name)
        blank.parent.mkdir(parents=True, exist_ok=True)
        blank.touch()
        network = settings.repo_settings(repo.name).network
        request = WallRequest(
            worktree=place.tree,
            folder=place.folder,
            hidden=places.state,
            caches=caches,
            blank=blank,
            settings=settings.sandbox,
            env=env,
            common=tuple(path for path in (places.root, *OWN_PLACES) if path.exists()),
            read=place.read,
            network=NetworkPlan(network, setting=f"[repos.{repo.name}] network"),
            limits=settings.limits,
        )
        return enclose_command(request, sandbox, argv)

    return wall
