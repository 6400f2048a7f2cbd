"""Python programs for the tests, without the half second that each needs for its imports.

Owns `Process`, a `subprocess.Popen` that takes `[sys.executable, "-m", "orchestr", ...]` (or
`-m MODULE`, or `SCRIPT.py`) and has it forked from a warm, single-threaded *fork server* that has
imported all of orchestr; and `run_process`, which is `subprocess.run` with it. Leaves alone what it
cannot copy exactly: such a process, and all of them with ORCHESTR_TEST_FRESH=1, is a fresh
interpreter, started by `subprocess` itself.

What is forked is a real process: the caller's own child with a pid of its own (the server makes it
with CLONE_PARENT), with the environment, directory, streams, umask, session, arguments, signal
handlers, `sys.path` and `__main__` of a fresh interpreter, and its way to end. Three things differ:
modules are there before they are imported, `/proc/PID/cmdline` and `environ` are the server's, and
the processes of one server share their hash seed.

A server serves only environments that agree on every variable that an interpreter reads at its
start or that a module read while the server imported it; another environment gets another server.
It ends when its test process does.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import importlib.machinery
import inspect
import io
import json
import os
import pkgutil
import platform
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
import types
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

FRESH = "ORCHESTR_TEST_FRESH"
# What an interpreter and its C library read at their start.
STARTUP_PREFIXES = ("PYTHON", "LC_", "LD_", "MALLOC_", "GLIBC_", "OPENSSL_", "PYDANTIC_")
STARTUP_NAMES = ("LANG", "LANGUAGE", "SSLKEYLOGFILE")
# Imported inside functions, so that walking through orchestr does not bring them.
LIBRARIES = (
    "difflib",
    "doit.cmd_help",
    "doit.doit_cmd",
    "doit.plugin",
    "httpx",
    "jinja2.sandbox",
    "pathspec",
    "psutil",
    "pydantic",
    "rich.console",
    "rich.live",
    "simpleeval",
    "tomli_w",
    "yaml",
)
# These do something when they are imported, or are programs.
NOT_IMPORTED = (".__main__", ".dodo")
CLONE = {"x86_64": 56, "aarch64": 220}.get(platform.machine())  # the number of the system call
CLONE_PARENT, CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID = 0x8000, 0x200000, 0x1000000
PR_GET_TID_ADDRESS = 40
HEADER = struct.Struct("!I")
MOST_DESCRIPTORS = 32
BUFFERS = (io.BufferedReader, io.BufferedWriter, io.BufferedWriter)


# ---- in the test process ----------------------------------------------------------------------


class Process(subprocess.Popen[Any]):
    """`subprocess.Popen`; a Python program that a fork server can run is forked by one."""

    def _execute_child(self, *args: Any) -> None:
        fresh = super()._execute_child  # type: ignore[misc]
        wanted = inspect.signature(fresh).bind(*args).arguments
        request = describe_program(wanted)
        server = None if request is None else find_server(request["env"])
        if server is None or request is None or server.shadowed_in(request["cwd"]):
            fresh(*args)
            return
        streams = [
            number if fd == -1 else fd
            for number, fd in enumerate((wanted["p2cread"], wanted["c2pwrite"], wanted["errwrite"]))
        ]
        self.pid = server.fork(request, [*streams, *request["pass_fds"]])
        self._child_created = True
        self._close_pipe_fds(  # type: ignore[attr-defined]
            *(wanted[name] for name in
              ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite"))
        )  # fmt: skip


def run_process(
    argv: Sequence[str], *, input: str | None = None, timeout: float | None = None, **how: Any
) -> subprocess.CompletedProcess[Any]:
    """`subprocess.run(argv, capture_output=True, check=False, ...)` of a `Process`."""
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
    if input is not None:
        how["stdin"] = subprocess.PIPE
    with Process(argv, **how) as process:
        try:
            out, err = process.communicate(input, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(argv, process.returncode, out, err)


def describe_program(wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """The request for a fork server; None when only a fresh interpreter does it right."""
    argv, cwd, env = wanted["args"], wanted["cwd"] or Path.cwd(), wanted["env"]
    if not isinstance(argv, (list, tuple)) or len(argv) < 2:
        return None
    words = [os.fspath(word) for word in argv]
    odd = ("executable", "preexec_fn", "startupinfo", "shell", "gid", "gids", "uid")
    if words[0] != sys.executable or any(wanted[name] for name in odd) or wanted["umask"] >= 0:
        return None
    if not wanted["close_fds"] or not wanted["restore_signals"] or not Path(cwd).is_dir():
        return None
    as_module = words[1] == "-m" and len(words) > 2
    if not as_module and not (words[1].endswith(".py") and Path(words[1]).is_absolute()):
        return None
    return {
        "argv": words,
        "cwd": os.fspath(cwd),
        "env": dict(os.environ if env is None else env),
        "umask": read_umask(),
        "pass_fds": list(wanted["pass_fds"]),
        "session": bool(wanted["start_new_session"]),
        "group": wanted["process_group"],
    }


def read_umask() -> int:
    """The umask, without setting it: other threads make files meanwhile."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("Umask:")[2].split()[0], 8)


