"""The sandbox of the local CI: what a run of it may reach. Agents wrote the code that it runs."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event

from orchestr.forges.base import ForgeError, RepoRef, WaitListener
from orchestr.forges.local_ci import CiPlace, CiWall, LocalCi
from orchestr.process.inside import Surrounding, mark_inside
from orchestr.sandbox.choose import SandboxKind, choose_sandbox
from orchestr.sandbox.enclose import enclose_command
from orchestr.sandbox.mounts import SandboxError
from orchestr.sandbox.wall import OWN_PLACES, NetworkPlan, WallRequest, locate_shared_places
from orchestr.settings.records import Settings

CACHES = "ci"  # who shares the caches: not with checks, whose evidence they could change


def make_local_ci(settings: Settings, stop: Event | None, told: WaitListener | None) -> LocalCi:
    """The CI of `[forge] ci`, which is set. Raises ForgeError, see `make_ci_wall`."""
    places = settings.workspace
    inside = mark_inside(Surrounding(str(places.root), str(places.state), cell="", role="CI"))
    return LocalCi(
        settings.forge.ci or "", wall=make_ci_wall(settings), stop=stop, told=told, inside=inside
    )


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
