"""`python -m benchmarks.escape [--adapter NAME] [--wall WALL] [NAME...]`: the table of verdicts.

Without names every attempt is run. `--json` prints what was reported, too, not Markdown.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.escape.adapters import ADAPTERS
from benchmarks.escape.attempts import ATTEMPTS
from benchmarks.escape.judge import run_attempts
from benchmarks.escape.table import Column, write_json_table, write_markdown, write_page


def main(argv: list[str] | None = None) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.escape")
    parser.add_argument(
        "--adapter", choices=ADAPTERS, action="append", help="a tool; several may be given"
    )
    parser.add_argument(
        "--wall", action="append", help="one of the tool's walls; all, when none is given"
    )
    parser.add_argument("--json", action="store_true", help="JSON with what was reported")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="attempts or groups; all, when none is given"
    )
    parser.add_argument("--write", metavar="PAGE", type=Path, help="put the tables into a page")
    given = parser.parse_args(argv)
    known = {word for attempt in ATTEMPTS for word in attempt.words}
    unknown = [name for name in given.names if name not in known]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    chosen = [a for a in ATTEMPTS if not given.names or a.words & set(given.names)]
    columns = []
    for name in given.adapter or ["orchestr"]:
        adapter = ADAPTERS[name]
        for wall in adapter.walls:
            if given.wall and wall not in given.wall:
                continue
            why = adapter.explain_unusable(wall)
            if why is not None:
                print(f"left out: {name} with {wall}: {why}", file=sys.stderr)
                continue
            columns.append(Column(name, wall, tuple(run_attempts(adapter, wall, chosen))))
    if given.write:
        page = given.write.read_text(encoding="utf-8")
        given.write.write_text(write_page(page, chosen, columns), encoding="utf-8")
    print(write_json_table(columns) if given.json else write_markdown(chosen, columns), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
