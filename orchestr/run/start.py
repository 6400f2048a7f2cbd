"""What `run` does around doit: goals, lease, forcing, the forge's state, signals, summary.

The order matters: dry-run, pre-flight, confirmation, lease, then one question to the forge for
each repository, then doit. Everything before the lease only reads.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestr.cell.agent_chain import list_beside
from orchestr.cell.candidate import with_candidates
from orchestr.cell.context import ABORT, CellContext, FeatureRun
from orchestr.cell.phases.forget import forget_phases
from orchestr.cell.pull_request.observe import observe_pull_requests
from orchestr.errors import ExitCode, OrchestrError, Unavailable
from orchestr.landing.squashed_upstreams import take_in_squashed_upstreams
from orchestr.plan.dag import CellForecast, ForecastOutcome
from orchestr.process.back_off import try_until_available
from orchestr.process.lease import Lease, LeaseRecord, break_lease, read_lease
from orchestr.process.redaction import redact, secret_values
from orchestr.run.cell_agents import list_cell_agents, requested_reviewers
from orchestr.run.check_lock import keep_lock
from orchestr.run.diagnostic import Diagnostic
from orchestr.run.goals import FeatureGoals
from orchestr.run.preflight import check_prerequisites
from orchestr.spec.phases import Phase
from orchestr.spec.records import AUDIT
from orchestr.state import attempts
from orchestr.state.events import Event, EventKind
from orchestr.state.layout import create_state_dirs
from orchestr.state.replay import FeatureView, replay, reset_interrupted
from orchestr.state.results import TRANSCRIPT
from orchestr.state.states import CellState
from orchestr.tasks.finish_feature import link_published_cells
from orchestr.tasks.stale import audit_reasons, forecast_selection
from orchestr.views.logs.dialect import event_parser
from orchestr.views.logs.transcript import last_words
from orchestr.views.terminal.output import confirm_reasons, print_stderr


def run_preflight(goals: Sequence[FeatureGoals], *, skip: bool, forced: bool) -> bool:
    """Print what was found. Returns whether the run may start. Raises Unavailable when the machine
    kept it from a look, more than once."""

    def pause(error: Unavailable, seconds: float) -> None:
        print_stderr(f"warning: {error.message}; tried again in {seconds:g} s")
        time.sleep(seconds)

    def look() -> dict[str, Diagnostic]:
        return {
            str(finding): finding
            for goal in goals
            for finding in check_prerequisites(
                goal.run, goal.cells, forced=goal.forced if forced else ()
            )
        }

    findings = try_until_available(
        look, retries=goals[0].run.settings.limits.retries if goals else 0, pause=pause
    )
    for text in findings:
        print_stderr(text)
    errors = [f for f in findings.values() if f.severity == "error"]
    if errors and skip:
        print_stderr("warning: started in spite of this (--skip-preflight)")
    return skip or not errors


def confirm_run(goals: Sequence[FeatureGoals], *, yes: bool, forced: bool) -> bool:
    """Ask before a paid agent starts or a real forge is touched.

    Only what this run may really do is asked about; with nothing to do there is no question.
    Raises UsageError without a terminal and without `--yes`. Returns False for "no".
    """
    reasons: list[str] = []
    expected: list[str] = []
    cells = 0
    for goal in goals:
        paid_by_any = paid_agents(goal.run, goal.cells) or paid_auditors(goal, moving=True)
        if yes or not (goal.run.forge.real or paid_by_any):
            continue
        found = _forecast_goal(goal, forced)
        may = {f.name: f.phases for f in found if f.would is ForecastOutcome.RUN}
        cells += len(may)
        reasons += _name_side_by_side(goal.run, may)
        paid = paid_agents(
            goal.run,
            [n for n, phases in may.items() if _may_start_agent(goal.run.cell_context(n), phases)],
        )
        paid |= paid_auditors(goal, moving=bool(may) or (forced and goal.forces_audit))
        if paid:
            reasons.append(f"agents that cost money: {', '.join(sorted(paid))}")
            expected += _foretell_cost(goal, found, named=len(goals) > 1)
        if may and goal.run.forge.real:
            reasons.append(f"pull requests at {goal.run.forge.kind}")
    if not reasons:
        return True
    jobs = goals[0].run.settings.limits.jobs
    what = (
        f"This run may start {cells} {'cell' if cells == 1 else 'cells'}, "
        f"{jobs} agents at once, in worktrees below "
        f"{goals[0].run.layout.worktrees}."
    )
    return confirm_reasons(
        [what, *(f"It uses {reason}." for reason in reasons), *expected],
        unheard="this run needs a confirmation and there is no terminal",
    )


def _name_side_by_side(run: FeatureRun, may: Mapping[str, Collection[str]]) -> list[str]:
    """The cells that would start several attempts at once, and how many."""
    found = []
    for name, phases in may.items():
        count = len(list_beside(run.cell_context(name)))
        if count and Phase.IMPLEMENT in phases:
            found.append(f"{count} attempts side by side for cell {name}")
    return found


def _foretell_cost(
    goal: FeatureGoals, forecasts: Sequence[CellForecast], *, named: bool
) -> list[str]:
    """What the run of a feature takes, and the budgets that it may pass; ``named``: of several."""
    from orchestr.views.query.cost_forecast import find_run_risks, forecast_run_cost
    from orchestr.views.terminal.costs import cost_sentence, risk_words

    whole = any(target.cell is None for target in goal.targets)
    cost = forecast_run_cost(goal.run, forecasts, audits=whole)
    if not cost.cells:
        return []
    label = f"{goal.run.feature.name}: " if named else ""
    risks = map(risk_words, find_run_risks(goal.run, cost))
    return [f"{label}{cost_sentence(cost)}", *(f"warning: {label}{words}" for words in risks)]


def paid_agents(run: FeatureRun, names: Sequence[str]) -> set[str]:
    """The paid agents of these cells: authors, those of phases of one's own, reviewers."""
    chosen = list_cell_agents(map(run.cell_context, names))
    return {name for name in chosen if run.agent_adapter(name).paid}


