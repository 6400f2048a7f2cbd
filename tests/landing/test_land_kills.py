"""SIGKILL at every step of a landing, then the same command: the end of an undisturbed one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestr.process.lease import read_lease
from tests.crash.house import wait_for
from tests.crash.test_kills import points
from tests.landing.house import CHAIN, FEATURE, Yard, both, git

pytestmark = pytest.mark.slow
PLACES = ("push", "bench", "branch", "edit", "merged", "write", "commits")


def thin(cases: list[str], step: int) -> list[str]:
    """Every ``step``-th case; all of them, ten minutes' worth, with KILL_ALL in the environment."""
    return cases if "KILL_ALL" in os.environ else cases[::step]


@dataclass
class Copies:
    """A built workspace that is put back, at its place, for every case; what an undisturbed
    landing makes of it.
    """

    root: Path
    kept: Path
    cells: dict[str, dict[str, object]]
    code: int = 0
    steps: list[str] = None  # type: ignore[assignment]
    trees: dict[str, str] = None  # type: ignore[assignment]
    states: dict[str, str] = None  # type: ignore[assignment]
    book: dict[str, int] = None  # type: ignore[assignment]
    verb: str = "land"
    twice: tuple[str, ...] = ()  # the cells that land twice

    @classmethod
    def of(
        cls, yard: Yard, cells: dict[str, dict[str, object]], code: int = 0, verb: str = "land",
        twice: tuple[str, ...] = (),
    ) -> Copies:  # fmt: skip
        made = cls(yard.root, yard.root.with_name("kept"), cells, code, verb=verb, twice=twice)
        shutil.copytree(yard.root, made.kept, symlinks=True)
        steps = yard.root / "steps"
        done = yard.crash("count", verb, FEATURE, env={"CRASH_STEPS": str(steps)})
        assert done.returncode == code, both(done)
        made.steps = steps.read_text().splitlines()
        made.trees, made.states = made.ends(yard), yard.states()
        made.book = dict(yard.book())
        return made

    def again(self) -> Yard:
        shutil.rmtree(self.root)
        shutil.copytree(self.kept, self.root, symlinks=True)
        return Yard(self.root)

    @staticmethod
    def ends(yard: Yard) -> dict[str, str]:
        mains = {repo: yard.main(repo) for repo in ("app", "web")}
        return {
            repo: git(yard.repos / f"{repo}.git", "rev-parse", f"{sha}^{{tree}}")
            for repo, sha in mains.items()
        }

    def each(self, cases: list[str], more: Callable[[Yard], None] | None = None) -> None:
        """Kill at each case, land again, expect what an undisturbed landing made."""
        failed = []
        for case in cases:
            yard = self.again()
            try:
                killed = yard.crash(case, self.verb, FEATURE)
                assert killed.returncode in (-9, self.code), both(killed)
                if more is not None:
                    more(yard)
                done = yard.run(self.verb, FEATURE, code=self.code)
                assert self.ends(yard) == self.trees, both(done)
                assert yard.states() == self.states
                for repo in ("app", "web"):
                    history = yard.history(repo)
                    times = 1 if self.verb == "land" else 2  # landed, and reverted
                    more_often = [cell for cell in self.twice if cell in history]
                    assert len(set(history)) * times == len(history) - len(more_often), history
                yard.always_green()
                assert dict(yard.book()) == self.book
                for kind in ("land.done", "land.undone"):
                    told = [e["cell"] for e in yard.journal(kind=kind)]
                    for cell in self.twice if kind == "land.done" else ():
                        told.remove(cell)
                    assert sorted(set(told)) == sorted(told), told
                yard.sound()
            except AssertionError as error:
                failed.append(f"--- {case} ---\n{error}")
            finally:
                yard.end()
        assert not failed, f"{len(failed)} of {len(cases)}\n" + "\n".join(failed)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copies]:
    """Three cells that land, and one that stands still and takes the new target in."""
    cells = {**CHAIN, "late": {"depends_on": ["low"]}}
    yard = Yard.ready(tmp_path_factory.mktemp("chain") / "w", cells,
                      landing={"strategy": "squash"})  # fmt: skip
    yard.spec({**cells, "late": {**cells["late"], "todo": ["something else"]}})
    yield Copies.of(yard, cells, code=1)


def test_a_kill_after_any_journal_line(chain: Copies) -> None:
    cases = points(chain.steps, "journal:after")
    assert len(cases) > 40
    chain.each(thin(cases, 4))


def test_a_kill_around_any_push_checkout_merge_or_file(chain: Copies) -> None:
    cases = points(chain.steps, *(f"{place}:after" for place in PLACES))
    cases += points(chain.steps, "push:before", "bench:before", "branch:before")
    assert len(cases) > 20
    chain.each(thin(cases, 4))


def test_a_kill_around_the_push_and_somebody_lands_on_top(chain: Copies) -> None:
    """Whether the push happened is found at the origin, below what came after it."""

    def push(yard: Yard) -> None:
        yard.somebody_pushes({"other.txt": "of somebody\n"})

    cases = points(chain.steps, "push:before", "push:after")
    undisturbed = dict(chain.trees)
    try:
        yard = chain.again()
        push(yard)
        yard.run("land", FEATURE, code=1)
        chain.trees = chain.ends(yard)
        chain.each(cases, push)
    finally:
        chain.trees = undisturbed


