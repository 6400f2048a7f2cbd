"""`land FEATURE...`: merge what is proven, through the queue; each target is green at every step.

Order as in `run`: dry-run, confirmation, leases, then the forge is asked. The landing lease makes
it one process in a workspace; another one is refused with the name of the holder (exit 4).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from orchestr.cell.context import CellContext, FeatureRun
from orchestr.cell.phases.cross_checks import red_cross_checks
from orchestr.cell.pull_request.observe import observe_pull_requests
from orchestr.commands.base.expected_conflicts import print_expected_conflicts
from orchestr.commands.base.landing_preview import print_preview, replace_change_keys
from orchestr.commands.base.options import YES, flag_option, read_duration, value_option
from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import ExitCode, Interrupted, OrchestrError, UsageError
from orchestr.landing.actions import Action
from orchestr.landing.certificate import (
    find_red_together,
    read_certificates,
    refuse_red_together,
    warn_of_audits,
)
from orchestr.landing.changes import LANDED_ONCE
from orchestr.landing.events import Event, Stage, Trouble
from orchestr.landing.forge_gate import Allowed, ForgeGate, find_allowed
from orchestr.landing.land import Lander
from orchestr.landing.repair import restore_proven_head, withdraw_proven_head
from orchestr.landing.report import LandingOutcome
from orchestr.process.lease import Lease, read_lease
from orchestr.run.check_lock import refuse_locked_changes
from orchestr.run.check_signing import refuse_unsigned_landing
from orchestr.run.final_report import Ending, report_at_end, report_run
from orchestr.run.goals import FeatureGoals
from orchestr.run.notify import Notifier
from orchestr.run.signals import InterruptHandler
from orchestr.run.start import finish_run, hold_leases, lease_record, new_run_id, paid_agents
from orchestr.run.workspace import Session
from orchestr.settings.keys import STRATEGIES
from orchestr.spec.phases import Delivery
from orchestr.state.events import Event as JournalEvent
from orchestr.state.events import EventKind
from orchestr.state.layout import create_state_dirs
from orchestr.state.replay import replay
from orchestr.state.results import HeadRecord
from orchestr.tasks.generate import CellSelection, free_leftover_ports
from orchestr.views.live.plain import event_lines
from orchestr.views.live.progress import CellLabels
from orchestr.views.terminal.landing import (
    LandingRow,
    action_line,
    event_line,
    name_change,
    summary_text,
)
from orchestr.views.terminal.output import confirm_reasons, print_stderr, write_stdout

DRY_RUN = flag_option("dry_run", "show the order, the candidates and their conflicts; move nothing",
               long="dry-run")  # fmt: skip
ALLOW_RED = flag_option("allow_red", "land although cross checks, the audit or what the forge "
                        "requires are red; asks, and is journalled", long="allow-red")  # fmt: skip
WAIT = value_option("wait", "wait so long for pending checks at the forge, e.g. 30m")
AGAIN = flag_option("again", "land once more what was rolled back, as it was", long="again")
STRATEGY = value_option("strategy", f"how to merge in this landing: {', '.join(STRATEGIES)}")


class Land(PlainVerb):
    """Lands features; what cannot land is printed with its reason."""

    doc_purpose = "merge what is done, upstreams first, each target always green"
    doc_usage = "FEATURE ..."
    help_group = "land"
    examples: tuple[tuple[str, str], ...] = (
        ("land mlkem", "check and merge in order what is ready"),
        ("land mlkem --dry-run", "only show the order, and what is in the way"),
    )
    cmd_options: tuple[dict[str, Any], ...] = (DRY_RUN, STRATEGY, AGAIN, ALLOW_RED, WAIT, YES)
    undo = False

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """ExitCode 1 when something did not land."""
        if not args:
            raise UsageError("which feature?", hint=f"orchestr {self.name} FEATURE")
        strategy = params.get("strategy")
        if strategy is not None and strategy not in STRATEGIES:
            raise UsageError(f"there is no strategy {strategy!r}", hint=", ".join(STRATEGIES))
        targets = session.parse_targets(args)
        if any(target.cell for target in targets):
            raise UsageError("features land as a whole", hint=f"orchestr {self.name} FEATURE")
        runs = [session.load_run(name) for name in dict.fromkeys(t.feature for t in targets)]
        goals = [FeatureGoals(run, [], CellSelection(), []) for run in runs]
        again = bool(params.get("again"))
        wait = None if self.undo else read_duration(params, "wait", "30m, 2h")
        if params["dry_run"]:
            code = preview_landing(runs, strategy=strategy, undo=self.undo, again=again, wait=wait)
            if not self.undo:
                print_expected_conflicts(session, [run.feature.name for run in runs])
            return code
        check_built(runs)
        for run in runs if not self.undo else ():
            refuse_locked_changes(run)
        moving = [] if self.undo else [run for run in runs if not all_landed(run)]
        certificates = read_certificates(moving)
        red = find_red_together(moving, certificates)
        if red and not params["allow_red"]:
            raise refuse_red_together(red)
        lacking: Allowed = frozenset()
        reasons = dict(red)
        if params.get("allow_red"):
            lacks, lacking = find_allowed(moving, cells_to_land(moving), ForgeGate())
            for name, why in lacks.items():
                reasons[name] = "; ".join(filter(None, (reasons.get(name), why)))
        for warning in warn_of_audits(certificates):
            print_stderr(f"warning: {warning}")
        refuse_unsigned_landing([run for run in runs if not all_landed(run)], strategy)
        if not confirm_landing(runs, yes=params["yes"], undo=self.undo, red=reasons):
            return int(ExitCode.DONE)
        create_state_dirs(session.layout)
        with (
            Notifier(runs) as notifier,
            hold_leases(goals, break_lock=False),
            hold_landing_lease(runs),
        ):
            run_id = new_run_id()
            for run in runs:
                run.id = run_id
                run.listener = notifier.show_event
            with report_at_end(runs, self.name, notifier) as end:
                for run in runs:
                    observe_pull_requests(run)
                end.code = land_features(
                    runs, strategy=strategy, undo=self.undo, again=again, allowed_red=reasons,
                    lacking=lacking, wait=wait, notifier=notifier, ending=end,
                )  # fmt: skip
            return end.code


def check_built(runs: Sequence[FeatureRun]) -> None:
    """Raises OrchestrError for features of which nothing has a result, whatever came of it."""
    bare = [
        run.feature.name for run in runs
        if not any(HeadRecord.read(run.cell_context(cell.name).dir) for cell in run.feature.cells)
    ]  # fmt: skip
    if bare:
        names = " ".join(bare)
        at_work = [
            run.feature.name for run in runs
            if run.feature.name in bare and read_lease(run.layout.lease_file(run.feature.name))
        ]  # fmt: skip
        verb = "status" if at_work else "run"  # a second run would be refused
        hint = f"orchestr {verb} {' '.join(at_work) or names}"
        raise OrchestrError(f"nothing of {names} is built yet", hint=hint)


def preview_landing(
    runs: Sequence[FeatureRun], *, strategy: str | None = None, undo: bool = False,
    again: bool = False, wait: float | None = None,
) -> int:  # fmt: skip
    """A preview: no lease, so a run may be at work beside it."""
    check_built(runs)
    for run in runs:
        observe_pull_requests(run)
    code = land_features(runs, dry_run=True, strategy=strategy, undo=undo, again=again, wait=wait)
    moving = [] if undo else [run for run in runs if not all_landed(run)]
    red = find_red_together(moving, read_certificates(moving))
    if not red:
        return code
    refusal = refuse_red_together(red)
    print_stderr(f"warning: {refusal.message}\n  hint: {refusal.hint}")
    return int(ExitCode.FAILED)


@contextmanager
def hold_landing_lease(runs: Sequence[FeatureRun]) -> Iterator[None]:
    """One landing process in a workspace. Raises Busy with who it is."""
    names = tuple(run.feature.name for run in runs)
    with Lease.acquire(runs[0].layout.locks_dir / "landing.lock", lease_record(names, 1)):
        yield


def land_features(
    runs: Sequence[FeatureRun],
    *,
    dry_run: bool = False,
    strategy: str | None = None,
    undo: bool = False,
    again: bool = False,
    quiet: bool = False,
    allowed_red: Mapping[str, str] | None = None,
    lacking: Allowed = frozenset(),
    wait: float | None = None,
    notifier: Notifier | None = None,
    ending: Ending | None = None,
) -> int:
    """Land features whose leases are held. Returns the exit code; ``ending`` gets what did not land
    and why, for the report. ``wait``: instead of `landing.wait`; ``lacking``: see `Lander`."""
    allowed = allowed_red or {}
    run_id = new_run_id()
    for run in runs:
        run.id = run.id or run_id
        run.landing = True
        run.past = replay(run.journal.read())
    if not dry_run:
        create_state_dirs(runs[0].layout)
        for run in runs:
            run.journal.begin_watch()
            free_leftover_ports(run)
            if (why := allowed.get(run.feature.name)) is not None:
                run.emit(EventKind.LAND_ALLOWED, reason=why, user=lease_record((), 1).user)
    many = len(runs) > 1

    def print_event(event: Event) -> None:
        text = event_line(event, many=many)
        if text and not dry_run and not quiet:
            print_stderr(f"{time.strftime('%H:%M:%S')} {text}")

    def print_wait(action: Action) -> None:
        text = action_line(action, many=many)
        if text and not quiet:
            print_stderr(f"{time.strftime('%H:%M:%S')} {text}")

    names = [run.feature.name for run in runs if red_cross_checks(run)]
    crossed = frozenset(name for name in names if name in allowed)
    lander = Lander(runs, listener=print_event, on_slow=print_wait,
                    warn=lambda t: print_stderr(f"warning: {t}"), strategy=strategy, undo=undo,
                    again=again, allowed_red=crossed, lacking=lacking,
                    wait=runs[0].settings.landing.wait if wait is None else wait)  # fmt: skip
    if dry_run:
        return print_preview(lander)
    for run in runs if not quiet else ():
        print_cell_warnings(run)
    # A repair that a kill cut off goes on: its cell is not put back.
    at_work = {k for k, item in lander.queue.items.items() if item.stage is Stage.REPAIRING}
    rest = [ctx for ctx in cells_of(runs) if ctx.key not in at_work and not undo]
    tried = [ctx for ctx in rest if restore_proven_head(ctx)]
    try:
        with InterruptHandler(runs):
            outcome = lander.land_all()
    finally:
        for ctx in tried:
            if lander.queue.items[ctx.key].stage is not Stage.LANDED:
                withdraw_proven_head(ctx)
    if ending is not None:
        ending.left = {end.key: (end.why, end.hint) for end in outcome.ends
                       if end.stage is not Stage.LANDED}  # fmt: skip
    for run in runs if notifier is not None else ():
        tell_landing(run, outcome, notifier, undo=undo)
    if quiet:
        return int(ExitCode.DONE if outcome.ok else ExitCode.FAILED)
    rows = summary_rows(outcome, many=len(runs) > 1)
    write_stdout(summary_text(rows, undo=undo, red=outcome.red, colour=sys.stdout.isatty()))
    return int(ExitCode.DONE if outcome.ok else ExitCode.FAILED)


WAITS = (EventKind.CELL_WAITING, EventKind.FORGE_WAITS, EventKind.ATTEMPT_LIMITED)


def print_cell_warnings(run: FeatureRun) -> None:
    """Print what the phases of a repair warn of and wait for, beside what the run's listener does
    with it."""
    listener, labels = run.listener, CellLabels([run.plan])

    def listen(event: JournalEvent) -> None:
        if listener is not None:
            listener(event)
        if event.kind is EventKind.CELL_WARNED:
            print_stderr(f"warning: {run.feature.name}:{event.cell}: {event.data['reason']}")
        elif event.kind in WAITS:
            for line in event_lines(event, labels):
                print_stderr(line)

    run.listener = listen


def cells_of(runs: Sequence[FeatureRun]) -> list[CellContext]:
    """Every cell of these features."""
    return [run.cell_context(cell.name) for run in runs for cell in run.feature.cells]


def cells_to_land(runs: Sequence[FeatureRun]) -> list[CellContext]:
    """The cells of these features that have not landed, with what the forge shows of them."""
    for run in runs:
        run.past = replay(run.journal.read())
        observe_pull_requests(run)
    return [c for c in cells_of(runs) if c.run.past.cell(c.cell.name).state not in LANDED_ONCE]


def tell_landing(
    run: FeatureRun, outcome: LandingOutcome, notifier: Notifier | None, *, undo: bool
) -> None:
    """The news of a landing's end: what landed, or why the rest did not."""
    name = run.feature.name
    mine = [end for end in outcome.ends if end.key.partition("/")[0] == name]
    left = [end for end in mine if end.stage is not Stage.LANDED]
    verb = "rolled back" if undo else "landed"
    whys = [*outcome.red, *(f"{name_change(end.key, many=False)}: {end.why}" for end in left)]
    if notifier is not None and (whys or any(end.fresh for end in mine)):
        notifier.show_landing(run, verb, len(mine) - len(left), whys)


