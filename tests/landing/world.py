"""A world for the merge queue: repositories, checks and agents as plain data, and a landing process
that can be killed between any two of its steps.

The world remembers what really happened (which commit was checked green, every move of every
target), so that the invariants are judged by it and not by the queue's own books.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

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
from orchestr.landing.causes import Cause
from orchestr.landing.decide import decide_actions, is_doomed, keys_in_candidate
from orchestr.landing.events import (
    CandidateSpec,
    Checked,
    Conflicted,
    Event,
    HeadMoved,
    Landed,
    LandingChange,
    LandIntended,
    Made,
    NotLanded,
    Offered,
    Parked,
    Part,
    QueueRules,
    Repaired,
    RepairStarted,
    Retargeted,
    Started,
    TargetSeen,
    Trouble,
    Verified,
)
from orchestr.landing.lane import Lane
from orchestr.landing.queue import Queue, apply_event, replay
from orchestr.landing.rung import Rung

KILLS = 30  # processes that are killed in one world at most


@dataclass
class World:
    """``bad``: heads that are red by themselves; ``clash``: pairs that are red or (``conflict``)
    cannot be merged together, but by ``climbs`` (each rung that makes something of them, and
    whether that is right); ``cures``: how many repairs a bad change needs (99: no end).
    ``harm``: (key, cause): red while what has landed of the cause, or its head where nothing has,
    is not cured. ``lies``: how often the output of what is red names others, who did nothing.
    """

    rng: random.Random
    changes: list[LandingChange]
    bad: set[str] = field(default_factory=set)
    clash: set[frozenset[str]] = field(default_factory=set)
    conflict: set[frozenset[str]] = field(default_factory=set)
    climbs: dict[frozenset[str], tuple[tuple[Rung, bool], ...]] = field(default_factory=dict)
    cures: dict[str, int] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)  # agents that give up
    buttons: frozenset[str] = frozenset()  # repositories whose forge makes the merge
    harm: set[tuple[str, str]] = field(default_factory=set)
    lies: float = 0.0
    moves: float = 0.0  # how often somebody else moves a target before a push
    kills: float = 0.0
    slow: bool = True  # checks take minutes
    tips: dict[Lane, str] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    content: dict[str, tuple[str, ...]] = field(default_factory=dict)  # commit -> keys in it
    wrong: set[str] = field(default_factory=set)  # commits that a rung resolved wrongly
    half: set[str] = field(default_factory=set)  # commits that a generator has to finish
    resolved: set[str] = field(default_factory=set)  # commits that git alone cannot make
    taken: dict[str, tuple[str, ...]] = field(default_factory=dict)  # head -> keys of the target
    green: set[str] = field(default_factory=set)
    landings: list[tuple[Lane, str, str, tuple[Part, ...]]] = field(default_factory=list)
    checks: int = 0
    steps: int = 0
    killed: int = 0

    def __post_init__(self) -> None:
        for change in self.changes:
            if change.lane not in self.tips:
                self._commit(f"{change.lane}@0", "", ())
                self.tips[change.lane] = f"{change.lane}@0"
        self.needs = {change.key: change.needs for change in self.changes}

    def _commit(self, name: str, parent: str, content: tuple[str, ...]) -> str:
        self.parents[name], self.content[name] = parent, content
        return name

    def contains(self, tip: str, commit: str) -> bool:
        while tip and tip != commit:
            tip = self.parents[tip]
        return tip == commit

    def somebody_moves(self, lane: Lane) -> None:
        tip = self.tips[lane]
        name = f"{tip}+foreign{self.steps}"
        self.tips[lane] = self._commit(name, tip, self.content[tip])

    # --- performing ------------------------------------------------------------------------

    def make(self, spec: CandidateSpec, above: Rung | None = None) -> Event:
        content, name, rung = self.content[spec.base], spec.base, Rung.GIT
        wrong = half = False
        for key, head in spec.parts:
            others = [o for o in content if o not in self.taken.get(head, ())]
            pairs = [frozenset((key, o)) for o in others if frozenset((key, o)) in self.conflict]
            for pair in pairs:
                known = [(r, right) for r, right in self.climbs.get(pair, ())
                         if above is None or r.level > above.level]  # fmt: skip
                if not known or (known[0][0] is Rung.REGENERATE and len(spec.parts) > 1):
                    return Conflicted(spec, key, ("a.txt",), "red" if above else "")
                rung = max(rung, known[0][0], key=lambda one: one.level)
                name = f"{name}~{known[0][0]}"
                wrong |= not known[0][1]
                half |= known[0][0] is Rung.REGENERATE
            content = (*content, key)
            name = f"{name}/{key}={head}"
        self._commit(name, spec.base, content)
        self.wrong |= {name} if wrong else set()
        self.half |= {name} if half else set()
        self.resolved |= {name} if rung else set()
        resolved = ((rung, "a.txt"),) if rung else ()
        generating = ("a.txt",) if half else ()
        return Made(spec, name, f"tree of {name}", rung, resolved, generating)

    def generate(self, spec: CandidateSpec, commit: str) -> Event:
        if self.rng.random() < 0.3:  # its generator fails
            return self.make(spec, Rung.REGENERATE)
        name = self._commit(f"{commit}!", spec.base, self.content[commit])
        self.wrong |= {name} if commit in self.wrong else set()
        self.resolved.add(name)
        return Made(spec, name, f"tree of {name}", Rung.REGENERATE, ((Rung.REGENERATE, "a.txt"),))

    def update_branch(self, spec: CandidateSpec, commit: str) -> Event:
        ((key, head),) = spec.parts
        assert commit in self.green and commit in self.resolved
        self.taken[f"{head}^"] = self.content[spec.base]
        if head in self.bad:
            self.bad.add(f"{head}^")
        return HeadMoved(key, f"{head}^")

    def seen_head(self, q: Queue, key: str) -> str:
        """What a check sees of another change: what has landed of it, else its head."""
        landed = [head for _, _, _, parts in self.landings for k, head in parts if k == key]
        return landed[-1] if landed else q.items[key].change.head

    def is_cured(self, key: str, head: str) -> bool:
        return int(head.rpartition("#")[2].rstrip("^")) >= self.cures.get(key, 99)

    def find_causes(self, q: Queue, key: str, head: str, red: bool) -> list[Cause]:
        """Who is to blame, and who is named without blame."""
        found = [Cause(other, self.seen_head(q, other), ("a.txt",))
                 for one, other in sorted(self.harm)
                 if one == key and not self.is_cured(other, self.seen_head(q, other))]  # fmt: skip
        if red and not found and self.rng.random() < self.lies:
            keys = [c.key for c in self.changes]
            named = self.rng.sample(keys, min(len(keys), self.rng.choice((1, 1, 1, 2))))
            found = [Cause(k, head if k == key else self.seen_head(q, k), ("b.txt",))
                     for k in named]  # fmt: skip
        return found

    def check(self, q: Queue, spec: CandidateSpec, commit: str) -> Event:
        self.checks += 1
        content = self.content[commit]
        heads = dict(spec.parts)
        red = any(head in self.bad for head in heads.values())
        red |= any(pair <= set(content) for pair in self.clash) or commit in self.wrong
        causes = [c for key, head in spec.parts for c in self.find_causes(q, key, head, red)]
        red |= bool(causes)
        if not red:
            self.green.add(commit)
        alone = tuple(causes) if len(spec.parts) == 1 else ()
        seconds = 600.0 if self.slow else 0.0  # slow checks make batches worth their while
        return Checked(spec, commit, not red, "red" if red else "", seconds, alone)

    def land(self, spec: CandidateSpec, commit: str) -> Event:
        tip = self.tips[spec.lane]
        if self.contains(tip, commit):
            return Landed(spec, commit, tip)
        if tip != spec.base:
            return NotLanded(spec, tip)
        assert commit in self.green, f"{commit} lands and was not checked green"
        assert commit not in self.half | self.wrong
        assert commit not in self.resolved or spec.lane.repo not in self.buttons
        landed = {part for *_, parts in self.landings for part in parts}
        for part in spec.parts:
            before = {key for key, _ in landed} | set(spec.keys[: spec.parts.index(part)])
            assert part not in landed, f"{part} lands twice"
            assert before.issuperset(self.needs[part[0]]), f"{part} lands before what it needs"
        self.landings.append((spec.lane, tip, commit, spec.parts))
        self.tips[spec.lane] = commit
        return Landed(spec, commit, commit)

    def repair(self, key: str, number: int, head: str, most: int) -> Event:
        if key in self.lost:
            if number < most:
                return RepairStarted(key, Trouble.RED, number + 1, "its agent failed")
            return Parked(key, Trouble.RED, "its agent gave up")
        new = f"{key}#{number}"
        self.clash = {p for p in self.clash if key not in p or self.cures[key] > number}
        self.conflict = {p for p in self.conflict if key not in p or self.cures[key] > number}
        if head in self.bad and self.cures[key] > number:
            self.bad.add(new)
        return Repaired(key, new)

    def perform(self, q: Queue, action: Action) -> Event:
        match action:
            case MakeCandidate(spec, above, _):
                return self.make(spec, above)
            case Generate(spec, commit, _):
                assert commit in self.half
                return self.generate(spec, commit)
            case UpdateBranch(spec, commit):
                return self.update_branch(spec, commit)
            case CheckCandidate(spec, commit, _):
                assert not is_doomed(q, spec), f"{commit} is asked about and nobody needs it"
                mine = {k for k, i in q.items.items() if i.change.lane == spec.lane}
                assert commit not in self.half
                assert set(self.content[commit]) == keys_in_candidate(q, spec) & mine
                return self.check(q, spec, commit)
            case LandCandidate(spec, commit, intended):
                return self.land(spec, commit) if intended else LandIntended(spec, commit)
            case RepairChange(key, trouble, number, detail, started):
                if not started:
                    return RepairStarted(key, trouble, number, detail)
                return self.repair(key, number, q.items[key].change.head, q.rules.repairs)
            case Retarget(key):
                return Retargeted(key)
            case Verify(key):
                return Verified(key)
            case RecordEvent(event):
                return event

    def run(self, rules: QueueRules, most: int = 4_000) -> tuple[Queue, list[Event]]:
        """Processes, one after the other, until one ends by itself; the rest is killed.

        Every process tries what was left to a person again, so somebody who kills for ever keeps
        the queue from its end: after `KILLS` they have enough.
        """
        journal: list[Event] = []
        while True:
            q = replay(journal, rules)
            groups = tuple(sorted({c.group for c in self.changes}))
            opening = [Started(groups), *(Offered(c) for c in self._now(q))]
            opening += [TargetSeen(lane, tip) for lane, tip in self.tips.items()]
            for event in opening:
                journal.append(event)
                q = apply_event(q, event)
            killed = False
            while actions := decide_actions(q):
                self.steps += 1
                assert self.steps < most, "the queue does not end"
                assert len(set(actions)) == len(actions), "an action is asked for twice"
                action = self.rng.choice(actions[: self.rng.choice((1, 3, len(actions)))])
                if isinstance(action, LandCandidate) and self.rng.random() < self.moves:
                    self.somebody_moves(action.spec.lane)
                event = self.perform(q, action)
                if self._is_killed():  # it happened, and nobody wrote it down
                    killed = True
                    break
                journal.append(event)
                q = apply_event(q, event)
                if self._is_killed():
                    killed = True
                    break
            if not killed:
                return q, journal

    def _is_killed(self) -> bool:
        killed = self.rng.random() < self.kills and self.killed < KILLS
        self.killed += killed
        return killed

    def _now(self, q: Queue) -> list[LandingChange]:
        """The changes as a new process finds them: with the heads that repairs made."""
        from dataclasses import replace

        return [
            replace(c, head=q.items[c.key].change.head) if c.key in q.items else c
            for c in self.changes
        ]
