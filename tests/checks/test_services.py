"""Kinds `api_probe` and `state_invariant`: real services on this machine."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orchestr.checks import http
from orchestr.checks.kinds.state_invariant import Probe, StateInvariantCheck, evaluate_expression
from orchestr.checks.service import find_free_port
from orchestr.process.tree import find_marked
from orchestr.spec.checks import check_from_row, check_to_row
from tests.checks.conftest import PYTHON, Ask, define, py, sh

SERVER = """\
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = {"items": [{"id": 1, "ok": True}], "path": self.path}
        self.answer(404 if self.path == "/none" else 200, json.dumps(body))
    def do_POST(self):
        size = int(self.headers["Content-Length"])
        self.answer(201, self.rfile.read(size).decode())
    def answer(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
START = [PYTHON, "server.py", "${BACKEND_PORT}"]
FILES = {"server.py": SERVER}


def test_a_service_is_started_asked_and_ended(ask: Ask, tmp_path: Path) -> None:
    result = ask(
        FILES, kind="api_probe", start=START, path="/items",
        json={"items": [{"id": 1}], "path": "/items"},
    )  # fmt: skip

    assert (result.passed, result.detail, result.artefacts) == (True, "status 200", ("answer.txt",))
    assert find_marked(f"test/{tmp_path.name}") == []


def test_a_service_that_waits_with_its_whole_tree_is_ended(ask: Ask, tmp_path: Path) -> None:
    start = ["sh", "-c", f"setsid sleep 60 & {PYTHON} server.py $BACKEND_PORT; true"]

    result = ask(FILES, kind="api_probe", start=start, path="/", ready={"path": "/"})

    assert result.passed
    assert find_marked(f"test/{tmp_path.name}") == []


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"path": "/none"}, "status 404, not 200"),
        ({"path": "/", "json": {"items": []}}, 'items is [{"id": 1, "ok": true}], not []'),
        ({"path": "/", "json": {"items": [{"ok": 1}]}}, "items[0].ok is true, not 1"),
        ({"path": "/", "json": {"more": 1}}, "more is not there"),
        ({"path": "/", "method": "POST", "body": "text", "json": {}, "status": 201},
         "the answer is not JSON: Expecting value: line 1 column 1 (char 0)"),
    ],
)  # fmt: skip
def test_a_wrong_answer(ask: Ask, fields: dict[str, object], detail: str) -> None:
    result = ask(FILES, kind="api_probe", start=START, **fields)

    assert (result.passed, result.detail) == (False, detail)
    assert result.failures[0].command.startswith("curl -i -X ")


def test_a_body_is_posted_as_json(ask: Ask) -> None:
    result = ask(
        FILES, kind="api_probe", start=START, path="/", method="POST", body={"a": [1, None]},
        status=201, json={"a": [1, None]},
    )  # fmt: skip

    assert result.passed


def test_a_service_that_ends_by_itself(ask: Ask, tmp_path: Path) -> None:
    result = ask(kind="api_probe", start=sh("echo no config >&2; exit 7"), path="/")

    assert not result.passed
    assert result.detail.startswith("the service ended by itself (exit 7, not 0)")
    assert "no config" in Path(result.log).read_text()


def test_a_service_that_is_not_there(ask: Ask) -> None:
    result = ask(kind="api_probe", start=["no-such-server"], path="/")

    assert (
        result.detail == "the service cannot be started: no-such-server: program not found"
    ) or result.detail.startswith("the service cannot be started: no-such-server")


def test_a_service_that_never_answers(ask: Ask, tmp_path: Path) -> None:
    ready = {"timeout": "300ms"}

    result = ask(kind="api_probe", start=["sleep", "60"], path="/", ready=ready)

    assert result.detail == "the service was not ready after 0.3 s: nothing listens"
    assert find_marked(f"test/{tmp_path.name}") == []


