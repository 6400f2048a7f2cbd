"""The client program with agents that break the protocol, the rules, or down."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from orchestr.agents.acp.event_lines import join_surrogates
from orchestr.agents.acp.files import LARGEST, read_text_file, write_text_file
from orchestr.agents.acp.permission_rules import judge_command, judge_path
from orchestr.agents.acp.request import ClientRequest
from orchestr.agents.acp.updates import UpdateReader
from orchestr.agents.acp.wire import _parse
from orchestr.agents.permissions import DENIED, UNIVERSAL
from tests.agents.test_acp_client import HELLO, Stage, canned
from tests.processes import wait_until_gone

SESSION = {"sessionId": "s-1"}
DONE = {"stopReason": "end_turn"}


@pytest.fixture
def stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Stage:
    return Stage(tmp_path, capsys)


@pytest.fixture
def asked(tmp_path: Path) -> ClientRequest:
    (tmp_path / "tree").mkdir()
    return ClientRequest(("x",), str(tmp_path / "tree"), allowed=UNIVERSAL, denied=DENIED)


def chunk(text: str) -> str:
    """An update with a piece of a message; its JSON is ASCII, as an agent's may be."""
    update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}
    return json.dumps({"jsonrpc": "2.0", "method": "session/update", "params": {"update": update}})


def test_halves_of_a_character_do_not_end_the_turn(stage: Stage) -> None:
    """Agents in JavaScript cut a text between the two halves of an emoji."""
    lines = [chunk("a \ud83d"), chunk("\ude00 b"), chunk(" \ud83d c")]
    says = "".join(f"printf '%s\\n' '{line}'; " for line in lines)
    played = stage.play(
        run=canned(
            HELLO, SESSION, then=f"{says}read -r _; echo '{answer(2, DONE)}'; cat >/dev/null"
        )
    )
    assert played.verdict.ok, played.stderr
    assert played.of("acp_message")[0]["text"] == "a \U0001f600 b \ufffd c"
    assert join_surrogates("\udc00") == "\ufffd"


def answer(number: int, result: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": number, "result": result})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"jsonrpc": "2.0", "id": 2, "error": "too bad"}', "too bad"),
        ('{"jsonrpc": "2.0", "id": 2, "error": {"message": 7}}', "without a message"),
    ],
)
def test_an_error_of_another_form_is_one(stage: Stage, line: str, reason: str) -> None:
    played = stage.play(
        run=canned(HELLO, SESSION, then=f"read -r _; echo '{line}'; cat >/dev/null")
    )
    assert played.code == 1 and reason in played.verdict.reason


def test_what_is_no_message_is_passed_over(stage: Stage) -> None:
    for text in ('{"jsonrpc": "2.0", "id": [], "result": 1}', '{"jsonrpc": "2.0", "id": true}',
                 '{"jsonrpc": "2.0", "method": 7}', "[" * 100_000, "\udcff", "NaN"):  # fmt: skip
        assert _parse(text.encode("utf-8", "surrogateescape")) is None
    odd = {**HELLO, "agentInfo": "x", "agentCapabilities": [], "authMethods": 5}
    assert stage.play(run=canned(odd, SESSION, DONE)).verdict.ok


def test_an_agent_that_ends_is_not_waited_for_while_a_child_holds_its_output(stage: Stage) -> None:
    then = "read -r _; setsid sleep 600 & echo $! > pid; exit 3"
    played = stage.play(run=canned(HELLO, SESSION, then=then))
    os.kill(pid := int((stage.tree / "pid").read_text()), 9)  # in a cell the supervisor does
    assert "the agent ended (exit 3) in the middle of its work" in played.verdict.reason
    assert wait_until_gone(pid)


