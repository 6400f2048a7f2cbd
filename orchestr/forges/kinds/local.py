"""`[forge] kind = "local"`: pull requests as files, see `orchestr.forges.local`."""

from __future__ import annotations

from threading import Event

from orchestr.forges.base import Forge, WaitListener
from orchestr.settings.kinds import ForgeKind
from orchestr.settings.records import Settings


def make_local_forge(settings: Settings, stop: Event | None, on_wait: WaitListener | None) -> Forge:
    """The local forge. It waits for nothing outside this machine, but for its own CI."""
    from orchestr.forges.local import LocalForge  # most verbs name a forge and never ask it

    forge = LocalForge(settings.workspace.state / "forge")
    if settings.forge.ci is not None:
        from functools import partial

        from orchestr.forges.local_ci_wall import make_local_ci

        forge.make_ci = partial(make_local_ci, settings, stop, on_wait)
    return forge


KIND = ForgeKind(
    make_local_forge,
    keys=("ci",),
    where="the pull requests are drafts on the local forge, one file each below {forge_dir}/",
)
