"""`run TARGET...`: build features, cells or phases. A doit `run` with our loader around it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from doit.cmd_run import Run as DoitRun
from doit.runner import MThreadRunner

from orchestr.cell.context import FOLLOWED_BY, Overrides
from orchestr.commands.base.agent_overrides import read_effort, read_role_options
from orchestr.commands.base.options import RUN as RUN_OPTIONS
from orchestr.commands.base.options import make_purse, read_duration
from orchestr.commands.base.verb import Verb, attach_loader
from orchestr.errors import ExitCode, UsageError
from orchestr.files import display_path
from orchestr.run.audit_rounds import begin_audits
from orchestr.run.check_lock import is_refused, refuse_locked_changes
from orchestr.run.final_report import report_run
from orchestr.run.further_rounds import hand_over_waiting, plan_next_round
from orchestr.run.goals import FeatureGoals, choose_goals
from orchestr.run.notify import Notifier
from orchestr.run.reporter import Reporter
from orchestr.run.signals import InterruptHandler, WakingQueue
from orchestr.run.start import (
    begin_run,
    confirm_run,
    finish_run,
    hold_leases,
    initial_views,
    link_published,
    make_log_finder,
    make_tail_reader,
    run_preflight,
)
from orchestr.run.workspace import Session
from orchestr.spec.goal_names import DRAFT_PREFIX, REPO_PREFIX
from orchestr.spec.phases import Delivery
from orchestr.state.events import Event, EventKind
from orchestr.state.layout import create_state_dirs
from orchestr.tasks.generate import free_leftover_ports
from orchestr.tasks.loader import FeatureTaskLoader
from orchestr.views.live.choose import make_progress
from orchestr.views.terminal.output import print_stderr, write_stdout_safely

FOLLOWED = (ExitCode.DONE, ExitCode.FAILED)  # ends of a run after which it can be followed
ONE_STUB, STUB_HINT = "--stub plays one feature, and nothing else", "orchestr run FEATURE --stub"
MOST_THREADS = 200  # doit needs 20 s for 1 s jobs at 1,000 threads (doit-facts)


class Run(Verb, DoitRun):  # type: ignore[misc]
    """Builds what is not up to date; what was interrupted continues where it stopped."""

    purpose = "build features, cells or phases"
    usage = "[feature:]FEATURE[:CELL[:PHASE]] ..."
    help_group = "build"
    examples = (
        ("run mlkem", "all that is not up to date"),
        ("run mlkem:java-sdk", "one cell and what it needs"),
        ("run mlkem --failed", "what failed or was blocked, again"),
        ("run mlkem:java-sdk --force", "a new attempt, though nothing changed"),
        ("run mlkem --follow", "then follow its pull requests until they are merged"),
        ("run mlkem --dry-run", "only show what would run, and why"),
        ("run mlkem --stub", "play it in a copy, with agents that cost nothing"),
        ("run mlkem -j 5 --budget 10 --yes", "5 agents, 10 dollars at most"),
    )
    doc_description = "Examples: orchestr help run"
    cmd_options = DoitRun.cmd_options + RUN_OPTIONS
    own_tasks_take_words = True
    refused_options: ClassVar[Mapping[str, str]] = {
        "always": "orchestr run FEATURE --force makes a new attempt",
        "continue": "leave it out: only the cells behind a failed one stop",
        "single": "orchestr run FEATURE --only CELL --ignore-deps",
        "reporter": "orchestr run FEATURE --json",
        "outfile": "redirect the output: orchestr run FEATURE > FILE",
        "par_type": "leave it out: -j N says how many agents work at once",
        "verbosity": "orchestr logs FEATURE:CELL shows the output of agents and checks",
        "failure_verbosity": "orchestr logs FEATURE:CELL shows the output of agents and checks",
        "pdb": "leave it out: a fault of orchestr leaves its traceback in .orchestr/fault.log",
        "auto_delayed_regex": "leave it out: features have no delayed tasks",
    }

    def execute(self, params: Any, args: list[str]) -> int:
        """See the module."""
        loader = attach_loader(self)
        session: Session = loader.session
        if not args:
            known = ", ".join(session.specs.features) or "none; write one into specs/"
            raise UsageError("which feature?", hint=f"orchestr run FEATURE; features: {known}")
        ours, theirs = loader.split_words(args)
        ours += loader.required_feature_tasks(theirs)
        _check_stub_options(params, stands_alone=bool(ours) and not theirs)
        if not ours:
            drafts = [word for word in theirs if word.startswith(DRAFT_PREFIX)]
            if drafts:
                from orchestr.commands.base.drafting import begin_drafts

                with ExitStack() as stack:
                    begun = begin_drafts(session, drafts, params, stack)
                    loader.drafts, loader.features = begun, ()
                    return int(super().execute(params, theirs)) if begun else int(ExitCode.DONE)
            makes_repositories = any(word.startswith(REPO_PREFIX) for word in theirs)
            loader.features = None if makes_repositories else ()
            return int(super().execute(params, theirs))
        if any(word.startswith(DRAFT_PREFIX) for word in theirs):
            raise UsageError(
                "a draft and a feature are not built in one run: a person approves between them",
                hint="orchestr run spec:NAME, orchestr approve spec:NAME, orchestr run NAME",
            )
        if params["stub"]:
            return self._play_stub(session, loader, ours, params)
        code = self._build_targets(session, loader, ours, theirs, params)
        if not params["follow"] or params["dry_run"] or code not in FOLLOWED:
            return code
        from orchestr.commands.follow import follow_features
        from orchestr.run.follow_loop import FollowOptions

        targets = session.parse_targets(ours, steps=True)
        names = tuple(dict.fromkeys(t.feature for t in targets))
        return follow_features(session, FollowOptions(names), yes=True, as_json=params["json"])

    def _play_stub(
        self,
        session: Session,
        loader: FeatureTaskLoader[Session],
        words: Sequence[str],
        params: Any,
    ) -> int:
        """Build a copy of the feature with stub agents, in the same process: a kill ends both."""
        from orchestr.run.stub_workspace import hold_stub, remove_stub

        features = list(dict.fromkeys(t.feature for t in session.parse_targets(words)))
        if len(features) != 1:
            raise UsageError(ONE_STUB, hint=STUB_HINT)
        create_state_dirs(session.layout)
        with hold_stub(session.load_run(features[0]), os.environ) as folder:
            stub = Session(folder)
            loader.session = stub
            params["yes"] = True
            code = self._build_targets(stub, loader, words, (), params)
            place = display_path(folder, session.root)
            if params["remove_stub"] and code == ExitCode.DONE:
                remove_stub(folder)
                print_stderr("stub: nothing of this run was real, and its workspace is removed")
            else:
                belong = "the commands above belong into its workspace"
                print_stderr(f"stub: nothing of this run was real; {belong}")
                print_stderr(f"look at it: cd {place} && orchestr status {features[0]}")
        return code

    def _build_targets(self, session: Session, loader: FeatureTaskLoader[Session],
               words: Sequence[str], theirs: Sequence[str], params: Any) -> int:  # fmt: skip
        if not theirs:
            self.refuse_options(params)
        if params["jobs"] is None and "num_process" in params._non_default_keys:
            params["jobs"] = params["num_process"]  # doit's -n
        _apply_jobs(session, params)
        targets = session.parse_targets(words, steps=True)
        purse = make_purse(params)
        for target in targets:
            run = session.load_run(target.feature, overrides=_make_overrides(session, params))
            run.purse = purse
            run.followed = bool(os.environ.get(FOLLOWED_BY))
        goals = choose_goals(session, targets, params)
        forced = params["force"] or params["fresh"]
        if params["dry_run"]:
            from orchestr.commands.plan import print_plan

            for goal in goals:
                print_plan(session, goal, as_json=params["json"], forced=forced)
            locked = any(is_refused(goal.run) for goal in goals)
            return int(ExitCode.USAGE if locked else ExitCode.DONE)
        for goal in goals:
            for warning in session.find_spec_warnings(goal.run.feature):
                print_stderr(str(warning))
            refuse_locked_changes(goal.run)
        if not run_preflight(goals, skip=params["skip_preflight"], forced=forced):
            return int(ExitCode.USAGE)
        if not confirm_run(goals, yes=params["yes"], forced=forced):
            return int(ExitCode.DONE)
        merge = any(goal.run.feature.delivery is Delivery.MERGE for goal in goals)
        if merge:  # imported only then: `run` starts fast
            from orchestr.commands import land

            runs = land.runs_to_land(goals)
            if not land.confirm_landing(runs, yes=params["yes"], undo=False):
                return int(ExitCode.DONE)
        create_state_dirs(session.layout)
        # Notifications that are still under way are waited for without the lease.
        with (
            Notifier([goal.run for goal in goals]) as notifier,
            hold_leases(goals, break_lock=params["break_lock"]),
        ):
            for goal in goals:
                free_leftover_ports(goal.run)
            lands = partial(land.lands_after_run, goals) if merge else no_landing
            happened: list[Event] = []
            code = self._run_tasks(
                session, loader, goals, theirs, params, notifier, lands, happened
            )
            if code or not lands():
                report_run(goals, code, happened, notifier, quiet=params["json"])
                return code
            return land.land_after_run(goals, notifier, as_json=params["json"])

    def _run_tasks(self, session: Session, loader: FeatureTaskLoader[Session],
             goals: list[FeatureGoals], theirs: Sequence[str], params: Any,
             notifier: Notifier, lands: Callable[[], bool], happened: list[Event],
             ) -> int:  # fmt: skip
        """``happened`` is filled with the events of the run."""
        runs = {goal.run.feature.name: goal.run for goal in goals}
        slots = session.settings.limits.jobs
        plans = [goal.run.plan for goal in goals]
        progress = make_progress(
            plans,
            json=params["json"],
            slots=slots,
            tail=make_tail_reader(runs),
            log=make_log_finder(runs),
            views=initial_views(goals),
        )

        def handle_event(event: Event) -> None:
            happened.append(event)
            progress.show_event(event)
            notifier.show_event(event)

        for run in runs.values():
            run.listener = handle_event
        reporter = Reporter(runs)
        with progress, InterruptHandler(list(runs.values())) as signals:
            begin_run(goals, params)
            loader.features = list(runs)
            loader.selections = {goal.run.feature.name: goal.selection for goal in goals}
            params["continue"] = True
            params["reporter"] = reporter
            params["par_type"] = "thread"
            cells = sum(len(goal.cells) for goal in goals)
            params["num_process"] = min(MOST_THREADS, max(2, cells))
            tasks = [*(name for goal in goals for name in goal.task_names), *theirs]
            MThreadRunner.Queue = staticmethod(WakingQueue)  # what its main thread waits on
            hand_over_waiting(goals)  # of a run that was killed
            begin_audits(goals)
            code, more = int(super().execute(params, tasks)) if tasks else 0, None
            while not signals.count and (following := plan_next_round(goals, reporter, more)):
                more = following
                reporter = params["reporter"] = Reporter(runs)
                loader.selections = more.selections
                self.dep_manager = None  # doit has closed it
                code = int(super().execute(params, [*more.tasks, *theirs]))
            if signals.count:
                exit_code = ExitCode.INTERRUPTED
            else:
                left = more is not None and more.left
                exit_code = ExitCode.FAILED if code or reporter.blocked or left else ExitCode.DONE
            link_published(goals, ended_well=exit_code is ExitCode.DONE)
            if exit_code is not ExitCode.DONE or not lands():  # else the landing is its end
                finish_run(goals, exit_code)
        _print_summary(goals, happened, exit_code, as_json=params["json"])
        return int(exit_code)


def _check_stub_options(params: Any, *, stands_alone: bool) -> None:
    """Raises UsageError rather than start something real for a user who asked for a stub.
    ``stands_alone``: only features are named."""
    if params["stub"] and (params["follow"] or not stands_alone):
        raise UsageError(ONE_STUB, hint=STUB_HINT)
    if params["remove_stub"] and not params["stub"]:
        raise UsageError("--remove-stub goes with --stub", hint=f"{STUB_HINT} --remove-stub")


def no_landing() -> bool:
    """For a run that leaves its pull requests open."""
    return False


def _print_summary(
    goals: Sequence[FeatureGoals], happened: Sequence[Event], code: ExitCode, *, as_json: bool
) -> None:
    """The answer on stdout: what came out, and what to do next."""
    from orchestr.run.summary import summarize_run

    if as_json:
        return
    built = sum(
        e.kind is EventKind.AUDIT_DONE
        or (e.kind is EventKind.PHASE_DONE and bool(e.data.get("made")))
        for e in happened
    )
    write_stdout_safely(summarize_run(goals, built, code))


def _apply_jobs(session: Session, params: Any) -> None:
    """`--jobs` changes the limit of this run."""
    if params["jobs"] is None:
        return
    if params["jobs"] < 1:
        raise UsageError("--jobs wants a number from 1 up")
    limits = replace(session.settings.limits, jobs=params["jobs"])
    session.settings = replace(session.settings, limits=limits)


def _make_overrides(session: Session, params: Any) -> Overrides:
    """What counts for attempts that start in this run. Raises UsageError."""
    agent = params["agent"]
    if agent is not None and agent not in session.settings.agents:
        known = ", ".join(session.settings.agents) or "none"
        raise UsageError(f"there is no agent {agent!r} in orchestr.toml", hint=f"agents: {known}")
    timeout = read_duration(params, "timeout", "45m, 90s or 2h")
    return Overrides(
        params["model"],
        agent,
        timeout,
        params["ignore_deps"],
        read_effort(params["effort"]),
        read_role_options(params["option"]),
    )
