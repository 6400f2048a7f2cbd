"""`python -m benchmarks [--quick | --tiny] [NAME...]`: every benchmark, then figures and targets.

Each prints its tables and writes `benchmarks/results/NAME.json`; `summary.json` holds the figures
of this command. A benchmark that cannot run here is listed with the reason; one that fails is
shown, the others run, and the exit code is 1. A figure above its target is no error: it is a
finding.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from importlib import import_module

from benchmarks.common import Found, Size, Skipped, Table, load, machine, report, results, show

NAMES = {
    "startup": "the program's and doit's start",
    "nothing": "nothing to do, against make, ninja and doit",
    "overhead": "a cell with an agent that only commits, against a shell script",
    "checks": "checks in a clean checkout, against the author's worktree",
    "makespan": "random DAGs against the lower bound, waves, doit's own order",
    "worktrees": "32 worktrees at once, against a loop",
    "memory": "the orchestrator with 50 agents that write a lot",
    "recovery": "after SIGKILL: time, and work done twice",
    "sandbox": "what a start behind the wall takes beside a bare one",
    "kills": "random kills of any process of runs and landings",
    "see": "status, logs and report of 200 cells with long transcripts",
    "landing": "the merge queue, against a serial one and an oracle",
    "github_requests": "requests to GitHub, on a stub through the real gh",
}


def main(argv: list[str] | None = None) -> int:
    """See the module."""
    listed = "\n".join(f"  {name:<16} {what}" for name, what in NAMES.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", epilog=f"benchmarks:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true", help="smaller sizes, minutes instead of half an hour"
    )
    parser.add_argument(
        "--tiny", action="store_true", help="only to see that it works; the figures mean nothing"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="all, when none is given")
    given = parser.parse_args(argv)
    unknown = [name for name in given.names if name not in NAMES]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(NAMES)}")
    size = Size.TINY if given.tiny else Size.QUICK if given.quick else Size.FULL
    found: dict[str, Found] = {}
    trouble: dict[str, str] = {}
    about = machine()
    print(f"{size.value}; {about}; load {load()}", flush=True)
    for name in given.names or NAMES:
        begin, before = time.monotonic(), load()
        try:
            found[name] = import_module(f"benchmarks.{name}").measure(size)
            report(name, found[name], size, before)
        except Skipped as why:
            trouble[name] = f"left out: {why}"
        except Exception as error:  # the others go on
            traceback.print_exc()
            trouble[name] = f"broke: {type(error).__name__}: {str(error)[:300]}"
        print(
            f"  {name}: {time.monotonic() - begin:.0f} s, load {before[0]} to {load()[0]}",
            flush=True,
        )
    summary(found, trouble, size)
    return int(any(words.startswith("broke") for words in trouble.values()))


def summary(found: dict[str, Found], trouble: dict[str, str], size: Size) -> None:
    """The last table, and `summary.json`."""
    rows = [{"benchmark": name, **f.row()} for name, one in found.items() for f in one.figures]
    if rows:
        show(Table(f"summary ({size.value}, load now {load()[0]})", rows))
    for name, words in trouble.items():
        print(f"  {name} {words}")
    value = {"size": size.value, "machine": machine(), "figures": rows, "trouble": trouble}
    results().mkdir(parents=True, exist_ok=True)
    (results() / "summary.json").write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
