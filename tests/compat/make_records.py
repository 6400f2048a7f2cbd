"""Writes `records/`: examples of every record, by the writers of the version that is named below.

    python -m tests.compat.make_records FOLDER

makes them in FOLDER (`records/` when they are made for good). It calls writers of the package, so
it works with the version that README.md names and with no other; it is kept to show where the
files come from. What is read back from them is in the twins `<example>.json`, which `twin` makes
through `adapters.py`; those are never made again for a later version.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from orchestr.cell import amendment, approval, opinion, rounds
from orchestr.cell import attempt as attempts
from orchestr.cell.records import (
    Evidence,
    Head,
    Implemented,
    Marker,
    Outcome,
    Planned,
    Published,
)
from orchestr.checks.base import CheckResult, Failure
from orchestr.checks.cache import ResultCache, as_dict, key_of
from orchestr.files import write_json, write_toml
from orchestr.forges import shelf
from orchestr.forges.base import PRState, PullRequest
from orchestr.landing import records as land
from orchestr.landing.book import Book
from orchestr.launch import Exit, Launch, Presence, Reason
from orchestr.locks import FlockLock, LeaseRecord
from orchestr.registry import Entry, Registry
from orchestr.spec import cache as spec_cache
from orchestr.spec.proof import CheckKind, CommandCheck
from orchestr.spec.reader import compile_spec
from tests.compat.adapters import READERS, plain

HERE = Path(__file__).parent
ONE, TWO, THREE, FOUR = ("1" * 40, "2" * 40, "3" * 40, "4" * 40)
LONG = "a" * 64  # a repository with sha256
KEY, OTHER = "0123456789abcdef0123", "fedcba98765432100123"
AT, LATER = "2026-11-20T23:04:24.623+00:00", "2026-11-20T23:09:01.002+00:00"
ROOT = "/home/tess/shop"
ODD = 'Ünïcode, "quotes", \\ and\nlines\t\u2026'


class Maker:
    """Hands out a new folder for each example."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, kind: str, name: str) -> Path:
        folder = self.root / kind / name
        folder.mkdir(parents=True)
        return folder


def results(new: Maker) -> None:
    """What the phases leave."""
    Marker("T-1-low", ONE, "main").write(new("worktree", "least"))
    Marker("T-1-high", ONE, "T-1-low", {"low": TWO, "far-away": f"{THREE} {FOUR}"}, KEY).write(
        new("worktree", "full")
    )
    Marker("ünï/cöde", LONG, "release/1.x", {}, OTHER).write(new("worktree", "sha256"))

    Planned(KEY, "").write(new("plan", "least"))
    Planned(KEY, OTHER, 3, LATER).write(new("plan", "full"))

    for outcome in Outcome:
        Implemented(KEY, ONE, TWO, THREE, outcome).write(new("implement", str(outcome)))
    Implemented(KEY, ONE, TWO, THREE, Outcome.NO_CHANGE_NEEDED, 4, ODD, FOUR).write(
        new("implement", "full")
    )

    for outcome in Outcome:
        Head(ONE, TWO, THREE, "T-1-low", outcome).write(new("head", str(outcome)))
    Head(ONE, TWO, THREE, "T-1-low", Outcome.CHANGED, FOUR).write(new("head", "anchor"))
    Head(LONG, "b" * 64, "c" * 64, "T-1-low", Outcome.CHANGED).write(new("head", "sha256"))

    Published(KEY, ONE, "none").write(new("publish", "none"))
    Published(KEY, ONE, "local://app/pull/12", "feat: it (T-1)").write(new("publish", "full"))
    Published("", ONE, "https://github.com/tess/app/pull/7", ODD).write(new("publish", "odd"))

    row = {"name": "unit", "kind": "pytest", "passed": False, "detail": "2 of 9 failed",
           "tests": 9, "failures": ["tests/test_a.py::test_b", ODD]}  # fmt: skip
    none = {"name": "lint", "kind": "command", "passed": True, "detail": "exit 0", "tests": None,
            "failures": []}  # fmt: skip
    said = opinion.as_row(OPINION)
    folder = new("evidence", "least")
    Evidence(ONE, KEY).write(folder / "checks.json")
    Evidence(ONE, KEY).write(folder / "review.json")
    folder = new("evidence", "full")
    Evidence(TWO, KEY, (row, none), ONE, True).write(folder / "checks.json")
    Evidence(THREE, OTHER, (said,), TWO, True, (none, row)).write(folder / "review.json")
    folder = new("evidence", "no-checks-again")
    Evidence(TWO, KEY, (none,), ONE).write(folder / "checks.json")
    Evidence(TWO, OTHER, (), TWO, False, ()).write(folder / "review.json")
    folder = new("evidence", "before-origin")  # as files without `origin` and `partial` are read
    folder.joinpath("checks.json").write_text(json.dumps({"head": ONE, "key": KEY, "items": []}))


