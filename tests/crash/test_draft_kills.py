"""SIGKILL at the steps of a draft and of its approval: no start of an agent is paid twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.crash.house import House, at_each, both
from tests.e2e.test_draft import AGENT, GOOD, fenced

pytestmark = pytest.mark.slow
WORDS = ("draft", "keys", "words")
SETTINGS: dict[str, Any] = {"repos": {"app": {}, "web": {}}}
KINDS = ("attempt.opened", "attempt.started", "attempt.exited", "attempt.closed")
FILES = ("keys.md", "heads.json", "tree.whole", "prompt.md", "launch.json", "sent-back.1",
         "again.md", "begins.1", "spec.yaml", "draft.toml")  # fmt: skip


def answer_with(house: House) -> None:
    """The drafter forgets checks at first; the engine sends that back."""
    checks = "    checks: [{kind: command, name: there, run: [test, -s, web.txt]}]\n"
    (house.agents / "draft.1").write_text(fenced(GOOD.replace(checks, "")))
    (house.agents / "draft.2").write_text(fenced(GOOD))


def test_a_kill_while_it_drafts(tmp_path: Path) -> None:
    def act(house: House, at: str) -> None:
        answer_with(house)
        assert house.crash(at, *WORDS).returncode == -9, at
        house.run(*WORDS, code=0)
        assert house.starts() == ["draft 1", "draft 2"], house.starts()
        folder = house.root / ".orchestr/drafts/keys"
        assert (folder / "spec.yaml").read_text() == GOOD
        assert "rounds = 1" in (folder / "draft.toml").read_text()
        assert [p.name for p in (folder / "plans").iterdir()] == ["1"]
        assert 'state = "closed"' in (folder / "plans/1/attempt.toml").read_text()
        assert not (folder / "plans/1/tree").exists()
        house.quiet()

    cases = [f"journal:after#{kind}" for kind in KINDS] + [f"write:after#{name}" for name in FILES]
    cases += ["start:before#1", "start:after#1", "start:after#2", "write:before#draft.toml"]
    at_each(
        cases, tmp_path, act, agent=AGENT, settings=SETTINGS, repos=("app", "web"), cells={"a": {}}
    )


def test_a_kill_while_it_is_approved(tmp_path: Path) -> None:
    def act(house: House, at: str) -> None:
        (house.agents / "draft.1").write_text(fenced(GOOD))
        house.run(*WORDS, code=0)
        done = house.crash(at, "approve", "spec:keys", "--yes")
        assert done.returncode == -9, both(done)
        house.run("approve", "spec:keys", "--yes", code=0)
        assert (house.root / "specs/keys.yaml").read_text().endswith(GOOD)
        assert (house.root / "specs/keys.lock.toml").is_file()
        assert "approved_by" in (house.root / ".orchestr/drafts/keys/draft.toml").read_text()
        house.run("validate", "keys", code=0)

    cases = ["write:before#keys.yaml", "write:after#keys.yaml", "write:after#draft.toml",
             "write:before#keys.lock.toml", "write:after#keys.lock.toml"]  # fmt: skip
    at_each(
        cases, tmp_path, act, agent=AGENT, settings=SETTINGS, repos=("app", "web"), cells={"a": {}}
    )
