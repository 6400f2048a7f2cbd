"""Attempts: numbered tries at `implement`, each a folder `attempts/<n>/` that is kept.

`attempt.toml` is written, with the key, before the agent starts, and closed after
`implement.toml` is there; so whoever finds an open attempt knows what is left to do, also when
doit's database is lost (docs/design/cells.md).

A plan (gate `plan`, `orchestr.cell.phases.plan`) is made under the same rules. Its number is
negative in all records and in the ledger: plan 1 of a cell is -1, in `plans/1/`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock

from orchestr.codec import ExtensibleRecord, Record, read_toml_record, replace, write_toml_record
from orchestr.files import write_atomic
from orchestr.spec.phases import Phase
from orchestr.state.candidate_places import candidate_place, home_of, owner_of
from orchestr.state.journal import utc_timestamp
from orchestr.state.results import TRANSCRIPT, digest
from orchestr.supervisor.protocol import LAUNCH

FRESH = "fresh.toml"  # in a cell's folder: the next attempt starts again from the base
REBUILD = "rebuild"  # in a cell's folder: a person asked for an attempt that has not opened yet
PREPARING = "preparing"  # in a cell's folder: we move its branch, for an attempt to start from


class Attempt(ExtensibleRecord, frozen=True):
    """One `attempt.toml`. ``start`` is the commit that the new head must descend from.

    ``state`` is open, then closed; check or review while it is open again for a repair or a
    review there. ``token`` is random: two workspaces with the same spec may open the same attempt
    of the same cell in the same millisecond, and neither may take the other's agents for its own.
    """

    number: int
    key: str
    agent: str
    start: str
    model: str = ""
    state: str = "open"
    outcome: str = ""
    reason: str = ""
    fresh: str = ""  # the request (a run id) that it answers
    opened_at: str = ""
    closed_at: str = ""
    token: str = ""
    of: str = ""  # the phase of one's own that it is a try at; empty: `implement`, or a plan
    tip: str = ""  # where the branch stood when it was closed: what comes after is a person's
    pictured: bool = False  # its folder says whether its surroundings were compared
    tries: int = 0  # how many attempts before it failed and were followed by another, see `retry`
    followed: bool = False  # it failed, and another one follows by itself
    candidate: int = 0  # its place among those that worked side by side, from 1 (`best_of`)
    chosen: bool = False  # of a candidate: what it made is the cell's

    @property
    def is_open(self) -> bool:
        return self.state != "closed"

    @property
    def is_aside(self) -> bool:
        """Whether it is a candidate's: the cell itself does not go on from it."""
        return self.candidate > 0 and not self.chosen

    @property
    def phase(self) -> str:
        """The phase that it is a try at."""
        return self.of or (Phase.PLAN if self.number < 0 else Phase.IMPLEMENT)

    @property
    def active_phase(self) -> str:
        """The phase that it is open in: its own, or the one that repairs or reviews."""
        again = {str(p): p for p in (Phase.CHECK, Phase.REVIEW)}
        return again.get(self.state, self.phase)

    @property
    def label(self) -> str:
        """`attempt 2`, `plan 1`, or `attempt 3 (docs)`."""
        if self.of:
            return f"attempt {self.number} ({self.of})"
        return f"plan {-self.number}" if self.number < 0 else f"attempt {self.number}"

    def process_marker(self, cell_key: str) -> str:
        """The value of ORCHESTR_ATTEMPT_ID: one attempt of one cell of one workspace."""
        return f"{cell_key}/{self.number}/{digest(self.key, self.token)}"


class FreshRequest(Record, frozen=True):
    """`fresh.toml`: the run that asked for a fresh start."""

    request: str


def attempt_folder(cell_dir: Path, number: int) -> Path:
    """Where an attempt keeps what it made; a negative number is a plan's."""
    kind = "plans" if number < 0 else "attempts"
    return home_of(cell_dir) / kind / str(abs(number))


def attempt_file(cell_dir: Path, number: int) -> Path:
    """Where the record of an attempt is."""
    return attempt_folder(cell_dir, number) / "attempt.toml"


def read_attempt(cell_dir: Path, number: int) -> Attempt | None:
    """One attempt, or None."""
    return read_toml_record(attempt_file(cell_dir, number), Attempt)


def write_attempt(cell_dir: Path, attempt: Attempt) -> None:
    """Write `attempt.toml`, durably."""
    write_toml_record(attempt_file(cell_dir, attempt.number), attempt)


def attempt_numbers(cell_dir: Path) -> list[int]:
    """The numbers of all attempts, ascending."""
    with suppress(FileNotFoundError):
        found = [p.name for p in (cell_dir / "attempts").iterdir() if p.name.isdecimal()]
        return sorted(int(name) for name in found if name != "0")  # 0: without an agent
    return []