def paid_auditors(goal: FeatureGoals, *, moving: bool) -> set[str]:
    """The paid agents that this run's audit may start: auditors, and the owners who repair.
    ``moving``: a cell may come out otherwise."""
    run = goal.run
    if not any(target.cell is None for target in goal.targets):
        return set()
    if not audit_reasons(run) and not (moving and run.feature.has_audit):
        return set()
    found = {one.agent for one in run.feature.auditors if run.agent_adapter(one.agent).paid}
    return found | (paid_agents(run, goal.cells) if run.feature.most_audit_rounds else set())


def _may_start_agent(ctx: CellContext, phases: Collection[str]) -> bool:
    """Whether an agent may start in these phases: to work, to repair or to review."""
    may: set[str] = {Phase.PLAN, Phase.IMPLEMENT, *((Phase.CHECK,) if ctx.has_checks else ()),
           *((Phase.REVIEW,) if requested_reviewers(ctx) else ())}  # fmt: skip
    may |= {phase.name for phase in ctx.cell.own_phases if not phase.run}
    return not may.isdisjoint(phases)


def _forecast_goal(goal: FeatureGoals, forced: bool) -> tuple[CellForecast, ...]:
    """What this run may do with each cell, by the files and the journal."""
    return forecast_selection(
        goal.run, goal.selection, goal.cells, forced=goal.forced if forced else None
    )


