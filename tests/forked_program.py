"""The fork server, and the programs and supervisors that it forks.

Run by `tests/fork_server.py` as a process with one thread. What it forks is a real process: the
caller's own child with a pid of its own (the server makes it with CLONE_PARENT), with the
environment, directory, streams, umask, session, arguments, signal handlers, `sys.path` and
`__main__` of a fresh interpreter, and its way to end. Three things differ: modules are there before
they are imported, `/proc/PID/environ` is the server's, and the processes of one server share their
hash seed.

A program that may start supervisors gets a *nursery*: a copy of the server, made before the
program begins, that forks them as the program's children. It ends with the program. Where it
cannot (another environment, a nursery that is gone) the supervisor is a fresh interpreter.
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
from collections.abc import Callable, Mapping, Sequence
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
SUPERVISOR = ["-S", "-m", "orchestr.supervisor"]
STARTERS = {"run", "land"}  # the verbs that start supervisors
BUFFERS = (io.BufferedReader, io.BufferedWriter, io.BufferedWriter)


Fork = Callable[[dict[str, Any], Sequence[int]], int]


# ---- in the process that starts a program --------------------------------------------------------


def fork_child(
    popen: subprocess.Popen[Any],
    start_fresh: Callable[..., None],
    args: Sequence[Any],
    find: Callable[[dict[str, Any]], Fork | None],
) -> None:
    """`Popen._execute_child` for ``popen``, with what ``find`` finds for it, else fresh."""
    if not is_python(args):
        start_fresh(*args)
        return
    wanted = inspect.signature(start_fresh).bind(*args).arguments
    request = describe_program(wanted)
    fork = None if request is None else find(request)
    if fork is None or request is None:
        start_fresh(*args)
        return
    streams = [
        number if fd == -1 else fd
        for number, fd in enumerate((wanted["p2cread"], wanted["c2pwrite"], wanted["errwrite"]))
    ]
    try:
        popen.pid = fork(request, [*streams, *request["pass_fds"]])
    except NurseryGone:
        start_fresh(*args)
        return
    popen._child_created = True  # type: ignore[attr-defined]
    popen._close_pipe_fds(  # type: ignore[attr-defined]
        *(wanted[name] for name in
          ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite"))
    )  # fmt: skip


def is_python(args: Sequence[Any]) -> bool:
    """Whether a program of our interpreter is started; told in a microsecond.

    A program under test starts git hundreds of times. ``args`` are those of `_execute_child`, whose
    first is the list of words.
    """
    words = args[0]
    return isinstance(words, (list, tuple)) and os.fspath(words[0]) == sys.executable


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
    as_module = (words[1] == "-m" and len(words) > 2) or words[1:4] == SUPERVISOR
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


def select_startup_variables(env: Mapping[str, str]) -> dict[str, str]:
    """What an interpreter reads of ``env`` at its start."""
    return {name: value for name, value in env.items()
            if name.startswith(STARTUP_PREFIXES) or name in STARTUP_NAMES}  # fmt: skip


def read_umask() -> int:
    """The umask, without setting it: other threads make files meanwhile."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("Umask:")[2].split()[0], 8)


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
        resolve_records(importlib.import_module("msgspec"))
    finally:
        os.environ.__class__ = plain
    return WatchedEnviron.read


def resolve_records(msgspec: Any) -> None:
    """Have the annotations of all records resolved: msgspec does that once in a process, when it
    meets the first one of a class, and that was a quarter of what a `status` takes.
    """
    left = [msgspec.Struct]
    while left:
        record = left.pop()
        left += record.__subclasses__()
        if record.__module__.startswith("orchestr."):
            msgspec.json.Decoder(record)


