"""What a landing says: a line an event while it goes on, a table at its end, a preview of it.

Pure text. The journal holds everything; here is what a person wants to see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestr.landing.actions import Action, CheckCandidate, Generate, LandCandidate, UpdateBranch
from orchestr.landing.candidates import describe_resolutions
from orchestr.landing.causes import Blamed, describe_wait, name_cell
from orchestr.landing.events import (
    GENERATOR_FAILED,
    CandidateSpec,
    Checked,
    Conflicted,
    Event,
    GroupOpened,
    HeadMoved,
    Landed,
    LaneStopped,
    Made,
    NotLanded,
    Parked,
    Repaired,
    RepairStarted,
    Split,
    Trouble,
)
from orchestr.landing.rung import Rung
from orchestr.state.states import CellState
from orchestr.views.terminal.text import clean_line, format_count, format_table, headline, paint

WORDS = len("repairing")


@dataclass(frozen=True, slots=True)
class LandingRow:
    """Where one change ended. ``fresh``: just now; ``why`` and ``hint`` for what did not land."""

    name: str
    target: str
    state: str  # landed, conflict, person, approval, waiting, ready
    commit: str = ""
    fresh: bool = False
    why: str = ""
    hint: str = ""
    link: str = ""
    resolved: str = ""  # how its conflicts were resolved


def event_line(event: Event, *, many: bool = False) -> str | None:
    """One event in a line; None for book-keeping. ``many``: cells are named with their feature."""

    def labelled_line(keys: str | CandidateSpec, word: str, rest: str) -> str:
        names = [shown_name(k) for k in ((keys,) if isinstance(keys, str) else keys.keys)]
        return f"{', '.join(names):16}  {word:{WORDS}}  {rest}".rstrip()

    def shown_name(key: str) -> str:
        return name_change(key, many=many)

    match event:
        case Made(_, _, _, rung, resolved, generating) if generating:
            return labelled_line(
                event.spec, "generate", f"writes {', '.join(generating[:5])} again"
            )
        case Made(spec, _, _, rung, resolved) if rung is not Rung.GIT:
            what = ", by ".join(describe_resolutions(resolved))
            return labelled_line(spec, "resolved", f"by {what}")
        case HeadMoved(key, head):
            return labelled_line(key, "updated", f"its branch has that merge, at {head[:12]}")
        case Checked(spec, commit, True, detail):
            return labelled_line(
                spec, "green", f"{spec.lane} at {commit[:12]} ({first_line(detail)})"
            )
        case Checked(spec, commit, _, detail):
            return labelled_line(spec, "RED", f"{spec.lane} at {commit[:12]}: {first_line(detail)}")
        case Conflicted(spec, key, paths, red):
            why = f"; {first_line(red)}" if red.startswith(GENERATOR_FAILED) else ""
            shown = ", ".join(paths[:5])
            return labelled_line(key, "CONFLICT", f"with {spec.lane} in {shown}{why}")
        case GroupOpened(group, keys):
            cells = ", ".join(key.partition("/")[2].partition("~")[0] for key in keys)
            return f"{group.partition('~')[0]}: its first push is next; to follow: {cells}"
        case Landed(spec, commit, _) if commit == spec.base:
            return labelled_line(spec, "landed", f"{spec.lane} has all of it already")
        case Landed(spec, commit, _):
            word = "reverted" if "~" in spec.keys[0] else "landed"
            return labelled_line(spec, word, f"{spec.lane} is at {commit[:12]}")
        case NotLanded(spec, tip, refused):
            why = (
                f"refused: {first_line(refused)}" if refused else f"moved meanwhile, to {tip[:12]}"
            )
            return labelled_line(
                spec, "not yet" if not refused else "REFUSED", f"{spec.lane} {why}"
            )
        case RepairStarted(key, trouble, number, _):
            what = "a conflict" if trouble is Trouble.CONFLICT else "what is red"
            return labelled_line(key, "repairing", f"its agent mends {what} (repair {number})")
        case Blamed(key, cause, _):
            return labelled_line(key, "waits", f"for {describe_wait(cause, shown_name(cause.key))}")
        case Repaired(key, head):
            return labelled_line(key, "repaired", f"its new head is {head[:12]}")
        case Parked(key, trouble, reason):
            state = CellState(trouble)
            return labelled_line(key, "stopped", f"{state.label}: {first_line(reason)}")
        case LaneStopped(lane, reason):
            return f"{lane}: nothing lands there now: {first_line(reason)}"
        case Split(spec):
            return labelled_line(spec, "split", "red together, tried in halves")
        case _:
            return None


def action_line(action: Action, *, many: bool = False) -> str | None:
    """What a landing waits for, in a line; None for what has a line of its own."""
    match action:
        case CheckCandidate(spec, commit, _):
            word, what = "checking", f"{spec.lane} at {commit[:12]}"
        case Generate(spec, _, paths):
            word, what = "writing", f"{', '.join(paths[:5])} by its generator, for {spec.lane}"
        case UpdateBranch(spec, _):
            word, what = "updating", f"its branch, for {spec.lane}"
        case LandCandidate(spec, commit, True):
            word, what = "waiting", f"for the forge to move {spec.lane} to {commit[:12]}"
        case LandCandidate(spec, _, _):
            word, what = "waiting", f"for checks at the forge, before {spec.lane} is moved"
        case _:
            return None
    names = [name_change(key, many=many) for key in spec.keys]
    return f"{', '.join(names):16}  {word:{WORDS}}  {what}"


def name_change(key: str, *, many: bool) -> str:
    """A change as people know it, a rollback's as its cell; ``many``: with its feature."""
    key = key.partition("~")[0]
    return name_cell(key) if many else key.partition("/")[2]


