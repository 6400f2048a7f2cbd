"""A landing comes back by itself, whatever stands in its way, and loses nothing that was proven."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.house import wait_for
from tests.landing.house import FEATURE, Yard, both, git

pytestmark = pytest.mark.slow


def test_a_gate_above_a_landed_cell_needs_no_second_yes(tmp_path: Path) -> None:
    cells = {"low": {}, "high": {"depends_on": ["low"], "approve": "publish"}}
    yard = Yard.ready(tmp_path / "w", cells, repos=("app",), build=False)
    yard.run("run", FEATURE)
    yard.run("approve", f"{FEATURE}:high", "--yes", code=0)
    yard.run("run", FEATURE, code=0)
    done = yard.run("land", FEATURE, code=0)
    assert yard.history() == ["low", "high"], both(done)
    assert not [e for e in yard.journal(kind="approval.asked") if e["ts"] > yard.journal(
        kind="approval.given")[-1]["ts"]]  # fmt: skip


def test_an_approval_that_is_missing_is_said_and_the_rest_lands(tmp_path: Path) -> None:
    cells = {"low": {}, "high": {"depends_on": ["low"], "approve": "publish"}}
    yard = Yard.ready(tmp_path / "w", cells, repos=("app",), build=False)
    yard.run("run", FEATURE)
    done = yard.run("land", FEATURE, code=1)
    assert yard.history() == ["low"] and "approval" in done.stdout, both(done)


def test_the_proven_head_lands_once_the_target_allows_it(tmp_path: Path) -> None:
    work = "[ $ORCHESTR_ATTEMPT = 1 ] || exit 3; echo {0} > README.md; touch {0}.txt\n"
    cells = {"one": {}, "two": {}}
    scripts = {name: work.format(name) for name in cells}
    yard = Yard.ready(tmp_path / "w", cells, repos=("app",), scripts=scripts)
    head, starts = yard.head("two"), len(yard.starts())
    yard.run("land", FEATURE, code=1)
    assert yard.history() == ["one"] and yard.states()["two"] == "merge_conflict"
    paid = len(yard.starts())
    assert paid > starts
    yard.run("land", FEATURE, code=1)  # it still conflicts: no agent, and nothing else changes
    assert yard.states()["two"] == "merge_conflict" and len(yard.starts()) == paid
    was = git(yard.repos / "app.git", "show", "main~1:README.md")
    yard.somebody_pushes({"README.md": f"{was}\n"})  # as both of them found it
    done = yard.run("land", FEATURE, code=0)
    assert yard.states()["two"] == "landed" and len(yard.starts()) == paid, both(done)
    git(yard.repos / "app.git", "merge-base", "--is-ancestor", head, "main")


def test_abort_names_the_landing_that_it_stops(tmp_path: Path) -> None:
    yard = Yard.ready(tmp_path / "w", {"one": {}}, repos=("app",))
    mark, gate = yard.root / "checking", yard.root / "gate"
    gate.touch()
    before = f'touch "{mark}"; while [ -e "{gate}" ]; do sleep 0.05; done\n'
    (yard.root / "before.sh").write_text(before)
    landing = yard.spawn("land", FEATURE)
    wait_for(mark.exists, "the check of the landing")
    told = yard.run("abort", FEATURE, code=0).stdout
    assert f"land {FEATURE}` ({FEATURE}); the same command goes on" in told
    assert landing.ended() == 130 and yard.history() == []
    gate.unlink()
    yard.run("land", FEATURE, code=0)


def test_a_cell_that_was_built_without_its_upstream_is_done(tmp_path: Path) -> None:
    cells = {"low": {}, "high": {"depends_on": ["low"]}}
    yard = Yard.ready(tmp_path / "w", cells, repos=("app",), build=False)
    done = yard.run("run", FEATURE, "--only", "high", "--ignore-deps", code=0)
    assert "1 done, 0 failed" in done.stdout
    assert yard.states()["high"] == "done"


def test_what_cannot_land_yet_is_named_with_what_opens_its_way(tmp_path: Path) -> None:
    """Behind a gate, above it and ignored: none of them follows, and each hint helps."""
    cells = {
        "low": {},
        "gate": {"approve": "publish"},
        "high": {"repo": "web", "depends_on": ["gate"], "approve": "publish"},
        "left": {"repo": "web"},
    }
    yard = Yard.ready(tmp_path / "w", cells, build=False)
    yard.run("run", FEATURE, code=1)
    yard.run("ignore", f"{FEATURE}:left", code=0)
    done = yard.run("land", FEATURE, code=1)
    assert f"{FEATURE}: its first push is next; to follow: low\n" in done.stderr, both(done)
    (told,) = [line for line in done.stdout.splitlines() if line.startswith("next: ")]
    go_on = f"orchestr run {FEATURE} && orchestr land {FEATURE}"
    for command in (
        f"orchestr approve {FEATURE}:gate",
        f"orchestr approve {FEATURE}:high",
        f"orchestr ignore --undo {FEATURE}:left",
    ):
        assert f"{command}, then {go_on}" in told, both(done)
    yard.run("approve", f"{FEATURE}:gate", "--yes", code=0)
    yard.run("approve", f"{FEATURE}:high", "--yes", code=0)
    yard.run("ignore", "--undo", f"{FEATURE}:left", code=0)
    yard.run("run", FEATURE, code=0)
    yard.run("land", FEATURE, code=0)
    yard.landed(cells)
    yard.end()
