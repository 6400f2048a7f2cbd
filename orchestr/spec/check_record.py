"""The record that every kind of check derives from: the fields and facts that all kinds share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from orchestr.spec import fields
from orchestr.spec.declare import Doc, MayBeLeftOut, Table, TextItems

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckBase:
    """What every check has; a kind derives from it and adds its own fields.

    ``env`` is set for the check's programs; ``pass_env`` names variables of the user that they
    see too. The values of both are part of the check's inputs (see `orchestr.checks.cache`).
    ``reads`` are the paths whose content decides what it says; empty: the whole tree.
    ``exclusive`` checks of all workspaces of this user run one after the other on this host.
    ``shows`` connects it with items of the feature's ``done_means``, for people alone.

    What a kind declares beside its fields: ``kind``, its name in files; ``usual_timeout``, the
    seconds of a check that names none; ``makes_screenshots``, whether it may stand under
    ``screenshots:``; ``verdict_version``, which is raised when the same definition is judged in
    another way, so that kept results do not count any more; ``needs_base``, whether it
    judges the change from a cell's base, so that it runs for cells alone, not in cross checks and
    landings; ``later_fields``, the names of fields
    that the kind did not have from the start: they have defaults, and stand in rows only where they
    say something else (`orchestr.spec.rows`).
    """

    kind: ClassVar[str]
    usual_timeout: ClassVar[float] = 600.0
    makes_screenshots: ClassVar[bool] = False
    verdict_version: ClassVar[int] = 1
    needs_base: ClassVar[bool] = False
    later_fields: ClassVar[tuple[str, ...]] = ()

    name: Annotated[fields.Label, MayBeLeftOut(), Doc("default: the kind, numbered", "unit")]
    timeout: Annotated[fields.Duration, MayBeLeftOut(), Doc("of the check", "10m")]
    cwd: Annotated[fields.WorkFolder, Doc("folder in the worktree", "backend")] = ""
    env: Annotated[
        Pairs, Table(fields.OwnVariable, fields.Argument), Doc("variables to set", {"CI": "1"})
    ] = ()
    pass_env: Annotated[
        fields.Variables, Doc("variables of the user that its programs see", ["LANG"])
    ] = ()
    reads: Annotated[
        tuple[fields.Pattern, ...],
        Doc("paths that alone decide it, as in .gitignore; default: all", ["src/**"]),
    ] = ()
    exclusive: Annotated[
        bool, Doc("no two such checks of this user run at once on this machine", True)
    ] = False
    shows: Annotated[
        tuple[fields.Text, ...],
        TextItems(),
        Doc(
            "the items of `done_means` that it shows to hold", ["a key made by Java is read by Go"]
        ),
    ] = ()

    @classmethod
    def complete_fields(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Check fields that depend on each other, and complete them.

        ``given`` are the fields that the file has, each one checked and as the record holds it.
        The answer are those that the record is made with. Raises BadValue.
        """
        return given

    @property
    def needs_ports(self) -> bool:
        """Whether it can only be run in a cell that has ports of its own."""
        return False

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """The programs that it starts, as argument lists; what is missing of them is known before
        a run.
        """
        run: tuple[str, ...] = getattr(self, "run", ())
        return (run,) if isinstance(run, tuple) and run else ()
