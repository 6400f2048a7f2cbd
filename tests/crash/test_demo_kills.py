"""The demo's feature, killed at the first event of each kind, one after the other."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from orchestr.state.events import EventKind
from tests.conftest import git
from tests.crash.house import TOP, House, both

pytestmark = pytest.mark.slow
FEATURE = "mlkem"
REPOS = ("platform", "java-sdk", "web-sdk", "tests")
FAST = {"DEMO_PAUSE": "0"}
CHAIN = (
    EventKind.RUN_STARTED,
    EventKind.PHASE_STARTED,
    EventKind.WORKTREE_ADDED,
    EventKind.ATTEMPT_OPENED,
    EventKind.ATTEMPT_STARTED,
    EventKind.ATTEMPT_ADOPTED,
    EventKind.ATTEMPT_EXITED,
    EventKind.ATTEMPT_CLOSED,
    EventKind.PHASE_DONE,
    EventKind.PUSH_INTENDED,
    EventKind.PUSH_DONE,
    EventKind.PR_INTENDED,
    EventKind.PR_OPENED,
    EventKind.CHECK_DONE,
    EventKind.REPAIR_OPENED,
    EventKind.REPAIR_CLOSED,
    EventKind.REVIEW_DONE,
    EventKind.PR_SEEN,
    EventKind.PR_UPDATED,
    EventKind.RUN_FINISHED,
)


def demo(root: Path) -> House:
    root.mkdir()
    for name in ("demo", "specs"):
        ignore = shutil.ignore_patterns("repos", "__pycache__")
        shutil.copytree(TOP / name, root / name, ignore=ignore)
    for name in ("orchestr.toml", "dodo.py"):
        shutil.copy(TOP / name, root)
    return House(root)


def trees(house: House) -> dict[str, str]:
    """Branch -> tree of every pull request, by its head in the forge's records."""
    folder = house.root / "demo" / "repos"
    return {
        pr["head"]: git(folder / pr["url"].split("/")[2], "rev-parse", f"{pr['head_sha']}^{{tree}}")
        for pr in house.prs().values()
    }


def test_the_demo_is_killed_at_each_kind_of_event(tmp_path: Path) -> None:
    calm = demo(tmp_path / "calm")
    calm.run("run", FEATURE, env=FAST, code=0)
    house = demo(tmp_path / "killed")
    try:
        killed = [
            kind for kind in CHAIN
            if house.crash(f"journal:after#{kind}", "run", FEATURE, env=FAST).returncode == -9
        ]  # fmt: skip
        assert set(CHAIN) - set(killed) <= {
            EventKind.ATTEMPT_ADOPTED,
            EventKind.PR_SEEN,
            EventKind.PR_UPDATED,
        }
        done = house.run("run", FEATURE, env=FAST)
        assert done.returncode == 0, both(done)
        assert trees(house) == trees(calm)
        assert len(house.prs()) == len(calm.prs()) == 6
        opened = Counter(e["cell"] for e in house.journal(FEATURE, "attempt.opened"))
        assert set(opened.values()) == {1}, opened
        started = Counter(
            (e["cell"], e["data"].get("round", 0), e["data"].get("part", ""))
            for e in house.journal(FEATURE, "attempt.started")
        )
        assert set(started.values()) == {1}, started  # nobody's work was paid twice
        assert [start[1:] for start in started if start[0] == "platform-service"] == [
            (0, ""), (0, "review-1-reader"), (1, ""), (0, "review-2-reader"),
        ]  # fmt: skip
        assert ("web-sdk", 1, "") in started
        house.sound(FEATURE)
    finally:
        house.end()
        calm.end()