def test_another_programs_answer_does_not_count(ask: Ask) -> None:
    """The port of a forgotten server would prove the wrong code."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]

        result = ask(FILES, kind="api_probe", start=START, path="/", ports=(port, port + 1))

    assert result.detail == f"port {port} is in use already: another program would answer"


def test_a_server_that_drips_is_cut_off_by_the_time_limit(ask: Ask) -> None:
    drip = (
        "import socket, sys, time\n"
        "s = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
        "while True:\n"
        "    c, _ = s.accept()\n"
        "    try:\n"
        "        c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 9999\\r\\n\\r\\n')\n"
        "        while True: c.sendall(b'x'); time.sleep(0.05)\n"
        "    except OSError: pass\n"
    )

    result = ask({"server.py": drip}, kind="api_probe", start=START, path="/", timeout="1500ms")

    assert (result.passed, result.detail) == (False, "timed out after 1.5 s")


def test_proxies_of_the_user_are_not_asked(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    assert ask(FILES, kind="api_probe", start=START, path="/").passed


def test_a_path_without_service_and_ports(ask: Ask) -> None:
    result = ask(kind="api_probe", path="/")

    assert result.detail == "`path` has no port: write `ports: true` in the cell, or use `url`"


# --- state_invariant -----------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[str]:
    """A service that runs already."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(500 if self.path == "/broken" else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"data": {"count": 3, "names": ["a", "b"]}}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", find_free_port()), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def test_an_invariant_over_programs_and_addresses(ask: Ask, server: str) -> None:
    result = ask(
        {"n.txt": "3\n"}, kind="state_invariant",
        probes={"files": {"run": ["cat", "n.txt"]},
                "served": {"url": f"{server}/x", "json_path": "$.data.count"},
                "data": {"url": server, "json_path": "data"}},
        expression="files == served and 'b' in data['names'] and not served > 4",
    )  # fmt: skip

    assert result.passed, result.detail


@pytest.mark.parametrize(
    ("probe", "expression", "detail"),
    [
        ({"run": ["echo", "2"]}, "n == 3", "n == 3 is false (n = 2)"),
        ({"run": ["echo", "2"]}, "n", "n gives 2, not true or false (n = 2)"),
        ({"run": ["echo", "x"]}, "n > 3", "cannot be evaluated, TypeError"),
        ({"run": ["false"]}, "n == 3", "probe n: exit 1, not 0"),
        ({"run": ["echo", "no"], "json_path": "a"}, "n == 3", "probe n: not JSON"),
        ({"run": ["echo", "{}"], "json_path": "a.b"}, "n == 3", "probe n: there is no a"),
        ({"run": ["echo", "NaN"], "json_path": "a"}, "n == 3", "probe n: not JSON"),
        ({"url": "http://127.0.0.1:9/x"}, "n == 3", "probe n: no answer from"),
        ({"url": "http://127.0.0.1:${BACKEND_PORT}/"}, "n", "${BACKEND_PORT} has no value"),
    ],
)  # fmt: skip
def test_an_invariant_that_does_not_hold(
    ask: Ask, probe: dict[str, object], expression: str, detail: str
) -> None:
    result = ask(kind="state_invariant", probes={"n": probe}, expression=expression)

    assert not result.passed
    assert detail in result.detail


def test_a_broken_address(ask: Ask, server: str) -> None:
    probes = {"n": {"url": f"{server}/broken"}}

    result = ask(kind="state_invariant", probes=probes, expression="n == 3")

    assert result.detail.endswith("/broken answers 500")


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('touch pwned')",
        "n.__class__",
        "[x for x in n]",
        "(lambda: 1)()",
        "n ** 99999999",
        "f'{n}'",
        "open('x')",
        "n := 3",
    ],
)
def test_an_expression_cannot_do_anything(ask: Ask, tmp_path: Path, expression: str) -> None:
    """Also where the reader of specs was bypassed."""
    check = StateInvariantCheck(
        name="x", timeout=5.0, expression=expression, probes=(Probe("n", ("echo", "2")),)
    )

    result = ask(definition=check)

    assert not result.passed
    assert not (tmp_path / "tree" / "pwned").exists()


