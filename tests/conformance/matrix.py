"""Record what real agents keep, and write the table of docs/agents.md.

./doitw conformance                 try every agent that is installed, write record and table
./doitw conformance claude codex    only these; what is recorded of the others stays
./doitw conformance --demo codex    only the demo's feature with these, or with all
./doitw conformance --write         the table again, from the record
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestr.conformance.perform import Finding
from orchestr.conformance.table import finding_line, render_matrix
from orchestr.run.try_agent import try_agent
from tests.conformance.agents import AGENTS, ask_version, find_program, make_request
from tests.conformance.demo_figures import record_demo

ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).with_name("recorded.json")
PAGE = ROOT / "docs" / "agents.md"
BEGIN = "<!-- written by ./doitw conformance from tests/conformance/recorded.json -->\n"
END = "<!-- end of what ./doitw conformance writes -->\n"


def read_record() -> dict[str, Any]:
    """What was recorded, empty at first."""
    if not RECORD.exists():
        return {"date": "", "agents": {}}
    value: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return value


def record_agent(name: str, promises: tuple[str, ...], before: dict[str, Any]) -> dict[str, Any]:
    """Try an agent; what the record has of it. What was recorded ``before`` of other promises
    than these stays."""

    def show(finding: Finding) -> None:
        print(f"{name:<10} {finding_line(finding)}", flush=True)

    request = replace(make_request(name), promises=promises)
    findings, network = try_agent(request, show)
    return {
        **before,
        "version": ask_version(name),
        "how": AGENTS[name].how,
        "network": network,
        "findings": {
            **(before.get("findings", {}) if promises else {}),
            **{f.promise: [f.kept, hide_numbers(f.note)] for f in findings},
        },
    }


def hide_numbers(note: str) -> str:
    """A note without what differs from trial to trial."""
    note = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", note)
    note = re.sub(r"(\\n\d+)+.*", " ...", note)
    return re.sub(r"/\S*orchestr-trial-\w+", "...", note)


def write_page(record: dict[str, Any]) -> str:
    """docs/agents.md with the table of the record."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{render_matrix(record)}{END}{after}"


def main(words: list[str]) -> int:
    """Record the agents named (none: all that are installed), write record and page.

    ``NAME:PROMISE,PROMISE`` tries these promises only."""
    record = read_record()
    if words != ["--write"]:
        only_demo = "--demo" in words
        words = [word for word in words if word != "--demo"]
        names = words or [n for n in AGENTS if find_program(AGENTS[n].program)]
        for word in names:
            name, _, wanted = word.partition(":")
            promises = tuple(filter(None, wanted.split(",")))
            before = record["agents"].get(name, {})
            if not only_demo:
                before = record_agent(name, promises, before)
            if not promises and AGENTS[name].has_tools:
                before = {**before, "demo": record_demo(name)}
            record["agents"][name] = before
            record["date"] = datetime.now(UTC).date().isoformat()
            order = {known: number for number, known in enumerate(AGENTS)}
            agents = sorted(record["agents"].items(), key=lambda item: order.get(item[0], 99))
            record["agents"] = dict(agents)
            RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(write_page(record), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
