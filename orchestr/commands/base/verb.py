"""Base of the verbs that doit does not have: `plan`, `status`, `logs`, ..."""

from __future__ import annotations

from typing import Any

from doit.cmd_base import Command

from orchestr.run.workspace import Session, Verb


class PlainVerb(Verb, Command):  # type: ignore[misc]
    """A command that reads a workspace and needs no tasks. Subclasses define `act`."""

    needs_workspace = True

    def __init__(self, *, task_loader: Any = None, cmds: Any = None, **given: Any) -> None:
        super().__init__(**given)
        self.loader = task_loader
        self.given = {**given, "task_loader": task_loader, "cmds": cmds}

    def execute(self, opt_values: Any, pos_args: list[str]) -> int:
        """Find the workspace and act."""
        session = Session.here() if self.needs_workspace else None
        return self.act(session, opt_values, pos_args)  # type: ignore[arg-type]

    def act(self, session: Session, params: Any, args: list[str]) -> int:
        """The verb itself; returns the exit code."""
        raise NotImplementedError
