"""The merge queue against a serial one and an oracle, and candidates a second.

The first table is simulated time with the product's own decisions (`orchestr.landing.decide`). All
changes are there at the start. A check takes 5 to 15 minutes (uniform, seeded), everything else no
time; a bad change is red wherever it is and is parked (repairs are agents' time). Checks have 2 or
8 machines, taken and let go as `orchestr.landing.land` does. *serial* checks one change at a time
on the target; *window* is Zuul's window (start 20, floor 3) in plan order, as the queue was before
it looked at likelihoods; *queue* is the product with `batch = 1`; *auto* is the product as it is;
*blind* is *auto* without evidence; *oracle* is *window* that leaves out what fails. Turnaround is
the mean time from the start to the landing of a change. In vain: checks whose commit did not land.

The evidence of each change is drawn so that it says something and is often wrong: lines log-normal
(median 60, sigma 1.2; 2.5 times as many where the change is bad), repair rounds and shared paths
Poisson (mean 0.5; 1.2 where it is bad). `ranked right` is how often a bad change has a higher risk
than a good one (0.5: the evidence says nothing). No queue of real changes stands behind that.

The second is real: candidates made (merge-tree, commit-tree) on a repository of 20,000 files,
beside checkout and merge in a warm worktree.
"""

from __future__ import annotations

import heapq
import itertools
import math
import os
import random
import statistics
import time
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from benchmarks.common import GIT_ENV, Figure, Found, Size, Table, big_repository, git, scratch
from benchmarks.measure import seconds
from orchestr.git.repo import CommitId, Repo
from orchestr.landing.actions import (
    CheckCandidate,
    LandCandidate,
    MakeCandidate,
    RecordEvent,
    Retarget,
    Verify,
)
from orchestr.landing.candidates import Recipe, build_candidate
from orchestr.landing.decide import decide_actions, is_doomed
from orchestr.landing.events import (
    Checked,
    Event,
    Landed,
    LandingChange,
    LandIntended,
    Made,
    Offered,
    QueueRules,
    Retargeted,
    Started,
    TargetSeen,
    Verified,
)
from orchestr.landing.lane import Lane
from orchestr.landing.likelihood import ChangeEvidence, estimate_risk
from orchestr.landing.queue import apply_event, replay
from orchestr.landing.session import MOST

LANE = Lane("repo", "main")
BAD_NEEDS_MORE = 1.4  # so much more often a bad change needs a round, or shares a path


@dataclass(frozen=True)
class Run:
    """The result of one simulated landing; ``took`` and ``turnaround`` in seconds."""

    landed: int
    checks: int
    wasted: int
    took: float
    turnaround: float


@dataclass(frozen=True)
class Case:
    """Changes by number: how long a check of each takes, which fail, and their risks."""

    sizes: list[float]
    bad: set[int]
    risks: list[float]

    def without_bad(self) -> Case:
        """What an oracle leaves in the queue."""
        good = [n for n in range(len(self.sizes)) if n not in self.bad]
        return Case([self.sizes[n] for n in good], set(), [self.risks[n] for n in good])


def draw_case(count: int, rate: float, seed: int) -> Case:
    """Changes of which about ``rate`` fail, with evidence as the module describes."""
    rng = random.Random(f"{count} {rate} {seed}")
    sizes = [rng.uniform(300, 900) for _ in range(count)]
    bad = {n for n in range(count) if rng.random() < rate}
    bad = bad if len(bad) < count else set(list(bad)[1:])
    risks = [estimate_risk(draw_evidence(rng, n in bad)) for n in range(count)]
    return Case(sizes, bad, risks)


def draw_evidence(rng: random.Random, bad: bool) -> ChangeEvidence:
    """What would be known of one change."""
    often = 0.5 * (1 + BAD_NEEDS_MORE * bad)
    lines = int(rng.lognormvariate(math.log(60) + 0.9 * bad, 1.2))
    return ChangeEvidence(True, lines, draw_poisson(rng, often), draw_poisson(rng, often))


def draw_poisson(rng: random.Random, mean: float) -> int:
    """Knuth's method."""
    found, left = 0, rng.random()
    while left > math.exp(-mean):
        found, left = found + 1, left * rng.random()
    return found


