"""The files between the engine and a supervisor, in an attempt's folder.

Owns their names, their records and how they are read: `launch.json` (engine to supervisor),
`supervisor.json` and `exit.json` (back). Leaves the transcript to `orchestr.supervisor.transcript`.
Has its own readers and writers: `orchestr.codec` would add 1.1 MB to each of 50 supervisors.

Survives a crash: each file is written whole or not at all.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from orchestr.files import read_file, write_atomic
from orchestr.process.redaction import secret_values

LAUNCH = "launch.json"
SUPERVISOR = "supervisor.json"
EXIT = "exit.json"
LOCK = "lock"
LOG = "supervisor.log"
TRANSCRIPT = "transcript.jsonl"
SCHEMA = 1


class ExitReason(StrEnum):
    """Why an agent ended."""

    EXITED = "exited"
    TIMEOUT = "timeout"
    IDLE = "idle"
    AFTER_RESULT = "after_result"
    RESOURCES = "resources"  # more memory or disk than allowed; ``detail`` says which
    STOPPED = "stopped"
    SPAWN_FAILED = "spawn_failed"


@dataclass(frozen=True, slots=True)
class LaunchRecord:
    """What to start and within which limits (seconds; 0 or less: none).

    ``format``: "json" keeps the agent's own JSON lines, "lines" wraps each line of text.
    ``stdin`` is a file, None an empty input. ``env`` is all of the agent's environment;
    only ORCHESTR_ATTEMPT_ID is set to ``marker`` whatever it says. ``since`` is the size of the
    transcript before this start: what earlier ones wrote (for its readers). ``raw_logs``:
    what is written down keeps its secrets. ``walled``: ``argv`` enters a sandbox, whose own process
    ends everything in it when it is interrupted. ``memory`` and ``disk`` are bytes that the agent
    and all it started may use and write, ``pids`` how many processes that may be. ``logins`` are
    (copy, the user's own file), see `orchestr.supervisor.logins`. ``ends`` are the events (format
    "json") after which the agent has only to end within ``after_result``, ``goes_on`` those that
    say that it works again: `TYPE` or `TYPE FIELD.FIELD=VALUE`. ``hidden`` are secrets that
    are not in ``env`` and that it may come to see all the same.
    """

    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str]
    marker: str
    stdin: str | None = None
    format: str = "lines"
    timeout: float = 0.0
    idle_timeout: float = 0.0
    after_result: float = 0.0
    grace: float = 10.0
    since: int = 0
    raw_logs: bool = False
    walled: bool = False
    memory: int = 0
    disk: int = 0
    pids: int = 0
    logins: tuple[tuple[str, str], ...] = ()
    ends: tuple[str, ...] = ("result",)
    goes_on: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()

    @property
    def secrets(self) -> frozenset[str]:
        """What is hidden in all that is written down of it."""
        return secret_values(self.env) | frozenset(self.hidden)

    def write(self, attempt_dir: Path) -> None:
        """Write `launch.json`, readable by its owner only: the environment holds keys."""
        write_atomic(attempt_dir / LAUNCH, _encode_json(asdict(self)), mode=0o600)


@dataclass(frozen=True, slots=True)
class ExitRecord:
    """How an agent ended: `exit.json`.

    ``code`` or ``signal`` is None. ``last_line`` is the last line of stdout that is not empty
    (format "lines", at most 4 KiB). ``bytes`` counts its output, ``killed`` the processes that it
    left behind. Times are ISO-8601 UTC, ``seconds`` is the duration.
    """

    code: int | None
    signal: int | None
    reason: ExitReason
    detail: str = ""
    last_line: str = ""
    started_at: str = ""
    finished_at: str = ""
    seconds: float = 0.0
    bytes: int = 0
    killed: int = 0

    def write(self, attempt_dir: Path) -> None:
        """Write `exit.json`. Raises OSError."""
        write_atomic(attempt_dir / EXIT, _encode_json({"schema": SCHEMA, **asdict(self)}))


@dataclass(frozen=True, slots=True)
class SupervisorRecord:
    """Who supervises, and whom: `supervisor.json`. Without ``agent_pid`` no agent runs yet."""

    pid: int
    create_time: float
    started_at: str
    agent_pid: int | None = None
    agent_create_time: float | None = None

    def write(self, attempt_dir: Path) -> None:
        """Write `supervisor.json`. Raises OSError.

        With an agent it is not waited for the disk: the agent writes already, and wants to be
        looked at. After a power failure nothing of it is alive.
        """
        known = {k: v for k, v in asdict(self).items() if v is not None}
        data = _encode_json({"schema": SCHEMA, **known})
        write_atomic(attempt_dir / SUPERVISOR, data, durable=self.agent_pid is None)


def read_launch(attempt_dir: Path) -> LaunchRecord:
    """What the engine wants started. Raises OSError, ValueError (also for missing fields)."""
    raw = json.loads(read_file(attempt_dir / LAUNCH))
    try:
        return LaunchRecord(
            argv=tuple(str(word) for word in raw["argv"]),
            cwd=str(raw["cwd"]),
            env={str(k): str(v) for k, v in raw["env"].items()},
            marker=str(raw["marker"]),
            stdin=None if raw.get("stdin") is None else str(raw["stdin"]),
            format=str(raw.get("format", "lines")),
            timeout=float(raw.get("timeout") or 0),
            idle_timeout=float(raw.get("idle_timeout") or 0),
            after_result=float(raw.get("after_result") or 0),
            grace=float(raw.get("grace") or 0),
            since=int(raw.get("since") or 0),
            raw_logs=raw.get("raw_logs") is True,
            walled=raw.get("walled") is True,
            memory=int(raw.get("memory") or 0),
            disk=int(raw.get("disk") or 0),
            pids=int(raw.get("pids") or 0),
            logins=tuple((str(copy), str(own)) for copy, own in raw.get("logins") or ()),
            ends=tuple(map(str, raw.get("ends") or ("result",))),
            goes_on=tuple(map(str, raw.get("goes_on") or ())),
            hidden=tuple(map(str, raw.get("hidden") or ())),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{LAUNCH}: {type(error).__name__}: {error}") from error


def read_supervisor_record(attempt_dir: Path) -> SupervisorRecord | None:
    """Who supervises or did; None when no supervisor has written it yet."""
    raw = _read_object(attempt_dir / SUPERVISOR)
    try:
        agent, agent_time = raw.get("agent_pid"), raw.get("agent_create_time")
        return SupervisorRecord(
            pid=int(raw["pid"]),
            create_time=float(raw["create_time"]),
            started_at=str(raw.get("started_at", "")),
            agent_pid=None if agent is None else int(agent),
            agent_create_time=None if agent_time is None else float(agent_time),
        )
    except (KeyError, TypeError, ValueError):
        return None


def read_exit(attempt_dir: Path) -> ExitRecord | None:
    """How the agent ended; None while it runs, or when its supervisor was killed first."""
    raw = _read_object(attempt_dir / EXIT)
    try:
        return ExitRecord(
            code=None if raw["code"] is None else int(raw["code"]),
            signal=None if raw["signal"] is None else int(raw["signal"]),
            reason=ExitReason(raw["reason"]),
            detail=str(raw["detail"]),
            last_line=str(raw["last_line"]),
            started_at=str(raw["started_at"]),
            finished_at=str(raw["finished_at"]),
            seconds=float(raw["seconds"]),
            bytes=int(raw["bytes"]),
            killed=int(raw["killed"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def utc_timestamp() -> str:
    """ISO-8601 UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _read_object(path: Path) -> dict[str, Any]:
    """The object in a file, empty when it is missing or torn (a rename cannot tear it). Raises
    OSError when it cannot be read: that is no sign that it is not there."""
    try:
        raw = json.loads(read_file(path))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return raw if isinstance(raw, dict) else {}


def _encode_json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