_servers: dict[tuple[tuple[str, str], ...], ForkServer] = {}
_starting = threading.Lock()


def find_server(env: Mapping[str, str]) -> ForkServer | None:
    """The server for this environment, started if there is none; None: use a fresh interpreter."""
    if os.environ.get(FRESH) == "1" or not can_clone():
        return None
    if not all(map(os.path.isabs, filter(None, env.get("PYTHONPATH", "").split(os.pathsep)))):
        return None
    key = tuple(sorted((k, v) for k, v in env.items()
                       if k.startswith(STARTUP_PREFIXES) or k in STARTUP_NAMES))  # fmt: skip
    with _starting:
        if key not in _servers:
            _servers[key] = ForkServer(env)
    server = _servers[key]
    return server if server.agrees_with(env) else None


class ForkServer:
    """The client's end of one server."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._channel, theirs = socket.socketpair()
        self._lock = threading.Lock()
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                cwd="/", env=env, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
            )  # fmt: skip
        atexit.register(self.close)
        ready = receive_message(self._channel)
        assert ready is not None, "the fork server has ended; stderr says why"
        hello = ready[0]
        self._modules = frozenset(hello["modules"])
        self._read = {name: env.get(name) for name in hello["read"]}

    def agrees_with(self, env: Mapping[str, str]) -> bool:
        """Whether the modules of the server would have read the same from ``env``."""
        return all(env.get(name) == value for name, value in self._read.items())

    def shadowed_in(self, cwd: str) -> bool:
        """Whether a program in ``cwd`` would import a file of it instead of one of our modules."""
        names = (name.removesuffix(".py") for name in os.listdir(cwd))  # noqa: PTH208
        return any(name.partition(".")[0] in self._modules for name in names
                   if "." not in name or name.endswith((".so", ".pyc")))  # fmt: skip

    def fork(self, request: dict[str, Any], descriptors: Sequence[int]) -> int:
        """Have a process made; its pid."""
        with self._lock:
            send_message(self._channel, request, descriptors)
            answer = receive_message(self._channel)
        assert answer is not None, "the fork server has ended; stderr says why"
        return int(answer[0]["pid"])

    def close(self) -> None:
        """End the server, not what it forked."""
        self._channel.close()
        self._server.wait()


def send_message(channel: socket.socket, value: Any, descriptors: Sequence[int] = ()) -> None:
    """One JSON value, with descriptors."""
    data = json.dumps(value).encode()
    socket.send_fds(channel, [HEADER.pack(len(data))], descriptors)
    channel.sendall(data)


def receive_message(channel: socket.socket) -> tuple[Any, list[int]] | None:
    """One JSON value and its descriptors; None at the end."""
    header, descriptors, _, _ = socket.recv_fds(channel, HEADER.size, MOST_DESCRIPTORS)
    if len(header) < HEADER.size:
        return None
    left, parts = HEADER.unpack(header)[0], []
    while left:
        parts.append(channel.recv(left))
        if not parts[-1]:
            return None
        left -= len(parts[-1])
    return json.loads(b"".join(parts)), descriptors


# ---- in the server ----------------------------------------------------------------------------


@cache
def can_clone() -> bool:
    """Whether this machine lets us clone as glibc's `fork` does: Linux, with the thread's id."""
    return sys.platform == "linux" and CLONE is not None and thread_id_address() is not None


def thread_id_address() -> int | None:
    """Where the C library keeps the main thread's id; the kernel writes the new one there."""
    address = ctypes.c_void_p()
    library = ctypes.CDLL(None)
    if library.prctl(PR_GET_TID_ADDRESS, ctypes.byref(address), 0, 0, 0) != 0:
        return None
    return address.value


def clone_sibling() -> int:
    """`os.fork`, but the new process is a child of our parent. Single-threaded callers only."""
    flags = CLONE_PARENT | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | signal.SIGCHLD
    where = ctypes.c_void_p(thread_id_address())
    none = ctypes.c_void_p(None)
    # x86_64 wants the child's id before the TLS, aarch64 behind it; we have no TLS to set.
    last = (where, none) if platform.machine() == "x86_64" else (none, where)
    python = ctypes.pythonapi
    syscall = ctypes.PyDLL(None).syscall
    syscall.restype = ctypes.c_long
    number, words = ctypes.c_long(CLONE), ctypes.c_ulong(flags)
    python.PyOS_BeforeFork()
    pid = int(syscall(number, words, none, none, *last))
    if pid == 0:
        python.PyOS_AfterFork_Child()
    else:
        python.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError("clone failed")
    return pid


class WatchedEnviron(type(os.environ)):  # type: ignore[misc]
    """`os.environ` that notes what is read."""

    read: set[str] = set()  # noqa: RUF012

    def __getitem__(self, key: str) -> str:
        self.read.add(key)
        return str(super().__getitem__(key))


