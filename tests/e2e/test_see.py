"""The verbs that show: a graph, a transcript that grows, the reason down to the field."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
import threading
from contextlib import suppress
from pathlib import Path

from tests.e2e.conftest import MakeWorkspace
from tests.e2e.workspace import Workspace, both, wait_for
from tests.fork_server import Process


def test_graph_to_the_terminal_and_to_a_file(built: Workspace) -> None:
    text = built.run("graph", "demo", code=0).stdout
    assert "✓ a" in text
    assert text.endswith("✓ 3 done\n")
    done = built.run("graph", "demo", "-o", "demo.svg", code=0)
    assert done.stderr == "wrote demo.svg\n"
    assert (built.root / "demo.svg").read_text().startswith("<svg ")
    refused = built.run("graph", "demo", "--format", "svgg", code=2)
    assert "did you mean 'svg'?" in both(refused)
    assert "cannot be written" in both(
        built.run("graph", "demo", "-o", "orchestr.toml/x.svg", code=2)
    )
    ascii_only = built.run("graph", "demo", env={"PYTHONIOENCODING": "ascii"}, code=0).stdout
    assert ascii_only.isascii()


def test_logs_follow_over_a_failed_attempt_to_the_end_of_the_run(
    workspace: MakeWorkspace, tmp_path: Path
) -> None:
    ws = workspace(cells={"a": {}})
    go = tmp_path / "go"
    ws.script("a", f"echo begun\nwhile ! [ -e {go} ]; do sleep 0.05; done\necho ended; exit 3\n")
    run = ws.spawn("run", "demo")
    wait_for(lambda: ws.journal(kind="attempt.started"), "the agent")
    logs = ws.spawn("logs", "demo:a", "-f")
    wait_for(lambda: "begun" in logs.said(), "its first words")
    assert logs.poll() is None
    go.touch()
    assert run.ended() == 1
    assert logs.ended() == 0
    assert "ended" in logs.said()
    again = ws.run("logs", "demo:a", "--grep", "beg.n", code=0).stdout
    assert [line.split()[-1] for line in again.splitlines()] == ["begun"]


def test_logs_follow_into_the_next_attempt(workspace: MakeWorkspace, tmp_path: Path) -> None:
    ws = workspace(cells={"a": {}})
    go = tmp_path / "go"
    wait = f"while ! [ -e {go} ]; do sleep 0.05; done\n"
    ws.script("a", f'echo "try $ORCHESTR_ATTEMPT"\n{wait}echo x > a.txt\n')
    run = ws.spawn("run", "demo")
    wait_for(lambda: ws.starts("a"), "the agent")
    run.kill()  # its agent works on
    run.ended()
    logs = ws.spawn("logs", "demo:a", "-f")
    wait_for(lambda: "try 1" in logs.said(), "the first attempt")
    ws.edit_spec("do a", "do a twice")  # so that the next run replaces it
    again = ws.spawn("run", "demo")
    wait_for(lambda: "try 2" in logs.said(), "the second attempt")
    go.touch()
    assert again.ended() == 0
    assert logs.ended() == 0
    heads = [line.split(",")[0] for line in logs.said().splitlines() if "attempt " in line]
    assert heads == ["== attempt 1 of demo:a", "== attempt 2 of demo:a"]


def test_explain_names_the_field_with_its_line_old_and_new(built: Workspace) -> None:
    built.edit_spec("do a", "do a twice")
    said = built.run("explain", "demo:a", code=0).stdout
    lines = (built.root / "specs" / "demo.yaml").read_text().splitlines()
    line = next(n for n, text in enumerate(lines, 1) if "do a twice" in text)
    assert f"    todo[0]  (specs/demo.yaml:{line})\n      - do a\n      + do a twice\n" in said
    assert "next: orchestr run demo:a" in said
    built.run("run", "demo:a", code=0)
    said = built.run("explain", "demo:a", code=0).stdout
    assert "- nothing has changed since: it is up to date" in said
    assert "because: its todo, agent, owned_paths or what it builds on changed" in said
    assert "    todo[0]\n      - do a\n      + do a twice\n" in said
    started = [e for e in built.journal(kind="phase.started") if "changes" in e["data"]]
    assert started[0]["data"]["changes"] == [
        {"field": "todo[0]", "old": "do a", "new": "do a twice"}
    ]
    number = len(built.journal()) - 1
    assert f".orchestr/journal/demo.jsonl:{number}  " in said


def test_explain_names_what_an_upstream_changed(built: Workspace) -> None:
    before = built.result("a", "tree").strip()
    built.say("a", "other work\n")
    built.run("run", "demo:a", "--force", code=0)
    said = built.run("explain", "demo:b", code=0).stdout
    after = built.result("a", "tree").strip()
    assert before != after
    assert "upstream a has another tree" in said
    assert (
        f"    upstream a\n      - tree {before[:12]}\n      + tree {after[:12]}\n        M a.txt\n"
    ) in said
    assert "because: it was forced by `run --force`" in built.run("explain", "demo:a").stdout


def test_explain_says_what_a_setting_changed(built: Workspace) -> None:
    built.settings(repos={"app": {"setup": ["true"]}})
    said = built.run("explain", "demo:c", code=0).stdout
    lines = (built.root / "orchestr.toml").read_text().splitlines()
    line = next(n for n, text in enumerate(lines, 1) if text.startswith("setup"))
    assert f"setup[0]  (orchestr.toml:{line})\n      + true\n" in said, said


def test_explain_says_what_would_happen(built: Workspace) -> None:
    said = built.run("explain", "demo:b", "--if-changed", "a", code=0).stdout
    assert said.startswith("if demo:a comes out with another tree\n  - b builds on a")
    assert "b does worktree, implement, check, review, publish" in said
    said = built.run("explain", "demo:c", "--if-changed", "demo:a", code=0).stdout
    assert said.startswith("nothing happens to demo:c if a changes")
    refused = built.run("explain", "demo:b", "--if-changed", "aa", code=2)
    assert "did you mean 'a'?" in both(refused)


def test_explain_says_less_where_inputs_are_missing_or_rubbish(built: Workspace) -> None:
    built.edit_spec("do a", "do a twice")
    for rubbish in (None, "{", "[]", '{"phases": {"implement": 3}}'):
        path = built.cell_dir("a") / "inputs.json"
        path.unlink() if rubbish is None else path.write_text(rubbish)
        said = built.run("explain", "demo:a", code=0).stdout
        assert "its todo, agent, owned_paths or what it builds on changed" in said
        assert "todo[0]" not in said
    built.run("run", "demo:a", code=0)
    assert "do a twice" in (built.cell_dir("a") / "inputs.json").read_text()


def test_status_watch_is_a_live_table_on_a_terminal(built: Workspace) -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    env = built.env({"TERM": "xterm", "NO_COLOR": "1"})
    child = Process(
        [sys.executable, "-m", "orchestr", "status", "demo", "--watch"],
        cwd=built.root, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    seen = bytearray()

    def read() -> None:
        with suppress(OSError):
            while block := os.read(master, 65536):
                seen.extend(block)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        wait_for(lambda: b"3 of 3 done" in seen, "the table")
        built.say("a", "more\n")
        built.run("run", "demo:a", "--force", code=0)
        wait_for(lambda: re.search("✓ a +done +2 ".encode(), seen), "the second attempt")
    finally:
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 130
    reader.join(10)
    os.close(master)
    assert seen.rstrip().endswith(b"\x1b[?25h")
