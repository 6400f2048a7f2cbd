"""`orchestr mcp` over a real process: by the library's own client, and by a hostile one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from anyio.from_thread import start_blocking_portal

from orchestr.draft.intent import Intent, render_intent
from orchestr.process.lease import read_lease
from tests.e2e.workspace import PATIENCE, Workspace, both, wait_for

mcp = pytest.importorskip("mcp")
stdio = pytest.importorskip("mcp.client.stdio")

SECRET = "hush-hush-4711"
AGENT = """\
case "$ORCHESTR_CELL" in
a) echo "a word with hush-hush-4711 in it"; echo a > a.txt;;
*) echo "the agent of $ORCHESTR_CELL fails"; exit 1;;
esac
"""
ASK = {"jsonrpc": "2.0", "id": 1, "method": "initialize",
       "params": {"protocolVersion": "2025-06-18", "capabilities": {},
                  "clientInfo": {"name": "t", "version": "1"}}}  # fmt: skip
DRAFT = {
    "apiVersion": "orchestr/v1",
    "kind": "Feature",
    "metadata": {"name": "greet", "title": "Greet"},
    "cells": {
        "one": {
            "repo": "app",
            "todo": ["Write one"],
            "checks": [{"kind": "command", "run": ["true"]}],
        },
        "two": {
            "repo": "lib",
            "todo": ["Write two"],
            "checks": [{"kind": "command", "run": ["true"]}],
        },
    },
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace with one run behind it: cell `a` is done, `b` failed."""
    ws = Workspace.make(
        tmp_path_factory.mktemp("mcp") / "ws",
        repos=("app", "lib"),
        cells={"a": {}, "b": {"depends_on": ["a"], "repo": "lib"}},
        agent=AGENT,
        settings={"repos": {"app": {}, "lib": {}}},
    )
    ws.run("run", "demo", code=1)
    yield ws
    ws.end()


@contextmanager
def connect(ws: Workspace) -> Iterator[Client]:
    """The library's client of `orchestr mcp`, started from elsewhere with a secret around it."""
    server = stdio.StdioServerParameters(
        command=sys.executable,
        args=["-m", "orchestr", "mcp", str(ws.root / "specs")],
        env={**ws.env(), "GITHUB_TOKEN": SECRET},
        cwd="/",
    )
    made = mcp.Client(stdio.stdio_client(server))
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(made) as client:
        yield Client(portal, client)


@dataclass
class Client:
    """Calls of tools, one after the other."""

    portal: Any
    session: Any

    def ask(self, tool: str, /, **arguments: Any) -> Any:
        """The structured answer of a call, which must be good."""
        done = self.portal.call(self.session.call_tool, tool, arguments)
        assert not done.is_error, done.content
        assert json.loads(done.content[0].text) == done.structured_content
        return done.structured_content

    def refuse(self, name: str, arguments: dict[str, Any]) -> Any:
        """The error of a call, which must be refused."""
        done = self.portal.call(self.session.call_tool, name, arguments)
        assert done.is_error, done.content
        error = done.structured_content["error"]
        assert error["message"] in done.content[0].text
        return error


@pytest.fixture(scope="module")
def client(built: Workspace) -> Iterator[Client]:
    """One server for all tests: what one of them does must not disturb the next."""
    with connect(built) as made:
        yield made