def serve(channel: socket.socket) -> None:
    """Answer requests until the test process is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for pytest; we end with it
    read = preload_modules()
    assert threading.active_count() == 1, threading.enumerate()
    modules = sorted({name.partition(".")[0] for name in sys.modules} - {"__main__"})
    gc.collect()
    gc.freeze()  # a collection in a fork touches, and so copies, only what is its own
    send_message(channel, {"modules": modules, "read": sorted(read)})
    answer_requests(channel)


def answer_requests(channel: socket.socket) -> None:
    """Fork what is asked for, as children of our parent, until the other end is gone."""
    while True:
        message = receive_message(channel)
        if message is None:
            return
        request, descriptors = message
        pid = clone_sibling()
        if pid == 0:
            channel.detach()  # its descriptor is closed there; no object is left to be warned of
            become_program(request, descriptors)
        for fd in descriptors:
            os.close(fd)
        send_message(channel, {"pid": pid})


# ---- in the new process -----------------------------------------------------------------------


class NurseryGone(OSError):
    """The nursery does not answer."""


class Nursery:
    """A program's end of its nursery. Made while the program has one thread and nothing of its own.

    It is in a session of its own: no signal to the program's group is meant for it.
    """

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        self._lock = threading.Lock()
        self._env = select_agreed_variables(os.environ)
        if os.fork() == 0:
            try:
                nothing = os.open(os.devnull, os.O_RDWR)
                (number,) = take_descriptors([nothing] * 3 + [theirs.detach()], [99])
                os.setsid()
                self._channel.detach()  # closed
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                answer_requests(socket.socket(fileno=number))
            finally:
                os._exit(0)
        theirs.close()

    def install(self) -> None:
        """Have it fork the supervisors that this process starts."""
        fresh = subprocess.Popen._execute_child  # type: ignore[attr-defined]

        def start(popen: subprocess.Popen[Any], *args: Any) -> None:
            fork_child(popen, types.MethodType(fresh, popen), args, self._find_fork)

        subprocess.Popen._execute_child = start  # type: ignore[attr-defined]

    def _find_fork(self, request: dict[str, Any]) -> Fork | None:
        # A supervisor gets a part of our environment, see `orchestr.supervisor.client`.
        wanted = select_agreed_variables(request["env"])
        agrees = all(self._env.get(name) == value for name, value in wanted.items())
        return self.fork if agrees and request["argv"][1:4] == SUPERVISOR else None

    def fork(self, request: dict[str, Any], descriptors: Sequence[int]) -> int:
        """Have a supervisor made; its pid."""
        try:
            with self._lock:
                send_message(self._channel, request, descriptors)
                answer = receive_message(self._channel)
        except OSError as error:
            raise NurseryGone from error
        if answer is None:
            raise NurseryGone
        return int(answer[0]["pid"])


def select_agreed_variables(env: Mapping[str, str]) -> dict[str, str]:
    """What must be the same for a supervisor; its `sys.path` is set from its own PYTHONPATH."""
    read = {name: env[name] for name in WatchedEnviron.read if name in env}
    return {n: v for n, v in {**read, **select_startup_variables(env)}.items() if n != "PYTHONPATH"}


def may_start_supervisors(argv: list[str]) -> bool:
    """Whether it is worth a nursery."""
    return argv[1:3] == ["-m", "doit"] or not STARTERS.isdisjoint(argv[2:])


def write_command_line(argv: list[str]) -> None:
    """Put ``argv`` into `/proc/PID/cmdline`, where the server's command line has left room."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    text = b"".join(os.fsencode(word) + b"\0" for word in argv)
    if start and len(text) < end - start:
        ctypes.memmove(start, text.ljust(end - start, b"\0"), end - start)


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
        if may_start_supervisors(request["argv"]):
            Nursery().install()
        write_command_line(request["argv"])
        code = run_to_exit(request["argv"])
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def take_descriptors(descriptors: list[int], passed: list[int]) -> list[int]:
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
    return passed


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
    if argv[1] == "-S":
        argv = [argv[0], *argv[2:]]
        leave_site_packages()
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


def leave_site_packages() -> None:
    """What the option -S leaves: PYTHONPATH and the standard library."""
    kept = ("BuiltinImporter", "FrozenImporter", "PathFinder")
    sys.meta_path[:] = [one for one in sys.meta_path if getattr(one, "__name__", "") in kept]
    library = [str(Path(os.__file__).parent), str(Path(os.__file__).parent / "lib-dynload")]
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    archive = [path for path in sys.path if path.endswith(".zip")]
    sys.path[:] = [*filter(None, given), *archive, *library]


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