@pytest.mark.parametrize(
    "expression",
    ["'a' * 1000000000", "[0] * 1000000000 == n", "n['x']['y'] == 1", "1 / 0 == n", "n < 'a'"],
)
def test_an_expression_that_cannot_be_evaluated_is_an_answer(expression: str) -> None:
    with pytest.raises(ValueError, match="cannot be evaluated"):
        evaluate_expression(expression, {"n": 1})


def test_operators() -> None:
    values = {"a": 3, "b": {"c": [1, 2]}, "t": "x"}
    for expression in (
        "a is not None and True",
        "2 < a <= 3",
        "a in [1, 3] and t not in ('y', 'z')",
        "b['c'][1] == 2",
        "-a + 4 == 1 and a % 2 == 1 and a // 2 == 1 and a / 2 == 1.5 and a * 2 - 1 == 5",
        "(1 if a else 2) == 1",
        "not a != 3 or False",
    ):
        assert evaluate_expression(expression, values) is True, expression


def test_digging() -> None:
    value = {"a": [{"b": 1}]}
    assert http.value_at_path(value, "$.a[0].b") == http.value_at_path(value, "a[0].b") == 1
    for path in ("a[1]", "a.b", "x", "a[0].b.c"):
        with pytest.raises(LookupError):
            http.value_at_path(value, path)


@pytest.mark.parametrize("text", [py("print('x')"), ["sh", "-c", "exit 0"]])
def test_probes_print_text(ask: Ask, text: list[str]) -> None:
    result = ask(kind="state_invariant", probes={"n": {"run": text}}, expression="n in ['x', '']")

    assert result.passed


JOURNEY = (
    "import os, sys, urllib.request as r; "
    "page = r.urlopen(f'http://127.0.0.1:{sys.argv[1]}/items').read(); "
    "open('shot.png', 'wb').write(page) if sys.argv[1] == os.environ['PORT'] else 0"
)


def test_a_journey_looks_at_an_application_that_is_started_for_it(ask: Ask, tmp_path: Path) -> None:
    fields = {"kind": "browser_journey", "start": START, "evidence": ["shot.png"]}
    run = [*py(JOURNEY), "${BACKEND_PORT}"]
    result = ask(FILES, run=run, ready={"path": "/items"}, **fields)
    assert (result.passed, result.artefacts) == (True, ("shot.png",))
    assert find_marked(f"test/{tmp_path.name}") == []

    port = find_free_port()
    assert ask(FILES, run=run, ports=(port,), **fields).passed


@pytest.mark.parametrize(
    ("start", "detail"),
    [
        (["sh", "-c", "exit 3"], "the service ended by itself (exit 3, not 0): sh -c 'exit 3'"),
        (START, "the service was not ready after 0.2 s: /none answers 404"),
    ],
)
def test_an_application_that_does_not_come_up_is_red(
    ask: Ask, start: list[str], detail: str
) -> None:
    ready = {"path": "/none", "timeout": "0.2s"}
    result = ask(
        FILES, kind="browser_journey", run=["true"], evidence=["*"], start=start, ready=ready
    )
    assert (result.passed, result.unavailable) == (False, False)
    assert result.detail in (detail, "the service was not ready after 0.2 s: nothing listens")


def test_a_journey_without_an_application_keeps_its_row() -> None:
    plain = define(kind="browser_journey", run=["true"], evidence=["a"])
    started = define(kind="browser_journey", run=["true"], evidence=["a"], start=["serve"])
    assert [*check_to_row(plain), {"start": ["serve"]}] == check_to_row(started)
    assert check_from_row(check_to_row(started)) == started
    whole = define(
        kind="browser_journey", run=["true"], evidence=["a"], start=["serve"],
        ready={"path": "/x", "timeout": "5s"},
    )  # fmt: skip
    assert check_from_row(check_to_row(whole)) == whole
    assert started.commands == (("serve",), ("true",))
