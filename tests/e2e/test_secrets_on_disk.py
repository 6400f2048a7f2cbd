"""After a run with secrets everywhere: what is kept holds none, nor does a pull request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace, both

MINE = "s3cr3t-of-the-user-0123456789"
FORGE = "ghp_" + "a1B2c3D4" * 5
KEY = (
    "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\\n-----END PRIVATE KEY-----\\n"
)
SAY = (
    f'printf "%s {FORGE} $MY_TOKEN\\n" "$1"; printf -- "{KEY}"; printf "%70000s{FORGE}%070d\\n" x 1'
)
ENV = {"MY_TOKEN": MINE, "GH_TOKEN": FORGE}


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    made = Workspace.make(tmp_path / "ws")
    (made.root / "say.sh").write_text(SAY + "\n")
    say = f"sh {made.root}/say.sh"
    check = {"kind": "command", "name": "says", "run": ["sh", f"{made.root}/say.sh", "check"],
             "pass_env": ["MY_TOKEN"]}  # fmt: skip
    red = {**check, "name": "fails", "run": ["sh", "-c", f"{say} red; exit 1"]}
    todo = [f"do it, not with {FORGE} or {MINE}"]
    made.spec({"a": {"todo": todo, "checks": [check, red], "repair": {"checks": 1}},
               "b": {"todo": todo, "reviewers": [{"name": "first", "agent": "judge"}]}}
    )  # fmt: skip
    made.script("a", f"date +%N > a.txt; {say} agent >&2; {say} agent\n")
    (made.root / "judge.sh").write_text(
        f"{say} judge\n" + json_answer() + "\n")  # fmt: skip
    yield made
    made.end()


def json_answer() -> str:
    return f"""echo '{json.dumps({"summary": f"I read {FORGE}.", "issues": []})}'"""


def settings(ws: Workspace, **workspace: object) -> None:
    judge = {"kind": "command", "run": ["sh", f"{ws.root}/judge.sh"]}
    ws.settings(workspace=workspace, agents={"judge": judge, "sh": {"pass_env": ["MY_TOKEN"]}},
                repos={"app": {"setup": [f"sh {ws.root}/say.sh setup"]}})  # fmt: skip


def holders(ws: Workspace) -> set[str]:
    """The files that show 8 letters in a row of a secret."""
    parts = {s[i : i + 8].encode() for s in (MINE, FORGE) for i in range(len(s) - 7)} | {b"MIIEvQ"}
    found = set()
    for path in (ws.root / ".orchestr").rglob("*"):
        if path.is_file() and not path.is_symlink() and "worktrees" not in path.parts:
            data = path.read_bytes()
            if any(part in data for part in parts):
                found.add(path.name)
    return found


def test_nothing_that_is_kept_holds_a_secret(ws: Workspace) -> None:
    settings(ws)
    said = both(ws.run("run", "demo", env=ENV))
    assert "FAILED" in said and FORGE not in said and MINE not in said
    kept = {path.name for path in (ws.root / ".orchestr").rglob("*")}
    assert {"transcript.jsonl", "prompt.md", "setup-1.log", "review.json", "001-says.log"} <= kept
    assert list((ws.root / ".orchestr" / "forge").rglob("*.toml"))
    # `launch.json` starts the agent, for its owner only; what a todo says is the spec's.
    left = {name for name in holders(ws) if not name.startswith("spec-")}
    assert left - {"launch.json", "inputs.json"} == set()


def test_raw_logs_keep_them(ws: Workspace) -> None:
    settings(ws, raw_logs=True)
    ws.run("run", "demo", env=ENV)
    assert {"transcript.jsonl", "prompt.md", "setup-1.log", "001-says.log"} <= holders(ws)
