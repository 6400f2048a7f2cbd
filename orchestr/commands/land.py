"""`land FEATURE...`: merge what is proven, through the queue; each target is green at every step.

Order as in `run`: dry-run, confirmation, leases, then the forge is asked. The landing lease makes
it one process in a workspace; another one is told who lands (exit 4).
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from orchestr.cell.context import Run
from orchestr.commands.build import Goals, Signals, _paid, _record, leases
from orchestr.commands.observe import observe
from orchestr.commands.options import YES, flag, value
from orchestr.commands.plain_verb import PlainVerb
from orchestr.commands.report import say, tell
from orchestr.commands.session import Session
from orchestr.errors import Exit, UsageError
from orchestr.landing.candidates import Built
from orchestr.landing.land import Lander, Outcome
from orchestr.landing.queue import obstacle
from orchestr.landing.records import (
    Checked,
    Conflicted,
    Event,
    GroupClosed,
    GroupOpened,
    Landed,
    NotLanded,
    Parked,
    Repaired,
    RepairStarted,
    Spec,
    Split,
)
from orchestr.lifecycle import replay
from orchestr.locks import Lease
from orchestr.spec.records import Delivery
from orchestr.spec.settings_table import STRATEGIES
from orchestr.store import prepare
from orchestr.tasks import Selection

DRY_RUN = flag("dry_run", "show the order, the candidates and their conflicts; move nothing",
               long="dry-run")  # fmt: skip
STRATEGY = value("strategy", f"how to merge in this landing: {', '.join(STRATEGIES)}")


class Land(PlainVerb):
    """Lands features; what cannot land is said, with its reason."""

    doc_purpose = "merge what is done, upstreams first, each target always green"
    doc_usage = "FEATURE ..."
    cmd_options: tuple[dict[str, Any], ...] = (DRY_RUN, STRATEGY, YES)
    undo = False

    def act(self, session: Session, params: Any, args: list[str]) -> int:
        """Exit 1 when something did not land."""
        if not args:
            raise UsageError("which feature?", hint=f"orchestr {self.name} FEATURE")
        strategy = params.get("strategy")
        if strategy is not None and strategy not in STRATEGIES:
            raise UsageError(f"there is no strategy {strategy!r}", hint=", ".join(STRATEGIES))
        targets = session.targets(args)
        if any(target.cell for target in targets):
            raise UsageError("features land as a whole", hint=f"orchestr {self.name} FEATURE")
        runs = [session.run(name) for name in dict.fromkeys(t.feature for t in targets)]
        goals = [Goals(run, [], Selection(), []) for run in runs]
        if not params["dry_run"] and not confirm(runs, yes=params["yes"], undo=self.undo):
            return int(Exit.DONE)
        prepare(session.layout)
        with leases(goals, break_lock=False), lease(runs):
            for goal in goals:
                observe(goal.run)
            return land(runs, dry_run=params["dry_run"], strategy=strategy, undo=self.undo)


@contextmanager
def lease(runs: Sequence[Run]) -> Iterator[None]:
    """One landing process in a workspace. Raises Busy with who it is."""
    names = tuple(run.feature.name for run in runs)
    with Lease.acquire(runs[0].layout.locks / "landing.lock", _record(names, 1)):
        yield


def land(
    runs: Sequence[Run], *, dry_run: bool = False, strategy: str | None = None, undo: bool = False
) -> int:
    """Land features whose leases are held. Returns the exit code."""
    run_id = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) + "-" + secrets.token_hex(2)
    for run in runs:
        run.id = run.id or run_id
        run.past = replay(run.journal.read())
    if not dry_run:
        prepare(runs[0].layout)
    lander = Lander(runs, listener=None if dry_run else show, warn=lambda t: say(f"warning: {t}"),
                    strategy=strategy, undo=undo)  # fmt: skip
    if dry_run:
        return preview(lander)
    with Signals(runs):
        outcome = lander.go()
    tell(summary(outcome, undo=undo))
    return int(Exit.DONE if outcome.ok else Exit.FAILED)


def confirm(runs: Sequence[Run], *, yes: bool, undo: bool) -> bool:
    """Ask before a real forge is touched or a paid agent may repair (row X10)."""
    reasons: list[str] = []
    for run in runs:
        if run.forge.real:
            verb = "reverts commits" if undo else "merges pull requests"
            reasons.append(f"It {verb} of {run.feature.name} at {run.forge.kind}.")
        names = [cell.name for cell in run.feature.cells]
        paid = set() if undo or not run.settings.landing.repairs else _paid(run, names)
        if paid:
            reasons.append(f"Repairs may start agents that cost money: {', '.join(sorted(paid))}.")
    if yes or not reasons:
        return True
    for reason in dict.fromkeys(reasons):
        say(reason)
    if not sys.stdin.isatty():
        raise UsageError("this needs a confirmation and there is no terminal", hint="add --yes")
    sys.stderr.write("Continue? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    say("Aborted.")
    return False


def preview(lander: Lander) -> int:
    """The order and the conflicts, found by making the candidates; nothing is checked or moved.

    On books of its own: nothing is journalled either.
    """
    lander.book = _NoBook()  # type: ignore[assignment]
    lander.open()
    queue = lander.queue
    tips = dict(queue.tips)
    mine = [i for i in queue.items.values() if not i.frozen]
    mine.sort(key=lambda i: (i.seq == 0, i.seq, i.change.order))
    rows = []
    for item in mine:
        change = item.change
        why = obstacle(queue, item) if item.stage.value == "waiting" else None
        if item.stage.value == "landed":
            continue
        note = f"waits: {why}" if why else ""
        if not why:
            spec = Spec(change.lane, ((change.key, change.head),), tips[change.lane])
            built: Built = lander.built(spec)
            if built.commit is None:
                note = f"conflicts in {', '.join(built.conflicts[:5])}"
            else:
                empty = built.commit == spec.base
                tips[change.lane] = built.commit
                note = "nothing left to land" if empty else f"candidate {built.commit[:12]}"
        rows.append((change.key.replace("/", ":"), str(change.lane), note))
    if not rows:
        tell("nothing to land\n")
        return int(Exit.DONE)
    width = max(len(name) for name, _, _ in rows)
    across = max(len(lane) for _, lane, _ in rows)
    for number, (name, lane, note) in enumerate(rows, start=1):
        tell(f"{number:3}  {name.ljust(width)}  {lane.ljust(across)}  {note}\n")
    bad = [row for row in rows if not row[2].startswith(("candidate", "nothing"))]
    return int(Exit.FAILED if bad else Exit.DONE)


class _NoBook:
    def append(self, event: Event) -> None:
        """A preview writes nothing down."""


def show(event: Event) -> None:
    """One line on stderr for what a person wants to know."""
    text = line(event)
    if text:
        say(f"{time.strftime('%H:%M:%S')} {text}")


def line(event: Event) -> str | None:
    match event:
        case Checked(spec, commit, green, detail):
            verdict = "green" if green else f"RED: {first(detail)}"
            return f"{spec.lane}  {_names(spec)}  {commit[:12]} {verdict}"
        case Conflicted(spec, key, paths):
            return f"{spec.lane}  {key.replace('/', ':')}  conflict in {', '.join(paths[:5])}"
        case GroupOpened(group, keys):
            return f"landing {group}: {', '.join(key.partition('/')[2] for key in keys)}"
        case Landed(spec, commit, _):
            how = "nothing left to land" if commit == spec.base else f"landed as {commit[:12]}"
            return f"{spec.lane}  {_names(spec)}  {how}"
        case NotLanded(spec, tip, refused):
            why = f"refused: {refused}" if refused else f"the target moved to {tip[:12]}"
            return f"{spec.lane}  {_names(spec)}  {why}"
        case RepairStarted(key, trouble, number):
            return f"{key.replace('/', ':')}  repair {number} ({trouble})"
        case Repaired(key, head):
            return f"{key.replace('/', ':')}  repaired: {head[:12]}"
        case Parked(key, trouble, reason):
            return f"{key.replace('/', ':')}  {trouble}: {first(reason)}"
        case Split(spec):
            return f"{spec.lane}  {_names(spec)}  failed together, tried in halves"
        case GroupClosed(group, landed, left):
            return f"{group}: {len(landed)} landed, {len(left)} not"
        case _:
            return None


def first(text: str) -> str:
    """The first line; the rest is evidence, in the log and in the journal."""
    return text.partition("\n")[0].rstrip(":")


def _names(spec: Spec) -> str:
    return ", ".join(key.replace("/", ":") for key in spec.keys)


def summary(outcome: Outcome, *, undo: bool) -> str:
    """The answer: what stands in its target, what does not and why."""
    done = "rolled back" if undo else "landed"
    lines = [f"{key.replace('/', ':')}: {done}" for key in outcome.landed]
    lines += [
        f"{key.replace('/', ':')}: not {done}: {first(why)}" for key, why in outcome.parked.items()
    ]
    lines += [f"{key.replace('/', ':')}: not {done}: {why}" for key, why in outcome.waiting.items()]
    if not lines:
        return "nothing to roll back\n" if undo else "nothing to land\n"
    left = len(outcome.parked) + len(outcome.waiting)
    return "\n".join([*lines, f"{len(outcome.landed)} {done}, {left} not"]) + "\n"


def deliver(goals: Sequence[Goals], code: int) -> int:
    """At the end of a `run` that went well: land the whole features that say `delivery: merge`.

    Under the leases of that run.
    """
    runs = merging(goals)
    if code or not runs:
        return code
    with lease(runs):
        for goal in goals:
            if goal.run in runs:
                observe(goal.run)
        return land(runs)


def merging(goals: Sequence[Goals]) -> list[Run]:
    """The features of a `run` that are to be landed by it."""
    return [
        goal.run
        for goal in goals
        if goal.run.feature.delivery is Delivery.MERGE
        and any(target.cell is None for target in goal.targets)
    ]
