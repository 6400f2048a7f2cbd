"""Workspaces of the version before: the program says of them what it said, and goes on in them.

Each test unpacks an archive of `houses/` in a folder of its own. `NAME.told.json` is what 0.1.0
said (`asking.ask`) and what came of one more `run` or `land` there (`asking.goes_on`).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.compat.archive import PLACE, unpack
from tests.compat.asking import goes_on, said, starts, status, transcripts
from tests.compat.test_records import differences
from tests.conftest import git
from tests.e2e.workspace import Workspace, both

HOUSES = Path(__file__).parent / "houses"
NAMES = ("demo", "house", "yard", "pushed")
LANDINGS = ("yard", "pushed")
FOREIGN = re.compile(rb"(?<![\w.@-])/(home|tmp|root|work)/")
Unpack = Callable[[str], Workspace]


class Before(Workspace):
    """A workspace that was unpacked; times are shown in UTC, as when it was made."""

    def env(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**super().env(extra), "TZ": "UTC", "DEMO_PAUSE": "0"}


@cache
def told(name: str) -> dict[str, Any]:
    value = json.loads((HOUSES / f"{name}.told.json").read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


def features(*names: str) -> list[Any]:
    """(house, feature), as parameters."""
    found = [(name, feature) for name in names for feature in told(name)["status"]]
    return [pytest.param(*one, id="-".join(one)) for one in found]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Unpack]:
    """``house(name)``: unpacked; what still lives in it is ended after the test."""
    made: list[Workspace] = []

    def make(name: str) -> Workspace:
        root = tmp_path / name
        unpack(HOUSES / f"{name}.tar.xz", root)
        made.append(Before(root))
        return made[-1]

    yield make
    for one in made:
        one.end()


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Workspace]:
    """The same for tests that only look: each house is unpacked once."""
    place = tmp_path_factory.mktemp("houses")

    @cache
    def make(name: str) -> Workspace:
        unpack(HOUSES / f"{name}.tar.xz", place / name)
        return Before(place / name)

    return make


LATER = "or:   orchestr accept "  # a hint that earlier versions did not have


# --- what is said -------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "feature"), features(*NAMES))
def test_status_and_plan_say_what_they_said(looked_at: Unpack, name: str, feature: str) -> None:
    ws, then = looked_at(name), told(name)
    assert differences(then["status"][feature], status(ws, feature)) == []
    plan = json.loads(said(ws, "plan", feature, "--json", code=None))
    assert differences(then["plan"][feature], plan) == []
    now = said(ws, "list", "-s", f"feature:{feature}").splitlines()
    assert now == then["list"][feature]


@pytest.mark.parametrize(("name", "feature"), features(*NAMES))
def test_explain_says_what_it_said(looked_at: Unpack, name: str, feature: str) -> None:
    ws = looked_at(name)
    cells = {k: v for k, v in told(name)["explain"].items() if k.startswith(f"{feature}:")}
    assert cells
    for cell, lines in cells.items():
        now = said(ws, "explain", cell).splitlines()
        assert [line for line in now if not line.startswith(LATER)] == lines


@pytest.mark.parametrize(("name", "feature"), features(*NAMES))
def test_logs_and_report_show_it(looked_at: Unpack, name: str, feature: str) -> None:
    ws = looked_at(name)
    cells = {k: v for k, v in told(name)["logs"].items() if k.startswith(f"{feature}:")}
    for cell, lines in cells.items():
        assert said(ws, "logs", cell).splitlines() == lines
    ws.run("report", feature, code=0)
    assert list((ws.root / ".orchestr" / "reports").glob(f"*{feature}*"))


def test_plain_doit_lists_it(looked_at: Unpack) -> None:
    listed = looked_at("house").doit("list", code=0).stdout
    assert all(f"feature:{feature} " in listed for feature in told("house")["status"])


def test_looking_changes_nothing_that_counts(house: Unpack) -> None:
    ws = house("house")
    before = counted(ws)
    for words in (("status",), ("explain", "mixed:fails"), ("plan", "gates"), ("list", "-s")):
        ws.run(*words)
    assert counted(ws) == before


def counted(ws: Workspace) -> dict[str, bytes]:
    """Every file of the state but locks and caches."""
    tops = [ws.root / ".orchestr" / name for name in ("cells", "journal", "forge", "landing")]
    files = (path for top in tops for path in top.rglob("*"))
    found = {str(p): p.read_bytes() for p in files if p.is_file() and not p.is_symlink()}
    assert not [p for p in found if ".corrupt-" in p]
    return found


# --- going on -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "feature"), features("demo", "house"))
def test_the_same_command_goes_on_as_it_did(house: Unpack, name: str, feature: str) -> None:
    ws = house(name)
    assert differences(told(name)["then"][feature], goes_on(ws, feature)) == []
    assert not list((ws.root / ".orchestr").rglob("*.corrupt-*"))


@pytest.mark.parametrize(("name", "feature"), features(*LANDINGS))
def test_a_landing_goes_on_as_it_did(house: Unpack, name: str, feature: str) -> None:
    ws = house(name)
    assert differences(told(name)["then"][feature], goes_on(ws, feature, land=True)) == []


def test_nothing_of_the_demo_runs_again(house: Unpack) -> None:
    ws = house("demo")
    for path in ws.root.glob(".doit.db*"):  # with its rows (above), and without them
        path.unlink()
    kept = {p: p.read_bytes() for p in transcripts(ws.root, "mlkem")}
    done = ws.run("run", "feature:mlkem", code=0)
    assert done.stdout == "nothing to be done: 6 cells are up to date\n", both(done)
    assert {p: p.read_bytes() for p in transcripts(ws.root, "mlkem")} == kept
    assert ws.last_run("mlkem") == []


def test_a_forgotten_cell_of_the_demo_is_built_once(house: Unpack) -> None:
    ws = house("demo")
    prs, known = ws.prs(), len(ws.journal("mlkem"))
    ws.run("forget", "mlkem:java-sdk", code=0)
    ws.run("run", "mlkem", code=0)
    fresh = ws.journal("mlkem")[known:]
    opened = [(e["cell"], e["attempt"]) for e in fresh if e["kind"] == "attempt.opened"]
    assert opened == [("java-sdk", 2)]
    assert sum(e["kind"] == "attempt.started" for e in fresh) == 1
    assert set(ws.prs()) == set(prs)
    assert ws.run("run", "mlkem", code=0).stdout.startswith("nothing to be done")


def test_a_forgotten_cell_makes_one_attempt(house: Unpack) -> None:
    ws = house("house")
    before = starts(ws, "long")
    ws.run("forget", "long:far", code=0)
    ws.run("run", "long", code=0)
    assert list((starts(ws, "long") - before).elements()) == ["far 3"]
    assert ws.run("run", "long", code=0).stdout.startswith("nothing to be done")


def test_what_waits_for_a_person_goes_on_with_the_answer(house: Unpack) -> None:
    ws = house("house")
    before = starts(ws, "gates")
    for cell in ("planned", "agreed"):  # a plan of then, and a publication of then
        ws.run("approve", f"gates:{cell}", "--yes", code=0)
    ws.run("run", "gates", code=1)
    assert sorted((starts(ws, "gates") - before).elements()) == [
        "behind 1", "plan replan 2", "planned 1",
    ]  # fmt: skip
    assert ws.states("gates") == {
        "planned": "done", "behind": "done", "agreed": "done", "through": "done",
        "replan": "approval", "refused": "needs_person",
    }  # fmt: skip


def test_an_amendment_of_then_can_be_handed_over(house: Unpack) -> None:
    ws = house("house")
    ws.run("amend", "contract:asks", code=0)
    ws.run("run", "contract")
    assert ws.states("contract")["use"] == "done"
    assert [e["cell"] for e in ws.journal("contract", "cell.amended")] == ["use", "asks"]


def test_what_was_ignored_stays_so_until_it_is_undone(house: Unpack) -> None:
    ws = house("house")
    before = starts(ws, "mixed")
    ws.run("ignore", "--undo", "mixed:skipped", code=0)
    ws.run("run", "mixed:skipped", code=0)
    assert list((starts(ws, "mixed") - before).elements()) == ["skipped 1"]
    assert ws.states("mixed")["skipped"] == "done"


@pytest.mark.parametrize("name", LANDINGS)
def test_a_landing_that_was_killed_ends_with_all_landed_and_no_commit_twice(
    house: Unpack, name: str
) -> None:
    ws = house(name)
    before = starts(ws, "demo")
    ws.run("land", "demo", "--yes", code=0)
    cells = ["clash", "far", "high", "low"] if name == "yard" else ["far", "high", "low"]
    assert ws.states("demo") == dict.fromkeys(ws.states("demo"), "landed")
    assert sorted(landed(ws, "app") + landed(ws, "web")) == cells
    told_of = [e["cell"] for e in ws.journal("demo", "land.done")]
    assert sorted(told_of) == cells  # those of then, too: each is told once
    mine = {f"T-1-{cell}" for cell in cells}
    assert {pr["state"] for pr in ws.prs().values() if pr["head"] in mine} == {"merged"}
    again = list((starts(ws, "demo") - before).elements())
    assert again == (["start clash 2"] if name == "yard" else [])
    ws.run("land", "demo", "--yes", code=0)
    assert sorted(landed(ws, "app") + landed(ws, "web")) == cells


def landed(ws: Workspace, repo: str) -> list[str]:
    """The cells whose work main holds, one for each commit on it."""
    words = "--format=%(trailers:key=Orchestr-Cell,valueonly)"
    out = git(ws.repos / f"{repo}.git", "log", "--first-parent", words, "main")
    return [line for line in out.splitlines() if line]


def test_a_landing_of_then_is_rolled_back(house: Unpack) -> None:
    ws = house("pushed")
    ws.run("land", "demo", "--yes", code=0)
    ws.run("rollback", "demo", "--yes", code=0)
    bare = ws.repos / "app.git"
    first = git(bare, "rev-list", "--max-parents=0", "main")
    assert git(bare, "rev-parse", "main^{tree}") == git(bare, "rev-parse", f"{first}^{{tree}}")


# --- the archives themselves --------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_no_place_of_its_making_is_left(looked_at: Unpack, name: str) -> None:
    ws = looked_at(name)
    own, foreign = str(ws.root).encode(), []
    for path in ws.root.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.name != ".doit.db":
            data = path.read_bytes().replace(own, b"OWN")
            if PLACE.encode() in data or FOREIGN.search(data):
                foreign.append(str(path.relative_to(ws.root)))
    assert foreign == []
    assert sys.executable.encode() not in (HOUSES / f"{name}.told.json").read_bytes()
