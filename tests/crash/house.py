"""Workspaces that are interrupted: the agents keep a book, and `settled` says what must hold."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from orchestr.process.lease import read_lease
from orchestr.state.journal import parse_event
from tests.conftest import git
from tests.e2e.workspace import FEATURE, PATIENCE, Spawned, Workspace, both, template, wait_for
from tests.fork_server import run_process

RUNNER = Path(__file__).with_name("runner.py")
TOP = Path(__file__).parents[2]
POOL = 3  # workspaces at once: much of a run is waiting for processes and disk

# A gate `CELL.gate` keeps the agent working until it is removed. What it makes depends on the
# cell and on what is below it only.
AGENT = """\
echo "start $ORCHESTR_CELL $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"
echo "working on $ORCHESTR_CELL"
while [ -e "$AGENT_DIR/$ORCHESTR_CELL.gate" ]; do sleep 0.05; done
if [ -f "$AGENT_DIR/$ORCHESTR_CELL.sh" ]; then . "$AGENT_DIR/$ORCHESTR_CELL.sh"; fi
cat README.md *.txt > "$ORCHESTR_CELL.new" 2>/dev/null
[ -f "$ORCHESTR_CELL.txt" ] || { echo "$ORCHESTR_CELL"; cat "$ORCHESTR_CELL.new"; } \
    > .made && rm -f "$ORCHESTR_CELL.new"
[ ! -f .made ] || [ -f "$ORCHESTR_CELL.txt" ] || mv .made "$ORCHESTR_CELL.txt"
rm -f .made
echo "end $ORCHESTR_CELL $ORCHESTR_ATTEMPT" >> "$AGENT_LOG"
"""
TWO: Mapping[str, Mapping[str, Any]] = {"low": {}, "high": {"depends_on": ["low"]}}
THREE: Mapping[str, Mapping[str, Any]] = {"one": {}, "two": {}, "three": {}}


class House(Workspace):
    """A workspace whose program can be killed at a step, and whose agents keep a book."""

    @classmethod
    def build(cls, root: Path, cells: Mapping[str, Mapping[str, Any]] = TWO, **more: Any) -> House:
        made = cls.make(root, cells=cells, agent=more.pop("agent", AGENT), **more)
        assert isinstance(made, House)
        return made

    def crash(
        self, at: str, *args: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`orchestr ARGS`, sending itself a signal ``at`` a step (see `runner`)."""
        # To count, the runner replaces all of its steps while the modules are imported one by one.
        run = subprocess.run if at == "count" else run_process
        done = run(
            [sys.executable, str(RUNNER), at, *args],
            cwd=self.root,
            env=self.env({"PYTHONPATH": str(TOP), **(env or {})}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE * 2,
        )
        assert done.returncode != -signal.SIGSEGV, both(done)  # faulthandler says where
        return done

    def kill_at(self, at: str, *args: str) -> None:
        """`orchestr ARGS`, killed ``at`` a step, or ended well where it never came there."""
        killed = self.crash(at, *args)
        assert killed.returncode in (-9, 0), both(killed)

    def steps(self, *args: str) -> list[str]:
        """The steps of an undisturbed run, as `POINT:WHEN:N NAME`."""
        book = self.root / "steps"
        done = self.crash("count", *args, env={"CRASH_STEPS": str(book)})
        assert done.returncode == 0, both(done)
        return book.read_text().splitlines()

    def close(self, *cells: str) -> None:
        """The agents of these cells work until `open`."""
        for cell in cells:
            (self.agents / f"{cell}.gate").touch()

    def open(self, *cells: str) -> None:
        for cell in cells:
            (self.agents / f"{cell}.gate").unlink(missing_ok=True)

    def book(self) -> Counter[str]:
        """`start|end CELL ATTEMPT` of every agent, counted."""
        return Counter(self.starts())

    def working(self, *cells: str, attempt: int = 1) -> None:
        """Wait until the agents of these cells have begun."""
        wait_for(
            lambda: all(self.book()[f"start {cell} {attempt}"] for cell in cells),
            f"the agents of {', '.join(cells)}",
        )

    def trees(self, repos: Iterable[str] = ("app",)) -> dict[str, str]:
        """Branch -> tree at the origins."""
        return {
            f"{repo}:{name}": git(self.repos / f"{repo}.git", "rev-parse", f"{commit}^{{tree}}")
            for repo in repos
            for name, commit in self.heads(repo).items()
        }

    def quiet(self) -> None:
        """Nothing of this workspace lives; a supervisor ends moments after its agent."""
        wait_for(lambda: not self.processes(), "the end of every process", timeout=10)

    def settled(self, cells: Iterable[str] = TWO, feature: str = FEATURE) -> None:
        """What must hold after any interruption and the same command again."""
        wanted = sorted(cells)
        opened = Counter(pr["head"] for pr in self.prs().values())
        assert opened == {self.branch(cell): 1 for cell in wanted}, opened
        for cell in wanted:
            assert self.pr(cell, feature)["head_sha"] == self.head(cell, self.repo_of(cell))
        ends = Counter(line.split()[1] for line in self.starts() if line.startswith("end "))
        assert ends == dict.fromkeys(wanted, 1), self.starts()
        begun = Counter(line for line in self.starts() if line.startswith("start "))
        assert set(begun.values()) == {1}, self.starts()
        self.sound(feature)

    def repo_of(self, cell: str) -> str:
        return self.pr(cell)["url"].split("/")[2]

    def sound(self, feature: str = FEATURE) -> None:
        """A whole journal, no lease, nothing alive."""
        journal = self.root / ".orchestr" / "journal" / f"{feature}.jsonl"
        lines = journal.read_bytes().splitlines(keepends=True)
        assert all(line.endswith(b"\n") and parse_event(line) is not None for line in lines)
        assert read_lease(self.root / f".orchestr/locks/feature-{feature}.lock") is None
        self.quiet()


H = TypeVar("H", bound=House)


def at_each(
    cases: Sequence[str],
    folder: Path,
    act: Callable[[H, str], None],
    *,
    make: Callable[..., H] = House.build,  # type: ignore[assignment]
    **build: Any,
) -> None:
    """``act`` in a workspace of its own for every case, some at once; every failure is told."""

    def one(case: str) -> str | None:
        name = "".join(c if c.isalnum() else "-" for c in case)[:60]
        house = make(folder / name, **build)
        try:
            act(house, case)
        except Exception as error:
            return f"--- {case} ---\n{type(error).__name__}: {error}"
        finally:
            house.end()
        return None

    template()  # made once, before the threads: two of them would make two
    with ThreadPoolExecutor(min(POOL, 2 * (os.cpu_count() or 1))) as pool:
        failed = [text for text in pool.map(one, cases) if text]
    assert not failed, f"{len(failed)} of {len(cases)}\n" + "\n".join(failed)


__all__ = ["FEATURE", "POOL", "THREE", "TWO", "House", "Spawned", "at_each", "both", "wait_for"]