def ranked_right(case: Case) -> float | None:
    """How often a bad change has a higher risk than a good one."""
    good = [risk for n, risk in enumerate(case.risks) if n not in case.bad]
    pairs = [(case.risks[n], risk) for n in case.bad for risk in good]
    return statistics.mean((b > g) + (b == g) / 2 for b, g in pairs) if pairs else None


def simulate(case: Case, rules: QueueRules, machines: int, evidence: bool = True) -> Run:
    """The product's queue in simulated time, until nothing moves."""
    changes = [
        LandingChange(f"f/c{n}", LANE, f"h{n}", n, "f", risk=risk if evidence else None)
        for n, risk in enumerate(case.risks)
    ]
    q = replay([Started(("f",)), *(Offered(c) for c in changes), TargetSeen(LANE, "t")], rules)
    clock, checks, landed = 0.0, 0, dict[str, float]()
    commits: set[str] = set()
    flying: dict[CheckCandidate, float] = {}
    due: list[tuple[float, int, CheckCandidate]] = []

    def measure_check(action: CheckCandidate) -> float:
        return max(case.sizes[int(h[1:])] for _, h in action.spec.parts)

    def quick(action: Any) -> Event:
        match action:
            case MakeCandidate(spec):
                return Made(spec, f"{spec.base}/{'/'.join(h for _, h in spec.parts)}", "")
            case LandCandidate(spec, commit, intended):
                if not intended:
                    return LandIntended(spec, commit)
                commits.add(commit)
                landed.update(dict.fromkeys(spec.keys, clock))
                return Landed(spec, commit, commit)
            case Retarget(key):
                return Retargeted(key)
            case Verify(key):
                return Verified(key)
            case RecordEvent(event):
                return event
        raise AssertionError(action)

    while True:
        actions = decide_actions(q)
        now = next((a for a in actions if not isinstance(a, CheckCandidate)), None)
        if now is not None:
            q = apply_event(q, quick(now))
            continue
        flying = {a: end for a, end in flying.items() if not is_doomed(q, a.spec)}
        for action in actions:
            if not isinstance(action, CheckCandidate) or action in flying:
                continue
            if len(flying) < machines:
                checks += 1
                flying[action] = clock + measure_check(action)
                heapq.heappush(due, (flying[action], checks, action))
        while due and flying.get(due[0][2]) != due[0][0]:
            heapq.heappop(due)  # it was let go
        if not due:
            break
        clock, _, action = heapq.heappop(due)
        flying.pop(action)
        red = any(int(h[1:]) in case.bad for h in action.commit.split("/")[1:])
        took = measure_check(action)
        q = apply_event(q, Checked(action.spec, action.commit, not red, "red" if red else "", took))
    assert len(landed) == len(case.sizes) - len(case.bad)
    turnaround = statistics.mean(landed.values()) if landed else 0.0
    return Run(len(landed), checks, checks - len(commits), max(landed.values()), turnaround)


def run_kinds(case: Case, machines: int) -> dict[str, Run]:
    """One landing by each kind of queue."""
    window, serial = QueueRules(repairs=0), QueueRules(window=1, floor=1, ceiling=1, repairs=0)
    queue = QueueRules(repairs=0, machines=machines)
    auto = replace(queue, batch=MOST, adapt=True)
    return {
        "serial": simulate(case, serial, 1, False),
        "window": simulate(case, window, machines, False),
        "batch of 4": simulate(case, replace(window, batch=4), machines, False),
        "queue": simulate(case, queue, machines),
        "auto": simulate(case, auto, machines),
        "blind": simulate(case, auto, machines, False),
        "oracle": simulate(case.without_bad(), window, machines, False),
    }