OPINION = opinion.Opinion(
    "eve",
    "I read it.",
    (
        opinion.Issue("It is bad", ODD, opinion.Severity.BLOCKER, ("a.py:3", "b.py"), "line 3"),
        opinion.Issue("A claim", "", opinion.Severity.BLOCKER),
        opinion.Issue("Old", "", opinion.Severity.TECH_DEBT, ("c d.py",), "see there"),
        opinion.Issue("Small", "", opinion.Severity.SKIPPABLE),
    ),
)


def tries(new: Maker) -> None:
    """Attempts, plans, repairs, answers of people and reviewers."""
    folder = new("attempts", "least")
    attempts.write(folder, attempts.Attempt(1, KEY, "sh", ONE))
    folder = new("attempts", "history")
    for number, outcome in enumerate(("done", "failed", "aborted", "superseded", "forgotten"), 1):
        attempts.write(
            folder,
            attempts.Attempt(number, KEY, "claude", ONE, "sonnet", "closed", outcome, ODD,
                             "20261120T230423Z-91f2" if number == 2 else "", AT, LATER,
                             f"{number:016x}"),
        )  # fmt: skip
    attempts.ask_fresh(folder, "20261121T000000Z-0001")
    folder = new("attempts", "answered-fresh")
    attempts.write(folder, attempts.Attempt(1, KEY, "sh", ONE, fresh="20261120T230423Z-91f2"))
    attempts.ask_fresh(folder, "20261120T230423Z-91f2")
    for state in ("check", "review"):
        folder = new("attempts", f"open-in-{state}")
        attempts.write(folder, attempts.Attempt(10, OTHER, "sh", ONE, state=state, opened_at=AT,
                                                token="ab" * 8))  # fmt: skip
        attempts.write(folder, attempts.Attempt(9, OTHER, "sh", ONE, state="closed",
                                                outcome="failed", token="ab" * 8))  # fmt: skip
    folder = new("attempts", "plans")
    attempts.write(folder, attempts.Attempt(-1, KEY, "sh", ONE, "", "closed", "done", "", "", AT,
                                            LATER, "cd" * 8))  # fmt: skip
    attempts.write(folder, attempts.Attempt(-2, OTHER, "sh", ONE, "m", opened_at=AT,
                                            token="ef" * 8))  # fmt: skip
    attempts.write(folder, attempts.Attempt(1, KEY, "sh", ONE, state="closed", outcome="done"))

    folder = new("supervised", "waiting")
    launch(folder, full=False)
    folder = new("supervised", "lost")
    launch(folder, full=True)
    Presence(4194999, 1.5, AT, 4194998, 2.25).write(folder)
    folder = new("supervised", "never-started")
    Presence(4194999, 1.5, AT).write(folder)
    for reason in Reason:
        folder = new("supervised", f"exit-{reason}")
        code = 0 if reason is Reason.EXITED else None
        signal = None if code == 0 else 15
        Exit(code, signal, reason).write(folder)
    folder = new("supervised", "exit-full")
    Exit(75, None, Reason.EXITED, ODD, "come back later", AT, LATER, 276.379, 1 << 40, 3).write(
        folder
    )

    folder = new("rounds", "series")
    history = [
        rounds.Round(1, "check", ONE, ONE, KEY, "check state: RED", 1, "changed", TWO, "", False),
        rounds.Round(2, "check", ONE, TWO, KEY, ODD, 2, "unchanged", TWO, ODD, True),
        rounds.Round(3, "review", ONE, TWO, OTHER, "1 blocker", 3, "refused", TWO, "why not"),
        rounds.Round(4, "check", ONE, TWO, OTHER, "red", 4, "failed", TWO, "exit 1"),
        rounds.Round(5, "check", ONE, TWO, OTHER, "red", 5, "aborted", TWO),
        rounds.Round(6, "check", ONE, TWO, OTHER, "red", 6, "void", TWO),
        rounds.Round(10, "check", ONE, TWO, OTHER, "red", 7),
    ]
    for one in history:
        rounds.begin(folder, 1, one, f"words of {one.number}\n")

    folder = new("approvals", "plan")
    approval.Decision("plan", "approved", KEY, AT).write(folder)
    folder = new("approvals", "both")
    approval.Decision("plan", "refused", KEY, AT, "Tess Tester", "tess@example.org", "tess",
                      ODD).write(folder)  # fmt: skip
    approval.Decision("publish", "approved", OTHER, LATER, "", "", "tess").write(folder)

    item = amendment.Item("low", "api/*.txt", "it needs v2", "Amend api/a.txt for cell high: v2")
    amendment.Amendment(KEY, 1, "it asks", (item,)).write(new("amendment", "least"))
    amendment.Amendment(
        OTHER, 3, ODD,
        (item, amendment.Item("far", "b/**", ODD, ODD, "attempts/3/amendment-far.diff", 2)), AT,
    ).write(new("amendment", "full"))  # fmt: skip

    folder = new("opinion", "answered")
    request = {"head": ONE, "agent": "reader", "model": "m", "name": "eve", "case": KEY}
    write_json(folder / "request.json", request)
    write_json(folder / "opinion.json", opinion.as_row(OPINION))
    folder = new("opinion", "asked")
    write_json(folder / "request.json", {**request, "model": ""})
    folder = new("opinion", "nothing-found")
    write_json(folder / "request.json", request)
    write_json(folder / "opinion.json", opinion.as_row(opinion.Opinion("eve", "", ())))


