"""Our own verbs inside an attempt: those that change something are a person's, and are refused.

An agent that approves its own gate, forgets a red check or starts a run would decide what it is
judged by. Each refusal is noted in the journal of the feature that the agent works for. Another
workspace (one that a test of the agent's makes for itself) is not concerned.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from orchestr.errors import ExitCode, OrchestrError
from orchestr.process.inside import Surrounding, find_surrounding
from orchestr.run.workspace import Session
from orchestr.settings.loader import find_workspace
from orchestr.state.events import Event, EventKind
from orchestr.state.journal import utc_timestamp

LONGEST = 200  # characters of a command line in the journal


class InsideAttempt(OrchestrError):
    """A verb for people was called by what runs for a cell."""

    exit_code = ExitCode.USAGE


def refuse_inside_attempt(program: str, words: Sequence[str], cwd: Path | None = None) -> None:
    """Raises InsideAttempt where this process works for a cell of the workspace around ``cwd``,
    the current folder by default."""
    work = find_surrounding()
    if work is None:
        return
    try:
        session = Session(find_workspace(cwd or Path.cwd()))
    except OrchestrError:
        return  # no workspace, or settings that the verb itself reports
    if not work.is_in_workspace(session.root, session.settings.workspace.state):
        return
    with suppress(OSError):
        _note_refusal(session, work, shlex.join([*program.split(), *words])[:LONGEST])
    cell = work.cell.replace("/", ":", 1)
    when = f"while cell {cell} is worked on" if cell else "in the checkout that it runs in"
    raise InsideAttempt(
        f"`{program}` is for people; {work.role} called it {when}",
        hint="finish the work in the worktree and end; a person, or the run, does the rest. "
        "Allowed here: `orchestr status`, `orchestr explain` and others that only read",
    )


def _note_refusal(session: Session, work: Surrounding, command: str) -> None:
    feature, _, cell = work.cell.partition("/")
    if not feature:  # CI of the local forge runs for a commit, not for a cell
        return
    reason = f"{work.role} called `{command}`; that is for people and was refused"
    session.open_journal(feature).append(
        Event(
            EventKind.CELL_WARNED,
            utc_timestamp(),
            feature=feature,
            cell=cell,
            attempt=work.attempt,
            data={"reason": reason},
        )
    )
