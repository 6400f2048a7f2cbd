"""The landing process: performs what the queue decides, journals what came of it.

One at a time in a workspace (its lease), over all features it was asked for. Every step is: the
queue asks for an action, it is performed, its answer is journalled, then it counts. A kill at any
point loses at most one answer, and the next process asks for that action again: candidates are
deterministic, a push is preceded by its journalled intent and looked for at the origin first.

Never a force push, never a push of something that was not checked, and nothing in the user's
checkout: candidates have no worktree, checks have ones of their own, the target moves by pushing.
Of the main clone only objects and remote-tracking refs change.
"""

from __future__ import annotations

import queue as handover
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, assert_never

from orchestr.cell.context import FeatureRun
from orchestr.cell.worktree.check_pool import CheckPool, remove_idle_worktrees
from orchestr.errors import Interrupted, NotEvaluated, OrchestrError, Unavailable, explain_os_error
from orchestr.git.repo import CommitId
from orchestr.landing import after_landing, changes, climb, workers
from orchestr.landing.actions import (
    Action,
    CheckCandidate,
    Generate,
    LandCandidate,
    MakeCandidate,
    RecordEvent,
    RepairChange,
    Retarget,
    UpdateBranch,
    Verify,
)
from orchestr.landing.causes import Blamed
from orchestr.landing.checks import make_default_check
from orchestr.landing.decide import decide_actions, is_doomed
from orchestr.landing.events import (
    Event,
    LandAgain,
    Landed,
    LandIntended,
    Lost,
    NotLanded,
    Offered,
    Parked,
    RepairStarted,
    Retargeted,
    Stage,
    Started,
    TargetSeen,
    Trouble,
)
from orchestr.landing.evidence import rate_changes
from orchestr.landing.finish_updates import finish_updates
from orchestr.landing.gate_landing import hold_unready, intend_landing
from orchestr.landing.hold_candidates import hold_known_candidates, release_candidates
from orchestr.landing.journal import LandingJournal
from orchestr.landing.move_target import choose_landing_method, move_target
from orchestr.landing.queue import apply_event, replay
from orchestr.landing.report import LandingOutcome, journal_blamed, journal_parked, outcome_of_item
from orchestr.landing.session import FORGE, PUSH, LandingSession
from orchestr.landing.slow_work import find_slow_work
from orchestr.landing.stop_lane import find_stop, look_at_targets
from orchestr.landing.verify_landing import verify_landing
from orchestr.process.back_off import try_until_available
from orchestr.state.events import EventKind

T = TypeVar("T")
POLL = 0.2  # s between two looks at a stop request


