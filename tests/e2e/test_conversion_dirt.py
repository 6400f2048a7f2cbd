"""Files that git calls changed and nobody changed: line ends, filters, late attributes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import git
from tests.e2e.test_setup_baseline import OWNS, changed, setting_up, warnings, ws_commit
from tests.e2e.workspace import FEATURE, nothing_to_do

ADDS = 'echo "$ORCHESTR_ATTEMPT" > one.txt; git add -A; git commit -qm "all of it"\n'
TRACKS = {**OWNS, "track_base": True}
CRLF: dict[str, str | bytes] = {"old.txt": b"a\r\nb\r\n", "src/more.txt": b"c\r\n"}
TOUCHES = {"kind": "command", "name": "touches", "run": ["touch", "old.txt"]}
TEXT: dict[str, str | bytes] = {".gitattributes": "*.txt text\n"}


@pytest.mark.parametrize("agent", [None, ADDS])
def test_attributes_that_come_with_a_moved_base(agent: str | None, tmp_path: Path) -> None:
    """The worktree is there already; the merge of the base makes its files differ."""
    ws = setting_up(tmp_path, cell=TRACKS)
    ws_commit(ws, CRLF)
    if agent:
        ws.script("one", agent)
    ws.run("run", FEATURE, code=0)
    ws_commit(ws, TEXT)
    ws.run("run", FEATURE, code=0)
    assert changed(ws) == ["one.txt"]
    # What the agent's own git took for changed depends on times; it is taken out, and said.
    assert agent or "commits" not in warnings(ws)
    nothing_to_do(ws)


@pytest.mark.parametrize("agent", [None, ADDS])
def test_files_that_look_unchanged_until_they_are_touched(
    agent: str | None, tmp_path: Path
) -> None:
    """git's index takes them for unchanged by their times; a formatter writes them again."""
    ws = setting_up(tmp_path)
    git(ws.repos / "app", "config", "filter.slow.smudge", "sleep 1.1; cat")
    git(ws.repos / "app", "config", "filter.slow.clean", "cat")
    ws_commit(ws, {"aaa.txt": b"a\r\n", "zzz.bin": "z\n"})
    ws_commit(ws, {".gitattributes": "*.txt text\naaa.txt filter=none\nzzz.bin filter=slow\n"})
    git(ws.repos / "app", "config", "filter.none.smudge", "cat")
    ws.script("one", f"touch aaa.txt\n{agent or 'echo 1 > one.txt'}")
    ws.run("run", FEATURE, code=0)
    assert changed(ws) == ["one.txt"]
    nothing_to_do(ws)


@pytest.mark.parametrize("agent", [None, ADDS])
def test_a_filter_that_never_gives_the_same_bytes(agent: str | None, tmp_path: Path) -> None:
    """What is so after a merge is nobody's; so it is after a fresh start."""
    ws = setting_up(tmp_path, cell=TRACKS)
    git(ws.repos / "app", "config", "filter.stamp.clean", "cat")
    git(ws.repos / "app", "config", "filter.stamp.smudge", "cat; date +%N")
    ws_commit(ws, {"v.txt": "v\n"})
    if agent:
        ws.script("one", agent)
    ws.run("run", FEATURE, code=0)
    git(ws.repos / "app", "config", "filter.stamp.clean", "true")
    ws_commit(ws, {"v.txt": "w\n", ".gitattributes": "v.txt filter=stamp\n"})
    git(ws.repos / "app", "config", "filter.stamp.clean", "cat")
    ws.run("run", FEATURE, code=0)
    assert changed(ws) == ["one.txt"]
    assert "git finds v.txt changed" in warnings(ws)
    ws.run("run", "--fresh", FEATURE, code=0)
    assert changed(ws) == ["one.txt"]
    nothing_to_do(ws)


def test_a_base_that_ends_it_is_merged(tmp_path: Path) -> None:
    """git refuses to merge over a file that it finds changed."""
    ws = setting_up(tmp_path, cell=TRACKS)
    ws_commit(ws, CRLF)
    ws_commit(ws, TEXT)
    ws.run("run", FEATURE, code=0)
    app = ws.repos / "app"
    git(app, "add", "--renormalize", "old.txt")
    git(app, "commit", "--quiet", "-m", "line ends")
    git(app, "push", "--quiet", "origin", "main")
    ws.run("run", FEATURE, code=0)
    assert changed(ws) == ["one.txt"]
    assert ws.starts() == ["one 1", "one 2"]
    assert (ws.worktree("one") / "old.txt").read_bytes() == b"a\nb\n"
    assert (ws.worktree("one") / "src" / "more.txt").read_bytes() == b"c\r\n"
    nothing_to_do(ws)


def test_it_is_in_the_way_of_no_verb(tmp_path: Path) -> None:
    ws = setting_up(tmp_path, cell=TRACKS)
    ws_commit(ws, CRLF)
    ws.run("run", FEATURE, code=0)
    ws_commit(ws, TEXT)
    ws.settings(repos={"app": {"setup": [], "checks": [TOUCHES]}})
    ws.run("run", FEATURE, code=0)
    (ws.worktree("one") / "old.txt").touch()
    ws.run("run", f"{FEATURE}:one", "--force", code=0)
    (ws.worktree("one") / "old.txt").touch()
    ws.run("clean", FEATURE, code=0)
    assert not ws.worktree("one").exists()
