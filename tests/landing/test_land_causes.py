"""A red check goes to the cell that its output names: that is repaired, lands first, and who was
red because of it is tried again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.test_kills import points
from tests.landing.house import FEATURE, Yard, both
from tests.landing.test_land_kills import Copies, thin

pytestmark = pytest.mark.slow
CELLS: dict[str, dict[str, object]] = {
    "e": {"owned_paths": ["e.txt"]},
    "g": {"owned_paths": ["g.txt", "more.txt"]},
}
# Green alone; together only when e.txt says so.
TOGETHER = """\
if [ -e e.txt ] && [ -e g.txt ] && ! grep -q right e.txt && [ ! -e more.txt ]
then echo NAMED; exit 1; fi
"""
REPAIRS = "if [ -e e.txt ]; then echo right > e.txt; else echo first > e.txt; fi\n"
G = "if [ -e g.txt ]; then echo more > more.txt; else echo g > g.txt; fi\n"


def make_yard(root: Path, named: str = "wrong in e.txt", agent: str = REPAIRS) -> Yard:
    yard = Yard.ready(root / "w", CELLS, repos=("app", "web"), build=False,
                      scripts={"e": agent, "g": G})  # fmt: skip
    yard.root.joinpath("before.sh").write_text(TOGETHER.replace("NAMED", named))
    yard.run("run", FEATURE, code=0)
    return yard


def agents(yard: Yard) -> list[str]:
    """The attempts after the first ones."""
    return [line for line in yard.starts() if line.startswith("start") and line[-1] != "1"]


def test_the_cell_that_is_named_is_repaired_and_lands_first(tmp_path: Path) -> None:
    yard = make_yard(tmp_path)
    done = yard.run("land", FEATURE, code=0)
    assert "its output names e.txt, which demo:e changed" in done.stderr
    assert "for e, whose change in e.txt made it red" in done.stderr, both(done)
    assert yard.history() == ["e", "e", "g"] and agents(yard) == ["start e 2"]
    assert yard.states() == {"e": "landed", "g": "landed"}
    (waits,) = yard.journal(kind="land.waits")
    assert waits["cell"] == "g" and waits["data"]["cause"] == "demo:e"
    (asked,) = yard.journal(kind="land.repair")
    assert asked["cell"] == "e" and "demo:g is red on it" in asked["data"]["reason"]
    yard.always_green(repos=("app",))
    # Both landings of the cause are taken back.
    yard.run("rollback", FEATURE, code=0)
    assert yard.files() == ["README.md"]
    yard.end()


def test_a_red_check_that_names_nothing_goes_to_the_tested_cell_and_says_so(tmp_path: Path) -> None:
    yard = make_yard(tmp_path, named="they do not go together")
    done = yard.run("land", FEATURE, code=0)
    assert "its output names no file of a cell" in done.stderr
    assert yard.history() == ["e", "g"] and agents(yard) == ["start g 2"]
    yard.end()


def test_a_cause_whose_repair_fails_stays_landed_and_the_other_needs_a_person(
    tmp_path: Path,
) -> None:
    yard = make_yard(tmp_path, agent="[ -e e.txt ] || echo first > e.txt\n")
    done = yard.run("land", FEATURE, code=1)
    assert yard.states() == {"e": "landed", "g": "needs_person"}, both(done)
    assert "red because of e.txt, which demo:e changed" in done.stdout
    assert "orchestr logs demo:e" in done.stdout and "orchestr run demo:e" in done.stdout
    shown = yard.run("explain", f"{FEATURE}:g", code=0).stdout
    assert "demo:e changed" in shown
    assert "it stays as it landed" in yard.run("explain", f"{FEATURE}:e", code=0).stdout
    before = len(agents(yard))
    assert yard.run("run", FEATURE).stdout.count("✗") == 0 and len(agents(yard)) == before
    # The next landing tries again by itself: here the cause is green by then.
    yard.root.joinpath("before.sh").write_text("")
    yard.run("land", FEATURE, code=0)
    assert yard.history() == ["e", "g"]
    yard.end()


def test_a_cross_check_goes_to_the_cell_of_another_repository_that_it_names(tmp_path: Path) -> None:
    cells: dict[str, dict[str, object]] = {
        "lib": {"repo": "app"},
        "ui": {"repo": "web", "depends_on": ["lib"]},
    }
    script = REPAIRS.replace("e.txt", "lib.txt")
    yard = Yard.ready(tmp_path / "w", cells, build=False, scripts={"lib": script})
    gate, lib = tmp_path / "gate", "$ORCHESTR_CELL_LIB_WORKTREE/lib.txt"
    run = f"[ ! -e {gate} ] || grep -q right {lib} || {{ echo error in {lib}; exit 1; }}"
    check = {"repo": "web", "kind": "command", "name": "together", "run": ["sh", "-c", run]}
    yard.spec(cells, cross_checks=[check])
    yard.run("run", FEATURE, code=0)
    gate.touch()  # from now on it is red, and the target is another one than the cells were made on
    yard.somebody_pushes({"x": "1"}, "web")
    done = yard.run("land", FEATURE, code=0)
    assert "its output names lib.txt, which demo:lib changed" in done.stderr, both(done)
    assert yard.history() == ["lib", "lib"] and yard.history("web")[-1] == "ui"
    assert agents(yard) == ["start lib 2"]
    yard.end()


def test_a_kill_at_any_step_of_a_cause_s_repair(tmp_path: Path) -> None:
    yard = make_yard(tmp_path)
    copies = Copies.of(yard, CELLS, twice=("e",))
    first = next(n for n, step in enumerate(copies.steps) if "land.waits" in step)
    number = int(copies.steps[first].split()[0].rpartition(":")[2])
    wanted = points(copies.steps, "journal:after")
    cases = [c for c in wanted if int(c.rpartition("#")[2]) >= number - 1]
    assert len(cases) > 15
    # Among them: its results are put aside, and no attempt has begun.
    begun = next(n for n, step in enumerate(copies.steps[first:]) if "phase.started" in step)
    place = copies.steps[first + begun].split()[0].rpartition(":")[2]
    copies.each(list(dict.fromkeys([f"journal:after#{place}", *thin(cases, 12)])))
