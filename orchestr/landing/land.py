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
from dataclasses import dataclass, field, replace
from typing import assert_never

from orchestr.cell.context import CellContext, Run, repo_path
from orchestr.cell.records import NO_PR, Published
from orchestr.errors import Interrupted, OrchestrError
from orchestr.events import Kind
from orchestr.git import CommitId, Repo
from orchestr.landing import after, changes
from orchestr.landing.bench import show
from orchestr.landing.book import Book
from orchestr.landing.candidates import Built, build
from orchestr.landing.checks import Check, CheckResult, Order, default_check
from orchestr.landing.decide import content, decide, is_doomed
from orchestr.landing.move import FORGE, PUSH, move, way
from orchestr.landing.queue import Item, Queue, obstacle, replay, step
from orchestr.landing.records import (
    Action,
    Change,
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
class End:
    """Where one change ended. ``commit``: the target after it; ``fresh``: in this process."""

    key: str
    lane: Lane
    stage: Stage
    trouble: Trouble | None = None
    commit: str = ""
    fresh: bool = False
    why: str = ""
    hint: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it, in plan order. ``red``: what the forge made of a change is not what was
    checked, and is red.
    """

    ends: tuple[End, ...]
    red: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.red and all(end.stage is Stage.LANDED for end in self.ends)


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
    ways: dict[str, str] = field(default_factory=dict)  # how each repository's target is moved
    _by_name: dict[str, Run] = field(init=False)
    _offered: set[str] = field(default_factory=set)
    _fresh: set[str] = field(default_factory=set)
    _red: list[str] = field(default_factory=list)
    _flying: dict[Action, threading.Event] = field(default_factory=dict)  # set: let it go
    _given_up: set[Action] = field(default_factory=set)
    _answers: handover.Queue[tuple[Action, Event | OrchestrError]] = field(
        default_factory=handover.Queue
    )
    _benches: dict[str, set[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        run = self.runs[0]
        self._by_name = {one.feature.name: one for one in self.runs}
        for one in self.runs:
            for cell in one.feature.cells:
                self.ways[cell.repo] = PUSH if self.undo else way(one, cell.repo, self.strategy)
        self.book = Book(run.layout.state / "landing" / "queue.jsonl", run.id)
        self.queue = replay(self.book.read(), self.rules)
        self.check = self.check or default_check(self.runs)

    @property
    def rules(self) -> Rules:
        landing = self.runs[0].settings.landing
        # A forge merges one pull request at a time: what is between would be unchecked.
        batch = landing.batch if set(self.ways.values()) <= {PUSH} else 1
        return Rules(window=landing.window, floor=landing.floor, batch=batch,
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
            self._let_go(actions)
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
        tips = {lane: self.look(lane) for lane in lanes if lane.target}
        for key, item in self.queue.items.items():
            tip = tips.get(item.change.lane)
            mine = item.stage is Stage.LANDED and item.after and not item.frozen
            if mine and tip and not self.contains(item.change.lane, tip, item.after):
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
        elif isinstance(event, Landed):
            self._fresh.update(event.spec.keys if event.commit != event.spec.base else ())
        self.book.append(event)
        self.queue = step(self.queue, event)
        if self.listener is not None:
            self.listener(event)

    def outcome(self) -> Outcome:
        """Where everything that was offered is now."""
        mine = [self.queue.items[key] for key in self._offered]
        mine.sort(key=lambda i: (i.change.group, i.change.order))
        return Outcome(tuple(self._end(item) for item in mine), tuple(self._red))

    def _end(self, item: Item) -> End:
        change = item.change
        end = End(change.key, change.lane, item.stage, item.trouble, item.after,
                  change.key in self._fresh, link=self._link(change))  # fmt: skip
        match item.stage:
            case Stage.LANDED:
                return end
            case Stage.PARKED:
                return replace(end, why=item.detail, hint="\n".join(self._commands(item)))
            case _:
                why = obstacle(self.queue, item) or ""
                ctx = self.ctx(change.reverts or change.key)
                hint = f"orchestr run {ctx.name}" if change.hold else ""
                return replace(end, why=why, hint=hint)

    def _link(self, change: Change) -> str:
        ctx = self.ctx(change.reverts or change.key)
        done = Published.read(ctx.dir)
        return done.url if done is not None and done.url != NO_PR else ""

    # --- slow actions, in threads ----------------------------------------------------------

    def _is_slow(self, action: Action) -> bool:
        match action:
            case CheckCandidate():
                return True
            case Repair():
                return action.started
            case Land(spec, _, intended):
                return intended and self.ways.get(spec.lane.repo) == FORGE
            case _:
                return False

    def _let_go(self, actions: Sequence[Action]) -> None:
        """Stop checks that nobody can ask about any more; one whose tree is wanted goes on."""
        wanted = {self._tree(a) for a in actions if isinstance(a, CheckCandidate)}
        for action, gone in self._flying.items():
            if not isinstance(action, CheckCandidate) or self._tree(action) in wanted:
                continue
            if is_doomed(self.queue, action.spec):
                gone.set()

    def _tree(self, action: CheckCandidate) -> tuple[str, str]:
        known = self.queue.candidates.get(action.spec)
        tree = (
            known.tree if known else self.repo(action.spec.lane.repo).tree(CommitId(action.commit))
        )
        return action.spec.lane.repo, tree

    def _start(self, action: Action) -> None:
        if action in self._flying:
            return
        checks = [one for one in self._flying if isinstance(one, CheckCandidate)]
        if isinstance(action, CheckCandidate):
            if len(checks) >= self.runs[0].settings.landing.jobs:
                return
            if self._tree(action) in map(self._tree, checks):
                return  # its result will be known for this tree
        if isinstance(action, Repair):
            self.ctx(action.key).emit(
                Kind.LAND_REPAIR, number=action.number, trouble=str(action.trouble),
                reason=action.detail[:2000],
            )  # fmt: skip
        self._flying[action] = threading.Event()
        threading.Thread(target=self._work, args=(action,), daemon=True).start()

    def _work(self, action: Action) -> None:
        answer: Event | OrchestrError
        try:
            match action:
                case CheckCandidate():
                    answer = self._check(action)
                case Land(spec, commit, _):
                    answer = move(self, spec, commit)
                case _:
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
        let_go = self._flying.pop(action).is_set()
        if isinstance(answer, Interrupted):
            if not let_go:
                self.runs[0].stop.set()
        elif isinstance(answer, OrchestrError):
            raise answer
        else:
            self.append(answer)

    def _join(self) -> None:
        """Wait for all that is under way to let go; agents get their grace."""
        for gone in self._flying.values():
            gone.set()
        while self._flying:
            action, _ = self._answers.get()
            self._flying.pop(action)

    def _check(self, action: CheckCandidate) -> Event:
        spec = action.spec
        tree = self._tree(action)[1]
        result = self._judge(spec, action.commit, tree, self._flying[action])
        return Checked(spec, action.commit, result.green, result.detail)

    def _judge(self, spec: Spec, commit: str, tree: str, stop: threading.Event) -> CheckResult:
        """Check a commit in a warm worktree that shows it. Raises Interrupted."""
        name, changes_in = spec.lane.repo, tuple(self.queue.items[key].change for key in spec.keys)
        number = self._take_bench(name)
        try:
            path = self.runs[0].layout.state / "landing" / name / str(number)
            show(self._any_cell(name), path, CommitId(commit))
            assert self.check is not None
            return self.check(Order(name, path, commit, tree, changes_in,
                                    content(self.queue, spec), stop))  # fmt: skip
        except Interrupted:
            raise
        except OrchestrError as error:
            return CheckResult(
                False, f"{error.message} ({error.hint})" if error.hint else error.message
            )
        finally:
            self._benches[name].discard(number)

    def _any_cell(self, name: str) -> CellContext:
        """Some cell of a repository, for its settings."""
        return next(
            run.cell(cell.name) for run in self.runs for cell in run.feature.cells
            if cell.repo == name
        )  # fmt: skip

    def unchecked(self, spec: Spec, commit: str) -> None:
        """What the forge made has another tree than what was checked: say it, and check it now."""
        where = f"{spec.lane.target} of {spec.lane.repo}"
        self.warn(f"{where} moved while the forge merged; {commit[:12]} was not checked before")
        tree = self.repo(spec.lane.repo).tree(CommitId(commit))
        result = self._judge(spec, commit, tree, self.runs[0].stop)
        if not result.green:
            self._red.append(f"{where} is RED at {commit[:12]}: {result.detail}")

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
                return [move(self, spec, commit) if intended else LandIntended(spec, commit)]
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
        sides = f"{ctx.cell.branch} ({item.change.head[:12]}) onto {target}"
        sides += f" ({self.queue.tips[item.change.lane][:12]})"
        hint = "; ".join(self._commands(item, trouble))
        ctx.emit(Kind.LAND_PARKED, state=str(trouble), reason=f"{sides}: {reason}", hint=hint)

    def _commands(self, item: Item, trouble: Trouble | None = None) -> list[str]:
        """What a person types to look at it, and to go on."""
        change, target = item.change, item.change.lane.target
        ctx = self.ctx(change.reverts or change.key)
        name = ctx.run.feature.name
        if change.reverts:
            return [f"git -C {ctx.repo_path} log origin/{target}", f"orchestr rollback {name}"]
        where = ctx.worktree if ctx.worktree.exists() else ctx.repo_path
        look = f"orchestr logs {ctx.name}"
        if (trouble or item.trouble) is Trouble.CONFLICT:
            look = f"git -C {where} merge origin/{target}"
        mend = f"mend it on {ctx.cell.branch}, then: orchestr run {ctx.name}"
        return [look, f"{mend} && orchestr land {name}"]

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

    def contains(self, lane: Lane, tip: str, commit: str) -> bool:
        """Whether a commit is in the target as it was looked at."""
        repo = self.repo(lane.repo)
        return repo.resolve(commit) is not None and repo.is_ancestor(commit, tip)

    def _paths(self, ctx: CellContext, lane: Lane, head: str) -> frozenset[str] | None:
        return changes.paths_of(ctx, head) if self.rules.disjoint else None