def speak_raw(ws: Workspace, ids: set[int], *lines: bytes) -> tuple[list[dict[str, Any]], str]:
    """Send lines, read until all of ``ids`` are answered, close. Every line of stdout must be a
    message; returns them, and stderr."""
    begin = [json.dumps(ASK).encode(), b'{"jsonrpc":"2.0","method":"notifications/initialized"}']
    with (ws.root / "raw.err").open("w+") as errors:
        server = subprocess.Popen(
            [sys.executable, "-m", "orchestr", "mcp"], cwd=ws.root, env=ws.env(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
        )  # fmt: skip
        with server:
            assert server.stdin is not None and server.stdout is not None
            server.stdin.write(b"\n".join([*begin, *lines, b""]))
            server.stdin.flush()
            messages: list[dict[str, Any]] = []
            while not ids <= {message.get("id") for message in messages}:
                line = server.stdout.readline()
                assert line, "the server ended"
                messages.append(json.loads(line))
            server.stdin.close()
            messages += [json.loads(line) for line in server.stdout]
            assert server.wait(PATIENCE) == 0
        errors.seek(0)
        return messages, errors.read()


def test_tools_look_with_the_functions_of_the_verbs(built: Workspace, client: Client) -> None:
    status = client.ask("status")
    assert status["features"] == json.loads(built.run("status", "--json").stdout)["features"]
    assert status["problems"] == []
    (part,) = client.ask("status", features=["demo"], cells=["b"])["features"]
    assert [cell["name"] for cell in part["cells"]] == ["b"]
    plan = client.ask("plan", target="demo")
    assert plan["plans"] == [json.loads(built.run("plan", "demo", "--json").stdout)]
    (cell,) = client.ask("explain", target="demo:b")["cells"]
    assert cell["target"] == "demo:b"
    assert cell["text"].startswith("demo:b failed in implement")
    assert client.ask("graph", feature="demo")["graph"].count("-->") == 1
    ((newest, *_),) = [client.ask("runs", number=1)["runs"]]
    report = client.ask("runs", run=newest["run"])["report"]
    assert (report["run"], report["exit"]) == (newest["run"], 1)


def test_logs_are_bounded_and_hide_secrets(client: Client) -> None:
    whole = client.ask("logs", cell="demo:a")
    assert whole["lines"][-1].endswith(" a word with *** in it") and whole["complete"]
    last = client.ask("logs", cell="demo:a", last=1)
    assert last["lines"] == whole["lines"][-1:] and not last["complete"]
    assert SECRET not in json.dumps([whole, last])


def test_every_tool_has_schemas_and_only_draft_writes(client: Client) -> None:
    listed = client.portal.call(client.session.list_tools).tools
    tools = {tool.name: tool for tool in listed}
    assert list(tools) == [
        "status", "plan", "explain", "logs", "graph", "runs", "validate", "schema", "draft",
    ]  # fmt: skip
    for tool in tools.values():
        assert tool.input_schema["additionalProperties"] is False
        assert tool.output_schema["type"] == "object" and tool.description
    writing = [name for name, tool in tools.items() if not tool.annotations.read_only_hint]
    assert writing == ["draft"]


def test_problems_of_a_text_have_their_lines(client: Client) -> None:
    text = "apiVersion: orchestr/v1\nkind: Feature\nmetadata: {name: x}\ncells:\n  c: {rep: app}\n"
    bad = client.ask("validate", spec=text)
    assert not bad["good"] and bad["features"] == []
    assert (5, "cells.c.rep") in {(one["line"], one["field"]) for one in bad["problems"]}
    assert all(one["text"].startswith("specs/(text):") for one in bad["problems"])
    good = client.ask("validate", spec=yaml.safe_dump(DRAFT))
    assert good["good"] and good["features"][0]["cells"] == ["one", "two"]
    named = client.ask("validate", names=["demo", "specs/demo.yaml"])
    assert [one["name"] for one in named["features"]] == ["demo"]
    top = client.ask("schema")
    assert "cells" in top["schema"]["properties"]
    assert "depends_on" in client.ask("schema", part="NativeCell")["schema"]["properties"]


def test_a_draft_is_kept_and_a_person_approves_it(built: Workspace, client: Client) -> None:
    given = {"name": "greet", "intent": "Greet in every repository", "spec": yaml.safe_dump(DRAFT)}
    first, again = client.ask("draft", **given), client.ask("draft", **given)
    assert (first["made"], again["made"]) == (True, False)
    assert first["next"].endswith("orchestr approve spec:greet")
    assert not (built.root / "specs/greet.yaml").exists()
    assert "Greet in every repository" in (built.root / "specs/greet.md").read_text()
    assert "no terminal" in both(built.run("approve", "spec:greet", code=2))
    built.run("approve", "spec:greet", "--yes", code=0)
    assert "name: greet" in (built.root / "specs/greet.yaml").read_text()
    for name in ("greet.yaml", "greet.lock.toml"):
        (built.root / "specs" / name).unlink()


def test_what_is_wrong_with_a_draft_comes_back_and_none_is_kept(
    built: Workspace, client: Client
) -> None:
    bare = {**DRAFT, "metadata": {"name": "x"}, "cells": {"c": {"repo": "app", "todo": ["x"]}}}
    given = {"name": "bare", "intent": "w", "spec": yaml.safe_dump(bare)}
    wrong = client.refuse("draft", given)
    text = "\n".join(one["text"] for one in wrong["problems"])
    assert "1 cell: a draft has 2 to 8" in text and "has no checks" in text
    assert all(one["line"] for one in wrong["problems"])
    assert not (built.root / ".orchestr/drafts/bare/spec.yaml").exists()
    assert not (built.root / "specs/bare.md").exists()
    (built.root / "specs/bare.md").write_bytes(render_intent(Intent("bare", "w")))
    words = client.refuse("draft", {**given, "intent": "other words"})
    assert "says something else already" in words["message"]
    (built.root / "specs/bare.md").unlink()


def test_a_draft_of_others_is_not_replaced_without_a_word(built: Workspace, client: Client) -> None:
    given = {"name": "paid", "intent": "w", "spec": yaml.safe_dump(DRAFT).replace("greet", "paid")}
    client.ask("draft", **given)
    record = built.root / ".orchestr/drafts/paid/draft.toml"
    text = record.read_text()
    assert 'author = "a client of orchestr mcp"' in text
    text = text.replace('author = "a client of orchestr mcp"', 'author = ""')
    record.write_text(text.replace('agent = ""', 'agent = "sh"'))
    refused = client.refuse("draft", given)
    assert "there is a draft of paid already, by sh" in refused["message"]
    assert client.ask("draft", **given, replace=True)["name"] == "paid"


def test_hostile_arguments_are_refused_one_by_one(
    built: Workspace, client: Client, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_text("password: open-sesame\n")
    (built.root / "link.yaml").symlink_to(outside)
    errors = [
        client.refuse(name, arguments)
        for name, arguments in (
            ("validate", {"names": [str(outside)]}),
            ("validate", {"names": ["link.yaml"]}),
            ("validate", {"names": ["/dev/zero"]}),
            ("validate", {"names": ["specs/"]}),
            ("validate", {"names": ["a\0b"]}),
            ("validate", {"spec": "x" * 300_000}),
            ("draft", {"name": "../bare", "intent": "w", "spec": "x"}),
            ("status", {"features": ["../demo"]}),
            ("logs", {"cell": "demo:a", "last": 10**9}),
            ("logs", {"cell": "demo:a", "last": "5"}),
            ("runs", {"run": "../../etc"}),
            ("schema", {"part": "x" * 300}),
            ("run", {"target": "demo"}),
            ("approve", {}),
            ("status", {"x" * 100_000: 1}),
        )
    ]
    (built.root / "link.yaml").unlink()
    assert all(error["hint"] for error in errors)
    assert "open-sesame" not in json.dumps(errors)
    assert all(len(json.dumps(error)) < 2_000 for error in errors)
    assert client.ask("status")["features"]


def test_a_bomb_of_aliases_and_deep_brackets_are_problems_of_the_text(client: Client) -> None:
    names = "abcdefgh"
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{names[n]}'] * 10)}]\n" for n, name in enumerate(names[1:])
    )
    assert not client.ask("validate", spec=bomb)["good"]
    assert not client.ask("validate", spec="[" * 200_000)["good"]


def test_a_hostile_stream_ends_no_server_and_stdout_is_the_protocol(built: Workspace) -> None:
    messages, said = speak_raw(
        built,
        {1, 2, 3, 4, 5},
        b"not json",
        b"{" * 10_000,
        b'{"jsonrpc":"2.0","id":2,"method":"tools/call"}',
        b'{"jsonrpc":"2.0","id":3,"method":"no/such"}',
        b'{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":5}}',
        b"\xff\xfe\x00",
        b"",
        b'{"x":"' + b"y" * (5 << 20) + b'"}',
        b'[{"jsonrpc":"2.0"}]',
        b'{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"status"}}',
    )
    good = next(message for message in messages if message.get("id") == 5)
    assert good["result"]["structuredContent"]["features"]
    assert all("error" in message for message in messages if message.get("id") in (2, 3, 4))
    assert "Traceback (most recent call last)" not in said


def test_a_stray_print_never_reaches_the_wire() -> None:
    program = """
import os
from orchestr.commands.mcp_tools.stdio import take_wire
lines, messages = take_wire()
messages.write(lines.readline().upper())
print("stray", flush=True)
os.system("echo child; cat")
messages.write(lines.readline())
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], input="one\ntwo\n", capture_output=True,
        text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "ONE\ntwo\n")
    assert done.stderr == "stray\nchild\n"


def test_it_answers_while_a_run_is_under_way_and_takes_no_lease(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    ws = Workspace.make(tmp_path / "ws", cells={"a": {}})
    request.addfinalizer(ws.end)
    go = ws.agents / "go"
    ws.script("a", f'echo "I wait"; while ! [ -e {go} ]; do sleep 0.05; done; echo a > a.txt')
    run = ws.spawn("run", "demo")
    wait_for(lambda: ws.starts() or None, "the agent's start")
    lease = ws.root / ".orchestr/locks"
    before = {path.name: read_lease(path) for path in lease.iterdir() if path.is_file()}
    with connect(ws) as client:
        (feature,) = client.ask("status")["features"]
        (cell,) = client.ask("explain", target="demo:a")["cells"]
        logs = client.ask("logs", cell="demo:a")["lines"]
    after = {path.name: read_lease(path) for path in lease.iterdir() if path.is_file()}
    assert before == after
    assert feature["live"] and feature["cells"][0]["state"] == "running"
    assert "running" in cell["text"] and "attempt 1" in logs[0]
    go.touch()
    assert run.ended() == 0


def test_without_the_library_the_hint_installs_it(built: Workspace) -> None:
    hide = "import sys; sys.modules['mcp'] = None; from orchestr.cli import main; main(['mcp'])"
    done = subprocess.run(
        [sys.executable, "-c", hide], cwd=built.root, env=built.env(), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "needs the library mcp" in done.stderr and "pip install 'mcp>=2.3'" in done.stderr
    assert done.stdout == ""
    assert "there is no folder" in both(built.run("mcp", "nowhere", code=2))
