"""Try an agent of the settings against the scripted model: what `doctor --agent NAME` does.

Reads the agent's table, leaves out what is the user's own (keys, `pass_env`, where its settings and
logins lie, MCP servers), and starts
`orchestr.conformance` as a program of its own; in a network namespace where bubblewrap can make
one, so that nothing it starts reaches any network.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from orchestr.agents import make_agent
from orchestr.agents.catalogue import suggest_install
from orchestr.conformance.connect import FAKE_KEY
from orchestr.conformance.house import TRIAL_SECONDS
from orchestr.conformance.perform import Finding
from orchestr.conformance.promises import list_trials
from orchestr.conformance.request import Request
from orchestr.errors import OrchestrError, UsageError
from orchestr.process.file_lock import FlockLock
from orchestr.process.redaction import filter_env, is_secret_name
from orchestr.process.run import run_command, stream_lines
from orchestr.run.workspace import Session
from orchestr.settings.loader import read_raw_settings
from orchestr.spec.field_types import suggest_name

OWN = ("pass_env", "paid", "retry_after", "retry_max", "retry_for", "sign", "provider", "network",
       "mcp")  # fmt: skip
# Variables that lead to a user's settings, logins and servers, beside the adapter's own.
PLACES = ("ANTHROPIC_*", "CLAUDE_*", "OPENAI_*", "CODEX_*", "GEMINI_*", "GOOGLE_*", "OPENCODE_*",
          "HOME", "USERPROFILE", "XDG_*", "*_CONFIG", "*_CONFIG_DIR", "*_CONFIG_FILE", "*_BASE_URL",
          "*_CREDENTIALS", "*_API_BASE", "*_PROXY", "*_proxy", "AWS_*", "AZURE_*", "SSH_*", "GIT_*",
          "GH_*", "TMPDIR")  # fmt: skip
PREFIX, LOCK = "orchestr-doctor-", ".lock"  # of the folder for all trials, held while they last
NAMESPACE = ("--dev-bind", "/", "/", "--proc", "/proc", "--unshare-net", "--unshare-pid",
             "--die-with-parent")  # fmt: skip
UNSEEN = "what passes by the proxy is not seen: bubblewrap cannot make a network namespace here"
SEALED = "no network: in a namespace of its own"


def read_request(session: Session, name: str, endpoint: str = "") -> tuple[Request, str | None]:
    """What to try with `[agents.NAME]`, and its version. Raises UsageError when there is no such
    agent, or none that can be started."""
    agents = session.settings.agents
    if name not in agents:
        known = ", ".join(sorted(agents)) or "none"
        close = suggest_name(name, agents)
        raise UsageError(f"there is no agent {name!r} in orchestr.toml; known: {known}",
                         hint=close or f"add a table [agents.{name}] (docs/agents.md)")  # fmt: skip
    agent = make_agent(session.settings, name)
    why = agent.explain_unusable()
    if why is not None:
        raise UsageError(f"agent {name}: {why}", hint=suggest_install(agents[name]))
    raw = read_raw_settings(session.root, os.environ)["agents"][name]
    path = raw.get("env", {}).get("PATH") or os.environ.get("PATH", os.defpath)
    table = strip_table(raw, session.root, getattr(agent, "own", ()))
    return Request(name, table, path, endpoint=endpoint), agent.program_version()


def strip_table(raw: dict[str, Any], root: Path, own: Sequence[str] = ()) -> dict[str, Any]:
    """An agent's table without what is the user's own, with absolute paths of its files. A key
    that it is passed becomes a fake one. ``own`` are patterns of the agent's own variables."""
    table = {key: value for key, value in raw.items() if key not in OWN}
    if isinstance(table.get("phases"), dict):
        table["phases"] = {name: {k: v for k, v in phase.items() if k not in OWN}
                           for name, phase in table["phases"].items()}  # fmt: skip
    env = drop_places(table.pop("env", {}), own)
    fake = {name: FAKE_KEY for name in raw.get("pass_env", ()) if is_secret_name(name)}
    table["env"] = {k: FAKE_KEY if is_secret_name(k) else v for k, v in env.items()} | fake
    if "run" in table:
        table["run"] = [str(root / w) if (root / w).is_file() else w for w in table["run"]]
    program = table.get("program", "")
    if program.startswith("~"):
        table["program"] = str(Path(program).expanduser())
    elif "/" in program:
        table["program"] = str(root / program)
    return table


