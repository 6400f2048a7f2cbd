"""What [notify] and the log say of a landing: its real outcome."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from tests.landing.house import FEATURE, Yard, both

pytestmark = pytest.mark.slow
CATCH = ["sh", "-c", "cat >> news.jsonl; echo >> news.jsonl"]
CLASH = {"one": "[ $ORCHESTR_ATTEMPT != 1 ] || echo one > shared.txt\n",
         "two": "[ $ORCHESTR_ATTEMPT != 1 ] || echo two > shared.txt\n"}  # fmt: skip


def news(yard: Yard) -> list[dict[str, Any]]:
    """What was sent since the last look."""
    path = yard.root / "news.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [json.loads(line) for line in lines if line]


def yard_of(root: Path, cells: dict[str, Any], delivery: str = "pr", **more: Any) -> Yard:
    yard = Yard.ready(root, cells, repos=("app",), build=False, landing={"repairs": 0}, **more)
    place = yard.root / "orchestr.toml"
    settings = tomllib.loads(place.read_text())
    settings["notify"] = {"command": CATCH}
    place.write_text(tomli_w.dumps(settings))
    yard.spec(cells, delivery=delivery)
    return yard


def ends(yard: Yard) -> list[int]:
    return [event["data"]["exit"] for event in yard.journal(kind="run.finished")]


def test_land_and_rollback_send_their_end(tmp_path: Path) -> None:
    yard = yard_of(tmp_path / "w", {"one": {}})
    yard.run("run", FEATURE, code=0)
    assert [n["text"] for n in news(yard)] == ["demo: done"]
    yard.run("land", FEATURE, code=0)
    assert [(n["kind"], n["text"]) for n in news(yard)] == [("done", "demo: landed")]
    yard.run("land", FEATURE, code=0)
    assert news(yard) == []  # nothing was left to land
    yard.run("rollback", FEATURE, code=0)
    assert [n["text"] for n in news(yard)] == ["demo: rolled back"]


def test_a_red_landing_is_told(tmp_path: Path) -> None:
    yard = yard_of(tmp_path / "w", {"one": {}}, scripts={"one": "echo bad > bad.txt\n"})
    yard.run("run", FEATURE, code=0)
    news(yard)
    yard.run("land", FEATURE, code=1)
    cell, end = news(yard)
    assert (cell["cell"], cell["state"]) == ("one", "needs_person")
    assert (end["kind"], end["state"]) == ("failed", "failed")
    assert end["text"].startswith("demo: 0 landed, 1 not: one: red")


def test_a_run_that_lands_ends_with_what_came_of_the_landing(tmp_path: Path) -> None:
    yard = yard_of(tmp_path / "w", {"one": {}}, "merge")
    said = yard.run("run", FEATURE, code=0)
    assert [(n["kind"], n["text"]) for n in news(yard)] == [("done", "demo: landed")], both(said)
    assert ends(yard) == [0] and "finished (exit 0)" in said.stderr


@pytest.mark.parametrize("as_json", [False, True])
def test_a_conflict_after_a_run_is_no_success(tmp_path: Path, as_json: bool) -> None:
    cells: dict[str, Any] = {"one": {}, "two": {}}
    yard = yard_of(tmp_path / "w", cells, "merge", scripts=CLASH)
    words = ["--skip-preflight", *(["--json"] if as_json else [])]
    said = yard.run("run", FEATURE, *words, code=1)
    kinds = [n["kind"] for n in news(yard)]
    assert kinds and set(kinds) == {"failed"}
    assert ends(yard) == [1], both(said)
    if as_json:
        last = json.loads(said.stdout.splitlines()[-1])
        assert (last["kind"], last["data"]["exit"]) == ("run.finished", 1)
    else:
        assert "finished (exit 1)" in said.stderr and "exit 0" not in said.stderr