def confirm_landing(
    runs: Sequence[FeatureRun], *, yes: bool, undo: bool, red: Mapping[str, str] | None = None
) -> bool:
    """Ask before a real forge is touched, a paid agent may repair, or what is red lands."""
    reasons = [f"It lands {name} in spite of this: {why}." for name, why in (red or {}).items()]
    for run in runs:
        if run.forge.real:
            verb = "reverts commits" if undo else "merges pull requests"
            reasons.append(f"It {verb} of {run.feature.name} at {run.forge.kind}.")
        names = [cell.name for cell in run.feature.cells]
        paid = set() if undo or not run.settings.landing.repairs else paid_agents(run, names)
        if paid:
            reasons.append(f"Repairs may start agents that cost money: {', '.join(sorted(paid))}.")
    return yes or not reasons or confirm_reasons(reasons)


STATES = {Trouble.CONFLICT: "conflict", Trouble.APPROVAL: "approval"}


def summary_rows(outcome: LandingOutcome, *, many: bool) -> list[LandingRow]:
    """What the table at the end shows, in plan order."""
    rows = []
    for end in outcome.ends:
        state = "landed" if end.stage is Stage.LANDED else "waiting"
        if end.stage is Stage.PARKED:
            state = STATES.get(end.trouble, "person") if end.trouble else "person"
        rows.append(
            LandingRow(name_change(end.key, many=many), str(end.lane), state, end.commit, end.fresh,
                replace_change_keys(end.why, many), end.hint, end.link, end.resolved)
        )  # fmt: skip
    return rows