def first_line(text: str) -> str:
    """The first line; the rest is evidence, in the log and in the journal."""
    return clean_line(text.partition("\n")[0].rstrip(":"))


def summary_text(
    rows: Sequence[LandingRow], *, undo: bool = False, red: Sequence[str] = (), colour: bool = False
) -> str:
    """The answer: what stands in its target, what does not, why, and the next command."""
    done = "rolled back" if undo else "landed"
    left = [row for row in rows if row.state != "landed"]
    if not rows or not (left or red or any(row.fresh for row in rows)):
        verb = "roll back" if undo else "land"
        note = f": {format_count(len(rows), 'cell')} landed before" if rows else ""
        return f"nothing to {verb}{note}\n"
    shown, styles = [], []
    for row in rows:
        symbol, words, style = _state_look(row, done)
        note = row.link if row.state != "waiting" else row.why
        note += f"  (resolved by {row.resolved})" if row.resolved else ""
        shown.append((row.name, f"{symbol} {words}", row.target, row.commit[:12] or "-", note))
        styles.append((f"{symbol} {words}", style))
    lines = format_table(("CELL", "STATE", "TARGET", "COMMIT", ""), shown)
    lines[1:] = [
        line.replace(words, paint(words, style, colour), 1)
        for line, (words, style) in zip(lines[1:], styles, strict=True)
    ]
    for row in left:
        if row.state == "waiting":
            continue
        symbol, words, _ = _state_look(row, done)
        lines += ["", f"{symbol} {row.name} {words}: {headline(row.why) or 'no reason given'}"]
        lines += [f"    hint:  {clean_line(one)}" for one in row.hint.splitlines()]
    lines += ["", *(clean_line(text) for text in red)]
    following = dict.fromkeys(row.hint for row in left if row.state == "waiting" and row.hint)
    lines += [f"next: {', '.join(following)}"] if following else []
    lines.append(f"{len(rows) - len(left)} {done}, {len(left)} not")
    return "\n".join(lines) + "\n"


def _state_look(row: LandingRow, done: str) -> tuple[str, str, str]:
    match row.state:
        case "landed":
            words = done if row.fresh else f"{done} before"
            state = next(s for s in (CellState.LANDED, CellState.ROLLED_BACK) if s.label == done)
            return state.symbol, words, state.style
        case "conflict":
            state = CellState.MERGE_CONFLICT
        case "person":
            state = CellState.NEEDS_PERSON
        case "approval":
            state = CellState.APPROVAL
        case _:
            return CellState.PENDING.symbol, f"not {done}", CellState.PENDING.style
    return state.symbol, state.label, state.style


def preview_text(rows: Sequence[LandingRow], *, undo: bool = False) -> str:
    """The order, with the candidate of each or what is in its way; nothing was moved."""
    if not rows:
        return f"nothing to {'roll back' if undo else 'land'}\n"
    shown = []
    for number, row in enumerate(rows, start=1):
        note = row.why or ("nothing left to land" if not row.commit else "")
        note = note or (f"resolved by {row.resolved}" if row.resolved else "")
        shown.append((f"{number:2}", row.name, row.target, row.state, row.commit[:12] or "-", note))
    lines = format_table(("  ", "CELL", "TARGET", "STATE", "CANDIDATE", ""), shown)
    bad = sum(row.state != "ready" for row in rows)
    verb = "rolled back" if undo else "landed"
    lines += ["", f"{len(rows) - bad} can be {verb}, {bad} cannot; nothing was checked or moved"]
    return "\n".join(lines) + "\n"
