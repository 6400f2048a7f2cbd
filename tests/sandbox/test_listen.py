"""Real programs in a network of their own: they reach what the rules allow, and nothing else."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from orchestr.sandbox.network_commands import build_listen_command
from tests.sandbox.network import (
    RunningProxy,
    answer_http,
    echo_until_end,
    make_certificate,
    needs_seal,
    run_proxy,
    run_server,
    server_context,
)

NAME = "api.test"


def run_python(
    running: RunningProxy, code: str, *arguments: str, ports: tuple[int, ...] = (0,)
) -> str:
    """Run a program inside; what it printed."""
    argv = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    done = running.run_inside(argv, ports)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_seal
def test_the_only_ways_out_are_the_proxy_and_the_forwarded_ports(tmp_path: Path) -> None:
    code = """
        import os, socket, sys
        forwarded, hidden = map(int, sys.argv[1:])
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, forwarded)) as one:
                one.sendall(b"hello"); one.shutdown(socket.SHUT_WR)
                print(host, one.recv(100))
        for host in ("127.0.0.1", "93.184.216.34"):
            try:
                socket.create_connection((host, hidden), timeout=5)
            except OSError as error:
                print(type(error).__name__)
        try:
            socket.getaddrinfo("example.org", 80)
        except OSError as error:
            print(type(error).__name__)
        print([n for n in range(3, 50) if os.path.exists(f"/proc/self/fd/{n}")])
    """
    with run_server(echo_until_end) as echo, run_server(echo_until_end) as hidden:
        rules = f"allow 127.0.0.1:{echo.port}\n"
        with run_proxy(tmp_path, rules) as running:
            out = run_python(
                running, code, str(echo.port), str(hidden.port), ports=(0, echo.port)
            ).splitlines()
        assert hidden.accepted == 0
    assert out[:2] == ["127.0.0.1 b'hello'", "::1 b'hello'"]
    assert out[2] == "ConnectionRefusedError"
    assert out[3] == "OSError"  # the network is unreachable
    assert out[4] == "gaierror"
    assert out[5:] == ["[]"]  # no descriptor of the wall's own


@needs_seal
def test_a_program_gets_the_variables_of_the_proxy_and_default_signals(tmp_path: Path) -> None:
    with run_proxy(tmp_path, "allow all\n") as running:
        argv = ["/bin/sh", "-c", 'grep SigIgn /proc/self/status; echo "$HTTPS_PROXY $no_proxy"']
        out = running.run_inside(argv, (3128,)).stdout
    mask, variables = out.splitlines()
    ignored = int(mask.split()[1], 16)  # what the tests' own starter ignores (nohup) may be there
    assert not ignored & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1)
    assert variables == "http://127.0.0.1:3128 127.0.0.1,localhost,::1"


@needs_seal
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET])
def test_exit_codes_are_those_of_a_shell(tmp_path: Path, kind: socket.SocketKind) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")
    with run_proxy(tmp_path, "allow all\n", kind) as running:
        codes = [
            running.run_inside(argv).returncode
            for argv in (["sh", "-c", "exit 7"], [str(plain)], [str(tmp_path / "missing")])
        ]
        assert codes == [7, 126, 127]
        refused = running.run_inside(["true"], (0, 1234))
        assert refused.returncode == 125
        assert "the rules do not forward port 1234" in refused.stderr


def test_without_a_proxy_nothing_runs(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        theirs.set_inheritable(True)
        command = build_listen_command(theirs.fileno(), [0], ["touch", str(tmp_path / "ran")])
        done = subprocess.run(
            command, pass_fds=[theirs.fileno()], capture_output=True, text=True, check=False
        )
    assert done.returncode == 125
    assert done.stderr.startswith("orchestr: the network of the sandbox: ")
    assert not (tmp_path / "ran").exists()


@needs_seal
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_curl_reaches_what_is_allowed(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    with (
        run_server(answer_http) as plain,
        run_server(answer_http, server_context(certificate)) as tls,
    ):
        rules = f"resolve {NAME} 127.0.0.1\nsetting [agents.claude] network\n" + "".join(
            f"allow {host}:{port}\n"
            for host in (NAME, "127.0.0.1")
            for port in (plain.port, tls.port)
        )
        with run_proxy(tmp_path, rules) as running:

            def curl(*words: str) -> subprocess.CompletedProcess[str]:
                base = ["curl", "-sS", "--max-time", "30", "--cacert", str(certificate)]
                return running.run_inside([*base, *words])

            assert f"Host: {NAME}:{tls.port}" in curl(f"https://{NAME}:{tls.port}/x").stdout
            assert "GET /x HTTP/1.1" in curl(f"http://{NAME}:{plain.port}/x").stdout
            assert "GET /x" in curl("-p", f"http://{NAME}:{plain.port}/x").stdout
            refused = curl("https://github.com/")
            assert refused.returncode != 0
            assert "403" in refused.stderr
            body = curl("http://example.org/").stdout
            assert 'set in orchestr.toml: [agents.claude] network = ["example.org", ...]' in body
            assert [r.host for r in running.refusals()] == ["github.com", "example.org"]


@needs_seal
def test_git_does_not_reach_a_forge(tmp_path: Path) -> None:
    with run_proxy(tmp_path, "allow all\ndeny github.com\n") as running:
        done = running.run_inside(
            ["git", "ls-remote", "https://github.com/git/git"],
            env={"GIT_ALLOW_PROTOCOL": "https", "GIT_TERMINAL_PROMPT": "0"},
        )
        assert done.returncode != 0
        assert "403" in done.stderr
        assert [r.host for r in running.refusals()] == ["github.com"]


@needs_seal
def test_urllib_reaches_what_is_allowed(tmp_path: Path) -> None:
    code = """
        import sys, urllib.error, urllib.request
        print(urllib.request.urlopen(sys.argv[1]).read().split()[1].decode())
        try:
            urllib.request.urlopen("https://github.com/")
        except urllib.error.URLError as error:
            print(error)
    """
    with run_server(answer_http) as server:
        rules = (
            f"allow {NAME}:{server.port}\nallow 127.0.0.1:{server.port}\nresolve {NAME} 127.0.0.1\n"
        )
        with run_proxy(tmp_path, rules) as running:
            out = run_python(running, code, f"http://{NAME}:{server.port}/path").splitlines()
    assert out[0] == "/path"
    assert "403" in out[1]


@needs_seal
@pytest.mark.skipif(shutil.which("node") is None, reason="no node")
def test_node_reaches_a_forwarded_port(tmp_path: Path) -> None:
    """Its fetch reads the variables of a proxy since 22.21 and 24 only; loopback always works."""
    code = "fetch(process.argv[1]).then(r => r.text()).then(t => console.log(t.split(' ')[1]))"
    with (
        run_server(answer_http) as server,
        run_proxy(tmp_path, f"allow localhost:{server.port}\n") as running,
    ):
        url = f"http://localhost:{server.port}/path"
        done = running.run_inside(["node", "-e", code, url], (0, server.port))
    assert done.stdout == "/path\n", done.stderr
