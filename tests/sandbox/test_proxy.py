"""The proxy of a sandbox's network, as a real process between real servers and clients."""

from __future__ import annotations

import base64
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from orchestr.sandbox import incoming, network_commands, outgoing, proxy
from orchestr.sandbox.network_rules import parse_network_rules
from orchestr.sandbox.refusals import RefusalLog
from tests.sandbox.network import (
    LONG,
    Server,
    answer_http,
    client_context,
    connect,
    echo_until_end,
    make_certificate,
    open_tunnel,
    receive_all,
    receive_until,
    run_proxy,
    run_server,
    server_context,
)

NAME = "api.test"


def rules_for(server: Server, *more: str) -> str:
    """The server is `api.test`, at an address that a rule names."""
    return "\n".join((
        f"allow {NAME}:{server.port}", f"allow 127.0.0.1:{server.port}",
        f"resolve {NAME} 127.0.0.1", "setting [agents.claude] network", *more,
    ))  # fmt: skip


@pytest.fixture
def echo() -> Iterator[Server]:
    with run_server(echo_until_end) as server:
        yield server


@pytest.fixture
def http() -> Iterator[Server]:
    with run_server(answer_http) as server:
        yield server


def request(port: int, text: bytes) -> bytes:
    """Send a request to the proxy; everything that comes back."""
    with connect(port) as one:
        one.sendall(text)
        return receive_all(one)


def ask_for_tunnel(port: int, authority: str) -> str:
    """The answer to a CONNECT that is not let through."""
    one, answer = open_tunnel(port, authority)
    with one:
        return answer.decode()


def test_a_tunnel_to_an_allowed_host_carries_both_ways(tmp_path: Path, echo: Server) -> None:
    with run_proxy(tmp_path, rules_for(echo)) as running:
        one, answer = open_tunnel(running.listen_here(), f"{NAME}:{echo.port}")
        with one:
            assert answer == b"HTTP/1.1 200 Connection established\r\n\r\n"
            one.sendall(b"hello")
            one.shutdown(socket.SHUT_WR)  # the echo begins only now: half of it stays open
            assert receive_all(one) == b"hello"
        assert running.refusals() == []


def test_half_of_a_connection_ends_by_itself_from_the_servers_side_too(tmp_path: Path) -> None:
    heard: list[bytes] = []
    done = threading.Event()

    def speak_then_listen(one: socket.socket) -> None:
        one.sendall(b"first")
        one.shutdown(socket.SHUT_WR)
        heard.append(receive_all(one))
        done.set()

    with run_server(speak_then_listen) as server, run_proxy(tmp_path, rules_for(server)) as running:
        one, _answer = open_tunnel(running.listen_here(), f"{NAME}:{server.port}")
        with one:
            assert receive_all(one) == b"first"
            one.sendall(b"second")
        assert done.wait(LONG)
    assert heard == [b"second"]


def test_a_refused_host_gets_an_answer_that_names_the_setting(tmp_path: Path) -> None:
    rules = "allow api.test\ndeny github.com\nsetting [agents.claude] network\n"
    with run_proxy(tmp_path, rules) as running:
        port = running.listen_here()
        for _ in range(3):
            answer = ask_for_tunnel(port, "github.com:443")
        assert answer.startswith("HTTP/1.1 403 ")
        assert 'orchestr.toml: [agents.claude] network = ["github.com", ...]' in answer
        plain = request(port, b"GET http://other.test:8080/x HTTP/1.1\r\n\r\n").decode()
        assert plain.startswith("HTTP/1.1 403 ")
        assert '[agents.claude] network = ["other.test:8080", ...]' in plain
        odd = ask_for_tunnel(port, "0x7f000001:80")
        assert odd.startswith("HTTP/1.1 403 ")
        found = [(r.host, r.port, r.reason, r.count) for r in running.refusals()]
    assert found == [
        ("github.com", 443, "a forge or a remote of the repository, not named itself", 2),
        ("other.test", 8080, "not in the list of allowed hosts", 1),
        ("0x7f000001:80", 0, "an address in an odd form", 1),
    ]


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "fe80::1"])
def test_a_name_that_leads_inwards_is_refused(tmp_path: Path, address: str) -> None:
    rules = f"allow all\nallow evil.test\nresolve evil.test {address}\n"
    with run_proxy(tmp_path, rules) as running:
        answer = ask_for_tunnel(running.listen_here(), "evil.test:443")
        assert f"address {address}" in answer
        assert answer.startswith("HTTP/1.1 403 ")
        assert [r.host for r in running.refusals()] == ["evil.test"]