def launch(folder: Path, *, full: bool) -> None:
    """`launch.json`."""
    tree = f"{ROOT}/.orchestr/worktrees/f/c"
    if not full:
        Launch(("sh", "agent.sh"), tree, {}, "f/c/1/x").write(folder)
        return
    Launch(
        ("claude", "-p", ODD), tree, {"PATH": "/usr/bin:/bin", "ODD": ODD}, "f/c/1/x",
        f"{ROOT}/prompt.md", "json", 1800.0, 600.5, 60.0, 0.25, 4096,
    ).write(folder)  # fmt: skip


def workspace(new: Maker) -> None:
    """Registry, locks, pauses, caches, the local forge."""
    folder = new("registry", "empty")
    Registry(folder / "registry.json", folder / "lock").remove("nobody/nothing")
    write_json(folder / "registry.json", {"schema": 1, "entries": {}, "branches": {}})
    folder = new("registry", "full")
    registry = Registry(folder / "registry.json", folder / "lock")
    common, trees = f"{ROOT}/repos/app/.git", f"{ROOT}/.orchestr/worktrees"
    registry.reserve(Entry("f/a", "app", common, f"{trees}/f/a", "T-1-a", ONE, AT))
    registry.reserve(
        Entry("f/b", "app", common, f"{trees}/f/b", "T-1-b", "", AT, ports=(9000, 9001, 9002))
    )
    registry.touch_phase("f/b", "check")
    registry.reserve(Entry("g/c", "web", f"{ROOT}/web.git", f"{trees}/g/c", "ünï", TWO, LATER))
    registry.touch_phase("g/c", "publish")
    registry.release("g/c")
    (folder / "lock").unlink()
    for old in (new.root / "registry").glob("*/lock"):
        old.unlink()

    record = LeaseRecord(4194999, 1764630000.25, "another.example.org", "tess",
                         "orchestr run f --jobs 2", AT, ("f", "g"), 2, "ab" * 8)  # fmt: skip
    for name, one in (("another-host", record), ("free", None), ("torn", record)):
        with FlockLock(new("lease", name) / "feature-demo.lock") as lock:
            data = b"" if one is None else _dump(one)
            lock.write(data[: len(data) // 2] if name == "torn" else data)

    folder = new("pause", "far")
    far = {"until": 32503680000.0, "wait": 60.0, "refusal": "f/c/1/x/1"}
    write_json(folder / "pause-anthropic.json", far)
    write_json(folder / "pause-over.json", {"until": 1.0, "wait": 0, "refusal": ""})

    forge(new)

    feature = compile_spec((HERE / "full_spec.yaml").read_bytes(), "specs/full.yaml", "d" * 64,
                           ("sh",))  # fmt: skip
    folder = new("spec-cache", "full")
    key = spec_cache.key_of("specs/full.yaml", "d" * 64, ("sh",))
    spec_cache.save(folder, "specs/full.yaml", key, feature)
    write_json(folder / "key.json", {"name": "specs/full.yaml", "key": key})

    folder = new("check-cache", "passed")
    definition = CommandCheck(name="unit", run=("true",), timeout=60.0)
    log = folder / "unit.log"
    log.write_text("fine\n")
    done = CheckResult("unit", CheckKind.COMMAND, True, "exit 0", (), (), 0.25, 0, "unit.log", "",
                       3, 1, 1764630000.5)  # fmt: skip
    key = key_of(definition, TWO, {})
    ResultCache(folder).save(key, done)
    red = CheckResult(
        "unit", CheckKind.JUNIT, False, ODD,
        (Failure("a::b"), Failure("c", file="t.py", message=ODD)), ("x.png",), 1.0, -9, "unit.log",
        "/somewhere", 9, 2, 2.0, True, True,
    )  # fmt: skip
    write_json(folder / "key.json", {"key": key, "row": as_dict(red)})

    folder = new("cross-checks", "two")
    rows = [{"name": "x", "kind": "command", "passed": True, "detail": "exit 0", "tests": None,
             "failures": []}]  # fmt: skip
    write_json(folder / "cross-checks.json", {"schema": 1, "repos": {
        "app": {"key": KEY, "passed": True, "told": "1 of 1 checks passed", "commit": ONE,
                "rows": rows},
        "web": {"key": OTHER, "passed": False, "told": "a and b conflict in x", "rows": []},
        "odd": {"key": OTHER},
    }})  # fmt: skip
    small_files(new)


def small_files(new: Maker) -> None:
    """Files that are read by key, without a record of their own."""
    folder = new("raw", "cell")
    write_json(folder / "checking.json", {"schema": 1, "head": ONE, "left": f"{ROOT}/left"})
    write_toml(folder / "landing.toml", {"schema": 1, "number": 2, "head": ONE})
    write_toml(folder / "links.toml", {"schema": 1, "links": {"a": "local://app/pull/1",
                                                              "b": "none"}})  # fmt: skip
    folder.joinpath("inputs.json").write_text(json.dumps({"schema": 1, "phases": {
        "worktree": {"repo": "app", "setup": [], "upstream low": TWO},
        "check": {"checks": [{"kind": "command", "run": ["true"]}], "repos.app.detect": False},
    }}, indent=1))  # fmt: skip
    folder = new("raw", "attempt")
    write_json(folder / "branches.json", {"T-1-a": ONE, "T-1-b": ""})
    write_json(folder / "given-back.json", {"ended": 1, "paths": ["README.md", "a b/c"]})
    write_json(folder / "before.json", {"picture": ONE})
    folder.joinpath("session").write_text("0a1b2c3d-0000-4000-8000-000000000000")
    folder.joinpath("begins.1").write_text("4096")
    folder.joinpath("notes.txt").write_text(ODD)
    folder = new("raw", "clone")
    write_json(folder / "surroundings.json", {
        "schema": 1, "config": "W2NvcmVdCg==", "hooks": {"pre-push": [493, "IyEvYmluL3NoCg=="]},
        "refs": {"refs/heads/main": ONE}, "stash": [[TWO, "WIP"]], "origin": {"main": ONE},
        "holders": ["f/a", "f/b"],
    })  # fmt: skip
    folder = new("raw", "programs")
    write_json(folder / "versions.json", {"/usr/bin/claude": [1764630000000000000, 123, "2.0.1"]})
    streams = HERE.parent / "agents" / "streams"
    folder = new("transcripts", "recorded")
    for path in sorted(streams.glob("*.jsonl")):
        shutil.copyfile(path, folder / path.name)
    lines = [
        {"ts": AT, "stream": "stdout", "text": "working"},
        {"ts": AT, "stream": "stderr", "text": "warning: x", "more": True},
        {"ts": LATER, "stream": "stdout", "text": "ORCHESTR no_change_needed: it is there"},
    ]
    folder.joinpath("command-lines.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))


def _dump(record: LeaseRecord) -> bytes:
    from orchestr import locks

    return locks._dump(record)


def forge(new: Maker) -> None:
    """Pull requests of the local forge."""
    folder = new("forge", "several")
    least = PullRequest(1, "local://app/pull/1", "t", "", "T-1-a", "main", ONE, True,
                        PRState.OPEN, AT, AT)  # fmt: skip
    full = PullRequest(2, "local://app/pull/2", ODD, f"{ODD}\n<!-- mark -->\n", "T-1-b", "T-1-a",
                       TWO, False, PRState.MERGED, AT, LATER, "success", "approved",
                       THREE)  # fmt: skip
    gone = PullRequest(11, "local://app/pull/11", "t", "b", "T-1-c", "main", LONG, False,
                       PRState.CLOSED, AT, LATER)  # fmt: skip
    shelf.create(folder, shelf.Kept(least))
    shelf.create(folder, shelf.Kept(full, FOUR))
    shelf.write(folder, shelf.Kept(gone, ONE))
    shelf.add_comment(folder, 2, "first")
    shelf.add_comment(folder, 2, ODD)


LANE, FAR = land.Lane("app", "main"), land.Lane("web", "")
LOW = land.Change("f/low", LANE, ONE, 0, "f")
HIGH = land.Change("f/high", LANE, TWO, 1, "f", ("f/low",), "its review is not done",
                   frozenset({"b.txt", "a.txt"}))  # fmt: skip
BACK = land.Change("f/low~undo", FAR, THREE, 2, "f~rollback", (), "", None, "f/low")


def landing(new: Maker) -> None:
    """The queue's book: every event."""
    spec = land.Spec(LANE, (("f/low", ONE),), FOUR)
    both = land.Spec(LANE, (("f/low", ONE), ("f/high", TWO)), FOUR)
    every: list[Any] = [
        land.Started(("f", "f~rollback")), land.Offered(LOW), land.Offered(HIGH, True),
        land.Offered(BACK), land.TargetSeen(LANE, FOUR), land.TargetSeen(FAR, ONE),
        land.Made(spec, THREE, TWO), land.Conflicted(both, "f/high", ("a.txt", ODD)),
        land.Checked(spec, THREE, False, ODD), land.Checked(spec, THREE, True),
        land.GroupOpened("f", ("f/low", "f/high")),
        land.GroupClosed("f", ("f/low",), ("f/high",)), land.LandIntended(spec, THREE),
        land.Landed(spec, THREE, THREE, ((FOUR, THREE),)), land.Landed(both, THREE, ONE),
        land.NotLanded(spec, TWO), land.NotLanded(spec, TWO, "protected branch"),
        land.Split(both),
        *(land.RepairStarted("f/high", trouble, n, ODD) for n, trouble in enumerate(land.Trouble)),
        land.RepairStarted("f/high", land.Trouble.RED, 9),
        land.Repaired("f/high", LONG, frozenset({"c"})), land.Repaired("f/high", LONG),
        *(land.Parked("f/high", trouble, ODD) for trouble in land.Trouble),
        land.Retargeted("f/low"), land.Verified("f/low", "merged"), land.Verified("f/low"),
        land.Lost("f/low"),
    ]  # fmt: skip
    folder = new("landing-book", "every-event")
    book = Book(folder / "queue.jsonl", "20261120T230423Z-91f2")
    for event in every:
        book.append(event)
    story: list[Any] = [
        land.Started(("f",)), land.TargetSeen(LANE, FOUR), land.Offered(LOW),
        land.Offered(land.Change("f/high", LANE, TWO, 1, "f", ("f/low",))),
        land.Made(spec, THREE, TWO), land.Checked(spec, THREE, True, "1 of 1 checks passed"),
        land.GroupOpened("f", ("f/low", "f/high")), land.LandIntended(spec, THREE),
        land.Landed(spec, THREE, THREE, ((FOUR, THREE),)), land.Retargeted("f/low"),
        land.Verified("f/low", "merged"),
    ]  # fmt: skip
    for length in range(3, len(story) + 1, 2):
        book = Book(new("landing-book", f"story-{length:02}") / "queue.jsonl")
        for event in story[:length]:
            book.append(event)
    folder = new("landing-book", "later-version")
    book = Book(folder / "queue.jsonl")
    book.append(story[0])
    with (folder / "queue.jsonl").open("a") as stream:
        for data in ({"event": "Unheard"}, {"event": "Lost"}, {"event": "Lost", "key": 7}):
            line = {"v": 1, "ts": AT, "kind": "land.queue", "data": data}
            stream.write(json.dumps(line) + "\n")
        stream.write('{"v":1,"ts":"2026')
    book.append(story[1])


def twin(folder: Path) -> Any:
    """What is read back from an example; of a copy, since readers set aside what is broken."""
    with tempfile.TemporaryDirectory() as place:
        copy = shutil.copytree(folder, Path(place) / "it")
        return plain(READERS[folder.parent.name](copy))


def main(root: Path) -> None:
    """Make all of them below ``root``, which must not be there."""
    new = Maker(root)
    for part in (results, tries, workspace, landing):
        part(new)
    for folder in sorted(p for p in root.glob("*/*") if p.is_dir()):
        text = json.dumps(twin(folder), indent=1, sort_keys=True, ensure_ascii=False)
        folder.with_name(f"{folder.name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
