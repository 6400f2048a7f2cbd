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
from typing import assert_never

from orchestr.cell.context import CellContext, Run, repo_path
from orchestr.errors import Interrupted, OrchestrError
from orchestr.events import Kind
from orchestr.git import Branch, CommitId, Repo
from orchestr.giterrors import PushStatus
from orchestr.landing import after, changes
from orchestr.landing.bench import Check, CheckResult, default_check, show
from orchestr.landing.book import Book
from orchestr.landing.candidates import Built, build
from orchestr.landing.queue import Queue, decide, obstacle, replay, step
from orchestr.landing.records import (
    Action,
    CheckCandidate,
    Checked,
    Conflicted,
    Event,
    Land,
    Landed,
    LandIntended,
    Lane,
    Lost,
    Made,
    MakeCandidate,
    Note,
    NotLanded,
    Offered,
    Parked,
    Repair,
    Repaired,
    RepairStarted,
    Retarget,
    Retargeted,
    Rules,
    Spec,
    Stage,
    Started,
    TargetSeen,
    Trouble,
    Verified,
    Verify,
)
from orchestr.landing.repair import can_repair, mend

POLL = 0.2  # s between two looks at a stop request


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: keys by where they ended, the others with the reason."""

    landed: tuple[str, ...]
    parked: dict[str, str]
    waiting: dict[str, str]

    @property
    def ok(self) -> bool:
        return not self.parked and not self.waiting


@dataclass(slots=True)
class Lander:
    """One landing process over the features of ``runs``, whose leases the caller holds.

    ``check`` is the seam for checks: called in a thread, with a worktree that shows exactly the
    candidate. ``listener`` sees every event after the book has it. ``undo``: roll back instead.
    """

    runs: Sequence[Run]
    check: Check | None = None
    listener: Callable[[Event], None] | None = None
    warn: Callable[[str], None] = field(default=lambda text: None)
    undo: bool = False
    strategy: str | None = None
    queue: Queue = field(init=False)
    book: Book = field(init=False)
    _by_name: dict[str, Run] = field(init=False)
    _offered: set[str] = field(default_factory=set)
    _flying: set[Action] = field(default_factory=set)
    _given_up: set[Action] = field(default_factory=set)
    _answers: handover.Queue[tuple[Action, Event | OrchestrError]] = field(
        default_factory=handover.Queue
    )
    _benches: dict[str, set[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        run = self.runs[0]
        self._by_name = {one.feature.name: one for one in self.runs}
        self.book = Book(run.layout.state / "landing" / "queue.jsonl", run.id)
        self.queue = replay(self.book.read(), self.rules)
        self.check = self.check or default_check(run.settings)

    @property
    def rules(self) -> Rules:
        landing = self.runs[0].settings.landing
        return Rules(window=landing.window, floor=landing.floor, batch=landing.batch,
                     repairs=landing.repairs, disjoint=landing.disjoint)  # fmt: skip

    # --- the loop --------------------------------------------------------------------------

    def go(self) -> Outcome:
        """Land until nothing can move any more. Raises Interrupted when stopped, and what the
        origin or the forge said when they cannot be asked; the same command goes on.
        """
        self.open()
        while True:
            actions = [a for a in decide(self.queue) if a not in self._given_up]
            now = next((a for a in actions if not self._is_slow(a)), None)
            if self.runs[0].stop.is_set():
                self._join()
                raise Interrupted("stopped; the same command goes on")
            if now is not None:
                for event in self._perform(now):
                    self.append(event)
                continue
            for action in actions:
                self._start(action)
            if not self._flying:
                return self.outcome()
            self._take()

    def open(self) -> None:
        """Say who lands, what there is to land, and where the targets are."""
        groups = tuple(self._group(run) for run in self.runs)
        self.append(Started(groups))
        offers = [offer for run in self.runs for offer in self._offers(run)]
        lanes = dict.fromkeys([offer.change.lane for offer in offers])
        lanes |= dict.fromkeys(self.queue.intents)
        tips = {lane: self.look(lane) for lane in lanes}
        for key, item in self.queue.items.items():
            tip = tips.get(item.change.lane)
            mine = item.stage is Stage.LANDED and item.after and not item.frozen
            if mine and tip and not self._contains(item.change.lane, tip, item.after):
                self.append(Lost(key))
        self._offered = {offer.change.key for offer in offers}
        for offer in offers:
            self.append(offer)
        for lane, tip in tips.items():
            self.append(TargetSeen(lane, tip))

    def append(self, event: Event) -> None:
        """Journal, count, show; what a feature's own journal must show goes there first."""
        if isinstance(event, Parked):
            self._tell(event.key, event.trouble, event.reason)
        elif isinstance(event, NotLanded) and event.refused:
            for key in event.spec.keys:
                self._tell(key, Trouble.RED, event.refused)
        self.book.append(event)
        self.queue = step(self.queue, event)
        if self.listener is not None:
            self.listener(event)

    def outcome(self) -> Outcome:
        mine = [self.queue.items[key] for key in self._offered]
        mine.sort(key=lambda i: (i.change.group, i.change.order))
        waiting = {
            i.change.key: obstacle(self.queue, i) or "" for i in mine if i.stage is Stage.WAITING
        }
        return Outcome(
            tuple(i.change.key for i in mine if i.stage is Stage.LANDED),
            {i.change.key: i.detail for i in mine if i.stage is Stage.PARKED},
            waiting,
        )

    # --- slow actions, in threads ----------------------------------------------------------

    def _is_slow(self, action: Action) -> bool:
        return isinstance(action, CheckCandidate) or (isinstance(action, Repair) and action.started)

    def _start(self, action: Action) -> None:
        if action in self._flying:
            return
        checks = sum(isinstance(one, CheckCandidate) for one in self._flying)
        if isinstance(action, CheckCandidate) and checks >= self.runs[0].settings.landing.jobs:
            return
        if isinstance(action, Repair):
            self.ctx(action.key).emit(
                Kind.LAND_REPAIR, number=action.number, trouble=str(action.trouble),
                reason=action.detail[:2000],
            )  # fmt: skip
        self._flying.add(action)
        threading.Thread(target=self._work, args=(action,), daemon=True).start()

    def _work(self, action: Action) -> None:
        answer: Event | OrchestrError
        try:
            if isinstance(action, CheckCandidate):
                answer = self._check(action)
            else:
                assert isinstance(action, Repair)
                answer = self._repair(action)
        except OrchestrError as error:
            answer = error
        except Exception as error:  # a fault of ours must not leave the loop waiting
            answer = OrchestrError(f"{type(error).__name__}: {error}")
        self._answers.put((action, answer))

    def _take(self) -> None:
        """Wait for one answer; one that nobody wants any more is still a verdict."""
        try:
            action, answer = self._answers.get(timeout=POLL)
        except handover.Empty:
            return
        self._flying.discard(action)
        if isinstance(answer, Interrupted):
            self.runs[0].stop.set()
        elif isinstance(answer, OrchestrError):
            raise answer
        else:
            self.append(answer)

    def _join(self) -> None:
        """Wait for repairs to let go (their agents get their grace); checks are left behind."""
        while any(isinstance(action, Repair) for action in self._flying):
            action, _ = self._answers.get()
            self._flying.discard(action)

    def _check(self, action: CheckCandidate) -> Event:
        spec, name = action.spec, action.spec.lane.repo
        repo, number = self.repo(name), self._take_bench(name)
        try:
            path = self.runs[0].layout.state / "landing" / name / str(number)
            show(repo, path, CommitId(action.commit), locks=self.runs[0].layout.locks)
            parts = tuple(self.queue.items[key].change for key in spec.keys)
            assert self.check is not None
            try:
                result = self.check(name, path, action.commit, parts)
            except Interrupted:
                raise
            except OrchestrError as error:
                result = CheckResult(False, error.message)
        finally:
            self._benches[name].discard(number)
        return Checked(spec, action.commit, result.green, result.detail)

    def _take_bench(self, name: str) -> int:
        taken = self._benches.setdefault(name, set())
        while True:  # another thread may take the same free number first
            number = next(n for n in range(1, len(taken) + 2) if n not in taken)
            before = len(taken)
            taken.add(number)
            if len(taken) > before:
                return number

    def _repair(self, action: Repair) -> Event:
        change = self.queue.items[action.key].change
        ctx = self.ctx(action.key)
        why = can_repair(ctx)
        if why is not None:
            return Parked(action.key, action.trouble, f"{action.detail}; {why}")
        lane = change.lane
        try:
            head = mend(ctx, action.trouble, action.number, action.detail, head=change.head,
                        target=lane.target, tip=self.queue.tips[lane])  # fmt: skip
        except Interrupted:
            raise
        except OrchestrError as error:
            why = f"{action.detail}; its repair failed: {error.message}"
            return Parked(action.key, action.trouble, why)
        if head == change.head:
            why = f"{action.detail}; its agent changed nothing"
            return Parked(action.key, action.trouble, why)
        return Repaired(action.key, head, self._paths(ctx, lane, head))

    # --- quick actions ---------------------------------------------------------------------

    def _perform(self, action: Action) -> list[Event]:
        match action:
            case MakeCandidate(spec):
                return [self._make(spec)]
            case Land(spec, commit, intended):
                return [self._land(spec, commit) if intended else LandIntended(spec, commit)]
            case Repair(key, trouble, number, detail, _):
                return [RepairStarted(key, trouble, number, detail)]
            case Retarget(key):
                return self._tried(action, lambda: self._retarget(key))
            case Verify(key):
                return self._tried(action, lambda: self._verify(key))
            case Note(event):
                return [event]
            case CheckCandidate():
                raise AssertionError("checks run in threads")
            case _:
                assert_never(action)

    def _tell(self, key: str, trouble: Trouble, reason: str) -> None:
        """A change is left to a person: both sides and the commands."""
        item = self.queue.items[key]
        if item.change.reverts or item.frozen:
            return
        ctx, target = self.ctx(key), item.change.lane.target
        hint = f"orchestr logs {ctx.name}"
        if trouble is Trouble.CONFLICT:
            where = ctx.worktree if ctx.worktree.exists() else ctx.repo_path
            hint = f"git -C {where} merge origin/{target}"
        hint += f"; mend it on {ctx.cell.branch}, then: orchestr run {ctx.name}"
        hint += f" && orchestr land {ctx.run.feature.name}"
        sides = f"{ctx.cell.branch} ({item.change.head[:12]}) onto {target}"
        sides += f" ({self.queue.tips[item.change.lane][:12]})"
        ctx.emit(Kind.LAND_PARKED, state=str(trouble), reason=f"{sides}: {reason}", hint=hint)

    def _tried(self, action: Action, call: Callable[[], list[Event]]) -> list[Event]:
        """What comes after a landing must not hold up others; the next process tries again."""
        try:
            return call()
        except OrchestrError as error:
            self.warn(f"{error.message}; the next `orchestr land` tries again")
            self._given_up.add(action)
            return []

    def _make(self, spec: Spec) -> Event:
        built = self.built(spec)
        if built.commit is None or built.tree is None:
            return Conflicted(spec, built.key, built.conflicts)
        return Made(spec, built.commit, built.tree)

    def built(self, spec: Spec) -> Built:
        """The candidate; the same again for the same spec."""
        recipes = [changes.recipe(self, key, CommitId(head)) for key, head in spec.parts]
        return build(self.repo(spec.lane.repo), CommitId(spec.base), recipes)

    def _land(self, spec: Spec, commit: str) -> Event:
        """Push, if the origin is where the candidate stands and does not have it already."""
        lane, repo = spec.lane, self.repo(spec.lane.repo)
        tip = self.look(lane)
        if self._contains(lane, tip, commit):
            return self._landed(spec, commit, tip)
        foreign = any(self.queue.items[key].frozen for key in spec.keys)  # of a killed process
        if tip != spec.base or foreign:
            return NotLanded(spec, tip)
        result = repo.push("origin", CommitId(commit), Branch(lane.target),
                           expected=CommitId(spec.base))  # fmt: skip
        tip = self.look(lane)
        if self._contains(lane, tip, commit):
            return self._landed(spec, commit, tip)
        if result.status is PushStatus.REJECTED and tip == spec.base:
            return NotLanded(spec, tip, f"{lane.target} of {lane.repo}: {result.reason}")
        return NotLanded(spec, tip)

    def _landed(self, spec: Spec, commit: str, tip: str) -> Event:
        if len(spec.parts) == 1 or commit == spec.base:
            return Landed(spec, commit, tip)
        try:
            steps = self.built(spec).steps
        except KeyError:  # a batch with a feature that this process was not asked for
            steps = ()
        return Landed(spec, commit, tip, steps)

    def _retarget(self, key: str) -> list[Event]:
        item = self.queue.items[key]
        found: list[Event] = []
        name = item.change.group.partition("~")[0]
        if item.change.reverts or name not in self._by_name:
            return [Retargeted(key)]
        ctx, lane = self.ctx(key), item.change.lane
        after.merged(ctx, self.warn)
        after.retarget(ctx, lane.target, self.warn)
        for dep in after.dependents(ctx):
            known = self.queue.items.get(dep.key)
            if known is None or known.stage not in (Stage.WAITING, Stage.PARKED):
                continue
            head = after.update(dep, lane.target, CommitId(self.queue.tips[lane]),
                                CommitId(item.change.head), self.warn)  # fmt: skip
            if head is not None:
                found += [o for o in self._offers(ctx.run) if o.change.key == dep.key]
        return [*found, Retargeted(key)]

    def _verify(self, key: str) -> list[Event]:
        item = self.queue.items[key]
        change = item.change
        ctx = self.ctx(change.reverts or key)
        kind = Kind.LAND_UNDONE if change.reverts else Kind.LAND_DONE
        told = any(
            e.kind is kind and e.cell == ctx.cell.name and e.data.get("commit") == item.after
            for e in ctx.run.journal.read()
        )
        if not told:
            ctx.emit(kind, target=change.lane.target, commit=item.after, before=item.before,
                     head=change.head)  # fmt: skip
        if change.reverts:
            return [Verified(key)]
        state = after.merged(ctx, self.warn)
        after.tidy(ctx, change.head, self.warn)
        return [Verified(key, state)]

    # --- looking ---------------------------------------------------------------------------

    def repo(self, name: str) -> Repo:
        """The main clone of a repository."""
        return Repo(repo_path(self.runs[0].settings, name))

    def ctx(self, key: str) -> CellContext:
        feature, _, cell = key.partition("/")
        return self._by_name[feature].cell(cell.partition("~")[0])

    def _group(self, run: Run) -> str:
        return f"{run.feature.name}~rollback" if self.undo else run.feature.name

    def _offers(self, run: Run) -> list[Offered]:
        return changes.undoing(self, run) if self.undo else changes.offers(self, run)

    def look(self, lane: Lane) -> str:
        """Where the target is at the origin, fetched. Raises GitError, OrchestrError."""
        repo, ref = self.repo(lane.repo), f"refs/heads/{lane.target}"
        tip = repo.ls_remote("origin", ref).get(ref)
        if tip is None:
            raise OrchestrError(
                f"repository {lane.repo} has no branch {lane.target} at its origin",
                hint=f"push it there, or set [repos.{lane.repo}] base in orchestr.toml",
            )
        if repo.resolve(tip) is None or repo.resolve(f"refs/remotes/origin/{lane.target}") != tip:
            repo.fetch("origin", f"+{ref}:refs/remotes/origin/{lane.target}",
                       locks=self.runs[0].layout.locks)  # fmt: skip
        return tip

    def _contains(self, lane: Lane, tip: str, commit: str) -> bool:
        repo = self.repo(lane.repo)
        return repo.resolve(commit) is not None and repo.is_ancestor(commit, tip)

    def _paths(self, ctx: CellContext, lane: Lane, head: str) -> frozenset[str] | None:
        return changes.paths_of(ctx, head) if self.rules.disjoint else None
