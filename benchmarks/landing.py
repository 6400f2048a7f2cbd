"""The merge queue against a serial one and an oracle, and candidates a second.

The first table is simulated time with the product's own decisions (`orchestr.landing.queue`): a
check takes 5 to 15 minutes (uniform, seeded), everything else a second; a bad change is red
wherever it is and is parked (repairs are agents' time). *serial* checks one change at a time on the
target; *oracle* is our window, knowing which changes fail, so it leaves them out; *queue* is Zuul's
window (start 20, floor 3, up to 64); *batch* adds batches of 4. Checks have as many machines as the
window wants. Wasted: checks whose commit did not land.

The second is real: candidates made (merge-tree, commit-tree) on a repository of 20,000 files,
beside checkout and merge in a warm worktree.
"""

from __future__ import annotations

import heapq
import os
import random
import statistics
import time
from dataclasses import dataclass
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
from orchestr.landing.decide import decide_actions
from orchestr.landing.events import (
    Checked,
    Event,
    Landed,
    LandingChange,
    LandIntended,
    Lane,
    Made,
    Offered,
    QueueRules,
    Retargeted,
    Started,
    TargetSeen,
    Verified,
)
from orchestr.landing.queue import apply_event, replay

LANE = Lane("repo", "main")


@dataclass(frozen=True)
class Run:
    """The result of one simulated landing; ``took`` in seconds."""

    landed: int
    checks: int
    wasted: int
    took: float


def simulate(sizes: list[float], bad: set[int], rules: QueueRules) -> Run:
    """The product's queue in simulated time, until nothing moves."""
    changes = [LandingChange(f"f/c{n}", LANE, f"h{n}", n, "f") for n in range(len(sizes))]
    q = replay([Started(("f",)), *(Offered(c) for c in changes), TargetSeen(LANE, "t")], rules)
    clock, checks, landed, number = 0.0, 0, set[str](), 0
    flying: dict[CheckCandidate, float] = {}
    due: list[tuple[float, int, CheckCandidate]] = []
    last = 0.0

    def quick(action: Any) -> Event:
        match action:
            case MakeCandidate(spec):
                return Made(spec, f"{spec.base}/{'+'.join(h for _, h in spec.parts)}", "")
            case LandCandidate(spec, commit, intended):
                if not intended:
                    return LandIntended(spec, commit)
                landed.add(commit)
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
            last = clock if isinstance(now, LandCandidate) else last
            q = apply_event(q, quick(now))
            continue
        for action in actions:
            if isinstance(action, CheckCandidate) and action not in flying:
                took = max(sizes[int(h[1:])] for _, h in action.spec.parts)
                number, checks = number + 1, checks + 1
                flying[action] = clock + took
                heapq.heappush(due, (clock + took, number, action))
        if not due:
            break
        clock, _, action = heapq.heappop(due)
        flying.pop(action)
        red = any(int(h[1:]) in bad for _, h in action.spec.parts)
        q = apply_event(q, Checked(action.spec, action.commit, not red, "red" if red else ""))
    count = sum(item.stage.value == "landed" for item in q.items.values())
    assert count == len(sizes) - len(bad)
    return Run(count, checks, checks - len(landed), last)


def simulated(counts: tuple[int, ...], seeds: int) -> list[dict[str, Any]]:
    """The first table."""
    rows = []
    for count in counts:
        for rate in (0.0, 0.05, 0.2):
            kinds: dict[str, list[Run]] = {}
            for seed in range(seeds):
                rng = random.Random(f"{count} {rate} {seed}")
                sizes = [rng.uniform(300, 900) for _ in range(count)]
                bad = {n for n in range(count) if rng.random() < rate}
                bad = bad if len(bad) < count else set(list(bad)[1:])
                good = [size for n, size in enumerate(sizes) if n not in bad]
                for name, run in (
                    (
                        "serial",
                        simulate(sizes, bad, QueueRules(window=1, floor=1, ceiling=1, repairs=0)),
                    ),
                    ("queue", simulate(sizes, bad, QueueRules(repairs=0))),
                    ("batch", simulate(sizes, bad, QueueRules(batch=4, repairs=0))),
                    ("oracle", simulate(good, set(), QueueRules(repairs=0))),
                ):
                    kinds.setdefault(name, []).append(run)
            base = statistics.median(an_hour(run) for run in kinds["serial"])
            best = statistics.median(an_hour(run) for run in kinds["oracle"])
            for name, runs in kinds.items():
                speed = statistics.median(an_hour(run) for run in runs)
                rows.append({
                    "changes": count, "failing": f"{rate:.0%}", "kind": name,
                    "landings an hour": round(speed, 1), "x serial": round(speed / base, 2),
                    "of oracle": round(speed / best, 2),
                    "checks": round(statistics.mean(run.checks for run in runs), 1),
                    "wasted": round(statistics.mean(run.wasted for run in runs), 1),
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
    counts = size.pick((4, 16, 64), (4, 16), (4,))
    rows = simulated(counts, size.pick(10, 3, 1))
    with patch.dict(os.environ, GIT_ENV):
        real = candidates(size.pick(20_000, 20_000, 50), size.pick(64, 16, 2))
    best = {row["kind"]: row for row in rows if row["changes"] == counts[-1]}
    merge, warm = real[0]["seconds"], real[-1]["seconds"]
    worst = f"{counts[-1]} changes, {best['queue']['failing']} failing"
    return Found(
        [Table("landing, simulated", rows), Table("landing, candidates", real)],
        [
            Figure(f"landings an hour, x serial ({worst})", best["queue"]["x serial"], "x"),
            Figure(f"landings an hour, of the oracle's ({worst})", best["queue"]["of oracle"], "x"),
            Figure("a candidate / checkout and merge, warm", merge / warm, "x"),
        ],
    )
