"""What was found, as a table: of one agent for the terminal, of many for docs/agents.md. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestr.conformance.perform import Finding
from orchestr.conformance.promises import PROMISES, find_promise

WORDS = {True: "kept", False: "not kept", None: "cannot be tried"}
SIGNS = {True: "yes", False: "**no**", None: "–"}


def finding_line(finding: Finding) -> str:
    """One line of the terminal's table."""
    note = f": {finding.note}" if finding.note else ""
    return f"{WORDS[finding.kept]:<15}  {find_promise(finding.promise).text}{note}"


def findings_json(
    agent: str, version: str | None, findings: Sequence[Finding], contacts: str
) -> dict[str, Any]:
    """`doctor --agent NAME --json` (docs/json.md)."""
    return {
        "agent": agent,
        "version": version,
        "network": contacts,
        "kept": sum(finding.kept is True for finding in findings),
        "not_kept": sum(finding.kept is False for finding in findings),
        "untried": sum(finding.kept is None for finding in findings),
        "promises": [
            {"name": f.promise, "text": find_promise(f.promise).text, "kept": f.kept,
             "note": f.note}
            for f in findings
        ],
    }  # fmt: skip


def render_matrix(record: Mapping[str, Any]) -> str:
    """The table of docs/agents.md from what was recorded.

    ``record`` has `date`, and `agents`: for each name its `version`, `how` it is configured,
    `findings`, from a promise's name to [kept, note], and `demo`, the figures of the demo's feature
    (`cells`, `done`, `seconds`, `answers`, `ledger`, `billed`). What was not recorded is empty.
    """
    agents = record["agents"]
    notes: list[str] = []
    lines = [
        f"Tried on {record['date']}, without a wall, against the scripted model server.",
        "",
        f"| promise | {' | '.join(agents)} |",
        f"|---{'|---' * len(agents)}|",
        f"| version | {' | '.join(str(a['version'] or '?') for a in agents.values())} |",
        f"| as | {' | '.join(a['how'] for a in agents.values())} |",
    ]
    for promise in PROMISES:
        cells = []
        for agent in agents.values():
            found = agent["findings"].get(promise.name)
            if found is None:
                cells.append("")
                continue
            kept, note = found
            mark = ""
            if note:
                if note not in notes:
                    notes.append(note)
                mark = f" ({notes.index(note) + 1})"
            cells.append(f"{SIGNS[kept]}{mark}")
        lines.append(f"| {promise.text} | {' | '.join(cells)} |")
    sums = [f"{sum(k is True for k, _ in a['findings'].values())} of {len(a['findings'])}"
            for a in agents.values()]  # fmt: skip
    lines += [f"| kept | {' | '.join(sums)} |", *_render_demo(list(agents.values())), ""]
    lines += [f"{number}. {_escape(note)}" for number, note in enumerate(notes, 1)]
    return "\n".join(lines) + "\n"


def _render_demo(agents: Sequence[Mapping[str, Any]]) -> list[str]:
    """The rows of the demo's feature: each agent's figures."""
    if not any("demo" in agent for agent in agents):
        return []
    show: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "the demo's feature: cells done": lambda demo: f"{demo['done']} of {demo['cells']}",
        "… time": lambda demo: f"{demo['seconds']:.0f} s",
        "… answers of the model": lambda demo: str(demo["answers"]),
        "… tokens, the server's count": lambda demo: f"{demo['billed']:,}",
        "… tokens, the ledger's": lambda demo: (
            "unknown" if demo["ledger"] is None else f"{demo['ledger']:,}"
        ),
    }
    return [
        f"| {title} | {' | '.join(write(a['demo']) if a.get('demo') else '–' for a in agents)} |"
        for title, write in show.items()
    ]


def _escape(note: str) -> str:
    """A note of an agent's own words as text of a page."""
    return note.replace("<", "&lt;").replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")
