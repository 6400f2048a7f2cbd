"""The results as Markdown for people, and as JSON with all that was reported."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.escape.attempt import Attempt
from benchmarks.escape.judge import Result, Verdict
from benchmarks.escape.unnoticed import UNNOTICED

MARK = "<!-- made by: python -m benchmarks.escape --write docs/escape.md -->\n"


@dataclass(frozen=True, slots=True)
class Column:
    """The results of one tool with one wall."""

    tool: str
    wall: str
    results: tuple[Result, ...]

    @property
    def title(self) -> str:
        return self.tool if self.wall == "-" else f"{self.tool}, {self.wall}"

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """Attempt -> verdict."""
        return {result.attempt.name: result.verdict for result in self.results}


def write_markdown(attempts: Sequence[Attempt], columns: Sequence[Column]) -> str:
    """One table: a row for each attempt, a column for each tool and wall; then the sums."""
    head = ["group", "attempt", "what it tries", *(column.title for column in columns)]
    rows = [head, ["---"] * len(head)]
    for attempt in attempts:
        words = [column.verdicts.get(attempt.name) for column in columns]
        found = ["-" if word is None else f"**{word}**" if word is Verdict.NOT else str(word)
                 for word in words]  # fmt: skip
        rows.append([attempt.group, f"`{attempt.name}`", attempt.tries.replace("|", "\\|"), *found])
    for verdict in Verdict:
        counts = [Counter(column.verdicts.values())[verdict] for column in columns]
        rows.append(["", "", f"sum: {verdict}", *map(str, counts)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def write_page(page: str, attempts: Sequence[Attempt], columns: Sequence[Column]) -> str:
    """The page with new tables behind its mark: the verdicts, and why some get through."""
    before, mark, _ = page.partition(MARK)
    if not mark:
        raise ValueError(f"the page has no line {MARK}")
    tables = [f"\n## Verdicts\n\n{write_markdown(attempts, columns)}"]
    for wall, reasons in UNNOTICED.items():
        if reasons:
            title = "without a wall" if wall == "none" else f"with {wall}"
            rows = "".join(f"| `{name}` | {reason} |\n" for name, reason in reasons.items())
            tables.append(
                f"\n## Not noticed by orchestr {title}\n\n| attempt | why |\n|---|---|\n{rows}"
            )
    return f"{before}{mark}{''.join(tables)}"


def write_json_table(columns: Sequence[Column]) -> str:
    """Every result with its proof and what was reported."""
    value = [
        {
            "tool": column.tool,
            "wall": column.wall,
            "results": [
                {
                    "name": result.attempt.name,
                    "group": result.attempt.group,
                    "tries": result.attempt.tries,
                    "proof": result.attempt.proof.shows,
                    "verdict": result.verdict,
                    "reports": list(result.reports),
                }
                for result in column.results
            ],
        }
        for column in columns
    ]
    return json.dumps(value, indent=2) + "\n"