@contextmanager
def hold_leases(goals: Sequence[FeatureGoals], *, break_lock: bool) -> Iterator[None]:
    """Hold the lease of every feature, always in the same order. Raises Busy (exit 4)."""
    features = sorted(goal.run.feature.name for goal in goals)
    with ExitStack() as stack:
        layout = goals[0].run.layout
        former = [layout.former[name] for name in features if name in layout.former]
        for name in [*features, *former]:
            path = layout.lease_file(name)
            if break_lock:
                break_lease(path)
            lease = Lease.acquire(
                path, lease_record(tuple(features), goals[0].run.settings.limits.jobs)
            )
            stack.callback(lease.release)
        if layout.former:
            from orchestr.cell.phases.rename_cell import follow_new_names

            for goal in goals:
                follow_new_names(goal.run)
        yield


def next_run_line(run: FeatureRun, command: str, what: str = "") -> str:
    """`next: COMMAND`, or, while a run holds the feature, how to see when that has ended."""
    name = run.feature.name
    holder = read_lease(run.layout.lease_file(name))
    if holder is None:
        return f"next: {command}{f' ({what})' if what else ''}\n"
    return (
        f"a run of {name} is at work (pid {holder.pid}); it counts in the run after it\n"
        f"next: orchestr status {name} --watch\n"
    )


def lease_record(features: tuple[str, ...], jobs: int) -> LeaseRecord:
    """The lease record of this process."""
    return LeaseRecord.for_this_process(command=typed_command()[:200], features=features, jobs=jobs)


def typed_command() -> str:
    """What the user typed; secrets in it are hidden."""
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name
    typed = " ".join([name, *sys.argv[1:]])[:1000]
    return redact(typed, secret_values(os.environ))


