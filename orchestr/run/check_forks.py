"""Before a run: what the settings say of forks, and (`doctor`) what the forge knows of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestr.cell.context import CellContext
from orchestr.cell.pull_request.forks import explain_unnamed_fork
from orchestr.errors import MachineFault, OrchestrError
from orchestr.forges.base import ForkingForge
from orchestr.forges.routed import forge_for
from orchestr.run.diagnostic import Diagnostic
from orchestr.spec.phases import Phase


def check_forks(cells: Sequence[CellContext], *, ask: bool) -> list[Diagnostic]:
    """An upstream that the forge cannot have, and with ``ask`` forks without an `upstream` setting.

    Without ``ask`` the forge is left alone. One that cannot be asked is reported by whoever needs
    its answer.
    """
    chosen = {ctx.cell.repo: ctx for ctx in cells if Phase.PUBLISH in ctx.cell.phases}
    found: list[Diagnostic] = []
    for name, ctx in chosen.items():
        try:
            found += _check_fork(name, ctx, ask=ask) if ctx.repo_path.is_dir() else ()
        except MachineFault:
            raise
        except OrchestrError:
            continue
    return found


def _check_fork(name: str, ctx: CellContext, *, ask: bool) -> Iterator[Diagnostic]:
    forge = forge_for(ctx.run.forge, name)
    if not isinstance(forge, ForkingForge) and ctx.repo.remotes.is_fork:
        what = f"{name}: pull requests of the forge {forge.kind} are not opened from forks"
        yield Diagnostic("error", what, f"take `upstream` out of [repos.{name}]")
    unnamed = explain_unnamed_fork(ctx) if ask else None
    if unnamed is not None:
        yield Diagnostic("error", *unnamed)
