"""What the fork server makes is what a fresh interpreter would have been."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests import fork_server
from tests.crash.house import House
from tests.crash.runner import POINTS
from tests.fork_server import Process, run_process
from tests.processes import wait_until_gone

PROBE = """\
import atexit, gc, json, locale, logging, os, resource, signal, sys, threading, time, warnings
streams = [sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__]
limits = [name for name in dir(resource) if name.startswith("RLIMIT")]
main = sys.modules["__main__"]
print(json.dumps({
    "argv": sys.argv,
    "orig_argv": sys.orig_argv,
    "path": sys.path,
    "flags": repr(sys.flags),
    "options": [sys._xoptions, sys.warnoptions, sys.dont_write_bytecode, sys.gettrace() is None],
    "prefix": [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.executable, sys.version],
    "filters": [repr(found) for found in warnings.filters],
    "hooks": [sys.excepthook is sys.__excepthook__, sys.unraisablehook is sys.__unraisablehook__,
              len(sys.meta_path), [str(hook)[:30] for hook in sys.path_hooks]],
    "recursion": sys.getrecursionlimit(),
    "switch": sys.getswitchinterval(),
    "encodings": [sys.getfilesystemencoding(), sys.getdefaultencoding(), locale.setlocale(0)],
    "streams": [
        [s.name, s.mode, s.encoding, s.errors, s.line_buffering, s.write_through, s.isatty(),
         s.fileno(), type(s.buffer).__name__, getattr(s.buffer, "raw", s.buffer).mode]
        for s in streams
    ],
    "read": sys.stdin.read(),
    "environ": dict(os.environ),
    "cwd": os.getcwd(),
    "umask": os.umask(0),
    "parent": os.getppid(),
    "group": [os.getpgid(0) == os.getpid() or os.getpgid(0), os.getsid(0) == os.getpid()],
    "signals": {n: str(signal.getsignal(n)) for n in signal.valid_signals()},
    "masked": [str(n) for n in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
    "wakeup": signal.set_wakeup_fd(-1),
    "limits": {name: resource.getrlimit(getattr(resource, name)) for name in limits},
    "threads": [t.name for t in threading.enumerate()],
    "native": threading.main_thread().native_id == os.getpid() == threading.get_native_id(),
    "files": sorted(set(os.listdir("/proc/self/fd")) - {"3"} | {"3"}),
    "gc": [gc.get_threshold(), gc.isenabled(), gc.get_debug()],
    "logging": [len(logging.root.handlers), logging.root.level],
    "main": [main.__name__, main.__spec__ and main.__spec__.name, main.__file__,
             type(main.__loader__).__name__, main.__package__, sorted(vars(main))],
    "zone": time.tzname,
    "nice": os.nice(0),
}, default=repr))
"""


def forked(*args: Any, **how: Any) -> dict[str, Any]:
    done = run_process(*args, **how)
    assert done.stderr == ""
    return json.loads(done.stdout)


def both_ways(monkeypatch: pytest.MonkeyPatch, call: Callable[[], Any]) -> tuple[Any, Any]:
    """What ``call`` gives of a forked and of a fresh interpreter."""
    one = call()
    monkeypatch.setenv(fork_server.FRESH, "1")
    two = call()
    monkeypatch.delenv(fork_server.FRESH)
    return one, two


@pytest.fixture(autouse=True)
def forking(monkeypatch: pytest.MonkeyPatch) -> None:
    if not fork_server.can_clone():
        pytest.skip("this machine does not let us clone")
    monkeypatch.delenv(fork_server.FRESH, raising=False)


@pytest.fixture
def env() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**kept, "PYTHONWARNINGS": "default"}


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The pids that a server has made since."""
    made: list[int] = []
    fork = fork_server.ForkServer.fork

    def noted(self: fork_server.ForkServer, *args: Any) -> int:
        made.append(fork(self, *args))
        return made[-1]

    monkeypatch.setattr(fork_server.ForkServer, "fork", noted)
    return made


@pytest.mark.parametrize("program", [["-m", "probe"], ["SCRIPT"]])
@pytest.mark.parametrize("session, unbuffered", [(False, ""), (True, ""), (False, "1")])
def test_a_forked_interpreter_is_like_a_fresh_one(
    program: list[str], session: bool, unbuffered: str, tmp_path: Path, env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch, forks: list[int],
) -> None:  # fmt: skip
    (tmp_path / "probe.py").write_text(PROBE)
    words = [word.replace("SCRIPT", str(tmp_path / "probe.py")) for word in program]
    argv = [sys.executable, *words, "ä", "", "--x=y", "\udcff"]
    env = {**env, "ODD": "\udcfe", "EMPTY": "", "TZ": "Asia/Tokyo", "PYTHONUNBUFFERED": unbuffered}
    mask = os.umask(0o027)
    try:
        one, two = both_ways(
            monkeypatch,
            lambda: forked(argv, input="a\r\nb", cwd=tmp_path, env=env, text=True,
                           start_new_session=session),
        )  # fmt: skip
    finally:
        os.umask(mask)
    assert len(forks) == 1
    assert one == two


@pytest.mark.parametrize(
    "program",
    [
        "pass",
        "import sys; sys.exit()",
        "import sys; sys.exit(300)",
        "import sys; sys.exit('so it is')",
        "import sys; sys.exit(True)",
        "raise SystemExit(None)",
        "import atexit; atexit.register(print, 'the end'); print('on')",
        "import sys; sys.stdout.write('no end of line'); sys.stderr.write('either')",
        "import os; print('lost', end=''); os._exit(9)",
        "import os; os.kill(os.getpid(), 9)",
        "import os; os.kill(os.getpid(), 15)",
        "import os; os.close(1); print('where to')",
        "import os; os.close(2)",
        "import threading, time\n"
        "threading.Thread(target=lambda: (time.sleep(0.2), print('late'))).start()",
        "import threading, time\n"
        "threading.Thread(target=lambda: (time.sleep(9), print('never')), daemon=True).start()",
        "import warnings; warnings.warn('look'); warnings.warn('there')",
        "import subprocess; subprocess.run(['sh', '-c', 'echo from the shell'])",
        "import os\nif os.fork(): os.wait()\nprint('twice')",
        "import orchestr.cli as c; print(c.__file__, __name__, __file__)",
    ],
)
def test_it_ends_like_a_fresh_one(
    program: str, tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "probe.py").write_text(program)
    argv = [sys.executable, "-m", "probe"]

    def call() -> tuple[int, str, str]:
        done = run_process(argv, cwd=tmp_path, env=env, text=True)
        return done.returncode, done.stdout, done.stderr

    one, two = both_ways(monkeypatch, call)
    assert one == two


@pytest.mark.parametrize("program", ["raise KeyboardInterrupt", "1 / 0"])
def test_it_fails_like_a_fresh_one(
    program: str, tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "probe.py").write_text(program)
    argv = [sys.executable, "-m", "probe"]

    def call() -> tuple[int, str, str]:
        done = run_process(argv, cwd=tmp_path, env=env, text=True)
        assert done.stderr.startswith("Traceback")
        return done.returncode, done.stdout, done.stderr.splitlines()[-1]

    one, two = both_ways(monkeypatch, call)
    assert one == two


def test_it_can_be_waited_for_and_killed(
    tmp_path: Path, env: dict[str, str], forks: list[int]
) -> None:
    (tmp_path / "probe.py").write_text("import time; print('on', flush=True); time.sleep(60)")
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        with Process([sys.executable, "-m", "probe"], cwd=tmp_path, env=env,
                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:  # fmt: skip
            assert process.stdout is not None
            assert process.stdout.readline() == b"on\n"
            assert process.poll() is None
            assert psutil.Process(process.pid).ppid() == os.getpid()
            process.send_signal(number)
            assert process.wait(30) == -number
        assert not psutil.pid_exists(process.pid)
    assert len(forks) == 3


def test_many_at_once(tmp_path: Path, env: dict[str, str], forks: list[int]) -> None:
    (tmp_path / "probe.py").write_text("import sys; print(sys.argv[1], sys.stdin.read())")

    def call(number: int) -> str:
        argv = [sys.executable, "-m", "probe", str(number)]
        return str(run_process(argv, input=f"in {number}", cwd=tmp_path, env=env, text=True).stdout)

    with ThreadPoolExecutor(6) as pool:
        said = list(pool.map(call, range(30)))
    assert said == [f"{number} in {number}\n" for number in range(30)]
    assert len(set(forks)) == 30


def test_forks_share_no_random_numbers(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "probe.py").write_text(
        "import random, uuid, secrets, tempfile\n"
        "print(random.random(), uuid.uuid4(), secrets.token_hex(), tempfile.mktemp())"
    )
    argv = [sys.executable, "-m", "probe"]
    said = [run_process(argv, cwd=tmp_path, env=env, text=True).stdout.split() for _ in range(2)]
    assert all(one != two for one, two in zip(*said, strict=True))


@pytest.mark.parametrize(
    "argv",
    [
        ["-c", "print('fresh')"],
        ["-I", "-m", "probe"],
        ["relative.py"],
    ],
)
def test_other_starts_are_fresh(
    argv: list[str], tmp_path: Path, env: dict[str, str], forks: list[int]
) -> None:
    for name in ("probe.py", "relative.py"):
        (tmp_path / name).write_text("print('fresh')")
    env = {**env, "PYTHONPATH": str(tmp_path)}
    done = run_process([sys.executable, *argv], cwd=tmp_path, env=env, text=True)
    assert done.stdout == "fresh\n" or "No module named probe" in done.stderr
    assert not forks


def test_what_would_hide_a_module_is_fresh(
    tmp_path: Path, env: dict[str, str], forks: list[int]
) -> None:
    (tmp_path / "yaml.py").write_text("print('another')")
    (tmp_path / "probe.py").write_text("import yaml")
    done = run_process([sys.executable, "-m", "probe"], cwd=tmp_path, env=env, text=True)
    assert done.stdout == "another\n"
    assert not forks


def test_a_workspace_and_a_crash_are_forked(tmp_path: Path, forks: list[int]) -> None:
    house = House.build(tmp_path / "ws")
    house.run("list", code=0)
    assert house.spawn("list").ended() == 0
    assert house.crash("write:before#99", "list").returncode == 0
    assert len(forks) == 3
    house.end()


# What an agent sees of its supervisor; `maps` says whether that has modules it never imported.
LOOK = """\
p=$PPID
{ tr '\\0' '\\n' < /proc/$p/cmdline | sed '/^$/d'
  readlink /proc/$p/cwd; readlink /proc/$p/exe
  for fd in 0 1 2; do readlink /proc/$p/fd/$fd; done
  ls /proc/$p/fd | wc -l
  grep -E '^(SigBlk|SigIgn|SigCgt|Umask|Threads)' /proc/$p/status
  set -- $(sed 's/.*)//' /proc/$p/stat)
  echo "parent $2 group $(($3 - p)) session $(($4 - p)) terminal $5 priority ${16} ${17}"
} > "$AGENT_DIR/$ORCHESTR_CELL.seen"
grep -c pydantic_core /proc/$p/maps > "$AGENT_DIR/$ORCHESTR_CELL.maps"
"""


def run_and_look(house: House) -> tuple[list[str], bool]:
    """What the agent of `low` saw, and whether its supervisor was forked."""
    house.script("low", LOOK)
    child = house.spawn("run", "demo")
    assert child.ended() == 0, child.said()
    seen = (house.agents / "low.seen").read_text().replace(f"parent {child.pid} ", "parent ours ")
    return seen.splitlines(), int((house.agents / "low.maps").read_text()) > 0


def test_a_forked_supervisor_is_like_a_fresh_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call() -> tuple[list[str], bool]:
        shutil.rmtree(tmp_path / "ws", ignore_errors=True)
        house = House.build(tmp_path / "ws", {"low": {}})
        try:
            return run_and_look(house)
        finally:
            house.end()

    (one, was_forked), (two, was_fresh) = both_ways(monkeypatch, call)
    assert (was_forked, was_fresh) == (True, False)
    assert one == two
    assert "parent ours group 0 session 0" in one[-1]


def test_without_its_nursery_a_program_starts_fresh_supervisors(tmp_path: Path) -> None:
    house = House.build(tmp_path / "ws")
    house.script("low", LOOK)
    house.script("high", LOOK)
    house.close("low")
    child = house.spawn("run", "demo")
    try:
        house.working("low")
        supervisors = {p.pid for p in house.processes()}
        others = [p for p in psutil.Process(child.pid).children() if p.pid not in supervisors]
        (nursery,) = [p for p in others if p.name().startswith("python")]
        nursery.kill()
        house.open("low")
        assert child.ended() == 0, child.said()
    finally:
        house.end()
    maps = [int((house.agents / f"{cell}.maps").read_text()) > 0 for cell in ("low", "high")]
    assert maps == [True, False]
    house.settled()


def test_a_nursery_ends_with_its_program(tmp_path: Path) -> None:
    house = House.build(tmp_path / "ws")
    house.close("low")
    child = house.spawn("run", "demo")
    try:
        house.working("low")
        below = psutil.Process(child.pid).children()
        left = [p for p in below if p.pid not in {q.pid for q in house.processes()}]
        assert left
        child.kill()
        assert psutil.wait_procs(left, 30)[1] == []
    finally:
        house.end()


def test_the_server_says_nothing_and_has_one_thread(
    tmp_path: Path, env: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    server = fork_server.ForkServer(env)  # with warnings: no import may have given one
    assert capfd.readouterr() == ("", "")
    assert psutil.Process(server._server.pid).num_threads() == 1
    server.close()
    assert server._server.returncode == 0


def test_no_descriptor_is_left_behind(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "probe.py").write_text("pass")

    def call() -> int:
        run_process([sys.executable, "-m", "probe"], cwd=tmp_path, env=env, text=True)
        (server,) = (s for s in fork_server._servers.values() if s.agrees_with(env)
                     and s is fork_server.find_server(env))  # fmt: skip
        own = len(list(Path("/proc/self/fd").iterdir()))
        return own + len(list(Path(f"/proc/{server._server.pid}/fd").iterdir()))

    assert call() == call()


def test_the_steps_of_the_crash_tests_are_known_by_names_only() -> None:
    """The crash tests' runner replaces them in a process in which they were imported already."""
    import gc
    import importlib

    for place in POINTS.values():
        module, _, name = place.partition(":")
        if "." in name:
            continue  # a method: whoever calls it, looks it up
        found = getattr(importlib.import_module(module), name)
        ours = [m for n, m in list(sys.modules.items()) if n.startswith(("orchestr", "tests"))]
        spaces = {id(vars(module)) for module in ours}
        strange = [r for r in gc.get_referrers(found)
                   if id(r) not in spaces and not isinstance(r, type(sys._getframe()))]  # fmt: skip
        assert not strange, (place, [type(one) for one in strange])


def test_the_server_ends_with_its_test_process(tmp_path: Path, env: dict[str, str]) -> None:
    program = (
        "import os, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "from tests import fork_server\n"
        "print(fork_server.ForkServer(dict(os.environ))._server.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False
    )
    assert wait_until_gone(int(done.stdout))
    assert threading.active_count() >= 1
