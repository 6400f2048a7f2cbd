"""`follow`: looks at all open features again and again, and builds what `orchestr.follow` prepared.

One question to the forge a look, for all features. The pause between two looks grows while nothing
changes. A feature that a run works on is left for the next look. One follower a feature: a lease of
its own, which does not keep anybody from `run`.

What survives a crash: everything, see `orchestr.follow.tick`; the same command goes on.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orchestr.cell.context import FOLLOWED_BY, FeatureRun
from orchestr.cell.phases.cross_checks import cross_check_reasons
from orchestr.errors import Busy, ExitCode, Interrupted, OrchestrError, Unavailable
from orchestr.follow.decide import Rest
from orchestr.follow.facts import FollowedCell
from orchestr.follow.look import (
    LogReader,
    find_pull_request,
    look_at_features,
    require_following_forge,
)
from orchestr.follow.tick import FeatureLook, act_on_feature
from orchestr.forges.base import ForgeAway, ForgeError
from orchestr.process.attached import run_attached
from orchestr.process.lease import Lease, read_lease
from orchestr.run.final_report import announce_report, write_final_report
from orchestr.run.goals import FeatureGoals
from orchestr.run.start import hold_leases, lease_record, new_run_id
from orchestr.run.workspace import Session
from orchestr.settings.news_records import FollowSettings
from orchestr.state.journal import utc_timestamp
from orchestr.state.layout import create_state_dirs
from orchestr.tasks.generate import CellSelection
from orchestr.tasks.stale import audit_reasons, stale_phases

HOURLY = 5000  # points of a forge's quota in an hour, where it says only what is left


@dataclass(frozen=True, slots=True)
class FollowOptions:
    """``once``: one look, and what comes of it. ``seconds``: when to stop; None: never."""

    features: tuple[str, ...] = ()
    once: bool = False
    seconds: float | None = None


@dataclass(slots=True)
class LookResult:
    """What one look over all features came to. ``away`` is why it could not be made."""

    at: str
    features: dict[str, FeatureLook] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)  # feature -> who works on it
    away: str = ""
    points: int = 0
    remaining: int | None = None
    failed: bool = False  # a build that it started

    @property
    def needs_person(self) -> bool:
        """Whether a cell waits for a person."""
        steps = [step for one in self.features.values() for step in one.steps.values()]
        return any(isinstance(step, Rest) and step.needs_person for step in steps)

    @property
    def shown_content(self) -> tuple[object, ...]:
        """All that is shown of it but the time."""
        steps = {name: {cell: step.why for cell, step in one.steps.items()}
                 for name, one in self.features.items()}  # fmt: skip
        return steps, self.skipped, self.away

    @property
    def is_over(self) -> bool:
        """Whether no pull request is open any more."""
        known = not self.away and not self.skipped
        return known and not any(one.is_open for one in self.features.values())

    @property
    def has_built(self) -> bool:
        """Whether cells were built."""
        return any(one.build for one in self.features.values())

    @property
    def has_changed(self) -> bool:
        """Whether something was done or found."""
        return any(one.changed or one.build for one in self.features.values())


Show = Callable[[LookResult], None]
Warn = Callable[[str], None]


@dataclass(slots=True)
class Follower:
    """One `follow` in the workspace ``root``. ``prepare_run`` gets every feature's run record
    before it is used: its listener is set there."""

    root: Path
    options: FollowOptions
    show: Show
    warn: Warn
    prepare_run: Callable[[FeatureRun], None] = lambda _run: None
    stop: threading.Event = field(default_factory=threading.Event)
    id: str = field(default_factory=new_run_id)
    _logs: LogReader | None = None
    _acted: dict[str, FeatureRun] = field(default_factory=dict)
    _said_away: str = ""
    _settings: FollowSettings = field(default_factory=FollowSettings)
    _has_changed: bool = False

    def look_until_done(self) -> ExitCode:
        """Look until there is nothing to follow, the time is over, or a signal says so."""
        end = None if self.options.seconds is None else time.monotonic() + self.options.seconds
        with self._hold_follow_leases():
            result = self._look_until(end)
            self._report(result)
        return self._exit_code(result)

    def _look_until(self, end: float | None) -> LookResult:
        """The last look. One that is like the one before it is not shown again."""
        pause, shown = 0.0, None
        while True:
            result = self._look_safely()
            self._has_changed |= result.has_changed
            if self.options.once and result.has_built and not self.stop.is_set():
                result = self._look_again(result)
            if self.options.once or result.shown_content != shown:
                self.show(result)
            shown = result.shown_content
            if self.options.once or result.is_over or self.stop.is_set():
                return result
            pause = choose_pause(pause, result, self._settings)
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return result
            self.stop.wait(pause if left is None else min(pause, left))

    def _report(self, result: LookResult) -> None:
        """The final report, where anything was done."""
        runs = list(self._acted.values())
        if runs and self._has_changed:
            folder = write_final_report(runs, "follow", int(self._exit_code(result)))
            announce_report(folder, runs, None)

    def _exit_code(self, result: LookResult) -> ExitCode:
        if self.stop.is_set():
            return ExitCode.INTERRUPTED
        bad = result.failed or result.needs_person or bool(result.away)
        return ExitCode.FAILED if bad else ExitCode.DONE

    @contextmanager
    def _hold_follow_leases(self) -> Iterator[None]:
        """One follower a feature. Raises Busy with who it is."""
        session = Session(self.root)
        names = self.options.features or tuple(sorted(session.specs.features))
        create_state_dirs(session.layout)
        with ExitStack() as stack:
            for name in names:
                path = session.layout.locks_dir / f"follow-{name}.lock"
                try:
                    lease = Lease.acquire(path, lease_record((name,), 1))
                except Busy:
                    if self.options.features:
                        raise
                    self.warn(f"{name} is followed by another process already")
                    continue
                stack.callback(lease.release)
            yield

    def _look_safely(self) -> LookResult:
        """One look. What is wrong with a spec or an answer ends `--once`; a loop says it and looks
        again: a person may correct it meanwhile."""
        try:
            return self._look_and_build()
        except Interrupted:
            raise
        except OrchestrError as error:
            if self.options.once:
                raise
            return self._say_away(LookResult(utc_timestamp(), away=error.message))

    def _say_away(self, result: LookResult) -> LookResult:
        if result.away != self._said_away:
            self.warn(f"{result.away}; it is asked again")
        self._said_away = result.away
        return result

    def _look_again(self, before: LookResult) -> LookResult:
        """After what was done: how it stands now, with the answers that became possible."""
        after = self._look_and_build(begins=False)
        after.failed = before.failed
        if after.away:  # then what was seen before is the newest that is known
            after.features, after.skipped = before.features, before.skipped
        after.points += before.points
        return after

    def _look_and_build(self, *, begins: bool = True) -> LookResult:
        session = Session(self.root)  # made anew: specs and records change meanwhile
        self._settings = session.settings.follow
        result = LookResult(utc_timestamp())
        runs = self._load_open_features(session, result)
        if not runs:
            return result
        forge = require_following_forge(runs[0])
        self._logs = LogReader(forge, self._logs.known if self._logs else {})
        for run in runs[1:]:
            run.share_forge(runs[0])
        try:
            found = self._look_at_all(runs, self._logs, result)
            for run in runs:
                if run.feature.name in found:
                    self._act(run, found[run.feature.name], result, begins=begins)
        except (ForgeAway, Unavailable) as error:
            result.away = error.message
            return self._say_away(result)
        except Interrupted:
            self.stop.set()
        finally:
            result.points, result.remaining = forge_points(runs[0])
        self._said_away = ""
        if begins:
            self._build(session, result)
        return result

    def _look_at_all(
        self, runs: Sequence[FeatureRun], logs: LogReader, result: LookResult
    ) -> dict[str, list[FollowedCell]]:
        """All features with one question; each alone where a repository of one cannot be read, so
        that it does not keep the others from being followed."""
        try:
            return look_at_features(runs, logs)
        except ForgeAway:
            raise
        except ForgeError:
            if len(runs) == 1:
                raise
        found: dict[str, list[FollowedCell]] = {}
        for run in runs:
            try:
                found |= look_at_features([run], logs)
            except ForgeAway:
                raise
            except ForgeError as error:
                result.skipped[run.feature.name] = error.message
        return found

    def _load_open_features(self, session: Session, result: LookResult) -> list[FeatureRun]:
        """The features that have a pull request and on which no run is at work."""
        names = self.options.features or tuple(sorted(session.specs.features))
        runs = []
        for name in names:
            run = session.load_run(name)
            if all(find_pull_request(run.cell_context(c.name)) is None for c in run.feature.cells):
                continue
            holder = read_lease(run.layout.lease_file(name))
            if holder is not None:
                result.skipped[name] = f"`{holder.command}` (pid {holder.pid}) works on it"
                continue
            run.stop = self.stop
            self.prepare_run(run)  # what a look waits for is shown, too
            runs.append(run)
        return runs

    def _act(
        self, run: FeatureRun, cells: Sequence[FollowedCell], result: LookResult, *, begins: bool
    ) -> None:
        name = run.feature.name
        goals = FeatureGoals(run, [], CellSelection(), [])
        try:
            with hold_leases([goals], break_lock=False):
                run.id = self.id
                self._acted[name] = run
                forge = require_following_forge(run)
                look = act_on_feature(run, cells, forge, self.warn, begins=begins)
                result.features[name] = look
        except Busy as error:
            result.skipped[name] = error.message

    def _build(self, session: Session, result: LookResult) -> None:
        """Carry out what was prepared, with a `run` of exactly these cells."""
        for name, look in result.features.items():
            if not look.build or self.stop.is_set():
                continue
            only = [word for cell in look.build for word in ("--only", cell)]
            code = self._run_feature(session, name, *only)
            left = any(isinstance(s, Rest) and s.is_left for s in look.steps.values())
            if code == ExitCode.DONE and not left and lacks_cross_checks_alone(self.root, name):
                code = self._run_feature(session, name)
            result.failed |= code not in (ExitCode.DONE, ExitCode.BUSY)

    def _run_feature(self, session: Session, name: str, *words: str) -> int:
        argv = (sys.executable, "-m", "orchestr", "run", name, *words, "--yes", "--skip-preflight")
        code = run_attached(argv, session.root, {FOLLOWED_BY: self.id})
        if code == ExitCode.INTERRUPTED:
            self.stop.set()
        return code


def lacks_cross_checks_alone(root: Path, feature: str) -> bool:
    """Whether a run of the whole feature would do nothing but its cross checks and its audit."""
    run = Session(root).load_run(feature)
    cells = [run.cell_context(cell.name) for cell in run.feature.cells]
    waits = cross_check_reasons(run) or audit_reasons(run)
    return bool(waits) and not any(stale_phases(ctx) for ctx in cells)


def choose_pause(last: float, result: LookResult, settings: FollowSettings) -> float:
    """The seconds until the next look: short while things happen, longer when nothing does, and
    longest when the quota that is ours is used up. Pure."""
    if result.remaining is not None and result.remaining < HOURLY * (100 - settings.quota) // 100:
        return settings.longest
    if result.has_changed or not last:
        return settings.shortest
    return min(settings.longest, last * 2)


def forge_points(run: FeatureRun) -> tuple[int, int | None]:
    """What the forge was asked in this process so far, in points, and what is left."""
    usage = run.forge.usage
    return usage.points, usage.remaining


def list_followed(session: Session, words: Sequence[str]) -> tuple[str, ...]:
    """The features that are named. Raises UsageError for a cell or an unknown name."""
    targets = session.parse_targets(words)
    if any(target.cell for target in targets):
        raise OrchestrError("features are followed as a whole", hint="orchestr follow FEATURE")
    return tuple(dict.fromkeys(target.feature for target in targets))
