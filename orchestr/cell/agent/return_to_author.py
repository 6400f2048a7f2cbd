"""One chance: work that changes paths of others goes back to its agent, in the same attempt.

The mark `given-back.json` is written before anything else happens and holds how many starts had
ended by then. So after a kill the next run knows whether the agent got the reason (a later start is
there) or not yet (then the steps are done again). The agent's own session goes on; an agent
without one gets its whole prompt again, with the words as a note.
"""

from __future__ import annotations

from pathlib import Path

from orchestr.cell.agent.launch import attempt_session, prepare_next_start
from orchestr.cell.context import CellContext
from orchestr.cell.ownership import PathsNotOwned
from orchestr.cell.worktree.person_changes import record_left
from orchestr.files import read_json, write_atomic, write_json
from orchestr.spec.phases import Phase
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.events import EventKind

MARK = "given-back.json"  # in an attempt's folder


def may_return_to_author(ctx: CellContext, attempt: Attempt) -> bool:
    """Whether the agent was not told yet, or a kill came before it could be."""
    folder = attempts.attempt_folder(ctx.dir, attempt.number)
    mark = read_json(folder / MARK)
    return mark is None or mark.get("ended") == _count_ended_starts(folder)


def return_to_author(ctx: CellContext, attempt: Attempt, refused: PathsNotOwned) -> None:
    """Have the attempt start again with the paths. Safe to repeat."""
    folder = attempts.attempt_folder(ctx.dir, attempt.number)
    session = attempt_session(ctx, attempt)
    words = refused.ownership.message_to_agent
    if not (folder / MARK).exists():
        record_left(ctx, attempt.number, goes_on=True)
        write_json(
            folder / MARK,
            {"ended": _count_ended_starts(folder), "paths": list(refused.ownership.paths)},
        )
        ctx.emit(EventKind.ATTEMPT_GIVEN_BACK, phase=Phase.IMPLEMENT, attempt=attempt.number,
                 reason=refused.message)  # fmt: skip
    _add_prompt_note(folder, words)  # also for a session that turns out to be gone
    prepare_next_start(folder, session, words)


def _add_prompt_note(folder: Path, words: str) -> None:
    """Add the words to the notes of the prompt, once."""
    path = folder / "notes.txt"
    notes = path.read_text(encoding="utf-8") if path.exists() else ""
    if words not in notes:
        write_atomic(path, (f"{notes}\n\n{words}" if notes else words).encode())


def _count_ended_starts(folder: Path) -> int:
    """How many starts of the attempt were put aside so far."""
    return len(list(folder.glob("exit.*.json")))
