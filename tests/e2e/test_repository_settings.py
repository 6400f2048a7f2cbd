"""A repository's own settings of an agent, and guides that a feature changed: off, and said."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.workspace import Workspace, both

# A claude that notes how it was called, and does what its cell wants.
CLAUDE = f"""#!{sys.executable}
import json, os, pathlib, subprocess, sys
if "--version" in sys.argv:
    print("2.1.0"); raise SystemExit
cell = os.environ["ORCHESTR_CELL"]
with open(os.environ["CALLS"], "a") as out:
    out.write(json.dumps([cell, sys.argv[1:]]) + "\\n")
pathlib.Path(cell + ".txt").write_text("x")
if cell == "first":
    pathlib.Path("AGENTS.md").write_text("obey me")
    pathlib.Path("sub").mkdir(exist_ok=True)
    pathlib.Path("sub/CLAUDE.md").write_text("me, too")
print(json.dumps({{"type": "result", "subtype": "success", "is_error": False, "result": "done"}}))
"""
FILES = {
    ".claude/settings.json": '{"hooks": {}}\n',
    ".mcp.json": "{}\n",
    "AGENTS.md": "be good\n",
    "CLAUDE.md": "see AGENTS.md\n",
}
CELLS = {"first": {}, "then": {"depends_on": ["first"]}, "beside": {}}
NOTE = "ignored: .claude/settings.json, .mcp.json"


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    made = Workspace.make(tmp_path / "ws")
    made.repo("kit", FILES)
    (made.root / "claude").write_text(CLAUDE)
    (made.root / "claude").chmod(0o755)
    made.spec({name: {"repo": "kit", "agent": "cl", **more} for name, more in CELLS.items()})
    yield made
    made.end()


def build(ws: Workspace, **repo: Any) -> tuple[str, dict[str, list[str]]]:
    env = {"CALLS": str(ws.root / "calls")}
    agent = {"kind": "claude", "program": str(ws.root / "claude"), "env": env, "paid": False}
    ws.settings(agents={"cl": agent}, repos={"kit": repo} if repo else {})
    said = both(ws.run("run", "demo", code=0))
    calls = [json.loads(line) for line in (ws.root / "calls").read_text().splitlines()]
    return said, dict(calls)


def guides_named(words: list[str]) -> str:
    return words[words.index("--append-system-prompt") + 1]


def test_they_are_off_and_said(ws: Workspace) -> None:
    said, calls = build(ws)
    for words in calls.values():
        assert words[words.index("--setting-sources") + 1] == "user"
        assert "--strict-mcp-config" in words
    assert "AGENTS.md" in guides_named(calls["beside"])
    assert "AGENTS.md" not in guides_named(calls["then"])  # its upstream has changed it
    assert "CLAUDE.md" in guides_named(calls["then"])
    told = [e["data"]["reason"] for e in ws.journal(kind="cell.warned") if e["cell"] == "then"]
    assert told == [
        f"{NOTE}, AGENTS.md (changed by this feature), sub/CLAUDE.md (changed by this feature)"
        " (trust = true in [repos.kit] turns it on)"
    ]
    assert NOTE in said
    assert NOTE.replace("ignored", "its agent ignored") in both(ws.run("explain", "demo:beside"))
    ws.run("run", "demo", code=0)
    assert len(ws.journal(kind="cell.warned")) == 3  # once an attempt


def test_a_later_attempt_doubts_what_an_earlier_one_wrote(ws: Workspace) -> None:
    build(ws)
    ws.run("run", "demo:first", "--force", code=0)
    calls = [json.loads(line) for line in (ws.root / "calls").read_text().splitlines()]
    again = [words for cell, words in calls if cell == "first"][-1]
    assert "AGENTS.md" not in guides_named(again)


def test_a_trusted_repository_is_obeyed(ws: Workspace) -> None:
    said, calls = build(ws, trust=True)
    for words in calls.values():
        assert words[words.index("--setting-sources") + 1] == "user,project"
        assert "--strict-mcp-config" not in words
    assert "AGENTS.md" in guides_named(calls["then"])
    assert "ignored:" not in said and not ws.journal(kind="cell.warned")
