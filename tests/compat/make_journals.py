"""Writes the journals that no run makes by itself: every kind of event, and odd histories.

    python -m tests.compat.make_journals FOLDER

Plain text, made without the package: they are what 0.1.0 wrote (fields and their order looked up
where it emitted them), its kinds with all fields, then what kills, other versions and people do to
a file. The views beside them come from `adapters.views_of` of that version.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.compat.adapters import read_events, views_of

ONE, TWO, THREE = "1" * 40, "2" * 40, "3" * 40
KEY = "0123456789abcdef0123"
BEGIN = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
HINT = "orchestr run demo"
USED = {"cost_usd": 0.25, "cost_known_usd": 0.25, "tokens": [1200, 1000, 34], "session": "s-1"}
UNKNOWN = {"cost_usd": None, "cost_known_usd": 0.0, "tokens": None, "session": None}


class Story:
    """Lines of one journal; each is a second and a half later than the one before."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.run = ""
        self.runs = 0
        self.at = BEGIN

    def __call__(
        self, kind: str, cell: str = "", phase: str = "", attempt: int = 0, **data: Any
    ) -> Story:
        self.at += timedelta(seconds=1.5)
        line: dict[str, Any] = {"v": 1, "ts": self.at.isoformat(timespec="milliseconds"),
                                "kind": kind}  # fmt: skip
        rest = {"run": self.run, "feature": "demo", "cell": cell, "phase": phase,
                "attempt": attempt, "data": data}  # fmt: skip
        line |= {name: value for name, value in rest.items() if value}
        self.lines.append(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n")
        return self

    def begin(self, *cells: str, force: bool = False, fresh: bool = False) -> Story:
        """A run starts."""
        self.runs += 1
        self.run = f"20261120T2300{self.runs:02}Z-{self.runs:04x}"
        return self("run.started", goals=["demo"], pid=4190000 + self.runs, cells=list(cells),
                    force=force, fresh=fresh)  # fmt: skip

    def end(self, code: int = 0) -> Story:
        """It ends."""
        return self("run.finished", exit=code)

    def phase(self, cell: str, phase: str, why: str = "it was not done yet", **out: Any) -> Story:
        """A phase that ends well."""
        self("phase.started", cell, phase, why=why)
        number = out.pop("attempt", 0)
        return self("phase.done", cell, phase, number, seconds=1.5, made=True, **out)

    def attempt(self, cell: str, number: int = 1, **used: Any) -> Story:
        """An attempt that ends well, with its phase."""
        self("phase.started", cell, "implement", why="it was not done yet")
        self("attempt.opened", cell, "implement", number, key=KEY, agent="sh", model="m", start=ONE)
        self("attempt.started", cell, "implement", number, pid=4190100, agent="sh")
        self("attempt.exited", cell, "implement", number, code=0, signal=None, reason="exited",
             seconds=12.25, killed=0, **(used or USED))  # fmt: skip
        self("attempt.closed", cell, "implement", number, outcome="done", reason="")
        return self("phase.done", cell, "implement", number, seconds=12.75, made=True, head=TWO,
                    tree=THREE, outcome="changed")  # fmt: skip

    def cell(self, cell: str, number: int = 1, **used: Any) -> Story:
        """All phases of a cell."""
        self.phase(cell, "worktree", branch=f"T-1-{cell}", base=ONE, base_ref="main")
        self("worktree.added", cell, "worktree", path=f"/ws/{cell}", branch=f"T-1-{cell}", base=ONE)
        self.attempt(cell, number, **used)
        self.phase(cell, "check", head=TWO)
        self.phase(cell, "review", head=TWO, tree=THREE)
        self("phase.started", cell, "publish", why="it was not published yet")
        self("push.intended", cell, "publish", branch=f"T-1-{cell}", sha=TWO, expected=None)
        self("push.done", cell, "publish", branch=f"T-1-{cell}", sha=TWO)
        self("pr.intended", cell, "publish", head=f"T-1-{cell}", base="main")
        url = f"local://app/pull/{cell}"
        self("pr.opened", cell, "publish", url=url, draft=True)
        return self("phase.done", cell, "publish", seconds=0.5, made=True, url=url)


def every_kind() -> Story:
    """Each kind with all the data that 0.1.0 gave it, in an order that may happen."""
    s = Story()
    s.begin("low", "high", "hand")
    s("forge.away", repo="web", reason="timed out", hint="the same command")
    s("forge.away", "far", "worktree", repo="web", reason="timed out")
    s("forge.waits", host="api.example.org", reason="rate limit", wait_s=12.5)
    s("pr.seen", "old", url="local://app/pull/9", state="open", draft=False, checks="pending",
      review="review_required")  # fmt: skip
    s("run.forced", names=["low"], fresh=True, id=s.run)
    s("cell.forgotten", "low", attempt=1, phases=["worktree", "implement", "check"],
      moved=["implement.toml"], fresh=True, force=s.run)  # fmt: skip
    s("phase.started", "low", "worktree", why="its setup changed",
      changes=[{"field": "setup[0]", "old": "make", "new": None}])  # fmt: skip
    s("worktree.added", "low", "worktree", path="/ws/low", branch="T-1-low", base=ONE)
    s("phase.done", "low", "worktree", seconds=0.25, made=True, branch="T-1-low", base=ONE,
      base_ref="main", path="/ws/low", changed=True)  # fmt: skip
    s("phase.started", "low", "plan", why="it was not planned yet")
    s("attempt.opened", "low", "plan", -1, key=KEY, agent="claude", model="", start=ONE)
    s("attempt.started", "low", "plan", -1, pid=4190001, agent="claude")
    s("attempt.exited", "low", "plan", -1, code=0, signal=None, reason="exited", seconds=3.5,
      killed=0, **USED)  # fmt: skip
    s("attempt.closed", "low", "plan", -1, outcome="done", reason="")
    s("approval.asked", "low", "plan", gate="plan", digest=KEY,
      reason="waits for your approval of its plan", hint="orchestr approve demo:low")  # fmt: skip
    s("approval.refused", "low", "plan", gate="plan", digest=KEY, name="Tess Tester",
      email="tess@example.org", user="tess", reason="too long", hint=HINT)  # fmt: skip
    s("approval.asked", "low", "plan", gate="plan", digest=KEY, reason="again", hint=HINT)
    s("approval.given", "low", "plan", gate="plan", digest=KEY, name="", email="", user="tess",
      reason=None, hint=HINT)  # fmt: skip
    s("phase.started", "low", "plan", why="tess approved its plan")
    s("phase.done", "low", "plan", seconds=9.0, made=True, plan=1, approved_by="tess")
    s("phase.started", "low", "implement", why="its result was removed")
    s("attempt.opened", "low", "implement", 2, key=KEY, agent="claude", model="sonnet", start=ONE)
    s("attempt.limited", "low", "implement", 2, until=1795216200.5, wait_s=60.0, agent="claude",
      reason="usage limit of anthropic")  # fmt: skip
    s("attempt.started", "low", "implement", 2, pid=4190002, agent="claude")
    s("attempt.exited", "low", "implement", 2, code=1, signal=None, reason="exited", seconds=5.0,
      killed=2, cost_usd=None, cost_known_usd=0.125, tokens=[10, 0, 2], session="s-1")  # fmt: skip
    s("attempt.limited", "low", "implement", 2, until=1795216260.0, wait_s=60.0, agent="claude")
    s("attempt.adopted", "low", "implement", 2, state="lost")
    s("attempt.adopted", "low", "implement", 2, state="running")
    s("attempt.exited", "low", "implement", 2, code=None, signal=15, reason="timeout", seconds=9.5,
      killed=0, **USED)  # fmt: skip
    s("attempt.given-back", "low", "implement", 2, reason="changed outside owned_paths: README.md")
    s("attempt.closed", "low", "implement", 2, outcome="done", reason="")
    s("phase.done", "low", "implement", 2, seconds=20.0, made=True, head=TWO, tree=THREE,
      outcome="no_change_needed", reason="it is there", changed=True)  # fmt: skip
    s("cell.waiting", "low", "check", reason="all 20 blocks of ports are in use")
    s("cell.waiting", "low", "check", over=True)
    s("phase.started", "low", "check", why="its checks changed")
    s("check.done", "low", "check", name="unit", check="pytest", passed=False, detail="2 failed",
      seconds=1.25, cached=False, log="/ws/log")  # fmt: skip
    s("repair.opened", "low", "check", 2, round=1, of=4, why="check unit: RED")
    s("attempt.started", "low", "check", 2, pid=4190003, agent="claude", round=1)
    s("attempt.exited", "low", "check", 2, code=0, signal=None, reason="exited", seconds=2.0,
      killed=0, round=1, **{**USED, "cost_usd": 0.5, "cost_known_usd": 0.5})  # fmt: skip
    s("repair.closed", "low", "check", 2, round=1, outcome="changed", head=THREE, detail="")
    s("check.done", "low", "check", name="unit", check="pytest", passed=True, detail="exit 0",
      seconds=1.0, cached=True, log="/ws/log")  # fmt: skip
    s("cell.warned", "low", "check", reason="tests were not seen to fail")
    s("phase.done", "low", "check", seconds=6.0, made=True, head=THREE, partial=True)
    s("phase.started", "low", "review", why="its head changed")
    for n, who in enumerate(("eve", "bob"), 1):
        part = {"reviewer": who, "part": f"review-{n}-{who}"}
        s("attempt.started", "low", "review", 2, **part, pid=4190003 + n, agent="reader")
        s("attempt.adopted", "low", "review", 2, **part, state="exited")
        s("attempt.limited", "low", "review", 2, **part, until=1795216300, wait_s=1.0, agent="r")
        s("attempt.exited", "low", "review", 2, **part, code=0, signal=None, reason="exited",
          seconds=1.0, killed=0, **UNKNOWN)  # fmt: skip
        s("review.done", "low", "review", 2, reviewer=who, verdict="1 blocker, 2 others",
          blockers=1, others=2)  # fmt: skip
    s("repair.opened", "low", "review", 2, round=2, of=3, why="1 blocker")
    s("repair.closed", "low", "review", 2, round=2, outcome="refused", head=THREE, detail="no")
    s("phase.done", "low", "review", seconds=8.0, made=True, head=THREE, tree=TWO, partial=False)
    s("approval.asked", "low", "publish", gate="publish", digest=KEY, reason="waits", hint=HINT)
    s("approval.given", "low", "publish", gate="publish", digest=KEY, name="Tess Tester",
      email="tess@example.org", user="tess", reason=None, hint=HINT)  # fmt: skip
    s("phase.started", "low", "publish", why="Tess Tester approved what it would publish")
    s("push.intended", "low", "publish", branch="T-1-low", sha=THREE, expected=ONE)
    s("push.done", "low", "publish", branch="T-1-low", sha=THREE)
    s("pr.intended", "low", "publish", head="T-1-low", base="main")
    s("pr.opened", "low", "publish", url="local://app/pull/1", draft=True)
    s("pr.updated", "low", "publish", url="local://app/pull/1", draft=False)
    s("phase.done", "low", "publish", seconds=0.5, made=True, url="local://app/pull/1")
    s("phase.started", "high", "implement", why="it was not done yet")
    s("phase.failed", "high", "implement", reason="it asks for a change", hint="orchestr amend",
      seconds=1.0, aborted=False)  # fmt: skip
    s("cell.blocked", "last", "worktree", upstream="high", reason="upstream high failed", hint=HINT)
    s("cell.blocked", "late", upstream="gate", reason="waits for the approval of upstream gate",
      state="approval", hint="orchestr approve demo:gate")  # fmt: skip
    s("phase.failed", "gate", "publish", reason="waits", hint=HINT, seconds=1.0, aborted=False,
      gate="publish", state="approval")  # fmt: skip
    s("phase.failed", "refused", "publish", reason="refused", hint=HINT, seconds=1.0,
      aborted=False, gate="publish", state="needs_person")  # fmt: skip
    s("phase.failed", "stopped", "check", reason="aborted", aborted=True, hint=HINT)
    s("cell.amended", "high", attempt=1, owner="low", contract="api/*.txt", todo="Amend api/a.txt")
    s("cell.adopted", "old", "implement", url="local://app/pull/9", head=TWO, state="merged")
    s("check.done", name="xtest", check="command", repo="tests", passed=True, detail="exit 0",
      seconds=2.0, cached=False, log="/ws/log")  # fmt: skip
    s("run.finished", exit=1, forge={"requests": 12, "points": 3, "remaining": 4997})
    s.run = "20261121T000000Z-land"
    s("land.repair", "low", number=1, trouble="merge_conflict", reason="conflicts in a.txt")
    s("land.done", "low", target="main", commit=THREE, before=ONE, head=TWO)
    s("land.parked", "gate", state="merge_conflict", reason="conflicts", hint="git status")
    s("land.parked", "refused", state="needs_person", reason="red", hint="look")
    s("land.update", "high", old=ONE, new=TWO)
    s("pr.seen", "low", url="local://app/pull/1", state="merged", draft=False, checks="success",
      review="approved")  # fmt: skip
    s("worktree.removed", "low", path="/ws/low", head=TWO)
    s("land.undone", "low", target="main", commit=TWO, before=THREE, head=TWO)
    s("land.queue", event="Started", groups=["demo"])  # only in the queue's book; passed over
    s.run = ""
    s("cell.ignored", "high")
    s("cell.unignored", "high")
    s("cell.ignored", "last")
    return s


def killed() -> Story:
    """Runs that died at work, and the ones after them."""
    s = Story()
    s.begin("low", "high").phase("low", "worktree")
    s("phase.started", "low", "implement", why="it was not done yet")
    s("attempt.opened", "low", "implement", 1, key=KEY, agent="sh", model="", start=ONE)
    s("attempt.started", "low", "implement", 1, pid=4190001, agent="sh")
    s.begin("low", "high")  # no end of the run before
    s("attempt.adopted", "low", "implement", 1, state="running")
    s("attempt.exited", "low", "implement", 1, code=0, signal=None, reason="exited", seconds=30.0,
      killed=0, **USED)  # fmt: skip
    s.begin("low", "high")  # killed between its end and the proof
    s("attempt.adopted", "low", "implement", 1, state="exited")
    s("attempt.exited", "low", "implement", 1, code=0, signal=None, reason="exited", seconds=30.0,
      killed=0, **USED)  # fmt: skip
    s("attempt.closed", "low", "implement", 1, outcome="done", reason="")
    s("phase.done", "low", "implement", 1, seconds=0.5, made=True, head=TWO, tree=THREE,
      outcome="changed")  # fmt: skip
    s("phase.started", "low", "check", why="it was not checked yet")
    s("repair.opened", "low", "check", 1, round=1, of=4, why="red")
    s("attempt.started", "low", "check", 1, pid=4190002, agent="sh", round=1)
    s("phase.started", "high", "worktree", why="it was not done yet")
    return s


def stopped() -> Story:
    """Ctrl+C, `abort`, and going on."""
    s = Story()
    s.begin("low", "high").phase("low", "worktree")
    s("phase.started", "low", "implement", why="it was not done yet")
    s("attempt.opened", "low", "implement", 1, key=KEY, agent="sh", model="", start=ONE)
    s("attempt.started", "low", "implement", 1, pid=4190001, agent="sh")
    s("attempt.exited", "low", "implement", 1, code=None, signal=2, reason="stopped", seconds=3.0,
      killed=1, **UNKNOWN)  # fmt: skip
    s("attempt.closed", "low", "implement", 1, outcome="aborted", reason="stopped")
    s("phase.failed", "low", "implement", reason="stopped", hint=None, seconds=3.0, aborted=True)
    s.end(130)
    s.begin("low", "high")
    s("phase.started", "low", "implement", why="attempt 1 was stopped")
    s("attempt.opened", "low", "implement", 2, key=KEY, agent="sh", model="", start=ONE)
    s("attempt.closed", "low", "implement", 2, outcome="aborted", reason="orchestr abort")
    s("phase.failed", "low", "implement", reason="aborted", aborted=True, hint=HINT)
    s("phase.started", "high", "worktree", why="it was not done yet")
    return s.end(130)


def forced() -> Story:
    """`--force`, `--fresh`, `forget`, `ignore`; one of them was interrupted."""
    s = Story()
    s.begin("low", "high").cell("low").cell("high", cost_usd=None, cost_known_usd=0.0, tokens=None)
    s.end().begin("low", force=True)
    force = s.run
    s("run.forced", names=["high", "low"], fresh=False, id=force)
    s("cell.forgotten", "low", attempt=1, phases=["implement", "check"], moved=["implement.toml"],
      fresh=False, force=force)  # fmt: skip
    s.begin("low", force=True)("run.forced", names=["high", "low"], fresh=False, id=force)
    s.cell("low", 2).end()
    s.begin("high", fresh=True)("run.forced", names=["high"], fresh=True, id=s.run)
    s("cell.forgotten", "high", attempt=1, phases=["implement"], moved=[], fresh=True, force=s.run)
    s.cell("high", 2).end()
    s.run = ""
    s("cell.ignored", "high")("cell.forgotten", "high", attempt=2, phases=["check"], moved=[],
                              fresh=False, force="")  # fmt: skip
    s("cell.forgotten", "low", attempt=2, moved=[], fresh=False, force="")
    return s


def landed() -> Story:
    """Landed, rolled back, landed again, one left to a person, somebody's answer later."""
    s = Story()
    s.begin("low", "high", "far").cell("low").cell("high").cell("far").end()
    for name in ("land", "back", "more"):
        s.run = f"20261121T00000{len(name)}Z-{name}"
        kind = "land.undone" if name == "back" else "land.done"
        for cell in ("low", "high"):
            s(kind, cell, target="main", commit=THREE, before=ONE, head=TWO)
            s("pr.seen", cell, url=f"local://app/pull/{cell}", state="merged", draft=False,
              checks=None, review=None)  # fmt: skip
        s("land.repair", "far", number=1, trouble="needs_person", reason="red")
        s("land.parked", "far", state="needs_person", reason="its agent gave up", hint="look")
        s("worktree.removed", "low", path="/ws/low", head=TWO)
    s("approval.given", "far", "publish", gate="publish", digest=KEY, user="tess")
    return s.begin("far").end(1)


def damaged() -> Story:
    """Torn lines, other versions, rubbish: each counts for nothing, or for what is known of it."""
    s = Story()
    s.begin("low").phase("low", "worktree")
    whole = s.lines[-1]
    s.lines += [
        whole[: len(whole) // 2] + "\n", "\n", "null\n", "[1, 2]\n", '"text"\n', "12\n", "{}\n",
        "\x00\x00\x00\n", '{"v":1,"kind":"phase.done"}\n',
        '{"v":1,"ts":"x","kind":"phase.done","cell":"low","phase":"check"}\n',
        '{"v":1,"ts":5,"kind":"phase.done","cell":"low"}\n',
        '{"v":1,"ts":"2026-11-20T23:01:00+00:00","kind":"phase.done","cell":"low","data":[]}\n',
        '{"v":1,"ts":"2026-11-20T23:01:00+00:00","kind":"phase.done","cell":"low","attempt":"1"}\n',
    ]  # fmt: skip
    s("cell.teleported", "low", where="a newer version's kind")
    line = json.loads(s("cell.warned", "low", reason="more fields").lines.pop())
    s.lines.append(json.dumps({**line, "v": 2, "span": "x", "more": {"a": [1]}}) + "\n")
    s.cell("high")
    s.lines.append(whole[:-9])  # the torn last line
    return s


def odd_types() -> Story:
    """Data of types that no version wrote: whatever is made of it, nothing raises, and other cells
    are what they are.
    """
    s = Story()
    s.begin("low").cell("low")
    odd: list[Any] = [None, True, -1, 1e308, "", "x" * 9, [], {}, [None]]
    names = ("reason", "hint", "state", "url", "cost_usd", "cost_known_usd", "tokens", "seconds",
             "until", "round", "of", "phases", "outcome", "part", "reviewer", "verdict",
             "upstream", "exit", "code", "commit", "target", "passed", "name")  # fmt: skip
    for kind in ("phase.started", "phase.done", "phase.failed", "attempt.exited", "check.done",
                 "attempt.limited", "repair.opened", "review.done", "cell.forgotten", "pr.seen",
                 "cell.blocked", "land.done", "land.parked", "approval.asked", "approval.refused",
                 "cell.adopted", "cell.waiting", "run.finished"):  # fmt: skip
        for n, value in enumerate(odd):
            s(kind, "odd", "nowhere" if n % 2 else "check", n - 1, **dict.fromkeys(names, value))
    return s.cell("high")


def joined() -> Story:
    """A torn line that the next writer ended, as 0.1.0 does: two runs, the first killed."""
    s = Story()
    s.begin("low")("phase.started", "low", "worktree", why="it was not done yet")
    s.lines[-1] = s.lines[-1][:40] + "\n"
    return s.begin("low").cell("low").end()


STORIES = {
    "every-kind": every_kind, "killed": killed, "stopped": stopped, "forced": forced,
    "landed": landed, "damaged": damaged, "odd-types": odd_types, "joined": joined,
    "empty": Story,
}  # fmt: skip


def write(path: Path, lines: Iterable[str]) -> None:
    """A journal and what is made of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8")
    write_view(path)


def write_view(path: Path) -> None:
    """`NAME.view.json` beside `NAME.jsonl`."""
    view = views_of(read_events(path))
    text = json.dumps(view, indent=1, sort_keys=True, ensure_ascii=False)
    path.with_suffix(".view.json").write_text(text + "\n", encoding="utf-8")


def main(root: Path) -> None:
    """Make all of them."""
    for name, make in STORIES.items():
        write(root / f"{name}.jsonl", make().lines)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
