"""Before a run: what the checks of its cells need and this machine lacks.

A check that cannot be run is not evaluated, so its cell would stop after its agent was paid. What
can be known is: programs that are not on PATH, and ports. A program that the set-up, a link or a
copy may bring is only warned of; a script of the worktree is the cell's own matter.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestr.cell.context import CellContext
from orchestr.cell.proof.run_checks import cell_checks
from orchestr.checks.find_program import PROJECT_TOOLS, find_command, find_program
from orchestr.checks.missing_program import list_first_programs
from orchestr.run.diagnostic import Diagnostic
from orchestr.spec.checks import CheckDef
from orchestr.spec.phases import Action, Phase


def check_programs(cells: Sequence[CellContext]) -> list[Diagnostic]:
    """The checks that could not be run now, each missing thing once."""
    missing: dict[tuple[str, bool], list[str]] = {}
    found: list[Diagnostic] = []
    for ctx in cells:
        for check in _checks_of(ctx):
            users = f"{ctx.cell.name} ({check.name})"
            for name in _missing_programs(ctx, check):
                missing.setdefault((name, _may_be_brought(ctx)), []).append(users)
            if check.needs_ports and not has_ports(ctx):
                what = f"check {users} asks at a port of its cell, which has none"
                fix = "write `ports: true` in the cell, or a whole `url:` in the check"
                found.append(Diagnostic("error", what, fix))
    for ctx, check in _cross_checks_of(cells):
        for name in _missing_programs(ctx, check):
            user = f"the cross check {check.name} of {ctx.cell.repo}"
            missing.setdefault((name, _may_be_brought(ctx)), []).append(user)
    for (name, brought), users_of in missing.items():
        severity = "warning" if brought else "error"
        named = ", ".join(users_of[:5]) + (", ..." if len(users_of) > 5 else "")
        what = f"{name} is not there, and checks need it: {named}"
        found.append(Diagnostic(severity, what, f"install {name}, or put its folder on PATH"))
    return found


def has_ports(ctx: CellContext) -> bool:
    """Whether the checks of a cell get ports of its own; a person's branch has none."""
    return ctx.cell.proof.ports and ctx.cell.action is not Action.PUSH


def _checks_of(ctx: CellContext) -> tuple[CheckDef, ...]:
    if not ctx.has_checks or not ctx.repo_path.is_dir():
        return ()
    named = cell_checks(ctx, ctx.repo_path)
    shots = ctx.cell.proof.screenshots if Phase.REVIEW in ctx.cell.phases else ()
    return (*named, *shots)


def _cross_checks_of(cells: Sequence[CellContext]) -> Iterator[tuple[CellContext, CheckDef]]:
    """The cross checks of the feature on repositories of these cells, each with one of them."""
    places = {ctx.cell.repo: ctx for ctx in reversed(cells) if ctx.repo_path.is_dir()}
    for cross in cells[0].run.feature.cross_checks if cells else ():
        if cross.repo in places:
            yield places[cross.repo], cross.check


def _missing_programs(ctx: CellContext, check: CheckDef) -> Iterator[str]:
    """Programs that are named without a folder and not on the PATH that the check gets; whole
    paths that do not exist.
    """
    env = {"PATH": dict(check.env).get("PATH", os.environ.get("PATH", os.defpath))}
    for argv in check.commands:
        for name in list_first_programs(argv):
            if "/" not in name:
                place = ctx.repo_path
                find = find_command if check.kind in PROJECT_TOOLS else find_program
                if find(name, place, place / check.cwd, env) is None:
                    yield name
            elif _is_outside(Path(name), ctx.repo_path) and not os.access(name, os.X_OK):
                yield name


def _is_outside(path: Path, folder: Path) -> bool:
    return path.is_absolute() and not path.resolve().is_relative_to(folder.resolve())


def _may_be_brought(ctx: CellContext) -> bool:
    """Whether the kit of a worktree may bring programs that are not there yet."""
    settings = ctx.repo_settings
    return bool(settings.setup or settings.link or settings.copy)
