"""Every hint names a command that exists, applies now and changes the state: it is typed here."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestr.errors import SpecError
from orchestr.spec.yaml_source import Source, make_document
from tests.conftest import git
from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both

TWO = {"one": {}, "two": {}}


def hints(text: str) -> list[str]:
    """What stands behind `hint:` and `next:`."""
    return re.findall(r"(?:hint|next):\s+(.+)", text)


def type_command(ws: Workspace, command: str) -> subprocess.CompletedProcess[str]:
    """Type a command of git in the workspace."""
    words = shlex.split(command.rstrip(",").partition(", ")[0])
    assert words[0] == "git"
    return subprocess.run(words, cwd=ws.root, capture_output=True, text=True, check=False)


# ---- doctor ---------------------------------------------------------------------------------


def test_a_cell_that_no_spec_names_is_retired(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=TWO)
    ws.run("run", "demo", code=0)
    ws.spec({"one": {}})
    said = ws.run("doctor", "--fix").stdout
    assert "orchestr retire demo:two" in said
    assert "doctor --fix" not in said  # it would change nothing
    ws.run("retire", "demo:two", code=0)
    assert "nothing is wrong" in ws.run("doctor", code=0).stdout


def test_what_is_not_committed_is_named_before_a_removal(workspace: MakeWorkspace) -> None:
    ws = workspace(cells=TWO)
    ws.run("run", "demo", code=0)
    mine = ws.root / ".orchestr" / "worktrees" / "demo" / "mine"
    git(ws.repos / "app", "worktree", "add", "--quiet", "-b", "mine", str(mine))
    (mine / "work.txt").write_text("precious\n")
    (hint,) = hints(ws.run("doctor").stdout)
    assert hint.startswith("it holds what is not committed: look at git -C")
    command = hint.partition(", then ")[2]
    assert type_command(ws, command).returncode != 0  # git keeps it, too
    assert (mine / "work.txt").exists()
    (mine / "work.txt").unlink()
    (hint,) = hints(ws.run("doctor").stdout)
    assert type_command(ws, hint).returncode == 0 and not mine.exists()
    assert "nothing is wrong" in ws.run("doctor", code=0).stdout


def test_a_broken_registry_without_worktrees_is_made_again(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"one": {}})
    ws.run("doctor", code=0)
    (ws.root / ".orchestr" / "registry.json").write_text("{")
    assert "orchestr doctor --fix" in both(ws.run("doctor"))
    ws.run("doctor", "--fix", code=0)
    ws.run("run", "demo", code=0)


# ---- while a run is at work -----------------------------------------------------------------


def test_approve_names_no_run_while_one_is_at_work(workspace: MakeWorkspace) -> None:
    ws = workspace(cells={"gated": {"approve": "publish"}, "long": {}})
    ws.script("long", 'while [ ! -e "$AGENT_DIR/go" ]; do sleep 0.1; done; echo x > long.txt')
    run = ws.spawn("run", "demo")
    until = time.monotonic() + 60
    while "approval" not in ws.run("status", "demo").stdout and time.monotonic() < until:
        time.sleep(0.2)
    said = ws.run("approve", "demo:gated", "--yes", code=0).stdout
    assert "at work (pid" in said and hints(said) == ["orchestr status demo --watch"]
    (ws.agents / "go").touch()
    run.ended()
    assert hints(ws.run("approve", "demo:gated", "--yes").stdout) == []
    ws.run("run", "demo", code=0)


# ---- the name of the program ----------------------------------------------------------------


@pytest.mark.parametrize("wrapper", [None, "./doitw"])
def test_hints_are_typed_as_the_user_types(workspace: MakeWorkspace, wrapper: str | None) -> None:
    """Under plain doit nothing says that a program `orchestr` is on PATH."""
    ws = workspace(cells={"one": {}, "two": {"depends_on": ["one"]}})
    ws.script("one", "exit 3")
    env = {"ORCHESTR_AS": wrapper} if wrapper else {}
    name = wrapper or f"{Path(sys.executable).name} -m doit"
    said = "".join(
        both(ws.doit(*words.split(), env=env))
        for words in (
            "run feature:demo", "status demo", "explain feature:demo:one", "plan demo", "doctor",
            "run demo --nothing", "status nothing", "run", "help plan", "help approve",
        )
    )  # fmt: skip
    assert name + " logs demo:one" in said and name + " run demo" in said
    verbs = "run|logs|status|explain|plan|list|help|approve|doctor"
    assert not re.findall(rf"\borchestr (?:{verbs})\b.*", said)
    assert "orchestr logs demo:one" in both(ws.run("explain", "demo:one"))


# ---- YAML -----------------------------------------------------------------------------------

HEAD = """\
apiVersion: orchestr/v1
kind: Feature
metadata: {name: f, jira: K-1, title: a feature}
cells:
"""


@pytest.mark.parametrize(
    ("cells", "hint"),
    [
        ("  one:\n    todo:\n      -\twrite: [it\n", "write spaces instead of the tab"),
        ("  one:\n\ttodo: [x]\n", "indent with spaces"),
        (
            '  one: {repo: a, todo: ["write it]}\n  two: {repo: a, todo: [y]}\n',
            'close the quote " of column 25',
        ),
        (
            '  one: {repo: a, todo: ["write it]}\n  two: {repo: a, todo: ["y"]}\n',
            'close the quote " of column 25',
        ),
        ("  one: {repo: a, todo: ['it]}\n  two: {repo: b}\n", "close the quote ' of column 25"),
        (
            "  one: {repo: a, todo: [x]\n  two: {repo: b}\n",
            "close the bracket { of column 8 with }",
        ),
        ("  one:\n    todo:\n      - 'abc\n", 'needs quotes: - "abc"'),
    ],
)
def test_the_hint_names_what_is_wrong_in_the_line(cells: str, hint: str) -> None:
    with pytest.raises(SpecError) as caught:
        make_document(Source("specs/f.yaml", (HEAD + cells).encode()))
    assert hint in str(caught.value)


# ---- files that may not be used -------------------------------------------------------------


@pytest.mark.parametrize("place", ["journal", "cells/demo/one", "locks"])
def test_a_folder_that_may_not_be_written_is_no_fault(workspace: MakeWorkspace, place: str) -> None:
    """A file where the folder should be refuses root, too."""
    ws = workspace(cells={"one": {}})
    ws.run("run", "demo", code=0)
    folder = ws.root / ".orchestr" / place
    folder.rename(folder.with_name("aside"))
    folder.write_text("")
    done = ws.run("run", "demo", "--force", code=2)
    assert str(folder) in done.stderr and "hint:" in done.stderr
    assert "a fault in orchestr" not in both(done) and "Traceback" not in both(done)
    folder.unlink()
    folder.with_name("aside").rename(folder)
    ws.run("run", "demo", "--force", code=0)