def newest_transcript(cell_dir: Path, number: int) -> Path:
    """The transcript of who was started last: the attempt's author, or one of its reviewers.

    Of reviewers that read at the same time it is the one who said something last. Asked twice a
    second by the live table, so it only looks at times.
    """
    own = attempt_folder(cell_dir, number)
    began, found = _mtime_ns(own / LAUNCH), own / TRANSCRIPT
    newest = -1
    for place in agent_folders(cell_dir, number):
        said = _mtime_ns(place / TRANSCRIPT)
        if place != own and _mtime_ns(place / LAUNCH) > began and said > newest:
            found, newest = place / TRANSCRIPT, said
    return found


def _mtime_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def plan_numbers(cell_dir: Path) -> list[int]:
    """The numbers of all plans, the oldest (-1) first."""
    with suppress(FileNotFoundError):
        found = [p.name for p in (cell_dir / "plans").iterdir() if p.name.isdecimal()]
        return sorted((-int(name) for name in found), reverse=True)
    return []


def newest_plan(cell_dir: Path) -> Attempt | None:
    """The last plan that has a record."""
    found = [
        plan
        for number in plan_numbers(cell_dir)
        if (plan := read_attempt(cell_dir, number)) is not None
    ]
    return found[-1] if found else None


def current_attempt(cell_dir: Path) -> Attempt | None:
    """What an agent works on or did last: an open plan, else the newest attempt.

    An attempt never starts while a plan is open.
    """
    plan = newest_plan(cell_dir)
    return plan if plan is not None and plan.is_open else newest_attempt(cell_dir)


def latest_work(cell_dir: Path) -> Attempt | None:
    """What was begun last, a plan or an attempt. Phases of one's own may stand before a plan."""
    found = [one for one in (newest_plan(cell_dir), newest_attempt(cell_dir)) if one is not None]
    return max(found, key=lambda one: one.opened_at, default=None)


def iter_attempts(cell_dir: Path) -> Iterator[Attempt]:
    """All attempts that have a record, oldest first."""
    for number in attempt_numbers(cell_dir):
        attempt = read_attempt(cell_dir, number)
        if attempt is not None:
            yield attempt


def newest_attempt(cell_dir: Path) -> Attempt | None:
    """The attempt with the highest number, if its record was written: at `implement`, or at a
    phase of one's own."""
    return next(_newest_first(cell_dir), None)


def newest_attempt_at(cell_dir: Path, phase: str = "") -> Attempt | None:
    """The newest attempt at a phase of one's own; without one, at `implement`."""
    return next((record for record in _newest_first(cell_dir) if record.of == phase), None)


def _newest_first(cell_dir: Path) -> Iterator[Attempt]:
    records = (read_attempt(cell_dir, number) for number in reversed(attempt_numbers(cell_dir)))
    mine = candidate_place(cell_dir) > 0
    return (one for one in records if one is not None and (mine or not one.is_aside))


def open_attempt(
    cell_dir: Path, *, key: str, agent: str, model: str | None, start: str, tries: int = 0
) -> Attempt:
    """Record a new attempt before anything of it starts."""
    number = claim_number(cell_dir)
    request = fresh_request(cell_dir)
    attempt = Attempt(number, key, agent, start, model or "", fresh=request or "",
                      opened_at=utc_timestamp(), token=os.urandom(8).hex(), pictured=True,
                      tries=tries, candidate=candidate_place(cell_dir))  # fmt: skip
    write_attempt(cell_dir, attempt)
    for name in (FRESH, REBUILD, PREPARING):
        (cell_dir / name).unlink(missing_ok=True)
    return attempt


_claiming = Lock()  # candidates of a cell begin at once, in the threads of one run


def claim_number(cell_dir: Path) -> int:
    """The number of the next attempt; a candidate's is its own from then on."""
    home = home_of(cell_dir)
    unused = [n for n in attempt_numbers(cell_dir) if read_attempt(cell_dir, n) is None]
    if home != cell_dir and unused:
        return unused[-1]
    with _claiming:
        if home == cell_dir:
            return max(attempt_numbers(home), default=0) + 1
        number = max((n for n in attempt_numbers(home) if _is_taken(home, n)), default=0) + 1
        attempt_folder(home, number).mkdir(parents=True, exist_ok=True)
        (cell_dir / "attempts" / str(number)).mkdir(parents=True)
        return number


def _is_taken(home: Path, number: int) -> bool:
    """Whether a number is an attempt's: a kill may have left an empty folder of none."""
    return any(attempt_folder(home, number).iterdir()) or owner_of(home, number) != home


def open_phase_attempt(
    cell_dir: Path, *, of: str, key: str, agent: str, model: str | None, start: str
) -> Attempt:
    """Record a new attempt at a phase of one's own before anything of it starts."""
    attempt = Attempt(
        max(attempt_numbers(cell_dir), default=0) + 1, key, agent, start, model or "", of=of,
        opened_at=utc_timestamp(), token=os.urandom(8).hex(), pictured=True,
    )  # fmt: skip
    write_attempt(cell_dir, attempt)
    return attempt


