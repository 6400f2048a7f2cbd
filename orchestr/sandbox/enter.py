"""Enter a sandbox: `python -I -S enter.py PLAN -- COMMAND...` becomes bubblewrap around COMMAND.

Run by path, as a program of its own: it imports next to nothing, so it starts in some ten
milliseconds. The process stays the same one, so whoever started it waits for the sandbox itself.

PLAN is JSON: ``bwrap`` (its path), ``mounts`` (its words), ``network`` and ``limits``.
``network.kind`` is `all`, `none`, or `rules`: then ``rules`` is the text and ``log`` the file that
`proxy.py` gets, which is started first and ends with the sandbox; ``ports`` are for `listen.py`.
``kept`` are the variables that go inside, null for all. ``limits`` are ``memory`` (bytes),
``cpus``, ``pids``, and ``scope``: whether systemd makes a control group.

Exit code 126 with a line on stderr that begins with `orchestr: sandbox:` when it cannot be made.
"""

import json
import os
import sys

ROOT = os.path.abspath(__file__).rsplit("/", 3)[0]  # noqa: PTH100 - pathlib costs 5 ms
FAILED = 126
FIXED = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/acpi")
ISOLATION = (
    "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
    "--cap-drop", "ALL", "--die-with-parent", "--new-session",
)  # fmt: skip


def main(words: list[str]) -> int:
    """Never returns when all goes well."""
    try:
        separator = words.index("--")
        with open(words[0], "rb") as stream:  # noqa: PTH123
            plan = json.load(stream)
        argv = words[separator + 1 :]
        options = [*ISOLATION, *plan["mounts"], "--dev", "/dev", "--proc", "/proc"]
        # The kernel's settings belong to a uid, not to a capability: root could write them.
        for path in FIXED:
            if os.path.exists(path):  # noqa: PTH110
                options += ["--ro-bind", path, path]
        options += ["--chdir", os.getcwd()]  # noqa: PTH109
        network, limits = plan["network"], plan["limits"]
        if limits["pids"] and not limits["scope"]:
            argv = ["prlimit", f"--nproc={limits['pids']}", "--", *argv]
        if network["kind"] != "all":
            options += ["--unshare-net"]
        if network["kind"] == "rules":
            argv = start_proxy(network, argv)
        if limits["cpus"] and not limits["scope"]:
            limit_processors(limits["cpus"])
        command = [plan["bwrap"], "--args", str(pass_words(options)), "--", *argv]
        if limits["scope"]:
            command = [*scope_words(limits), *command]
        os.execvpe(command[0], command, select_environment(plan["kept"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"orchestr: sandbox: {type(error).__name__}: {error}", file=sys.stderr)
    return FAILED


def select_environment(kept: list[str] | None) -> dict[str, str]:
    """The variables that go inside."""
    if kept is None:
        return dict(os.environ)
    return {k: v for k, v in os.environ.items() if k in kept or k.startswith("GIT_")}


def pass_words(words: list[str]) -> int:
    """A descriptor that bubblewrap reads its words from: there may be thousands."""
    fd = os.memfd_create("words", 0)
    os.write(fd, b"".join(os.fsencode(word) + b"\0" for word in words))
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def start_proxy(network: dict, argv: list[str]) -> list[str]:  # type: ignore[type-arg]
    """Start the proxy beside us; returns the command that brings its listeners inside."""
    import socket

    sys.path.append(ROOT)
    from orchestr.sandbox.network_commands import build_listen_command, build_proxy_command

    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    rules = os.memfd_create("rules", 0)
    os.write(rules, network["rules"].encode())
    parent = os.getpid()
    if os.fork() == 0:
        try:
            # It ends with us: bubblewrap closes what we leave open, so it keeps both ends itself.
            for fd in (ours.fileno(), its.fileno(), rules):
                os.set_inheritable(fd, True)
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(0, 1)  # what the command prints is no business of the proxy's
            words = build_proxy_command(
                its.fileno(), f"/proc/self/fd/{rules}", network["log"], parent
            )
            os.execv(words[0], words)
        finally:
            os._exit(FAILED)
    its.close()
    os.close(rules)
    os.set_inheritable(ours.fileno(), True)
    return build_listen_command(ours.detach(), network["ports"], argv)


def limit_processors(count: float) -> None:
    """Without a control group: so many of the processors that we may use."""
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, allowed[: max(1, round(count))])


def scope_words(limits: dict) -> list[str]:  # type: ignore[type-arg]
    """systemd's words for a control group of its own."""
    words = ["systemd-run", "--user", "--scope", "--quiet", "--collect"]
    if limits["memory"]:
        words += ["-p", f"MemoryMax={limits['memory']}", "-p", "MemorySwapMax=0"]
    if limits["cpus"]:
        words += ["-p", f"CPUQuota={round(100 * limits['cpus'])}%"]
    if limits["pids"]:
        words += ["-p", f"TasksMax={limits['pids']}"]
    return [*words, "--"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