@dataclass(slots=True)
class Lander(LandingSession):
    """One landing process: the session, its journal, and the threads that work for it."""

    book: LandingJournal = field(init=False)
    _offered: set[str] = field(default_factory=set)
    _given_up: set[Action] = field(default_factory=set)
    _announced: dict[Action, float] = field(default_factory=dict)
    _answers: handover.Queue[tuple[Action, Event | OrchestrError]] = field(
        default_factory=handover.Queue
    )

    def __post_init__(self) -> None:
        # Not `super()`: with slots the decorator makes a second class, which that would not find.
        LandingSession.__post_init__(self)
        run = self.runs[0]
        for one in self.runs:
            for cell in one.feature.cells:
                self.ways[cell.repo] = (
                    PUSH
                    if self.undo or self.again
                    else choose_landing_method(one, cell.repo, self.strategy)
                )
        self.book = LandingJournal(run.layout.landing_queue_file, run.id)
        self.queue = replay(self.book.read(), self.rules)
        self.check = self.check or make_default_check(self.runs, self.allowed_red)

    # --- the loop --------------------------------------------------------------------------

    def land_all(self) -> LandingOutcome:
        """Land until nothing can move any more. Raises Interrupted when stopped, and what the
        origin or the forge said when they cannot be asked; the same command goes on.
        """
        if not self.undo:
            finish_updates(self.runs, self.warn)
        self.begin_landing()
        for made in hold_known_candidates(self):
            self.append(made)
        try:
            outcome = self._run_loop()
        except BaseException:  # nothing of ours works on when we are gone
            for run in self.runs:
                run.stop.set()
            self._stop_and_join()
            raise
        release_candidates(self)
        return outcome

    def _run_loop(self) -> LandingOutcome:
        while True:
            actions = [a for a in decide_actions(self.queue) if a not in self._given_up]
            now = next((a for a in actions if not self._is_slow(a)), None)
            if self.runs[0].stop.is_set():
                raise Interrupted("stopped; the same command goes on")
            if now is not None:
                for event in self._perform_quick_action(now):
                    self.append(event)
                continue
            self._stop_doomed_checks(actions)
            for action in actions:
                self._start_action(action)
            if not self.flying:
                self._tidy_landed_cells()
                return self.outcome()
            self._take_answer()
            for action in find_slow_work(self.flying, self._announced):
                self.on_slow(action)

    def _tidy_landed_cells(self) -> None:
        """Worktrees of what landed that checks of a later one needed to read once more, and those
        of the cells' checks where no cell needs them any more; the landing's own stay warm."""
        for key in self._offered:
            item = self.queue.items[key]
            if item.stage is Stage.LANDED and not item.change.reverts and not self.undo:
                ctx = self.cell_context(key)
                after_landing.tidy_landed_cell(ctx, item.change.head, lambda text: None)
                remove_idle_worktrees(ctx.run, ctx.cell.repo, CheckPool.CELLS, CheckPool.READING)

    def begin_landing(self) -> None:
        """Say who lands, what there is to land, and where the targets are."""
        workers.kill_leftover_checks(self)
        groups = tuple(self._group_name(run) for run in self.runs)
        self.append(Started(groups))
        offered = [offer for run in self.runs for offer in self._list_offers(run)]
        offers = rate_changes(self, hold_unready(self, offered))
        lanes = dict.fromkeys([offer.change.lane for offer in offers])
        lanes |= dict.fromkeys(self.queue.intents)
        tips, stops = look_at_targets(self, [lane for lane in lanes if lane.target])
        for key, item in self.queue.items.items():
            tip = tips.get(item.change.lane)
            mine = item.stage is Stage.LANDED and item.after and not item.frozen
            if mine and tip and not self.target_contains(item.change.lane, tip, item.after):
                self.append(Lost(key))
        self._offered = {offer.change.key for offer in offers}
        for offer in offers:
            self.append(offer)
        for lane, tip in tips.items():
            self.append(TargetSeen(lane, tip))
        for stop in stops:
            self.append(stop)
        items = [self.queue.items[key] for key in sorted(self._offered)]
        back = tuple((i.change.key, i.undone) for i in items if i.undone == i.change.head != "")
        if self.again and back:
            self.append(LandAgain(back))

    def append(self, event: Event) -> None:
        """Journal, count, show; what a feature's own journal must show goes there first."""
        if isinstance(event, Parked):
            journal_parked(self, event)
        elif isinstance(event, Blamed):
            journal_blamed(self, event)
        elif isinstance(event, NotLanded) and event.refused:
            for key in event.spec.keys:
                journal_parked(self, Parked(key, Trouble.RED, event.refused))
        elif isinstance(event, Landed):
            self.fresh.update(event.spec.keys if event.commit != event.spec.base else ())
        self.book.append(event)
        self.queue = apply_event(self.queue, event)
        if self.listener is not None:
            self.listener(event)

    def outcome(self) -> LandingOutcome:
        """Where everything that was offered is now."""
        mine = [self.queue.items[key] for key in self._offered]
        mine.sort(key=lambda i: (i.change.group, i.change.order))
        return LandingOutcome(tuple(outcome_of_item(self, item) for item in mine), tuple(self.red))

    # --- slow actions, in threads ----------------------------------------------------------

    def _is_slow(self, action: Action) -> bool:
        match action:
            case CheckCandidate() | Generate() | UpdateBranch():
                return True
            case RepairChange():
                return action.started
            case LandCandidate(spec, _, intended):
                is_forge = self.ways.get(spec.lane.repo) == FORGE
                return is_forge if intended else self.wait > 0
            case _:
                return False

    def _stop_doomed_checks(self, actions: Sequence[Action]) -> None:
        """Stop checks that nobody can ask about any more; one whose tree is wanted goes on."""
        wanted = {self.tree_of(a) for a in actions if isinstance(a, CheckCandidate)}
        for action, gone in self.flying.items():
            if not isinstance(action, CheckCandidate | Generate):
                continue
            if isinstance(action, CheckCandidate) and self.tree_of(action) in wanted:
                continue
            if is_doomed(self.queue, action.spec):
                gone.set()

    def _start_action(self, action: Action) -> None:
        if action in self.flying:
            return
        checks = [one for one in self.flying if isinstance(one, CheckCandidate)]
        at_work = sum(isinstance(one, CheckCandidate | Generate) for one in self.flying)
        is_check = isinstance(action, CheckCandidate | Generate)
        if is_check and at_work >= self.runs[0].settings.landing.jobs:
            return
        if isinstance(action, CheckCandidate) and self.tree_of(action) in map(self.tree_of, checks):
            return  # its result will be known for this tree
        if isinstance(action, RepairChange):
            self.cell_context(action.key).emit(
                EventKind.LAND_REPAIR, number=action.number, trouble=str(action.trouble),
                reason=action.detail[:2000],
            )  # fmt: skip
        self.flying[action] = threading.Event()
        threading.Thread(target=self._run_action, args=(action,), daemon=True).start()

    def _run_action(self, action: Action) -> None:
        answer: Event | OrchestrError
        try:
            answer = self._try_until_available(
                lambda: self._perform_slow_action(action), self.flying[action]
            )
        except OrchestrError as error:
            answer = error
        except Exception as error:  # a fault of ours must not leave the loop waiting
            answer = explain_os_error(error) or OrchestrError(f"{type(error).__name__}: {error}")
        self._answers.put((action, answer))

    def _perform_slow_action(self, action: Action) -> Event:
        match action:
            case CheckCandidate():
                return workers.check_candidate(self, action)
            case Generate():
                return climb.generate_files(self, action)
            case UpdateBranch():
                return climb.update_branch(self, action)
            case LandCandidate(spec, commit, intended):
                if not intended:
                    return intend_landing(self, spec, commit)
                return move_target(self, spec, commit)
            case _:
                assert isinstance(action, RepairChange)
                return workers.repair_change(self, action)

    def _try_until_available(self, work: Callable[[], T], gone: threading.Event) -> T:
        """Every step can be done twice, so one that the machine or the network kept from its end
        is. Raises Interrupted when it was let go meanwhile."""

        def pause(error: Unavailable, seconds: float) -> None:
            self.warn(f"{error.message}; tried again in {seconds:g} s")
            if gone.wait(seconds) or self.runs[0].stop.is_set():
                raise Interrupted("stopped; the same command goes on")

        settings = self.runs[0].settings
        return try_until_available(
            work, retries=settings.limits.retries, pause=pause, patience=settings.forge.patience
        )

    def _take_answer(self) -> None:
        """Wait for one answer; one that nobody wants any more is still a verdict."""
        try:
            action, answer = self._answers.get(timeout=POLL)
        except handover.Empty:
            return
        let_go = self.flying.pop(action).is_set()
        if isinstance(answer, Interrupted):
            if not let_go:
                self.runs[0].stop.set()
        elif isinstance(answer, NotEvaluated):
            self._leave_unevaluated(action, answer)
        elif isinstance(answer, OrchestrError):
            self.append(find_stop(self, action, answer, self._offered))
        elif not isinstance(answer, LandIntended) or action in decide_actions(self.queue):
            self.append(answer)  # what another candidate has overtaken meanwhile is not begun

    def _leave_unevaluated(self, action: Action, error: NotEvaluated) -> None:
        """Leave what could not be checked where it is: the next landing asks for it again."""
        self._given_up.add(action)
        text = error.message if error.hint is None else f"{error.message}\n  hint: {error.hint}"
        if text not in self.red:
            self.red.append(text)

    def _stop_and_join(self) -> None:
        """Wait for all that is under way to let go; agents get their grace."""
        for gone in self.flying.values():
            gone.set()
        while self.flying:
            action, _ = self._answers.get()
            self.flying.pop(action)

    # --- quick actions ---------------------------------------------------------------------

    def _perform_quick_action(self, action: Action) -> list[Event]:
        stop = self.runs[0].stop
        try:
            return self._try_until_available(lambda: self._perform_action(action), stop)
        except OrchestrError as error:
            return [find_stop(self, action, error, self._offered)]

    def _perform_action(self, action: Action) -> list[Event]:
        match action:
            case MakeCandidate():
                return [climb.make_candidate(self, action)]
            case LandCandidate(spec, commit, intended):
                step = move_target if intended else intend_landing
                return [step(self, spec, commit)]
            case RepairChange(key, trouble, number, detail, _):
                return [RepairStarted(key, trouble, number, detail)]
            case Retarget(key):
                return self._try_action(action, lambda: self._retarget_dependents(key))
            case Verify(key):
                return self._try_action(action, lambda: verify_landing(self, key))
            case RecordEvent(event):
                return [event]
            case CheckCandidate() | Generate() | UpdateBranch():
                raise AssertionError("these run in threads")
            case _:
                assert_never(action)

    def _try_action(self, action: Action, call: Callable[[], list[Event]]) -> list[Event]:
        """What comes after a landing must not hold up others; the next process tries again."""
        try:
            return self._try_until_available(call, self.runs[0].stop)
        except Interrupted:
            raise
        except OrchestrError as error:
            self.warn(f"{error.message}; the next `orchestr land` tries again")
            self._given_up.add(action)
            return []

    def _retarget_dependents(self, key: str) -> list[Event]:
        item = self.queue.items[key]
        found: list[Event] = []
        name = item.change.group.partition("~")[0]
        if item.change.reverts or not self.has_feature(name):
            return [Retargeted(key)]
        ctx, lane = self.cell_context(key), item.change.lane
        after_landing.confirm_merged(ctx, self.warn)
        after_landing.retarget_pull_requests(ctx, lane.target, self.warn)
        for dep in after_landing.same_repo_dependents(ctx):
            known = self.queue.items.get(dep.key)
            if known is None or known.stage not in (Stage.WAITING, Stage.PARKED):
                continue
            tip, landed = CommitId(self.queue.tips[lane]), CommitId(item.change.head)
            head = after_landing.update_dependent(dep, lane.target, tip, landed, self.warn)
            if head is not None:
                offers = [o for o in self._list_offers(ctx.run) if o.change.key == dep.key]
                found += rate_changes(self, offers)
        return [*found, Retargeted(key)]

    def _group_name(self, run: FeatureRun) -> str:
        return f"{run.feature.name}~rollback" if self.undo else run.feature.name

    def _list_offers(self, run: FeatureRun) -> list[Offered]:
        return changes.offer_reverts(self, run) if self.undo else changes.offer_changes(self, run)
