"""`python -m benchmarks.cooperbench`: land patches that were written side by side, and judge it.

See README.md beside this file for the data, the protocol of engines and what the figures mean.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.common import Table, load, machine, scratch, show
from benchmarks.cooperbench.dataset import BadData, Task, read_tasks
from benchmarks.cooperbench.engines import LADDERS, EngineBroke, Outcome, find_engine
from benchmarks.cooperbench.judge import Verdict, judge_landing
from benchmarks.cooperbench.scene import prepare_scene, run_shell
from benchmarks.cooperbench.synthetic import write_synthetic


@dataclass(frozen=True, slots=True)
class Result:
    """One task, landed by one engine with one ladder. ``broke``: why there is no outcome."""

    task: Task
    engine: str
    ladder: str
    outcome: Outcome
    verdict: Verdict | None
    broke: str = ""

    def row(self) -> dict[str, Any]:
        """As a line of the table."""
        out, verdict = self.outcome, self.verdict
        by = Counter(rung or "git" for rung in out.landed.values())
        return {
            "task": self.task.name, "engine": self.engine, "ladder": self.ladder,
            "patches": len(self.task.patches), "landed": len(out.landed),
            "by rung": " ".join(f"{rung} {n}" for rung, n in by.items()) or "-",
            "candidates": "-" if out.candidates is None else out.candidates,
            "checks": out.checks, "wall s": round(out.wall, 1),
            "main": "broke" if verdict is None else "green" if verdict.green else "RED",
            "wrong": "-" if verdict is None else len(verdict.wrong),
        }  # fmt: skip


def land_task(task: Task, engine: str, ladder: str, folder: Path) -> Result:
    """Prepare, land and judge in a new folder. Raises BadData."""
    scene = prepare_scene(task, folder)
    try:
        outcome = find_engine(engine)(scene, ladder)
    except EngineBroke as error:
        return Result(task, engine, ladder, Outcome(), None, str(error))
    return Result(task, engine, ladder, outcome, judge_landing(task, scene, outcome))


def check_base(task: Task, folder: Path) -> Task:
    """The task without the patches that are red by themselves on this machine: nothing could land
    them. Raises BadData when the base is red: the commands do not fit this machine.
    """
    scene = prepare_scene(task, folder)
    place = scene.make_checkout("base")
    for what, command in (("tests", task.tests), ("suite", task.suite)):
        log = folder / f"base-{what}.log"
        if not run_shell(command, place, log):
            raise BadData(f"{task.name}: {what} are red at the base: {log.read_text()[-600:]}")
    good = []
    for patch in task.patches:
        place = scene.make_checkout("base", scene.branch_of(patch.name))
        if run_shell(task.tests, place, folder / f"base-{patch.name}.log"):
            good.append(patch)
        else:
            print(f"  {task.name} {patch.name} is red by itself here: left out", flush=True)
    return replace(task, patches=tuple(good))


def sum_results(results: Sequence[Result]) -> list[dict[str, Any]]:
    """One line for each engine and ladder, and each repository below it."""
    rows = []
    for kind in dict.fromkeys((r.engine, r.ladder) for r in results):
        mine = [r for r in results if (r.engine, r.ladder) == kind]
        for repo in [*dict.fromkeys(r.task.repo_name for r in mine), "all"]:
            some = [r for r in mine if repo in (r.task.repo_name, "all")]
            patches = sum(len(r.task.patches) for r in some)
            landed = sum(len(r.outcome.landed) for r in some)
            rows.append({
                "engine": kind[0], "ladder": kind[1], "repository": repo, "tasks": len(some),
                "patches": patches, "landed": landed, "of them": f"{landed / patches:.0%}",
                "checks": sum(r.outcome.checks for r in some),
                "wall s": round(sum(r.outcome.wall for r in some), 1),
                "green mains": sum(r.verdict is not None and r.verdict.green for r in some),
                "wrong": sum(len(r.verdict.wrong) for r in some if r.verdict),
            })  # fmt: skip
    return rows


def report_results(results: Sequence[Result], path: Path | None, verbose: bool) -> None:
    """Print the tables; write all of it as JSON."""
    show(Table("tasks", [result.row() for result in results]))
    totals = sum_results(results)
    show(Table("all", totals))
    for result in results:
        if result.broke:
            print(f"  {result.task.name} {result.engine}: {result.broke}")
        for name, why in result.outcome.left.items() if verbose else ():
            print(f"  {result.task.name} {result.engine} {result.ladder} {name}: {why}")
        for name in result.verdict.wrong if result.verdict else ():
            print(f"  {result.task.name} {result.engine} {result.ladder} {name}: WRONG, its tests "
                  "are red on the final main")  # fmt: skip
    if path is not None:
        value = {
            "machine": machine(),
            "tasks": [{
                **result.row(), "outcome": asdict(result.outcome), "broke": result.broke,
                "verdict": None if result.verdict is None else asdict(result.verdict),
            } for result in results],
            "totals": totals,
        }  # fmt: skip
        path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cooperbench")
    parser.add_argument(
        "--synthetic", action="store_true", help="our own small set, no data needed"
    )
    parser.add_argument("--data", type=Path, help="the data set's folder with *_task/task*/")
    parser.add_argument("--repos", type=Path, help="the folder of the base repositories")
    parser.add_argument("--tests", type=Path, help="TOML: what tests each repository")
    parser.add_argument("--task", default="*", help="only tasks of these names (shell pattern)")
    parser.add_argument("--engine", action="append", help="orchestr (default), serial, merge-loop, "
                        "shell:CMD; may be repeated")  # fmt: skip
    parser.add_argument("--ladder", action="append", choices=LADDERS,
                        help="default: full; may be repeated")  # fmt: skip
    parser.add_argument("--json", type=Path, help="write the results there, too")
    parser.add_argument("--keep", type=Path, help="keep each landing's folder below this one")
    parser.add_argument("--verbose", action="store_true", help="also why each other did not land")
    given = parser.parse_args(argv)
    if not given.synthetic and not (given.data and given.repos and given.tests):
        parser.error("--data, --repos and --tests are needed, or --synthetic")
    for name in given.engine or ():
        try:
            find_engine(name)
        except ValueError as error:
            parser.error(str(error))
    return given


def main(argv: list[str] | None = None) -> int:
    """See the module. 0: every final main is green; 1: one is not; 2: the data do not fit."""
    given = parse_arguments(argv)
    results: list[Result] = []
    print(f"{machine()}; load {load()}", flush=True)
    with scratch() as base:
        try:
            if given.synthetic:
                tasks = write_synthetic(base / "synthetic", given.task)
            else:
                tasks = read_tasks(given.data, given.repos, given.tests, given.task)
            for number, whole in enumerate(tasks):
                task = check_base(whole, base / f"base{number}")
                for engine in given.engine or ["orchestr"]:
                    for ladder in given.ladder or ["full"]:
                        folder = Path(tempfile.mkdtemp(dir=base)) / "scene"
                        results.append(land_task(task, engine, ladder, folder))
                        show(Table("", [results[-1].row()]))
                        _put_away(folder, given.keep, results[-1])
        except BadData as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    report_results(results, given.json, given.verbose)
    return int(not all(r.verdict is not None and r.verdict.green for r in results))


def _put_away(folder: Path, keep: Path | None, result: Result) -> None:
    if keep is not None:
        name = f"{result.task.name}-{result.engine.split(':')[0]}-{result.ladder}".replace("/", "-")
        shutil.rmtree(keep / name, ignore_errors=True)
        keep.mkdir(parents=True, exist_ok=True)
        shutil.move(folder, keep / name)
    else:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
