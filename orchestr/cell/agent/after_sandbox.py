"""After an agent's start in a sandbox: whether it was entered, which hosts it refused."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestr.cell.agent.launch import GO_ON, prepare_next_start, session_to_resume
from orchestr.cell.context import CellContext
from orchestr.errors import Unavailable
from orchestr.sandbox.hosts import TELEMETRY_HOSTS
from orchestr.sandbox.refusals import read_refusals
from orchestr.sandbox.wall import BROKEN, REFUSED, RETRY_AFTER, explain_broken_wall
from orchestr.state.events import EventKind
from orchestr.state.results import TRANSCRIPT
from orchestr.supervisor import client
from orchestr.supervisor.client import ExitRecord

LOOKED_AT = 1 << 16  # bytes of a transcript, from where a start begins
NAMED = 5  # hosts that one warning names


def raise_if_wall_broke(ctx: CellContext, folder: Path, end: ExitRecord) -> None:
    """After a start that never reached its agent: nothing was done, and it may be tried again.

    Raises Unavailable; the attempt counts as not started then.
    """
    try:
        launch = client.read_launch(folder)
    except (OSError, ValueError):
        return
    if not launch.walled or end.code not in BROKEN:
        return
    first = {"stdout": "", "stderr": ""}  # what the start printed first
    for record in _read_records(folder / TRANSCRIPT, launch.since):
        stream = str(record.get("stream", "stdout"))
        if not first.get(stream):
            first[stream] = str(record.get("text", record))
    why = explain_broken_wall(end.code, first["stdout"].encode(), first["stderr"].encode())
    if why is None:
        return
    words = _read_text(folder / GO_ON)
    prepare_next_start(folder, session_to_resume(folder), words)
    raise Unavailable(why, hint="orchestr doctor", cell=ctx.name, retry_after=RETRY_AFTER)


def _read_records(transcript: Path, since: int) -> list[dict[str, Any]]:
    """The first records of a start; lines that are no objects are passed over."""
    try:
        with transcript.open("rb") as stream:
            stream.seek(since)
            lines = stream.read(LOOKED_AT).splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        with suppress(ValueError):
            record = json.loads(line)
            if isinstance(record, dict):
                found.append(record)
    return found


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def is_telemetry(host: str) -> bool:
    """Whether a host only counts what its program does: the program works without it."""
    return any(host == one or host.endswith(f".{one}") for one in TELEMETRY_HOSTS)


def report_refused_hosts(ctx: CellContext, folder: Path, phase: str, attempt: int) -> None:
    """Warn once for each start of the hosts that the sandbox kept its agent from."""
    log = folder / REFUSED
    found = [one for one in read_refusals(log) if one.host and not is_telemetry(one.host)]
    if not found:
        return
    hosts = list(dict.fromkeys(f"{one.host}:{one.port}" for one in found))
    more = f" and {len(hosts) - NAMED} more" if len(hosts) > NAMED else ""
    reason = (f"its sandbox refused {', '.join(hosts[:NAMED])}{more}: allow what it needs by "
              "network = [...] of its agent in orchestr.toml")  # fmt: skip
    ctx.emit(EventKind.CELL_WARNED, phase=phase, attempt=attempt, reason=reason)
    number = len(list(folder.glob(f"{log.stem}.*{log.suffix}"))) + 1
    with suppress(OSError):
        log.rename(log.with_name(f"{log.stem}.{number}{log.suffix}"))