def open_plan(cell_dir: Path, *, key: str, agent: str, model: str | None, start: str) -> Attempt:
    """Record a new plan before its agent starts."""
    number = min(plan_numbers(cell_dir), default=0) - 1
    plan = Attempt(
        number, key, agent, start, model or "", opened_at=utc_timestamp(),
        token=os.urandom(8).hex(), pictured=True,
    )  # fmt: skip
    write_attempt(cell_dir, plan)
    return plan


def close(
    cell_dir: Path,
    attempt: Attempt,
    outcome: str,
    reason: str = "",
    *,
    tip: str | None = None,
    followed: bool = False,
) -> Attempt:
    """Record how it ended: done, failed, blocked, aborted, superseded or forgotten.

    ``tip`` is where it leaves the branch; None: where it was recorded before. ``followed``: another
    attempt follows by itself, which counts this one, see `Attempt.tries`.
    """
    closed = replace(
        attempt, state="closed", outcome=outcome, reason=reason, closed_at=utc_timestamp(),
        tip=tip or attempt.tip, followed=followed,
    )  # fmt: skip
    write_attempt(cell_dir, closed)
    return closed


def reopen(cell_dir: Path, attempt: Attempt, phase: str) -> Attempt:
    """Record that agents of an attempt work again, in phase `check` or `review`.

    What its file says counts: the caller may have read it before a reviewer's end closed it.
    """
    known = read_attempt(cell_dir, attempt.number) or attempt
    if known.state == phase:
        return known
    opened = replace(known, state=phase)
    write_attempt(cell_dir, opened)
    return opened


def reopen_stopped(cell_dir: Path, attempt: Attempt, start: str) -> Attempt:
    """Record that an attempt that was stopped goes on from ``start``."""
    opened = replace(
        attempt, state="open", outcome="", reason="", closed_at="", start=start, tip=""
    )
    write_attempt(cell_dir, opened)
    return opened


def reviews_folder(cell_dir: Path, number: int) -> Path:
    """Where the reviewers of an attempt have their folders."""
    return attempt_folder(cell_dir, number) / "reviews"


def forget_opinions(cell_dir: Path, number: int) -> None:
    """Put the opinions of an attempt aside, so that its reviewers are asked again."""
    home = reviews_folder(cell_dir, number)
    if home.is_dir():
        copy = 1
        while (target := home.with_name(f"reviews.{copy}")).exists():
            copy += 1
        home.rename(target)


def agent_folders(cell_dir: Path, number: int) -> list[Path]:
    """Every folder of an attempt that an agent may have been started in."""
    own = attempt_folder(cell_dir, number)
    with suppress(FileNotFoundError):
        return [own, *sorted(p for p in reviews_folder(cell_dir, number).iterdir() if p.is_dir())]
    return [own]


def fresh_request(cell_dir: Path) -> str | None:
    """The run id of a `--fresh` that no attempt has answered yet."""
    found = read_toml_record(cell_dir / FRESH, FreshRequest)
    if found is None:
        return None
    answered = any(a.fresh == found.request for a in iter_attempts(cell_dir))
    return None if answered else found.request


def request_fresh(cell_dir: Path, request: str) -> None:
    """The next attempt of this cell starts again from the base."""
    write_toml_record(cell_dir / FRESH, FreshRequest(request))


def request_rebuild(cell_dir: Path) -> None:
    """A person asked for the work to be done again: an attempt starts, nothing is adopted."""
    write_atomic(cell_dir / REBUILD, b"")


def is_rebuild_requested(cell_dir: Path) -> bool:
    """Whether `forget`, `--force` or `--fresh` asked for an attempt that has not opened yet."""
    return (cell_dir / REBUILD).exists() or fresh_request(cell_dir) is not None


def begin_preparation(cell_dir: Path) -> None:
    """Until the attempt is opened, what appears on the cell's branch is our own doing."""
    write_atomic(cell_dir / PREPARING, b"")


def end_preparation(cell_dir: Path) -> None:
    """The branch was not moved, or a record says where to."""
    (cell_dir / PREPARING).unlink(missing_ok=True)


def is_branch_in_preparation(cell_dir: Path) -> bool:
    """Whether a kill came while the branch was made ready for an attempt."""
    return (cell_dir / PREPARING).exists()


def link_transcript(cell_dir: Path, number: int) -> None:
    """Point the cell's `transcript.jsonl` at an attempt's, by rename."""
    home, target = home_of(cell_dir), f"attempts/{number}/{TRANSCRIPT}"
    own = attempt_folder(cell_dir, number) / TRANSCRIPT
    own.parent.mkdir(parents=True, exist_ok=True)
    own.touch(exist_ok=True)
    link = home / TRANSCRIPT
    with suppress(OSError):
        if str(link.readlink()) == target:
            return
    temporary = home / f".{TRANSCRIPT}.{os.getpid()}.{number}.tmp"
    with suppress(FileNotFoundError):
        temporary.unlink()
    temporary.symlink_to(target)
    temporary.replace(link)
