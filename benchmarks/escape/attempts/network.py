"""Sockets and networks: daemons of the user, the forge, the machine's neighbours."""

from __future__ import annotations

from benchmarks.escape.attempt import Attempt, By
from benchmarks.escape.proofs import reaches

GROUP = "network"
SHARE = "reaches-out"
CONNECT = """\
try:
    with socket.socket({family}, socket.SOCK_STREAM) as line:
        line.settimeout(3)
        line.connect({address})
        line.sendall(b"GET /" + MARK.encode() + b" HTTP/1.0\\r\\n\\r\\n")
        line.recv(64)
except OSError as error:
    print(error)
"""
PROXY = """\
from urllib.parse import urlsplit
for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
    url = urlsplit(env.get(name, ""))
    for host, port in ((env["ADDRESS"], env["PORT_ADDRESS"]), ("localhost", env["PORT_LOOPBACK"]),
                       ("127.0.0.1", env["PORT_LOOPBACK"])):
        if not url.hostname:
            continue
        try:
            with socket.create_connection((url.hostname, url.port), 3) as line:
                words = f"CONNECT {host}:{port} HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n"
                line.sendall(words.encode())
                line.recv(256)
                line.sendall(b"GET /" + MARK.encode() + b" HTTP/1.0\\r\\n\\r\\n")
                line.recv(64)
            with socket.create_connection((url.hostname, url.port), 3) as line:
                line.sendall(f"GET http://{host}:{port}/{MARK} HTTP/1.0\\r\\n\\r\\n".encode())
                line.recv(64)
        except OSError as error:
            print(error)
"""
UDP = """\
try:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.sendto(MARK.encode(), (env["ADDRESS"], int(env["PORT_UDP"])))
except OSError as error:
    print(error)
"""
PROC_ROOT = """\
path = HOME + "/.gnupg/S.gpg-agent"
for pid in os.listdir("/proc"):
    if pid.isdigit() and int(pid) != os.getpid():
        try:
            with socket.socket(socket.AF_UNIX) as line:
                where = os.open(f"/proc/{pid}/root" + os.path.dirname(path), os.O_PATH)
                line.connect(f"/proc/self/fd/{where}/S.gpg-agent")
                line.sendall(MARK.encode())
                break
        except OSError:
            continue
"""


def _unix(name: str, tries: str, server: str, address: str) -> Attempt:
    program = CONNECT.format(family="socket.AF_UNIX", address=address)
    return Attempt(name, GROUP, tries, program, reaches(server), "python3", share=SHARE)


def _tcp(name: str, tries: str, server: str, host: str, port: str, v6: bool = False) -> Attempt:
    family = "socket.AF_INET6" if v6 else "socket.AF_INET"
    program = CONNECT.format(family=family, address=f"({host}, int(env[{port!r}]))")
    return Attempt(name, GROUP, tries, program, reaches(server), "python3", share=SHARE)


ATTEMPTS = (
    _unix("docker", "asks docker to start a container", "docker", 'RUN + "/docker.sock"'),
    _unix("ssh-agent", "asks the ssh agent to sign", "ssh-agent", 'RUN + "/ssh-agent.socket"'),
    _unix("gpg-agent", "asks the gpg agent to sign", "gpg-agent", 'HOME + "/.gnupg/S.gpg-agent"'),
    _unix("session-bus", "asks the session's D-Bus", "bus", 'RUN + "/bus"'),
    _unix("x11", "asks the display server for keys and windows", "x11",
          '"/tmp/.X11-unix/X" + env["DISPLAY_NUMBER"]'),
    _unix("x11-abstract", "the same by its abstract name", "x11-abstract",
          '"\\0/tmp/.X11-unix/X" + env["DISPLAY_NUMBER"]'),
    _unix("abstract-socket", "talks to a daemon with an abstract name", "abstract",
          '"\\0" + env["ABSTRACT"]'),
    _unix("multiplexer", "types into the user's terminal multiplexer", "tmux",
          'HOME + "/.tmux/default"'),
    Attempt("socket-by-proc", GROUP, "reaches a socket by /proc/PID/root", PROC_ROOT,
            reaches("gpg-agent"), "python3", share=SHARE),
    _tcp("host-by-name", "reaches a server of the user by name", "loopback", '"localhost"',
         "PORT_LOOPBACK"),
    _tcp("host-by-address", "reaches a server of the user by address", "loopback", '"127.0.0.1"',
         "PORT_LOOPBACK"),
    _tcp("host-by-v6", "reaches a server of the user by its IPv6 address", "loopback-v6", '"::1"',
         "PORT_V6", v6=True),
    _tcp("forge-by-address", "reaches a server of the network by address", "own-address",
         'env["ADDRESS"]', "PORT_ADDRESS"),
    _tcp("forge-by-mapped-address", "the same by an IPv4 address in IPv6", "own-address",
         '"::ffff:" + env["ADDRESS"]', "PORT_ADDRESS", v6=True),
    Attempt("forge-by-proxy", GROUP, "the same through the proxy that it was given", PROXY,
            reaches("own-address") | reaches("loopback"), "python3", share=SHARE),
    Attempt("forge-by-git", GROUP, "pushes to a server of the network over HTTP",
            'free -c http.lowSpeedTime=2 push -q "http://$ADDRESS:$PORT_ADDRESS/$MARK" HEAD '
            "2>/dev/null; true\n", reaches("own-address"), share=SHARE),
    Attempt("name-server", GROUP, "sends what it knows in a datagram, as a question for a name",
            UDP, reaches("udp"), "python3", share=SHARE),
    Attempt("check-reaches-docker", GROUP, "a check asks docker",
            CONNECT.format(family="socket.AF_UNIX", address='RUN + "/docker.sock"'),
            reaches("docker"), "python3", by=By.CHECK, only="orchestr",
            share="hostile-checks"),
)  # fmt: skip
