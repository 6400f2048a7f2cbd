"""SIGKILL while a branch is renamed: the same command ends as an undisturbed one, unpaid."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import git
from tests.crash.house import FEATURE, House, at_each, both
from tests.crash.test_kills import points

pytestmark = pytest.mark.slow

STEPS = ("journal:after", "write:after", "push:after", "open:after", "edit:after", "close:after",
         "rename:before", "rename:after")  # fmt: skip


def build_and_edit(house: House, old: str, new: str) -> list[str]:
    """Build the feature, then put ``new`` for ``old`` in its spec; the starts of agents so far."""
    house.run("run", FEATURE, code=0)
    house.edit_spec(old, new)
    return house.starts()


def open_prs(house: House) -> dict[str, str]:
    return {pr["head"]: pr["base"] for pr in house.prs().values() if pr["state"] == "open"}


def test_a_kill_at_any_step_of_a_rename(tmp_path: Path) -> None:
    edit = ("jira: T-1", "jira: T-2")
    house = House.build(tmp_path / "undisturbed")
    build_and_edit(house, *edit)
    cases = points(house.steps("run", FEATURE), *STEPS)
    wanted = {"T-2-low": "main", "T-2-high": "T-2-low"}
    assert open_prs(house) == wanted
    assert len(cases) > 20

    def act(house: House, at: str) -> None:
        starts = build_and_edit(house, *edit)
        house.kill_at(at, "run", FEATURE)
        house.run("run", FEATURE, code=0)
        assert house.starts() == starts, at
        assert open_prs(house) == wanted, at
        assert len(house.prs()) == 4, at
        left = git(house.repos / "app.git", "for-each-ref", "--format=%(refname:short)",
                   "refs/heads").split()  # fmt: skip
        assert left == ["T-2-high", "T-2-low", "main"], at
        house.run("run", FEATURE, code=0)
        assert len(house.prs()) == 4, at
        house.sound()

    at_each(cases, tmp_path, act)


def test_a_kill_at_any_step_of_an_acceptance(tmp_path: Path) -> None:
    """The result stands, or it is as stale as before: then the same command lets it stand."""

    edit = ("- do low", "- do low, in other words")
    words = ("accept", f"{FEATURE}:low", "--yes")
    house = House.build(tmp_path / "undisturbed")
    build_and_edit(house, *edit)
    cases = points(house.steps(*words), "journal:after", "write:before", "write:after")
    assert len(cases) > 3

    def act(house: House, at: str) -> None:
        starts = build_and_edit(house, *edit)
        house.kill_at(at, *words)
        house.run(*words, code=0)
        house.run("accept", FEATURE, "--yes", code=0)
        house.run("run", FEATURE, code=0)
        assert house.starts() == starts, at
        house.sound()

    at_each(cases, tmp_path, act)


HIGH = """\
  high:
    repo: app
    todo:
    - do high
    depends_on:
    - low
"""


def test_a_kill_at_any_step_of_a_retirement(tmp_path: Path) -> None:
    """Called again it ends: one pull request closed, the commits under a ref, nothing left over."""
    words = ("retire", f"{FEATURE}:high", "--yes")
    house = House.build(tmp_path / "undisturbed")
    build_and_edit(house, HIGH, "")
    cases = points(house.steps(*words), *STEPS, "write:before", "journal:before")
    assert len(cases) > 5

    def act(house: House, at: str) -> None:
        build_and_edit(house, HIGH, "")
        head = git(house.repos / "app", "rev-parse", "T-1-high")
        house.kill_at(at, *words)
        house.run(*words)  # exit 2 where nothing was left to retire
        states = {pr["head"]: pr["state"] for pr in house.prs().values()}
        assert states == {"T-1-low": "open", "T-1-high": "closed"}, at
        kept = git(house.repos / "app", "for-each-ref", "--format=%(objectname)",
                   "refs/orchestr/retired").split()  # fmt: skip
        assert set(kept) == {head}, at
        assert not house.cell_dir("high").exists(), at
        assert git(house.repos / "app", "for-each-ref", "refs/heads/T-1-high") == "", at
        house.run("run", FEATURE, code=0)
        assert "no spec" not in both(house.run("doctor")), at

    at_each(cases, tmp_path, act)


def test_a_kill_at_any_step_of_a_cells_new_name(tmp_path: Path) -> None:
    """`was:`: records, worktree, claim and pull request go on under the new name; no agent starts
    again."""
    edit = ("  high:\n", "  top:\n    was: high\n")
    house = House.build(tmp_path / "undisturbed")
    build_and_edit(house, *edit)
    cases = points(house.steps("run", FEATURE), *STEPS)
    assert len(cases) > 5
    branches = {pr["head"] for pr in house.prs().values() if pr["state"] == "open"}

    def act(house: House, at: str) -> None:
        starts = build_and_edit(house, *edit)
        house.kill_at(at, "run", FEATURE)
        house.run("run", FEATURE, code=0)
        assert house.starts() == starts, at
        assert house.states() == {"low": "done", "top": "done"}, at
        assert {pr["head"] for pr in house.prs().values()} == branches, at
        assert not house.cell_dir("high").exists() and house.cell_dir("top").is_dir(), at
        assert "nothing is wrong" in both(house.run("doctor", code=0)), at

    at_each(cases, tmp_path, act)
