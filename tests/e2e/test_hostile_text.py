"""Text that means harm, wherever a stranger can put it, and every verb that may show it."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace, both
from tests.fork_server import Process

BAD = "\x1b]0;pwned\x07\x1b[2J\u202e"
TURNED = r"\u202epwned"  # the spec reader refuses controls
SPEC = f"""\
apiVersion: orchestr/v1
kind: Feature
metadata: {{name: demo, jira: T-1, title: "Title {TURNED}"}}
defaults: {{agent: sh}}
cells:
  a: {{repo: app, title: "cell {TURNED}", todo: ["do it {TURNED}"]}}
  b: {{repo: app, todo: [fail]}}
"""
VERBS = (
    ("list",), ("list", "--all"), ("list", "--status", "--all"),
    ("info", "feature:demo:a"), ("status",),
    ("status", "demo"), ("status", "demo", "--json"), ("validate",), ("doctor",), ("plan", "demo"),
    ("plan", "demo", "--json"), ("prompt", "demo:a"), ("explain", "demo:a"), ("explain", "demo:b"),
    ("logs", "demo:a"), ("logs", "demo:b"), ("logs", "demo:a", "--last", "0"),
    ("export", "demo", "--format", "csv"), ("export", "demo"), ("graph", "demo"),
    ("clean", "demo:a", "--dry-run"), (f"no{BAD}verb",), ("status", f"no{BAD}feature"),
    ("run", "demo", "--dry-run"), ("forget", f"demo:{BAD}"),
)  # fmt: skip


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    made = Workspace.make(tmp_path_factory.mktemp("door") / "ws", spec=SPEC)
    made.script("a", f"printf '%s' '{BAD}'; echo x > 'a{BAD}.txt'\n")
    made.script("b", f"printf '%s' '{BAD} it broke' >&2; exit 3\n")
    said = both(made.run("run", "demo"))
    assert_harmless(said)
    yield made
    made.end()


def assert_harmless(said: str) -> None:
    bad = sorted({c for c in said if not c.isprintable() and c not in "\t\n"})
    assert not bad, (bad, said)


@pytest.mark.parametrize("words", VERBS, ids=lambda words: ascii(" ".join(words))[1:-1])
def test_no_verb_lets_it_through(ws: Workspace, words: tuple[str, ...]) -> None:
    done = ws.run(*words)
    assert "Traceback" not in both(done)
    assert_harmless(both(done))


def test_plain_doit_neither(ws: Workspace) -> None:
    for words in (["list", "--all"], ["info", "feature:demo:a"], ["status"]):
        done = ws.doit(*words)
        assert_harmless(both(done))


@pytest.mark.parametrize("verb", ["validate", "list", "status", "doctor"])
@pytest.mark.parametrize("text", [f"kind: '{BAD}'\nodd: [\n", 'kind: "\\e[2J"\n"x\\u202e": 1\n'])
def test_nor_the_name_and_text_of_a_broken_spec(ws: Workspace, verb: str, text: str) -> None:
    path = ws.root / "specs" / f"odd{BAD}.yaml"
    path.write_text(text)
    try:
        done = ws.run(verb)
        assert "odd\\x1b]0;pwned" in both(done) or verb == "doctor"
        assert_harmless(both(done))
    finally:
        path.unlink()


def test_a_file_holds_it_as_it_is(ws: Workspace, tmp_path: Path) -> None:
    ws.run("logs", "demo:a", "--raw", code=0)
    ws.run("export", "demo", "--format", "csv", "-o", str(tmp_path / "times.csv"), code=0)
    assert (tmp_path / "times.csv").exists()


@pytest.mark.parametrize("words", [("prompt", "demo:a"), ("status", "demo"), ("list",)])
def test_on_a_terminal_only_colours_are_left(ws: Workspace, words: tuple[str, ...]) -> None:
    import re

    leader, follower = pty.openpty()
    env = ws.env({"TERM": "xterm"})
    child = Process(
        [sys.executable, "-m", "orchestr", *words],
        cwd=ws.root, env=env, stdin=follower, stdout=follower, stderr=follower,
        start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    seen = bytearray()
    with suppress(OSError):
        while block := os.read(leader, 65536):
            seen += block
    child.wait(60)
    os.close(leader)
    text = seen.decode().replace("\r\n", "\n")
    assert_harmless(re.sub(r"\x1b\[[0-9;]*m", "", text))
    assert "pwned" in text or words == ("status", "demo")