def preload_modules() -> set[str]:
    """Import all of orchestr and its libraries; which environment variables that read."""
    plain = type(os.environ)
    os.environ.__class__ = WatchedEnviron
    try:
        package = importlib.import_module("orchestr")
        for found in pkgutil.walk_packages(package.__path__, "orchestr."):
            if not found.name.endswith(NOT_IMPORTED):
                importlib.import_module(found.name)
        for name in LIBRARIES:
            importlib.import_module(name)
    finally:
        os.environ.__class__ = plain
    return WatchedEnviron.read


def serve(channel: socket.socket) -> None:
    """Answer requests until the test process is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for pytest; we end with it
    read = preload_modules()
    assert threading.active_count() == 1, threading.enumerate()
    modules = sorted({name.partition(".")[0] for name in sys.modules} - {"__main__"})
    gc.collect()
    gc.freeze()  # a collection in a fork touches, and so copies, only what is its own
    send_message(channel, {"modules": modules, "read": sorted(read)})
    while True:
        message = receive_message(channel)
        if message is None:
            return
        request, descriptors = message
        pid = clone_sibling()
        if pid == 0:
            become_program(request, descriptors)
        for fd in descriptors:
            os.close(fd)
        send_message(channel, {"pid": pid})


# ---- in the new process -----------------------------------------------------------------------


def become_program(request: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Be a fresh interpreter that was started as the request says, up to its exit."""
    code = 1
    try:
        take_descriptors(descriptors, request["pass_fds"])
        os.umask(request["umask"])
        if request["session"]:
            os.setsid()
        elif request["group"] is not None and request["group"] >= 0:
            os.setpgid(0, request["group"])
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        time.tzset()
        open_standard_streams()
        threading.main_thread()._native_id = threading.get_native_id()  # type: ignore[attr-defined]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = run_to_exit(request["argv"])
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def take_descriptors(descriptors: list[int], passed: list[int]) -> None:
    """Make them stdin, stdout, stderr and ``passed``, and close everything else."""
    import fcntl

    wanted = [0, 1, 2, *passed]
    above = max([*wanted, *descriptors, 99]) + 1
    kept = [fcntl.fcntl(fd, fcntl.F_DUPFD, above) for fd in descriptors]
    for fd, number in zip(kept, wanted, strict=True):
        os.dup2(fd, number, inheritable=True)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if int(name) not in wanted:
            try:
                os.close(int(name))
            except OSError:  # the listing's own
                pass


def open_standard_streams() -> None:
    """`sys.stdin`, `stdout`, `stderr` as the interpreter makes them."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old = getattr(sys, name)
        raw = io.FileIO(number, "r" if number == 0 else "w", closefd=False)
        raw.name = f"<{name}>"
        through = old.write_through  # PYTHONUNBUFFERED
        buffer: Any = raw if through and number else BUFFERS[number](raw)
        stream = io.TextIOWrapper(
            buffer, encoding=old.encoding, errors=old.errors, newline="\n",
            line_buffering=not through and (number == 2 or raw.isatty()), write_through=through,
        )  # fmt: skip
        stream.mode = "r" if number == 0 else "w"  # type: ignore[misc]
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def run_to_exit(argv: list[str]) -> int:
    """Run the program and end it as the interpreter does; its exit code."""
    interrupted = False
    try:
        run_main_module(argv)
        code = 0
    except SystemExit as ended:
        code = read_exit_code(ended)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code, interrupted = 1, isinstance(error, KeyboardInterrupt)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    gc.collect()
    if not flush_standard_streams():
        code = 120
    if interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return code


def run_main_module(argv: list[str]) -> None:
    """`python -m MODULE ...` or `python SCRIPT ...` in a new `__main__`."""
    import runpy

    sys.orig_argv[:] = argv
    main = types.ModuleType("__main__")
    main.__dict__.update(__builtins__=__builtins__, __annotations__={})
    sys.modules["__main__"] = main
    importlib.invalidate_caches()
    if argv[1] == "-m":
        sys.path.insert(0, str(Path.cwd()))
        sys.argv[:] = ["-m", *argv[3:]]
        runpy._run_module_as_main(argv[2])  # type: ignore[attr-defined]
        return
    script = argv[1]
    sys.path.insert(0, str(Path(script).resolve().parent))
    sys.argv[:] = argv[1:]
    loader = importlib.machinery.SourceFileLoader("__main__", script)
    main.__dict__.update(__file__=script, __cached__=None, __loader__=loader)
    exec(compile(Path(script).read_bytes(), script, "exec"), main.__dict__)


def read_exit_code(ended: SystemExit) -> int:
    """The exit code; a text is said instead, and is 1."""
    if ended.code is None:
        return 0
    if isinstance(ended.code, int):
        return ended.code & 0xFF
    print(ended.code, file=sys.stderr)
    return 1


def flush_standard_streams() -> bool:
    """Whether all that was written went out; the interpreter ends with 120 else."""
    well = True
    for stream in (sys.stdout, sys.stderr):
        if stream is None or stream.closed:
            continue
        try:
            stream.flush()
        except Exception as error:
            well = False
            text = f"Exception ignored in: {stream!r}\n{type(error).__name__}: {error}\n"
            try:
                os.write(2, text.encode())
            except OSError:
                pass
    return well


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file
    with socket.socket(fileno=int(sys.argv[1])) as its_channel:
        serve(its_channel)