def test_a_kill_in_the_middle_of_a_merge_in_a_worktree(chain: Copies) -> None:
    """`git merge` itself dies: half of the files, a lock, no commit. It is gone on with, and
    nothing that lay there is lost.
    """

    def half(yard: Yard) -> None:
        tree = yard.worktree("late")
        admin = Path(git(tree, "rev-parse", "--absolute-git-dir"))
        (tree / "low.txt").write_text("half of what the merge wr")
        (tree / "mine.txt").write_text("somebody's\n")
        git(tree, "add", "-A")
        (admin / "index.lock").write_bytes(b"")
        (admin / "MERGE_HEAD").write_text(yard.main() + "\n")

    chain.each(["journal:after#land.update"], half)
    yard = Yard(chain.root)
    kept = git(yard.repos / "app", "for-each-ref", "--format=%(refname)", "refs/orchestr/attempts")
    assert any("mine.txt" in git(yard.repos / "app", "ls-tree", "-r", "--name-only", ref)
               for ref in kept.split())  # fmt: skip


def test_a_persons_merge_under_way_is_left_alone(chain: Copies) -> None:
    yard = chain.again()
    tree = yard.worktree("late")
    (tree / "half").write_text("a person's\n")
    done = yard.run("land", FEATURE, code=1)
    assert "work is under way" in done.stderr
    assert (tree / "half").read_text() == "a person's\n" and yard.history() == ["low", "high"]


SAME_LINE = {
    "one": "echo one > shared.txt\n",
    "two": 'if grep -q "<<<<<<<" shared.txt 2>/dev/null; then printf "one\\ntwo\\n" > shared.txt\n'
    "git commit -qam merged; elif [ ! -e shared.txt ]; then echo two > shared.txt; fi\n",
}


def test_a_kill_at_any_step_of_a_repair(tmp_path: Path) -> None:
    cells: dict[str, dict[str, object]] = {"one": {}, "two": {}}
    yard = Yard.ready(tmp_path / "w", cells, scripts={
        name: f'echo "start {name} $ORCHESTR_ATTEMPT" >> /dev/null\n{text}'
        for name, text in SAME_LINE.items()
    })  # fmt: skip
    copies = Copies.of(yard, cells)
    wanted = points(copies.steps, "journal:after")
    first = next(n for n, step in enumerate(copies.steps) if "land.repair" in step)
    number = int(copies.steps[first].split()[0].rpartition(":")[2])
    cases = [c for c in wanted if int(c.rpartition("#")[2]) >= number - 2]
    assert len(cases) > 15
    copies.each(thin(cases, 3))


def test_a_kill_at_any_step_of_a_rollback(tmp_path: Path) -> None:
    cells: dict[str, dict[str, object]] = {name: dict(cell) for name, cell in CHAIN.items()}
    yard = Yard.ready(tmp_path / "w", cells)
    yard.run("land", FEATURE, code=0)
    copies = Copies.of(yard, cells, verb="rollback")
    assert yard.files() == ["README.md"] == yard.files("web")
    cases = points(copies.steps, "journal:after", "push:before", "push:after", "bench:after")
    assert len(cases) > 15
    copies.each(thin(cases, 4))


def test_two_landings_at_once_one_is_told_who_lands(chain: Copies) -> None:
    yard = chain.again()
    gate = yard.root / "gate"
    gate.touch()
    (yard.root / "before.sh").write_text(f'while [ -e "{gate}" ]; do sleep 0.05; done\n')
    first = yard.spawn("land", FEATURE)
    lock = yard.root / ".orchestr/locks/landing.lock"
    wait_for(lambda: read_lease(lock), "the landing lease")
    second = yard.run("land", FEATURE, code=4)
    assert f"pid {first.pid}" in second.stderr.lower()
    gate.unlink()
    assert first.ended() == 1, first.said()
    assert yard.history() == ["low", "high"]
    yard.end()


def test_two_workspaces_land_on_one_origin(tmp_path: Path) -> None:
    """No lease reaches over: the compare-and-swap does. Everything lands, once, green."""
    one = Yard.ready(tmp_path / "one", {"a": {}, "b": {}, "c": {}}, repos=("app",))
    other = Yard.ready(tmp_path / "other", {"x": {}, "y": {}, "z": {}}, repos=("app",), build=False)
    shutil.rmtree(other.repos / "app")
    bare = one.repos / "app.git"
    git(tmp_path, "clone", "--quiet", str(bare), str(other.repos / "app"))
    text = (other.root / "specs/demo.yaml").read_text().replace("T-1", "T-2")
    (other.root / "specs/demo.yaml").write_text(text)
    other.run("run", FEATURE, code=0)
    ours, theirs = one.spawn("land", FEATURE), other.spawn("land", FEATURE)
    assert (ours.ended(), theirs.ended()) == (0, 0), ours.said() + theirs.said()
    assert sorted(one.history()) == ["a", "b", "c", "x", "y", "z"]
    green = {line.split()[0] for y in (one, other) for line in y.checks()}
    for sha in git(bare, "log", "--first-parent", "--format=%T", "main").split()[:-1]:
        assert sha in green
