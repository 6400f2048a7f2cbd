"""Views of a big feature: `status`, `logs`, `report` of 200 cells with 100 MB transcripts each.

The transcripts are in the form of a real agent's stream (tool uses with results, messages, usage).
One file of that size is written; the cells' attempts are hard links to it, so it costs the disk
once and is in the page cache: what is measured is how much of it is read, not how fast the disk is.
Each cell has a commit of its own, an attempt and journal events. `cat` of one transcript stands
beside.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import Figure, Found, Row, Size, Table, scratch
from benchmarks.generated import TOML, done_workspace, first_run, unsynced
from benchmarks.measure import in_turns, peak_memory, program
from orchestr.run.workspace import Session
from orchestr.state import attempts
from orchestr.state.attempts import Attempt
from orchestr.state.events import Event, EventKind
from orchestr.state.journal import utc_timestamp
from orchestr.state.results import TRANSCRIPT, ImplementRecord

MB = 1 << 20
AGENTS = TOML + '\n[agents.claude]\nkind = "claude"\n'


def transcript(path: Path, size: int) -> None:
    """A stream of about ``size`` bytes, from `init` to `result`."""
    head: dict[str, Any] = {"session_id": "s1"}
    usage = {"input_tokens": 800, "output_tokens": 120, "cache_read_input_tokens": 2000}
    text = "\n".join(f"{n}: what a tool printed, as long as a line is" for n in range(60))
    written = 0
    with path.open("w", encoding="utf-8") as stream:

        def say(**record: Any) -> None:
            nonlocal written
            written += stream.write(json.dumps({**record, **head}) + "\n")

        def message(n: int, block: dict[str, Any]) -> None:
            said = {"id": f"m{n}", "role": "assistant", "content": [block], "usage": usage}
            say(type="assistant", message=said)

        say(type="system", subtype="init", model="claude-sonnet-5", tools=["Bash"])
        n = 0
        while written < size:
            n += 1
            call = {"type": "tool_use", "id": f"t{n}", "name": "Bash"}
            message(n, {**call, "input": {"command": f"make part-{n}"}})
            result = {"tool_use_id": f"t{n}", "type": "tool_result", "content": text}
            say(type="user", message={"role": "user", "content": [result]})
            message(n, {"type": "text", "text": f"Part {n} is done, the next is part {n + 1}."})
        say(type="result", subtype="success", is_error=False, result="All done.", num_turns=n,
            total_cost_usd=1.5, usage=usage)  # fmt: skip


@unsynced()
def prepare(root: Path, cells: int, size: int) -> None:
    """The workspace in ``root``: every cell done, by an attempt with a long transcript."""
    done_workspace(root, cells, toml=AGENTS, agent="claude", changed=True)
    one = root / "one.jsonl"
    transcript(one, size)
    session = Session(root)
    run = session.load_run("big")
    for number, plan in enumerate(run.plan.cells):
        ctx = run.cell_context(plan.name)
        done = ImplementRecord.read(ctx.dir)
        assert done is not None
        closed = Attempt(1, done.key, "claude", done.base, "sonnet", "closed", "done",
                         opened_at=utc_timestamp(), closed_at=utc_timestamp())  # fmt: skip
        attempts.write_attempt(ctx.dir, closed)
        own = attempts.attempt_folder(ctx.dir, 1) / TRANSCRIPT
        own.unlink()
        os.link(one, own)
        events: list[tuple[EventKind, dict[str, Any]]] = [
            (EventKind.ATTEMPT_OPENED, {"key": done.key, "agent": "claude", "model": "sonnet"}),
            (EventKind.ATTEMPT_STARTED, {"pid": 1, "agent": "claude"}),
            (EventKind.ATTEMPT_EXITED, {"code": 0, "reason": "exited", "seconds": 60.0 + number,
                                   "cost_usd": 1.5, "tokens": [800, 2000, 120]}),
            (EventKind.ATTEMPT_CLOSED, {"outcome": "done", "reason": ""}),
        ]  # fmt: skip
        for kind, data in events:
            event = Event(kind, utc_timestamp(), "before", "big", plan.name, "implement", 1, data)
            run.journal.append(event)


def measure(size: Size) -> Found:
    """Wall, CPU and peak memory of each."""
    cells, length = size.pick(200, 200, 4), size.pick(100 * MB, 100 * MB, MB // 4)
    with scratch() as base:
        root = base / "w"
        prepare(root, cells, length)
        first_run(root, "run", "big", "--yes", "--skip-preflight")
        last = f"big:c{cells - 1}"
        programs = {
            "cat TRANSCRIPT": (["cat", str(root / "one.jsonl")], root),
            "status": (program("status", "big"), root),
            "status --json": (program("status", "big", "--json"), root),
            "logs": (program("logs", last), root),
            "explain": (program("explain", last), root),
            "report": (program("report", "big"), root),
        }
        found = in_turns(programs, size.pick(5, 3, 1), warm=size is not Size.TINY)
        peaks = {name: peak_memory(argv, cwd) for name, (argv, cwd) in programs.items()}
        page = (root / ".orchestr" / "reports" / "big.html").stat().st_size / MB
    rows: list[Row] = [
        {"what": name, "cells": cells, "MB each": round(length / MB, 1), **timing.row(),
         "peak MB": peaks[name]}
        for name, timing in found.items()
    ]  # fmt: skip
    figures = []
    targets: tuple[tuple[str, Callable[[str], float], str, float], ...] = (
        ("time", lambda name: found[name].least, "s", 2.0),
        ("peak memory", lambda name: peaks[name], "MB", 150.0),
    )
    for name in ("status", "logs", "report"):
        for what, value, unit, most in targets:
            figures.append(Figure(f"{name} of {cells} cells, {what}", value(name), unit, most))
    return Found([Table("see", rows)], figures, [f"the report has {page:.1f} MB"])
