"""`orchestr comment`: what people do on a forge's page, on the forge that has none."""

from __future__ import annotations

import json
import re
import sys

import pytest

from orchestr.errors import ExitCode
from tests.conftest import git

from .conftest import MakeWorkspace
from .workspace import FEATURE, Workspace, both

USAGE = int(ExitCode.USAGE)


@pytest.fixture
def ws(workspace: MakeWorkspace) -> Workspace:
    made = workspace(cells={"a": {}}, settings={"forge": {"ci": "test ! -e red"}})
    made.run("run", FEATURE, code=0)
    return made


def said(ws: Workspace) -> list[tuple[str, str, str]]:
    """Id, author and text of what was said."""
    table = json.loads(ws.run("comment", "app#1", "--json", code=0).stdout)
    return [(row["id"], row["author"], row["body"]) for row in table["comments"]]


def test_a_conversation(ws: Workspace) -> None:
    url = ws.result("a", "pr-url")
    git(ws.repos / "app", "config", "user.name", "Ada Lovelace")
    assert "nothing was said" in ws.run("comment", url, code=0).stdout

    assert ws.run("comment", url, "Why?", "--on", "a.txt:1", code=0).stdout == (
        "app#1: c1 by Ada Lovelace\n"
    )
    ws.run("comment", "app#1", "Because.", "--reply", "c1", "--as", "rita", code=0)
    ws.run("comment", "app#1", "-", "--as", "bert", "--bot", code=0, stdin="from\nstdin")
    ws.run("comment", "app#1", "No.", "--request-changes", "--as", "ruth", code=0)
    ws.run("comment", "app#1", "--approve", "--as", "ruth", code=0)
    ws.run("comment", "app#1", "--resolve", "c1", "--label", "x", "--label", "y z", code=0)
    ws.run("comment", "app#1", "--unlabel", "x", "--ready", code=0)

    shown = ws.run("comment", "app#1", code=0).stdout
    lines = [re.sub(r" \d{4}-\d\d-\d\d .*", "", line) for line in shown.splitlines() if line]
    assert lines[1:] == [
        f"  open, {ws.branch('a')} into main",
        "  labels: y z",
        "c1 Ada Lovelace on a.txt:1 resolved",
        "  Why?",
        "c2 rita in c1",
        "  Because.",
        "c3 bert (bot)",
        "  from",
        "  stdin",
        "c4 ruth changes requested",
        "  No.",
        "c5 ruth approved",
    ]
    assert [author for _, author, _ in said(ws)] == ["Ada Lovelace", "rita", "bert", "ruth", "ruth"]
    assert ws.pr("a")["draft"] is False


def test_close_and_reopen(ws: Workspace) -> None:
    ws.run("comment", "app#1", "Not now.", "--close", "--as", "rita", code=0)
    assert (ws.pr("a")["state"], ws.pr("a")["closed_by"]) == ("closed", "rita")
    assert "closed by rita" in ws.run("comment", "app#1", code=0).stdout
    ws.run("comment", "app#1", "--reopen", code=0)
    assert (ws.pr("a")["state"], ws.pr("a").get("closed_by")) == ("open", None)


def test_what_cannot_be_is_an_instruction(ws: Workspace) -> None:
    wrong: dict[tuple[str, ...], str] = {
        (): "which pull request?",
        ("nonsense", "x"): "is no pull request of the local forge",
        ("app#1", "two", "words"): "put it in quotes",
        ("app#1", "--on", "a.txt"): "--on wants a text",
        ("app#1", "--request-changes"): "--request-changes wants a text",
        ("app#1", "--close", "--reopen"): "--close and --reopen exclude each other",
        ("app#1", "x", "--approve", "--on", "a"): "not a place of it",
        ("app#1", "y" * 70_000): "at most 65,536 characters",
        ("-x#1", "x"): "option -x not recognized",
        ("..#1", "x"): "cannot be the name of a repository",
    }
    for words, error in wrong.items():
        done = both(ws.run("comment", *words, code=USAGE))
        assert error in done
        assert "hint:" in done
    assert said(ws) == []


def test_what_the_forge_refuses_is_said(ws: Workspace) -> None:
    for words, error in (
        (("app#9",), "app has no pull request 9"),
        (("app#9", "x"), "app has no pull request 9"),
        (("other#1",), "other has no pull request 1"),
        (("app#1", "x", "--reply", "c7"), "has no thread 'c7'"),
    ):
        refused = both(ws.run("comment", *words, code=1))
        assert error in refused
        assert "hint: " in refused


def test_another_forge_has_its_own_page(ws: Workspace) -> None:
    (ws.root / "orchestr.toml").write_text(
        (ws.root / "orchestr.toml").read_text().replace('"local"', '"github"').replace("ci =", "#")
    )
    done = ws.run("comment", "https://github.com/o/r/pull/1", "x", code=USAGE)
    assert "gh pr comment https://github.com/o/r/pull/1" in both(done)


def test_text_cannot_draw_on_the_terminal(ws: Workspace) -> None:
    ws.run("comment", "app#1", "a\x1b[2Jb\rc", "--as", "x\x1b[31my\n", "--label", "\x1b[1ml",
           code=0)  # fmt: skip
    shown = ws.run("comment", "app#1", code=0).stdout
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert "xy" in shown


def test_ci_cannot_do_what_people_do(workspace: MakeWorkspace) -> None:
    command = f"{sys.executable} -m orchestr comment app#1 LGTM"
    made = workspace(cells={"a": {}}, settings={"forge": {"ci": command}})
    made.run("run", FEATURE, code=0)
    made.run("follow", FEATURE, "--once")
    logs = [
        text for path in (made.root / ".orchestr/forge/app/ci").glob("*.log")
        if "is for people; CI called it" in (text := path.read_text())
    ]  # fmt: skip
    assert logs
    assert said(made) == []