def new_run_id() -> str:
    """The name of a run or a landing: its time (UTC) and two random bytes."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) + "-" + secrets.token_hex(2)


def begin_run(goals: Sequence[FeatureGoals], params: Any) -> None:
    """Under the lease: name the run, journal it, forget what is forced, ask the forge."""
    run_id = new_run_id()
    for goal in goals:
        run = goal.run
        create_state_dirs(run.layout)
        if run.journal.size() != run.past_size:  # another run ended between our look and the lease
            run.past = replay(run.journal.read())
        run.id = run_id
        run.journal.begin_watch()
        for plan in run.plan.cells:
            (run.cell_context(plan.name).dir / ABORT).unlink(missing_ok=True)
        run.emit(
            EventKind.RUN_STARTED,
            goals=[str(t) for t in goal.targets],
            pid=os.getpid(),
            cells=goal.cells,
            force=bool(params["force"]),
            fresh=bool(params["fresh"]),
            command=typed_command(),
        )
        keep_lock(run)
        if params["force"] or params["fresh"]:
            forget_forced_cells(goal, fresh=bool(params["fresh"]))
        observe_pull_requests(run)
        take_in_squashed_upstreams(run)


def link_published(goals: Sequence[FeatureGoals], *, ended_well: bool) -> None:
    """After the tasks: the pull requests of features whose own task did not come to its turn name
    each other, too. What cannot be linked now is with the next run, so there is only a warning.
    """
    for goal in goals:
        run = goal.run
        if ended_well and any(target.cell is None for target in goal.targets):
            continue
        cells = [plan.name for plan in run.plan.cells if not run.past.cell(plan.name).ignored]
        try:
            link_published_cells(run, cells)
        except (OrchestrError, OSError) as error:
            why = error.reason if isinstance(error, OrchestrError) else str(error)
            print_stderr(f"warning: the pull requests of {run.feature.name} were not linked: {why}")


def finish_run(goals: Sequence[FeatureGoals], code: int) -> None:
    """Journal the end of a run with its exit code, and tell what others did to the journal."""
    for goal in goals:
        for found in goal.run.journal.explain_changes():
            text = f"while it ran, the journal {goal.run.journal.path} was written to: {found}"
            goal.run.emit(EventKind.CELL_WARNED, reason=text)
            print_stderr(f"warning: {text}")
        goal.run.emit(EventKind.RUN_FINISHED, exit=int(code), **goal.run.forge_usage)


def forget_forced_cells(goal: FeatureGoals, *, fresh: bool) -> None:
    """Forget the named cells, once: the same command after an interrupted run forces nothing
    twice, because what that run forgot is in the journal under its force id."""
    run = goal.run
    names = sorted(":".join((name, *phases)) for name, phases in goal.forced.items())
    names += [AUDIT] if goal.forces_audit else []
    force_id, done = find_interrupted_force(list(run.journal.read()), run.id, names, fresh)
    if force_id is None:
        force_id = run.id
    run.emit(EventKind.RUN_FORCED, names=names, fresh=fresh, id=force_id)
    for name, phases in goal.forced.items():
        if name not in done:
            forget_phases(
                run.cell_context(name),
                phases or run.cell_context(name).cell.task_phases,
                fresh=force_id if fresh else None,
                force_id=force_id,
            )
    if goal.forces_audit and AUDIT not in done:
        from orchestr.audit.forget import forget_audit

        forget_audit(run, force_id)


def find_interrupted_force(
    events: Sequence[Event], run_id: str, names: list[str], fresh: bool
) -> tuple[str | None, set[str]]:
    """The force id to go on with and the cells it forgot already, or (None, nothing).

    Only the run right before this one counts, and only if it did not come to its end; one that
    was killed before it could say what it forces leaves that to the one before it.
    """
    before = [e for e in events if e.run != run_id]
    started = [e for e in before if e.kind is EventKind.RUN_STARTED]
    for last in reversed(started):
        mine = [e for e in before if e.run == last.run]
        ended = [e for e in mine if e.kind is EventKind.RUN_FINISHED]
        if any(e.data.get("exit") != int(ExitCode.INTERRUPTED) for e in ended):
            break
        forced = next((e for e in mine if e.kind is EventKind.RUN_FORCED), None)
        if forced is not None:
            if forced.data.get("names") != names or forced.data.get("fresh") != fresh:
                break
            force_id = str(forced.data.get("id"))
            forgotten = (e for e in events if e.kind is EventKind.CELL_FORGOTTEN)
            done = {e.cell for e in forgotten if e.data.get("force") == force_id}
            return force_id, done
        if not (last.data.get("force") or last.data.get("fresh")):
            break
    return None, set()


def initial_views(goals: Sequence[FeatureGoals]) -> dict[str, FeatureView]:
    """For the live view: the past views, failed cells pending again where this run builds them.

    Without it a cell that is up to date, and so has no event, would look as if it had to run.
    """
    found = {}
    for goal in goals:
        view = reset_interrupted(goal.run.past, False)
        cells = {
            name: replace(cell, state=CellState.PENDING, reason=None, hint=None)
            if cell.state.is_bad and name in goal.cells
            else cell
            for name, cell in view.cells.items()
        }
        found[goal.run.feature.name] = replace(view, cells=cells)
    return found


def make_tail_reader(runs: dict[str, FeatureRun]) -> Any:
    """For the live view: the last words of a cell's agent, without our secrets."""
    secrets = secret_values(os.environ)

    def read_last_words(feature: str, cell: str) -> str | None:
        ctx = runs[feature].cell_context(cell)
        found = [attempts.current_attempt(one.dir) for one in with_candidates(ctx)]
        newest = next((one for one in reversed(found) if one is not None), None)
        if newest is None:
            return None
        parse = event_parser(runs[feature].settings, newest.agent)
        words = last_words(attempts.newest_transcript(ctx.dir, newest.number), parse)
        return None if words is None else redact(words, secrets)

    return read_last_words


def make_log_finder(runs: dict[str, FeatureRun]) -> Any:
    """For messages about a failure: where its output is."""

    def find_log(feature: str, cell: str) -> str | None:
        ctx = runs[feature].cell_context(cell)
        newest = attempts.latest_work(ctx.dir)
        return str(attempts.attempt_folder(ctx.dir, newest.number) / TRANSCRIPT) if newest else None

    return find_log