def lands_after_run(goals: Sequence[FeatureGoals]) -> bool:
    """Whether something of a `run` that went well is still to be landed by it."""
    return any(not all_landed(run) for run in runs_to_land(goals))


def land_after_run(goals: Sequence[FeatureGoals], notifier: Notifier, *, as_json: bool) -> int:
    """At the end of a `run` that went well: land the whole features that say `delivery: merge`.

    Under the leases of that run, whose end is journalled here, with the exit code of the landing.
    With ``as_json`` the run's own listener still prints events, and nothing else is printed.
    """
    runs = [run for run in runs_to_land(goals) if not all_landed(run)]
    listeners = [(goal.run, goal.run.listener) for goal in goals]
    code, ending = int(ExitCode.FAILED), Ending()
    try:
        with hold_landing_lease(runs):
            for run in runs:
                observe_pull_requests(run)
                run.listener = run.listener if as_json else notifier.show_event
            code = land_features(runs, quiet=as_json, notifier=notifier, ending=ending)
    except (Interrupted, KeyboardInterrupt):
        code = int(ExitCode.INTERRUPTED)
        raise
    except OrchestrError as error:  # the origin or the forge could not be asked
        for run in runs:
            notifier.show_landing(run, "landed", 0, [error.message])
        raise
    finally:
        for run, listener in listeners:
            run.listener = listener
        finish_run(goals, code)
        report_run(goals, code, None, notifier, quiet=as_json, left=ending.left)
    return code


def all_landed(run: FeatureRun) -> bool:
    """Whether the journal has every cell as landed, also those that were rolled back since: a run
    lands none of them."""
    past = replay(run.journal.read())
    return all(past.cell(cell.name).state in LANDED_ONCE for cell in run.feature.cells)


def runs_to_land(goals: Sequence[FeatureGoals]) -> list[FeatureRun]:
    """The features of a `run` that are to be landed by it."""
    return [
        goal.run
        for goal in goals
        if goal.run.feature.delivery is Delivery.MERGE
        and any(target.cell is None for target in goal.targets)
    ]