def test_names_are_looked_up_as_this_machine_does() -> None:
    assert ("127.0.0.1", 80) in outgoing.look_up("localhost", 80)
    with pytest.raises(outgoing.Unreachable, match=r"no-such\.invalid"):
        outgoing.look_up("no-such.invalid", 80)


def test_the_checked_address_is_the_one_that_is_connected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that gives another answer the second time is never asked a second time."""
    answers = iter([[("192.0.2.1", 443), ("93.184.216.34", 443)], [("127.0.0.1", 443)]])
    monkeypatch.setattr(proxy, "look_up", lambda _host, _port: next(answers))
    connected: list[list[tuple[str, int]]] = []

    def note(addresses: list[tuple[str, int]]) -> socket.socket:
        connected.append(addresses)
        raise proxy.Unreachable("not in a test")

    monkeypatch.setattr(proxy, "connect_to_one", note)
    one = proxy.Proxy(parse_network_rules("allow api.test"), RefusalLog(str(tmp_path / "log")))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"CONNECT api.test:443 HTTP/1.1\r\n\r\n")
        ours.shutdown(socket.SHUT_WR)
        one._serve_request(theirs)  # type: ignore[arg-type]
        assert b" 502 " in receive_all(ours)
    assert connected == [[("93.184.216.34", 443)]]


def test_tls_must_be_for_the_name_of_the_tunnel(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    context = client_context(certificate, check_name=False)
    with (
        run_server(answer_http, server_context(certificate)) as server,
        run_proxy(tmp_path, rules_for(server, "deny github.com")) as running,
    ):
        port = running.listen_here()
        one, _answer = open_tunnel(port, f"{NAME}:{server.port}")
        with client_context(certificate).wrap_socket(one, server_hostname=NAME) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert receive_all(tls).startswith(b"HTTP/1.1 200 OK")
        for name in ("github.com", "other.test", None):
            one, _answer = open_tunnel(port, f"{NAME}:{server.port}")
            with one, pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
                context.wrap_socket(one, server_hostname=name)
        # A tunnel to an address: any name that is not denied.
        for name in ("other.test", None):
            one, _answer = open_tunnel(port, f"127.0.0.1:{server.port}")
            context.wrap_socket(one, server_hostname=name).close()
        one, _answer = open_tunnel(port, f"127.0.0.1:{server.port}")
        with one, pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
            context.wrap_socket(one, server_hostname="api.github.com")
        assert [r.reason for r in running.refusals()] == [
            "another server name in TLS: github.com",
            "another server name in TLS: other.test",
            "TLS without a server name",
            "a denied server name in TLS: api.github.com",
        ]


def test_port_443_of_a_name_is_for_tls(tmp_path: Path) -> None:
    one = proxy.Proxy(parse_network_rules("allow api.test"), RefusalLog(str(tmp_path / "log")))
    assert one.explain_bad_opening(NAME, 443, b"GET / HTTP/1.1") == "port 443 without TLS"
    assert one.explain_bad_opening(NAME, 443, b"\x16\3\1\0") == "an unfinished TLS ClientHello"
    assert one.explain_bad_opening(NAME, 80, b"GET / HTTP/1.1") is None
    assert one.explain_bad_opening("10.0.0.1", 443, b"SSH-2.0") is None
    odd = one.explain_bad_opening(NAME, 8443, b"\x16\3\1\0\0\x16\3\1")
    assert odd is not None


def test_a_server_that_speaks_first_is_heard(tmp_path: Path) -> None:
    def greet(one: socket.socket) -> None:
        one.sendall(b"220 ready\r\n")
        one.sendall(receive_until(one, b"\r\n"))

    with run_server(greet) as server, run_proxy(tmp_path, rules_for(server)) as running:
        one, _answer = open_tunnel(running.listen_here(), f"{NAME}:{server.port}")
        with one:
            assert receive_until(one, b"\n") == b"220 ready\r\n"
            one.sendall(b"HELO\r\n")
            assert receive_all(one) == b"HELO\r\n"


def test_plain_http_goes_one_request_at_a_time(tmp_path: Path, http: Server) -> None:
    with run_proxy(tmp_path, rules_for(http)) as running:
        port = running.listen_here()
        where = f"{NAME}:{http.port}"
        answer = request(
            port,
            f"GET http://{where}/path HTTP/1.1\r\nHost: evil.test\r\n\r\n"
            f"GET http://{where}/second HTTP/1.1\r\nHost: evil.test\r\n\r\n".encode(),
        )
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(
        f"GET /path HTTP/1.1\r\nHost: {where}\r\nConnection: close\r\n\r\n".encode()
    )
    assert http.accepted == 1


def test_a_body_goes_as_far_as_its_length(tmp_path: Path) -> None:
    bodies: list[bytes] = []

    def take(one: socket.socket) -> None:
        data = receive_until(one, b"\r\n\r\n").partition(b"\r\n\r\n")[2]
        while len(data) < 300_000:
            data += one.recv(65536)
        one.settimeout(0.2)
        try:
            data += one.recv(65536)
        except TimeoutError:
            pass
        bodies.append(data)
        one.sendall(b"HTTP/1.1 204 Done\r\n\r\n")

    with run_server(take) as server, run_proxy(tmp_path, rules_for(server)) as running:
        head = f"POST http://{NAME}:{server.port}/ HTTP/1.1\r\nContent-Length: 300000\r\n\r\n"
        answer = request(running.listen_here(), head.encode() + b"x" * 300_000 + b"GET /smuggled")
    assert answer == b"HTTP/1.1 204 Done\r\n\r\n"
    assert bodies == [b"x" * 300_000]


def test_a_huge_head_is_refused(tmp_path: Path) -> None:
    with run_proxy(tmp_path, "allow all\n") as running, connect(running.listen_here()) as one:
        one.sendall(b"CONNECT a.test:443 HTTP/1.1\r\nX: " + b"x" * incoming.LONGEST_HEAD)
        assert receive_all(one).startswith(b"HTTP/1.1 431 ")


def test_a_slow_head_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "HEAD_PATIENCE", 0.3)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"CONNECT a.test:443")
        with pytest.raises(incoming.BadHead) as caught:
            incoming.receive_head(theirs)  # type: ignore[arg-type]
    assert caught.value.status.startswith("408")


def test_an_unreachable_host_is_no_refusal(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    with run_proxy(tmp_path, f"allow 127.0.0.1:{port}\n") as running:
        answer = ask_for_tunnel(running.listen_here(), f"127.0.0.1:{port}")
        assert answer.startswith("HTTP/1.1 502 ")
        assert running.refusals() == []


def test_a_loopback_port_is_forwarded_whatever_it_speaks(tmp_path: Path, echo: Server) -> None:
    """Its listener has the same number in the sandbox's network; here the other family."""
    with run_proxy(tmp_path, f"allow localhost:{echo.port}\n") as running:
        with socket.create_server(("::1", echo.port), family=socket.AF_INET6) as listener:
            fds = listener.fileno().to_bytes(4, sys.byteorder)
            running.control.sendmsg([b"f"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            assert running.control.recv(1) == b"+"
        with socket.create_connection(("::1", echo.port), timeout=LONG) as one:
            one.sendall(b"\0raw")
            one.shutdown(socket.SHUT_WR)
            assert receive_all(one) == b"\0raw"


def test_a_port_that_no_rule_forwards_is_not_taken(tmp_path: Path) -> None:
    with (
        run_proxy(tmp_path, "allow 127.0.0.1:1234\n") as running,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        fds = listener.fileno().to_bytes(4, sys.byteorder)
        running.control.sendmsg([b"f"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        answer = running.control.recv(100)
        port = listener.getsockname()[1]
    assert answer == f"-the rules do not forward port {port}".encode()


def test_what_is_no_listener_is_not_taken(tmp_path: Path) -> None:
    """The other end of the socket may be in worse hands than the stub's: the proxy lives on."""
    with run_proxy(tmp_path, "allow all\n") as running:
        with (tmp_path / "file").open("w") as file:
            fds = file.fileno().to_bytes(4, sys.byteorder)
            running.control.sendmsg([b"p"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            assert running.control.recv(100) == b"-a descriptor is no listener"
        running.control.send(b"p")
        assert running.control.recv(100) == b"-descriptors are missing"
        assert ask_for_tunnel(running.listen_here(), "127.0.0.1:80").startswith("HTTP/1.1 403 ")


def test_the_users_own_proxy_is_passed_through(tmp_path: Path, echo: Server, http: Server) -> None:
    """Another proxy of ours stands for it, behind one that shows what it was asked."""
    asked: list[bytes] = []
    outer, inner = tmp_path / "outer", tmp_path / "inner"
    outer.mkdir()
    inner.mkdir()
    allowed = "".join(rules_for(server) + "\n" for server in (echo, http))
    with run_proxy(outer, allowed) as far:
        far_port = far.listen_here()

        def pass_on(one: socket.socket) -> None:
            head = receive_until(one, b"\r\n\r\n")
            asked.append(head)
            with connect(far_port) as other:
                other.sendall(head)
                proxy.with_server(one, other, b"", None)  # type: ignore[arg-type]

        with run_server(pass_on) as company:
            login = base64.b64encode(b"me:secret").decode()
            rules = (
                f"allow {NAME}:{echo.port}\nallow {NAME}:{http.port}\n"
                f"upstream https 127.0.0.1 {company.port} {login}\n"
                f"upstream http 127.0.0.1 {company.port} {login}\n"
            )
            with run_proxy(inner, rules) as near:
                port = near.listen_here()
                one, answer = open_tunnel(port, f"{NAME}:{echo.port}")
                with one:
                    assert b" 200 " in answer
                    one.sendall(b"hello")
                    one.shutdown(socket.SHUT_WR)
                    assert receive_all(one) == b"hello"
                where = f"http://{NAME}:{http.port}/x"
                plain = request(port, f"GET {where} HTTP/1.1\r\n\r\n".encode())
                assert plain.startswith(b"HTTP/1.1 200 OK")
                # What the company's proxy refuses is not hidden, and is no refusal of ours.
                far.stop()
                assert ask_for_tunnel(port, f"{NAME}:{echo.port}").startswith("HTTP/1.1 502 ")
                assert ask_for_tunnel(port, "other.test:443").startswith("HTTP/1.1 403 ")
    assert [head.split(b"\r\n")[0] for head in asked[:2]] == [
        f"CONNECT {NAME}:{echo.port} HTTP/1.1".encode(),
        f"GET {where} HTTP/1.1".encode(),
    ]
    assert all(f"Proxy-Authorization: Basic {login}".encode() in head for head in asked)


def test_two_hundred_connections_at_once(tmp_path: Path, echo: Server) -> None:
    with run_proxy(tmp_path, rules_for(echo)) as running:
        port = running.listen_here()
        head = f"CONNECT {NAME}:{echo.port} HTTP/1.1\r\n\r\n".encode()
        many = [connect(port) for _ in range(200)]
        for one in many:
            one.sendall(head)
        for one in many:
            assert b" 200 " in receive_until(one, b"\r\n\r\n")
        for number, one in enumerate(many):
            one.sendall(b"%d" % number * 1000)
            one.shutdown(socket.SHUT_WR)
        for number, one in enumerate(many):
            with one:
                assert receive_all(one) == b"%d" % number * 1000


def test_a_hundred_megabytes_go_through_both_ways(tmp_path: Path) -> None:
    size, chunk = 100 << 20, os.urandom(1 << 20)

    def mirror(one: socket.socket) -> None:
        while data := one.recv(1 << 20):
            one.sendall(data)

    with run_server(mirror) as server, run_proxy(tmp_path, rules_for(server)) as running:
        one, _answer = open_tunnel(running.listen_here(), f"{NAME}:{server.port}")

        def send() -> None:
            for _ in range(size >> 20):
                one.sendall(chunk)
            one.shutdown(socket.SHUT_WR)

        threading.Thread(target=send, daemon=True).start()
        got = 0
        with one:
            while data := one.recv(1 << 20):
                for at in range(0, len(data), 4096):
                    where = (got + at) % len(chunk)
                    piece = data[at : at + min(4096, len(chunk) - where)]
                    assert piece == chunk[where : where + len(piece)]
                got += len(data)
    assert got == size


def test_it_ends_with_its_sandbox_but_lets_connections_finish(tmp_path: Path, echo: Server) -> None:
    with run_proxy(tmp_path, rules_for(echo)) as running:
        one, _answer = open_tunnel(running.listen_here(), f"{NAME}:{echo.port}")
        with one:
            running.control.close()
            one.sendall(b"last words")
            one.shutdown(socket.SHUT_WR)
            assert running.process.poll() is None
            assert receive_all(one) == b"last words"
        assert running.process.wait(LONG) == 0


def test_it_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    """Also when the sandbox holds its end of the socket still, and a connection is open."""
    starter = (
        "import os, socket, sys, time\n"
        "from pathlib import Path\n"
        "from tests.sandbox.network import RunningProxy\n"
        "proxy = RunningProxy(Path(sys.argv[1]), 'allow all\\n')\n"
        "proxy.control.set_inheritable(True)\n"
        "import subprocess\n"
        "child = subprocess.Popen(['sleep', '600'], pass_fds=[proxy.control.fileno()])\n"
        "print(proxy.process.pid, child.pid, proxy.listen_here(), flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", starter, str(tmp_path)],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stdout is not None
    with process.stdout:
        pid, sleeper, port = map(int, process.stdout.readline().split())
    watch = os.pidfd_open(pid)
    try:
        with connect(port):
            process.kill()
            process.wait()
            assert select.select([watch], [], [], LONG)[0], "it lives on"
    finally:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(watch, signal.SIGKILL)
        os.close(watch)
        os.kill(sleeper, signal.SIGKILL)


def test_it_does_not_start_for_another_starter(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("allow all\n")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.set_inheritable(True)
        other = subprocess.Popen(["sleep", "60"])
        try:
            files = (str(tmp_path / "rules"), str(tmp_path / "log"))
            command = network_commands.build_proxy_command(theirs.fileno(), *files, other.pid)
            done = subprocess.run(command, pass_fds=[theirs.fileno()], timeout=LONG, check=False)
            assert done.returncode == 0
        finally:
            other.kill()
            other.wait()


def test_a_starved_proxy_goes_on(tmp_path: Path, echo: Server) -> None:
    """More connections than it serves at once wait their turn."""
    most = proxy.MOST_CONNECTIONS
    with run_proxy(tmp_path, rules_for(echo)) as running:
        port = running.listen_here()
        idle = [connect(port) for _ in range(most)]
        head = f"CONNECT {NAME}:{echo.port} HTTP/1.1\r\n\r\n".encode()
        with connect(port) as one:
            one.sendall(head)
            one.settimeout(0.3)
            with pytest.raises(TimeoutError):
                one.recv(1)
            for other in idle:
                other.close()
            one.settimeout(LONG)
            assert b" 200 " in receive_until(one, b"\r\n\r\n")


def test_it_imports_little(tmp_path: Path) -> None:
    """Its start is part of every agent's and check's: the dear modules stay out of it."""
    code = (
        "import sys; sys.path.append(sys.argv[1]); import orchestr.sandbox.proxy;"
        "print([m for m in ('socket', 'json', 're', 'enum', 'typing', 'dataclasses', 'threading',"
        " 'ipaddress', 'encodings.idna', 'functools', 'collections') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, network_commands.ROOT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "[]", done.stderr