def simulated(counts: tuple[int, ...], seeds: int) -> list[dict[str, Any]]:
    """The first table: medians over the seeds, each beside the oracle of the same seed."""
    rows = []
    for count in counts:
        for rate, machines in itertools.product((0.0, 0.05, 0.2), (2, 8)):
            cases = [draw_case(count, rate, seed) for seed in range(seeds)]
            found = [run_kinds(case, machines) for case in cases]
            known = [rank for case in cases if (rank := ranked_right(case)) is not None]
            for kind in found[0]:
                pairs = [(runs[kind], runs["oracle"]) for runs in found]
                rows.append({
                    "changes": count, "failing": f"{rate:.0%}", "machines": machines,
                    "kind": kind,
                    "landings an hour": round(statistics.median(an_hour(r) for r, _ in pairs), 1),
                    "rate of oracle": round(
                        statistics.median(an_hour(r) / an_hour(o) for r, o in pairs), 2),
                    "turnaround of oracle": round(
                        statistics.median(r.turnaround / o.turnaround for r, o in pairs), 2),
                    "checks": round(statistics.mean(r.checks for r, _ in pairs), 1),
                    "wasted": round(statistics.mean(r.wasted for r, _ in pairs), 1),
                    "ranked right": round(statistics.mean(known), 2) if known else "",
                })  # fmt: skip
    return rows


def an_hour(run: Run) -> float:
    """Landings an hour."""
    return run.landed / run.took * 3600 if run.took else 0.0


def candidates(files: int, made: int) -> list[dict[str, Any]]:
    """Candidates a second on a real repository, each on the one before it."""
    with scratch() as base:
        root = big_repository(base, files)
        first = git("rev-parse", "HEAD", cwd=root)
        repo = Repo(root)
        heads = []
        for n in range(made):
            blob = repo.run_git("hash-object", "-w", "--stdin", input=f"new {n}\n".encode()).text
            entry = f"100644 blob {blob.strip()}\tnew{n}.txt\n"
            tree = repo.run_git("ls-tree", first).text + entry
            new = repo.run_git("mktree", input=tree.encode()).text.strip()
            heads.append(repo.commit_tree(new, (CommitId(first),), f"c{n}"))  # type: ignore[arg-type]
        rows = []
        for strategy in ("merge", "squash", "rebase"):
            recipes = [
                Recipe(f"f/c{n}", head, f"c{n}", (("Orchestr-Cell", f"c{n}"),), strategy)
                for n, head in enumerate(heads)
            ]
            begin = time.perf_counter()
            built = build_candidate(repo, CommitId(first), recipes)
            took = (time.perf_counter() - begin) / made
            assert built.commit is not None and len(built.steps) == made
            rows.append({"what": f"candidate, {strategy}", "seconds": took, "a second": 1 / took})
        warm = base / "warm"
        git("worktree", "add", "--quiet", "--detach", str(warm), first, cwd=root)
        left = iter(heads)

        def merge() -> None:
            git("checkout", "--quiet", "--detach", first, cwd=warm)
            git("merge", "--quiet", "--no-edit", "--no-ff", next(left), cwd=warm)

        took = seconds(merge, min(7, made))
        rows.append({"what": "checkout and merge, warm", "seconds": took, "a second": 1 / took})
        return rows


def measure(size: Size) -> Found:
    """Both tables."""
    counts = size.pick((16, 64), (16,), (4,))
    rows = simulated(counts, size.pick(20, 6, 1))
    with patch.dict(os.environ, GIT_ENV):
        real = candidates(size.pick(20_000, 20_000, 50), size.pick(64, 16, 2))

    def pick(column: str, failing: str, machines: int) -> float:
        wanted = {"changes": counts[-1], "kind": "auto", "failing": failing, "machines": machines}
        found: float = next(r for r in rows if wanted.items() <= r.items())[column]
        return found

    merge, warm = real[0]["seconds"], real[-1]["seconds"]
    many = f"{counts[-1]} changes"
    return Found(
        [Table("landing, simulated", rows), Table("landing, candidates", real)],
        [
            Figure(
                f"turnaround / the oracle's ({many}, 20% failing, 2 machines)",
                pick("turnaround of oracle", "20%", 2), "x", 1.1,
            ),
            Figure(
                f"turnaround / the oracle's ({many}, 20% failing, 8 machines)",
                pick("turnaround of oracle", "20%", 8), "x", 1.3,
            ),
            Figure(
                f"time for a landing / the oracle's ({many}, 5% failing, 2 machines)",
                1 / pick("rate of oracle", "5%", 2), "x", 0.67,
            ),
            Figure("a candidate / checkout and merge, warm", merge / warm, "x"),
        ],
    )  # fmt: skip