def test_only_files_are_opened_and_only_the_worktrees_are_changed(
    asked: ClientRequest, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    os.mkfifo(tree / "pipe")
    (tmp_path / "store").write_text("kept")
    (tree / "linked").hardlink_to(tmp_path / "store")
    (tree / "linked").chmod(0o751)
    for use in (lambda: write_text_file(asked, "pipe", "x"),
                lambda: read_text_file(asked, "pipe", None, None),
                lambda: write_text_file(asked, ".", "x")):  # fmt: skip
        with pytest.raises(OSError, match=r"."):
            use()
    write_text_file(asked, "linked", "new")
    assert (tmp_path / "store").read_text() == "kept"
    assert (tree / "linked").read_text() == "new"
    assert (tree / "linked").stat().st_mode & 0o777 == 0o751
    write_text_file(asked, "linked", "n")
    assert (tree / "linked").read_text() == "n"
    assert not judge_path("sub/.git/hooks/post-commit", asked, write=True).allowed
    assert judge_path("sub/.gitignore", asked, write=True).allowed


def test_a_file_is_given_whole_and_true_or_not_at_all(asked: ClientRequest, tmp_path: Path) -> None:
    """What an agent writes back is what it read: no part of a file, no other characters."""
    tree = tmp_path / "tree"
    (tree / "latin").write_bytes(b"caf\xe9\n")
    with pytest.raises(ValueError, match="latin is not UTF-8 text"):
        read_text_file(asked, "latin", None, None)
    with (tree / "big").open("wb") as stream:
        stream.write(b"first\n")
        stream.truncate(LARGEST + 10)
    with pytest.raises(OSError, match="more than 16 MiB"):
        read_text_file(asked, "big", None, None)
    assert read_text_file(asked, "big", 1, 1) == "first\n"
    (tree / "lines").write_bytes("a\fb\u2028c\r\nsecond".encode())
    assert read_text_file(asked, "lines", 1, 1) == "a\fb\u2028c\r\n"
    assert read_text_file(asked, "lines", 2, None) == "second"
    assert read_text_file(asked, "lines", "x", 0) == ""


def test_content_that_is_no_text_empties_no_file(stage: Stage) -> None:
    (stage.tree / "a.txt").write_text("kept")
    wish = {"jsonrpc": "2.0", "id": 9, "method": "fs/write_text_file",
            "params": {"path": "a.txt", "content": None}}  # fmt: skip
    then = f"read -r _; echo '{json.dumps(wish)}'; read -r _; echo '{answer(2, DONE)}'; cat >got"
    played = stage.play(run=canned(HELLO, SESSION, then=then))
    assert played.verdict.ok and (stage.tree / "a.txt").read_text() == "kept"


@pytest.mark.parametrize(
    "line", ["git --no-pager push", "git --git-dir=.git push", "git --git-dir .git -c a=b push"]
)
def test_options_of_git_hide_no_command(asked: ClientRequest, line: str) -> None:
    assert judge_command(line, asked).why == "`git push` is not for agents"
    assert judge_command("git --no-pager log", asked).allowed


def test_a_call_without_an_id_lends_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    from orchestr.agents.acp.event_lines import EventWriter

    reader = UpdateReader(EventWriter())
    reader.learn_asked_call({"kind": "execute", "rawInput": {"command": "ls"}})
    assert reader.learn_asked_call({"title": "fetch"}) == {"title": "fetch"}
    reader.read({"sessionUpdate": "tool_call_update", "status": "completed"})
    assert capsys.readouterr().out.count("acp_tool_result") == 1


def test_trouble_at_the_load_keeps_the_session(stage: Stage) -> None:
    """A session that is given up for a 503 would be paid a second time."""
    hello = {**HELLO, "agentCapabilities": {"loadSession": True}}
    for details in ("503 Service Unavailable", "429 Too Many Requests"):
        error = {"code": -32603, "message": "Internal error", "data": {"details": details}}
        played = stage.play(run=canned(hello, error), session="s-7")
        assert not played.verdict.session_lost and details in played.verdict.reason
    gone = {"code": -32603, "message": "Internal error", "data": {"details": "no such file"}}
    assert stage.play(run=canned(hello, gone), session="s-7").verdict.session_lost
