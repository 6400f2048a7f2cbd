"""A supervisor that is killed, an orchestrator that is killed while agents work, orphans."""

from __future__ import annotations

import signal
import tomllib
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from orchestr.supervisor.protocol import read_supervisor_record
from tests.crash.house import FEATURE, THREE, House, both, wait_for

pytestmark = pytest.mark.slow
SHORT = {"limits": {"grace": "0.3s"}}


def attempt_dir(house: House, cell: str, number: int = 1) -> Path:
    return house.cell_dir(cell) / "attempts" / str(number)


def outcome(house: House, cell: str, number: int = 1) -> str:
    value = tomllib.loads((attempt_dir(house, cell, number) / "attempt.toml").read_text())
    return str(value["outcome"] or value["state"])


def kill_supervisor(house: House, cell: str) -> None:
    import os

    def told() -> int | None:
        presence = read_supervisor_record(attempt_dir(house, cell))
        return presence.pid if presence and presence.agent_pid else None

    os.kill(wait_for(told, "its supervisor"), signal.SIGKILL)


def alive(house: House, cell: str) -> bool:
    for process in house.processes():
        with suppress(psutil.Error):
            if f"/{cell}/" in " ".join(process.cmdline()):
                return True
    return False


def test_a_killed_supervisor_fails_its_cell_and_leaves_nothing(tmp_path: Path) -> None:
    house = House.build(tmp_path / "w", {**THREE, "over": {"depends_on": ["one"]}}, settings=SHORT)
    house.close("one", "two")
    house.script("one", "(setsid sleep 600 &)\nwhile :; do sleep 0.05; done")
    house.open("one")
    try:
        run = house.spawn("run", FEATURE)
        house.working("one", "two")
        kill_supervisor(house, "one")
        wait_for(lambda: outcome(house, "one") == "failed", "the failure")
        house.open("two")
        assert run.ended() == 1, run.said()
        house.quiet()
        states = house.status()
        assert {name: cell["state"] for name, cell in states.items()} == {
            "one": "failed", "two": "done", "three": "done", "over": "blocked",
        }  # fmt: skip
        assert "its supervisor was killed" in states["one"]["reason"]
        house.script("one", None)
        house.run("run", FEATURE, code=0)
        assert house.book()["end one 2"] == 1
        assert house.book()["start two 1"] == 1
        house.settled([*THREE, "over"])
    finally:
        house.end()


def test_both_killed_the_next_run_ends_the_agent_and_starts_the_next_attempt(
    tmp_path: Path,
) -> None:
    house = House.build(tmp_path / "w", settings=SHORT)
    house.script("low", "(setsid sleep 600 &)\nwhile :; do sleep 0.05; done")
    try:
        run = house.spawn("run", FEATURE)
        house.working("low")
        kill_supervisor_of = attempt_dir(house, "low")
        wait_for(
            lambda: (p := read_supervisor_record(kill_supervisor_of)) and p.agent_pid,
            "the agent's record",
        )
        run.kill()
        run.wait()
        kill_supervisor(house, "low")
        assert house.processes(), "the agent lives on: nobody was left to end it"
        house.script("low", None)
        house.run("run", FEATURE, code=0)
        assert outcome(house, "low") == "failed"
        assert house.book()["start low 2"] == house.book()["end low 2"] == 1
        house.settled()
    finally:
        house.end()


def test_three_agents_outlive_a_killed_run_and_are_adopted(tmp_path: Path) -> None:
    house = House.build(tmp_path / "w", THREE, settings=SHORT)
    house.close(*THREE)
    try:
        run = house.spawn("run", FEATURE)
        house.working(*THREE)
        run.kill()
        run.wait()
        found = house.run("doctor")
        assert found.stdout.count("works on without a run") == 3, both(found)
        seen = house.run("status", FEATURE, code=0).stdout
        assert all(cell in seen for cell in THREE)
        second = house.spawn("run", FEATURE)
        wait_for(lambda: len(house.journal(kind="attempt.adopted")) == 3, "the adoption")
        assert set(house.states().values()) == {"running"}
        house.open(*THREE)
        assert second.ended() == 0, second.said()
        house.settled(THREE)
        assert house.journal(kind="attempt.opened") != []
        assert len(house.journal(kind="attempt.opened")) == 3
    finally:
        house.end()


