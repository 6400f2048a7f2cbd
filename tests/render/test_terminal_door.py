"""What reaches a terminal: nothing that it would obey, wherever the text comes from; and no way
around the door in the code."""

from __future__ import annotations

import ast
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, cast

import pytest

from orchestr.views.terminal.door import (
    TerminalDoor,
    guard_streams,
    make_printable,
    stream_behind,
    write_exact_json,
)

HOSTILE = {
    "clears the screen": "\x1b[2J\x1b[H",
    "sets the title": "\x1b]0;mine\x07",
    "one byte": "\x9b2J",
    "device control": "\x1bP1;1|\x1b\\",
    "turns text around": "\u202egpj.exe",
    "isolates": "\u2066a\u2069",
    "over the line": "done\rFAILED",
    "backspace": "ok\b\bno",
    "hides": "\x1b[8mhidden\x1b[0m",
    "tags": "\U000e0041",
    "separates lines": "a\u2028b",
    "no UTF-8": "a\udcffb",
    "delete": "\x7f",
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("colours", [False, True])
def test_nothing_is_left_to_obey(name: str, colours: bool) -> None:
    safe = make_printable(f"é {HOSTILE[name]}\tok\n", colours=colours)
    left = safe.replace("\x1b[0m", "") if colours else safe
    assert all(c.isprintable() or c in "\t\n" for c in left)
    assert safe.startswith("é ") and safe.endswith("\tok\n")
    assert make_printable(safe, colours=colours) == safe


def test_what_was_hidden_is_shown() -> None:
    assert make_printable("a\x1b[2J\u202eb\r\n") == "a\\x1b[2J\\u202eb\n"


def test_colours_pass_on_a_terminal_only() -> None:
    text = "\x1b[1;31mRED\x1b[0m \x1b[38;5;200mpink\x1b[m\n"
    pipe, terminal = io.StringIO(), Terminal()
    TerminalDoor(pipe).write(text)
    TerminalDoor(terminal).write(text)
    assert terminal.getvalue() == text
    assert "\x1b" not in pipe.getvalue()


def test_both_streams_have_one_door_and_get_back_what_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with guard_streams(), guard_streams():
        print("\x1b[2J")
        sys.stdout.writelines(["\x07", "b"])
        print("\x1b]0;x\x07", file=sys.stderr)
        assert stream_behind(sys.stdout) is out
    assert (sys.stdout, sys.stderr) == (out, err)
    assert out.getvalue() == "\\x1b[2J\n\\x07b"
    assert err.getvalue() == "\\x1b]0;x\\x07\n"


def test_raw_json_is_exact_in_a_pipe_and_means_the_same_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = '{"text":"a\u202eb\x9b2J\U000e0041"}'
    for stream in (io.StringIO(), Terminal()):
        monkeypatch.setattr(sys, "stdout", TerminalDoor(cast(TextIO, stream)))
        write_exact_json(line)
        assert json.loads(stream.getvalue()) == json.loads(line)
        assert (stream.getvalue() == line) is not stream.isatty()
        if stream.isatty():
            assert stream.getvalue().isascii()


# ---- no way around it ---------------------------------------------------------------------------

PACKAGE = Path(__file__).parents[2] / "orchestr"
# What takes the stream behind the door, or writes bytes; each with its reason.
MAY = {
    "views/terminal/door.py": "the door",
    "views/terminal/output.py": "sends a closed stdout to /dev/null",
    "views/live/live.py": "draws; its words are escaped by `make_printable`",
    "commands/report.py": "`-o -` writes the page, bytes as they are",
    "agents/acp/program.py": "runs as an agent: its streams are the supervisor's pipes and files",
    "cli.py": "opens streams that were closed",
}
AROUND = {"buffer", "__stdout__", "__stderr__", "detach", "reconfigure"}


def ways_around(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        text = ast.unparse(node) if isinstance(node, (ast.Attribute, ast.Call)) else ""
        match node:
            case ast.Attribute(attr=name, value=ast.Attribute(value=ast.Name("sys"))) if (
                name in AROUND
            ):
                yield text
            case ast.Attribute(value=ast.Name("sys"), attr="__stdout__" | "__stderr__"):
                yield text
            case ast.Name("stream_behind") | ast.Name("Console"):
                yield node.id
            case ast.Call(func=ast.Attribute(value=ast.Name("os"), attr="write" | "fdopen")) if (
                node.args and isinstance(node.args[0], ast.Constant)
            ):
                yield text
            case ast.Call(func=ast.Name("open") | ast.Name("Path")) if (
                node.args and isinstance(node.args[0], ast.Constant)
                and str(node.args[0].value).startswith(("/dev/tty", "/dev/std", "/dev/fd"))
            ):  # fmt: skip
                yield text
            case ast.Attribute(attr="fileno", value=ast.Attribute(value=ast.Name("sys"))):
                yield text
            case _:
                pass


def test_nothing_of_ours_goes_around_the_door() -> None:
    found = {
        str(path.relative_to(PACKAGE)): [*ways_around(ast.parse(path.read_text()))]
        for path in PACKAGE.rglob("*.py")
    }
    assert {name: ways for name, ways in found.items() if ways and name not in MAY} == {}


@pytest.mark.parametrize(
    "code",
    ["import sys\nsys.stdout.buffer.write(b'')", "import sys\nprint(1, file=sys.__stderr__)",
     "import os\nos.write(2, b'')", "open('/dev/tty', 'w')", "Console(file=x)",
     "from a import stream_behind\nstream_behind(x).write('')"],
)  # fmt: skip
def test_a_way_around_is_seen(code: str) -> None:
    assert [*ways_around(ast.parse(code))]