def drop_places(env: Mapping[str, str], own: Sequence[str] = ()) -> dict[str, str]:
    """Variables of an agent's table without those that lead to what is the user's: settings, logins
    and servers, by their names, and whatever lies in the home folder."""
    led = filter_env(env, (*PLACES, *own))
    home = str(Path.home())
    return {
        name: value
        for name, value in env.items()
        if name == "PATH" or is_secret_name(name) or not (name in led or _lies_in(value, home))
    }


def _lies_in(value: str, home: str) -> bool:
    path = os.path.normpath(os.path.expanduser(value))  # noqa: PTH111 (a value that is no path)
    return path == home or path.startswith(f"{home}{os.sep}")


def describe_trials(request: Request) -> str:
    """What is about to happen, before it does."""
    lacks = request.find_lacks()
    tried = [p for p in request.list_promises() if not set(p.needs) & set(lacks)]
    trials = list_trials(tried)
    runs = sum(2 if trial.stop else 1 for trial in trials)
    return (
        f"Tries what agent {request.name} keeps (promises: {len(tried)}, runs: {runs}) in "
        f"temporary workspaces, with a scripted model on 127.0.0.1, a home of its own "
        "and a fake key: none of your logins, nothing is paid. A few minutes, "
        f"{int(runs * TRIAL_SECONDS / 60)} at most."
    )


def try_agent(request: Request, listen: Callable[[Finding], None]) -> tuple[list[Finding], str]:
    """The findings in the order of the promises, and what is known of the network.

    ``listen`` hears of each as it comes. Raises ProcessFailed when the trials themselves fail.
    """
    bwrap = _find_namespace()
    enter = (bwrap, *NAMESPACE, "--") if bwrap else ()
    words = (*enter, sys.executable, "-m", "orchestr.conformance")
    found = []
    with make_place() as place:
        env = {**os.environ, "TMPDIR": str(place)}
        with stream_lines(words, cwd=place, env=env, input=request.write().encode()) as lines:
            for line in lines:
                finding = Finding(**json.loads(line))
                found.append(finding)
                listen(finding)
    order = {promise.name: number for number, promise in enumerate(request.list_promises())}
    return sorted(found, key=lambda f: order[f.promise]), SEALED if bwrap else UNSEEN


@contextmanager
def make_place() -> Iterator[Path]:
    """A folder for the workspaces, which is removed whatever happens; those of killed trials are
    removed, too, which no lock holds any longer."""
    for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError, OrchestrError):
            if old.lstat().st_uid == os.getuid() and old.is_dir() and not old.is_symlink():
                lock = FlockLock(old / LOCK)
                if (old / LOCK).exists() and lock.try_acquire():
                    shutil.rmtree(old, ignore_errors=True)
                    lock.release()
    place = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
    lock = FlockLock(place / LOCK)
    try:
        with suppress(OrchestrError):  # a file system without locks: it is only not swept later
            lock.acquire()
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        lock.release()


def _find_namespace() -> str | None:
    """bubblewrap, where it can make a network namespace here."""
    program = shutil.which("bwrap")
    if program is None:
        return None
    try:
        done = run_command((program, *NAMESPACE, "--", "true"), cwd=Path("/"), env=os.environ,
                           timeout=10.0, check=False)  # fmt: skip
    except OrchestrError:
        return None
    return program if done.code == 0 else None
