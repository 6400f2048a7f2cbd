"""Random queues: sizes, edges, several repositories, failures, targets that move, kills at every
step. What must hold is asserted by the world at every push, and at the end here.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from orchestr.landing.causes import Blamed
from orchestr.landing.decide import decide_actions
from orchestr.landing.events import (
    GroupClosed,
    GroupOpened,
    Landed,
    LandingChange,
    QueueRules,
    Stage,
)
from orchestr.landing.lane import Lane
from orchestr.landing.queue import Queue, find_obstacle, replay
from orchestr.landing.rung import Rung
from tests.landing.world import World

RULES = st.builds(
    QueueRules,
    window=st.integers(1, 6),
    floor=st.integers(1, 3),
    ceiling=st.integers(4, 8),
    batch=st.integers(1, 5),
    repairs=st.integers(0, 2),
    disjoint=st.booleans(),
    machines=st.sampled_from((0, 1, 2, 4)),
    adapt=st.booleans(),
)


@dataclass(frozen=True)
class Case:
    seed: int
    changes: tuple[LandingChange, ...]
    bad: float
    clash: float
    moves: float
    kills: float
    buttons: frozenset[str] = frozenset()
    harm: float = 0.0
    lies: float = 0.0


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """One to three features over up to three repositories; every group has several changes."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    lanes = [Lane(f"r{n}", "main") for n in range(draw(st.integers(2, 3)))]
    edges = draw(st.sampled_from((0.0, 0.2, 0.6)))
    changes: list[LandingChange] = []
    for group in range(draw(st.integers(1, 3))):
        size = draw(st.integers(2, 7))
        keys: list[str] = []
        for order in range(size):
            key = f"f{group}/c{order}"
            lane = lanes[order] if order < 2 else rng.choice(lanes)  # two repositories at least
            needs = tuple(k for k in keys if rng.random() < edges)
            paths = frozenset(rng.sample("abcdef", rng.randint(1, 2)))
            hold = "not done" if rng.random() < 0.05 else ""
            known = paths if rng.random() < 0.8 else None
            risk = rng.choice((None, 0.01, 0.1, 0.5, 0.9))
            changes.append(
                LandingChange(
                    key, lane, f"{key}#0", order, f"f{group}", needs, hold, known, risk=risk
                )
            )
            keys.append(key)
    return Case(
        rng.randint(0, 2**32),
        tuple(changes),
        draw(st.sampled_from((0.0, 0.1, 0.4))),
        draw(st.sampled_from((0.0, 0.05, 0.3))),
        draw(st.sampled_from((0.0, 0.1, 0.4))),
        draw(st.sampled_from((0.0, 0.02, 0.15))),
        frozenset(lane.repo for lane in lanes if rng.random() < 0.3),
        draw(st.sampled_from((0.0, 0.1, 0.4))),
        draw(st.sampled_from((0.0, 0.5))),
    )


def world_of(case: Case) -> World:
    rng = random.Random(case.seed)
    world = World(rng, list(case.changes), buttons=case.buttons, moves=case.moves,
                  kills=case.kills, lies=case.lies)  # fmt: skip
    keys = [c.key for c in case.changes]
    for change in case.changes:
        if rng.random() < case.bad:
            world.bad.add(change.head)
        world.cures[change.key] = rng.choice((1, 2, 99))
        if rng.random() < 0.1:
            world.lost.add(change.key)
    for n, one in enumerate(case.changes):
        for other in case.changes[:n]:
            if one.lane == other.lane and rng.random() < case.clash:
                kind = world.clash if rng.random() < 0.5 else world.conflict
                kind.add(frozenset((one.key, other.key)))
                climbs = [(r, rng.random() < 0.6) for r in list(Rung)[1:] if rng.random() < 0.4]
                world.climbs[frozenset((one.key, other.key))] = tuple(climbs)
    world.harm = {(one, other) for one in keys for other in keys
                  if one != other and rng.random() < case.harm / len(keys)}  # fmt: skip
    assert len(keys) == len(set(keys))
    return world


def at_rest(q: Queue) -> None:
    """Nothing is under way, and what did not land says why."""
    assert decide_actions(q) == ()
    assert not q.intents
    for item in q.items.values():
        assert item.stage in (Stage.LANDED, Stage.PARKED, Stage.WAITING)
        if item.stage is Stage.WAITING:
            assert find_obstacle(q, item)
        if item.stage is Stage.PARKED:
            assert item.detail and item.trouble


def many(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))


@many(50)
@given(case=cases(), rules=RULES)
def test_what_lands_was_checked_lands_once_in_order_and_nothing_is_lost(
    case: Case, rules: QueueRules
) -> None:
    holds(case, rules)


@pytest.mark.slow
@many(200)
@given(case=cases(), rules=RULES)
def test_the_same_in_many_more_worlds(case: Case, rules: QueueRules) -> None:
    holds(case, rules)


def holds(case: Case, rules: QueueRules) -> None:
    if case.buttons:  # a forge merges one pull request at a time
        rules = replace(rules, buttons=case.buttons, batch=1)
    world = world_of(case)
    q, journal = world.run(rules)
    at_rest(q)
    landed = Counter(part for *_, parts in world.landings for part in parts)
    assert set(landed.values()) <= {1}
    there = {k for k, i in q.items.items() if i.stage is Stage.LANDED or i.landed}
    assert {key for key, _ in landed} == there
    for key, head in world.landings[-1][3] if world.landings else ():
        assert q.items[key].stage is not Stage.LANDED or q.items[key].change.head == head
    for lane, tip in world.tips.items():  # and is still there, in the order in which it landed
        mine = [k for where, *_, parts in world.landings if where == lane for k, _ in parts]
        assert list(world.content[tip]) == mine
    event(f"landed all: {len(there) == len(case.changes)}")
    event(f"blamed: {any(isinstance(one, Blamed) for one in journal)}")
    event(f"kills: {case.kills}")
    # Everything follows from the journal, and a group is open before its first push.
    assert replay(journal, rules) == q
    opened: set[str] = set()
    for one in journal:
        if isinstance(one, GroupOpened):
            opened.add(one.group)
        if isinstance(one, Landed):
            assert {q.items[key].change.group for key in one.spec.keys} <= opened
    if not case.kills:
        begun = Counter(one.group for one in journal if isinstance(one, GroupOpened))
        assert Counter(g.group for g in journal if isinstance(g, GroupClosed)) == begun


@pytest.mark.slow
@many(80)
@given(case=cases(), rules=RULES)
def test_without_trouble_all_lands_whatever_the_kills_and_moves(
    case: Case, rules: QueueRules
) -> None:
    whole = Case(case.seed, case.changes, 0.0, 0.0, case.moves, case.kills)
    world = world_of(whole)
    q, _ = world.run(rules)
    at_rest(q)
    held = {c.key for c in case.changes if c.hold}
    for change in case.changes:  # in plan order: what needs something held is held, too
        held |= {change.key} if held & set(change.needs) else set()
    for change in case.changes:
        wanted = Stage.WAITING if change.key in held else Stage.LANDED
        assert q.items[change.key].stage is wanted