def test_adopted_agents_can_be_aborted(tmp_path: Path) -> None:
    house = House.build(tmp_path / "w", THREE, settings=SHORT)
    house.close(*THREE)
    try:
        run = house.spawn("run", FEATURE)
        house.working(*THREE)
        run.kill()
        run.wait()
        second = house.spawn("run", FEATURE)
        wait_for(lambda: len(house.journal(kind="attempt.adopted")) == 3, "the adoption")
        stopped = house.run("abort", FEATURE, code=0)
        assert "Aborted 3 cells" in stopped.stdout, both(stopped)
        assert second.ended() == 130, second.said()
        house.quiet()
        house.open(*THREE)
        house.run("run", FEATURE, code=0)
        house.settled(THREE)
        assert house.book()["start one 2"] == 1
    finally:
        house.end()


def test_orphans_are_aborted_without_a_run(tmp_path: Path) -> None:
    house = House.build(tmp_path / "w", THREE, settings=SHORT)
    house.close(*THREE)
    try:
        run = house.spawn("run", FEATURE)
        house.working(*THREE)
        run.kill()
        run.wait()
        stopped = house.run("abort", f"{FEATURE}:two", code=0)
        assert "Aborted 1 cell" in stopped.stdout, both(stopped)
        assert outcome(house, "two") == "aborted"
        assert not alive(house, "two")
        assert alive(house, "one")
        stopped = house.run("abort", FEATURE, "--cleanup", code=0)
        house.quiet()
        assert {outcome(house, cell) for cell in THREE} == {"aborted"}
        assert [c for c in THREE if house.worktree(c).exists()] == ["two"], both(stopped)
        again = house.run("abort", FEATURE, code=0)
        assert "nothing to abort" in again.stdout
        house.open(*THREE)
        house.run("run", FEATURE, code=0)
        house.settled(THREE)
    finally:
        house.end()


def test_abort_cleanup_keeps_what_is_not_saved(tmp_path: Path) -> None:
    house = House.build(tmp_path / "w", {"low": {}}, settings=SHORT)
    house.script("low", "echo half > half.txt; while :; do sleep 0.05; done")
    try:
        run = house.spawn("run", FEATURE)
        wait_for((house.worktree("low") / "half.txt").exists, "the agent's file")
        stopped = house.run("abort", FEATURE, "--cleanup")
        assert run.ended() == 130
        assert "kept" in stopped.stdout, both(stopped)
        assert (house.worktree("low") / "half.txt").read_text() == "half\n"
    finally:
        house.end()


def test_one_cell_is_aborted_and_the_others_go_on(tmp_path: Path) -> None:
    cells = {**THREE, "over": {"depends_on": ["one"]}}
    house = House.build(tmp_path / "w", cells, settings=SHORT)
    house.close("one", "two")
    try:
        run = house.spawn("run", FEATURE)
        house.working("one", "two")
        stopped = house.run("abort", f"{FEATURE}:one", code=0)
        # A second run is refused while this one goes on.
        told = f"Go on with: orchestr run {FEATURE}:one, once the run at work has ended;"
        assert "Aborted 1 cell" in stopped.stdout and told in stopped.stdout, both(stopped)
        assert not alive(house, "one")
        assert run.poll() is None, run.said()
        house.open("two", "one")
        assert run.ended() == 1, run.said()
        assert house.states() == {
            "one": "aborted", "two": "done", "three": "done", "over": "blocked",
        }  # fmt: skip
        house.run("run", FEATURE, code=0)
        house.settled(cells)
        assert house.book()["start two 1"] == house.book()["start one 2"] == 1
    finally:
        house.end()


def test_abort_of_a_run_names_what_was_kept(tmp_path: Path) -> None:
    house = House.build(tmp_path / "w", THREE, settings=SHORT)
    house.close("one", "two")
    try:
        assert "nothing to abort" in house.run("abort", code=0).stdout
        run = house.spawn("run", FEATURE)
        house.working("one", "two")
        stopped = house.run("abort", code=0)
        assert run.ended() == 130, run.said()
        assert "Go on with: orchestr run" in stopped.stdout, both(stopped)
        assert str(house.worktree("one")) in stopped.stdout
        house.quiet()
        house.sound()
    finally:
        house.end()
