"""What agents tried and were not let do, by their records: transcripts and the proxy's log.

Reads only, and of a transcript only its end: a line is parsed when it speaks of a denial, by the
adapter of its agent. What a line holds came from an agent: it is shown as text.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from orchestr.agents.events import ActionDenied, AgentResult, Message, OutputLine, Parse
from orchestr.cell.agent.after_sandbox import is_telemetry
from orchestr.sandbox.refusals import read_refusals
from orchestr.sandbox.wall import REFUSED
from orchestr.state.attempts import agent_folders
from orchestr.state.results import TRANSCRIPT
from orchestr.views.logs.transcript import read_lines, read_tail, record_of

SCANNED = 8 << 20  # bytes at the end of a transcript that are searched for denials
LAST_LINES = 200  # of a transcript, for the agent's last words
MOST = 50  # denials of one cell


def list_denied_actions(cell_dir: Path, attempts: Iterable[int], parse: Parse) -> list[str]:
    """Tools that were denied and hosts that were refused in these attempts and their reviews."""
    found: dict[str, None] = {}
    for number in attempts:
        for folder in agent_folders(cell_dir, number):
            found |= dict.fromkeys(_list_denied_tools(folder / TRANSCRIPT, parse))
            found |= dict.fromkeys(_list_refused_hosts(folder))
    return list(found)[:MOST]


def _list_denied_tools(path: Path, parse: Parse) -> list[str]:
    found = []
    with suppress(OSError):
        start = max(path.stat().st_size - SCANNED, 0)
        for line in read_lines(path, start):
            if b"denial" not in line and b"denied" not in line:
                continue
            denied = (event for event in parse(line) if isinstance(event, ActionDenied))
            found += [f"tool {event.tool}: {event.what}" for event in denied]
    return found


def _list_refused_hosts(folder: Path) -> list[str]:
    name = Path(REFUSED)
    logs = sorted(folder.glob(f"{name.stem}*{name.suffix}"))
    return [
        f"network {one.host}:{one.port}: {one.reason}"
        for log in logs
        for one in read_refusals(log)
        if one.host and not is_telemetry(one.host)
    ]


def read_last_message(path: Path, parse: Parse) -> str:
    """The agent's last words, whole: its answer, else its last message, else its last line."""
    try:
        lines = read_tail(path, LAST_LINES)
    except OSError:
        return ""
    for line in reversed(lines):
        record = record_of(line)
        if record is not None and record.get("stream") == "stderr":
            continue
        for event in reversed(parse(line)):
            match event:
                case AgentResult(text=text) | Message(text=text) | OutputLine(text=text):
                    if text.strip():
                        return text.strip()
                case _:
                    pass
    return ""
