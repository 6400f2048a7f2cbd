"""A locked spec, through the program: the first lock, what passes, what needs an amendment."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.crash.house import House, at_each
from tests.e2e.workspace import FEATURE, Workspace, both

CHECK = {"kind": "command", "name": "unit", "run": ["test", "-e", "a.txt"]}
CELLS: dict[str, Any] = {"a": {"checks": [CHECK]}}
PATH = f"specs/{FEATURE}.lock.toml"
EDIT = ("[test, -e, a.txt]", "['true']")


def locked(root: Path, make: Callable[..., Workspace] = Workspace.make) -> Workspace:
    lean = {"phases": ["implement", "check"]}
    ws = make(
        root, cells=CELLS, defaults=lean, lock=True, done_means=["it works"], intent="Because."
    )
    path = ws.root / "specs" / f"{FEATURE}.yaml"
    text = path.read_text()
    path.write_text(text[: text.index("      run:")] + "      run: [test, -e, a.txt]\n")
    return ws


def lock_of(ws: Workspace) -> dict[str, Any]:
    return tomllib.loads((ws.root / PATH).read_text())


def kinds(ws: Workspace) -> list[str]:
    return [e["kind"] for e in ws.journal() if e["kind"].startswith("spec.")]


def test_from_the_first_lock_to_an_amendment(tmp_path: Path) -> None:
    ws = locked(tmp_path / "w")
    plan = ws.run("plan", FEATURE, code=0)
    assert not (ws.root / PATH).exists(), both(plan)

    ws.run("run", FEATURE, code=0)
    first = lock_of(ws)
    assert first["values"]["done_means"] == ["it works"]
    assert kinds(ws) == ["spec.locked"]
    assert f"locked by {PATH}\n" in ws.run("status", FEATURE, code=0).stdout

    ws.edit_spec("do a", "do a well")
    ws.run("run", FEATURE, code=0)
    ws.run("run", FEATURE, code=0)
    assert kinds(ws) == ["spec.locked", "spec.changed"]
    assert ws.journal(kind="spec.changed")[0]["data"]["fields"] == ["cells.a.todo"]

    ws.edit_spec(*EDIT)
    starts = ws.starts()
    for words in (["run", FEATURE], ["run", FEATURE, "--skip-preflight"], ["plan", FEATURE],
                  ["run", FEATURE, "--dry-run"], ["land", FEATURE]):  # fmt: skip
        done = both(ws.run(*words, code=2))
        assert f"{FEATURE}.yaml:" in done
        assert 'is locked; it was {"kind": "command", "run": ["test", "-e", "a.txt"]}' in done
        assert f"hint: orchestr amend {FEATURE} --reason TEXT" in done, words
    assert "is locked; it was" in both(ws.run("doctor", FEATURE, code=1))
    assert "locked and changed: cells.a.checks.unit" in ws.run("status", FEATURE).stdout
    assert "locked and changed" in ws.run("explain", f"{FEATURE}:a").stdout
    assert ws.starts() == starts

    assert "why?" in both(ws.run("amend", FEATURE, code=2))
    assert "cells.a.checks.unit" in ws.run("amend", FEATURE, "--dry-run", code=0).stdout
    assert lock_of(ws) == first
    ws.run("amend", FEATURE, "--reason", "no such file", code=0)
    (entry,) = lock_of(ws)["amendment"]
    assert (entry["field"], entry["reason"]) == ("cells.a.checks.unit", "no such file")
    assert (entry["before"]["run"], entry["after"]["run"]) == (["test", "-e", "a.txt"], ["true"])
    assert "@" in entry["who"]
    bytes_ = (ws.root / PATH).read_bytes()
    assert "nothing to amend" in ws.run("amend", FEATURE, "--reason", "x", code=0).stdout
    assert (ws.root / PATH).read_bytes() == bytes_
    ws.run("run", FEATURE, code=0)
    assert kinds(ws) == ["spec.locked", "spec.changed", "spec.amended"]
    assert "amended once" in ws.run("status", FEATURE, code=0).stdout
    (row,) = json.loads(ws.run("status", FEATURE, "--json", code=0).stdout)["features"]
    assert row["lock"] == {"path": PATH, "amendments": 1, "fault": None, "changed": [], "free": []}


def test_a_lock_that_is_gone_broken_or_edited(tmp_path: Path) -> None:
    ws = locked(tmp_path / "w")
    ws.run("run", FEATURE, code=0)
    good = (ws.root / PATH).read_text()

    (ws.root / PATH).unlink()
    done = both(ws.run("run", FEATURE, code=2))
    assert f"{PATH}: error: is gone, and the journal says that specs/{FEATURE}.yaml" in done
    assert "is gone" in both(ws.run("amend", FEATURE, "--reason", "x", code=2))
    assert not (ws.root / PATH).exists()

    (ws.root / PATH).write_text("broken\n")
    assert f"{PATH}:1: error: this is not TOML" in both(ws.run("run", FEATURE, code=2))
    assert "! the lock is broken" in ws.run("status", FEATURE, code=0).stdout
    assert (ws.root / PATH).read_text() == "broken\n"

    table = "[values.cells.a.checks.unit]\n"
    for old, new in (("kind = ", "kind = 2026-01-01 # "), (table, "checks = 1\n[other]\n")):
        (ws.root / PATH).write_text(good.replace(old, new))
        assert "fault" not in both(ws.run("run", FEATURE, code=2))

    (ws.root / PATH).write_text(good.replace("it works", "it may work"))
    ws.edit_spec("it works", "it may work")
    assert "chain of amendments is broken" in both(ws.run("run", FEATURE, code=0))
    assert "! the lock is broken" in ws.run("status", FEATURE, code=0).stdout
    assert "is broken" in both(ws.run("amend", FEATURE, "--reason", "x", code=1))

    (ws.root / PATH).unlink()
    ws.edit_spec("lock: true", "lock: false")
    assert "was locked and is not any more" in both(ws.run("run", FEATURE, code=0))


def test_a_feature_without_a_lock_has_none(tmp_path: Path) -> None:
    ws = Workspace.make(tmp_path / "w", cells=CELLS)
    ws.run("run", FEATURE, code=0)
    assert not (ws.root / PATH).exists()
    assert kinds(ws) == []
    assert "is not locked" in both(ws.run("amend", FEATURE, "--reason", "x", code=1))
    text = both(ws.run("amend", f"{FEATURE}:a", "--reason", "x", code=2))
    assert "commands of their own" in text


@pytest.mark.parametrize(("what", "code"), [("sed -i s/works/walks/", 1), ("rm", 0)])
def test_what_an_agent_does_to_the_lock_is_put_back(tmp_path: Path, what: str, code: int) -> None:
    """As with a spec: what it wrote fails it; who removed a file is seen only by its words."""
    ws = locked(tmp_path / "w")
    ws.script("a", f"echo a > a.txt; {what} {ws.root / PATH}")
    done = both(ws.run("run", FEATURE, code=code))
    assert f"{PATH} was" in done
    assert "it was put back" in done
    assert lock_of(ws)["values"]["done_means"] == ["it works"]
    ws.script("a", "echo a > a.txt")
    ws.run("run", FEATURE, code=0)
    assert kinds(ws) == ["spec.locked"]


def test_an_agent_cannot_lock_what_has_no_lock(tmp_path: Path) -> None:
    ws = Workspace.make(tmp_path / "w", cells=CELLS)
    ws.script("a", f"echo a > a.txt; echo 'x = 1' > {ws.root / PATH}")
    assert f"{PATH} was made" in both(ws.run("run", FEATURE, code=1))
    assert not (ws.root / PATH).exists()


@pytest.mark.slow
def test_a_kill_of_the_first_lock_or_an_amendment_changes_nothing(tmp_path: Path) -> None:
    def act(house: House, at: str) -> None:
        step, _, verb = at.partition(" ")
        if verb == "run":
            assert house.crash(step, "run", FEATURE).returncode == -9
            house.run("run", FEATURE, code=0)
            assert kinds(house) == ["spec.locked"]
            return
        house.run("run", FEATURE, code=0)
        house.edit_spec(*EDIT)
        command = ("amend", FEATURE, "--reason", "why")
        assert house.crash(step, *command).returncode == -9
        house.run(*command, code=0)
        assert len(lock_of(house)["amendment"]) == 1
        house.run("run", FEATURE, code=0)
        assert kinds(house) == ["spec.locked", "spec.amended"]

    file = f"{FEATURE}.lock.toml"
    cases = [f"write:after#{file} run", f"write:after#{file} amend"]
    cases += ["journal:after#spec.amended amend"]

    def build(root: Path, **_: Any) -> House:
        made = locked(root, House.make)
        assert isinstance(made, House)
        return made

    at_each(cases, tmp_path, act, make=build)
