"""Every benchmark runs in a tiny size and writes its JSON. Nothing is timed here."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import common
from benchmarks.__main__ import NAMES, main
from benchmarks.common import Figure, Found, Size, Skipped, Table
from benchmarks.makespan import Clock, Dag
from tests.forges.github_stub import GH

TOP = Path(__file__).parents[2]
# Those that only start short programs run in one process, one after the other.
TOGETHER = ["startup", "overhead", "makespan", "worktrees", "see", "landing"]


def run(tmp_path: Path, *names: str) -> dict[str, Any]:
    """`python -m benchmarks --tiny NAMES`: name -> its JSON, with `summary`."""
    env = {**os.environ, "BENCHMARKS_RESULTS": str(tmp_path / "out"), "TMPDIR": str(tmp_path)}
    argv = [sys.executable, "-m", "benchmarks", "--tiny", *names]
    done = subprocess.run(argv, cwd=TOP, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {p.stem: json.loads(p.read_text()) for p in (tmp_path / "out").glob("*.json")}
    assert not list(tmp_path.glob("orchestr-bench-*")), "something was left behind"
    return found


@pytest.mark.slow
@pytest.mark.parametrize("names", [TOGETHER, ["nothing"], ["memory", "recovery"]], ids=str)
def test_each_runs_and_writes_its_json(tmp_path: Path, names: list[str]) -> None:
    found = run(tmp_path, *names)
    assert set(found) == {*names, "summary"}
    for name in names:
        one = found[name]
        assert (one["name"], one["size"]) == (name, "tiny")
        assert all(one["tables"].values()) and one["figures"], name
        assert {"cores", "git", "python", "doit", "system"} <= set(one["machine"])
    told = {row["benchmark"] for row in found["summary"]["figures"]}
    assert (told, found["summary"]["trouble"]) == (set(names), {})
    counts = [f for one in found.values() for f in one["figures"] if f.get("most") == 0]
    assert all(f["met"] == "yes" for f in counts), counts  # nothing lost, failed or done twice


@pytest.mark.slow
@pytest.mark.skipif(GH is None, reason="needs gh")
def test_requests_are_counted(tmp_path: Path) -> None:
    rows = run(tmp_path, "github_requests")["github_requests"]["tables"]["github_requests"]
    assert [row["opened"] for row in rows] == [1, 0, 0, 0, 0]


def test_one_that_breaks_or_cannot_run_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(size: Size) -> Found:
        raise RuntimeError("no luck")

    def missing(size: Size) -> Found:
        raise Skipped("no gh here")

    def fine(size: Size) -> Found:
        return Found([Table("t", [{"a": 1.0}])], [Figure("f", 2.0, "s", 1.0)])

    monkeypatch.setenv("BENCHMARKS_RESULTS", str(tmp_path))
    for name, call in (("startup", broken), ("github_requests", missing), ("landing", fine)):
        monkeypatch.setattr(f"benchmarks.{name}.measure", call)
    assert main(["--tiny", "startup", "github_requests", "landing"]) == 1
    said = capsys.readouterr().out
    assert "startup broke: RuntimeError: no luck" in said
    assert "github_requests left out: no gh here" in said
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert [(r["figure"], r["met"]) for r in summary["figures"]] == [("f", "NO")]
    assert main(["--tiny", "landing"]) == 0, "a figure above its target is a finding, no error"


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["starup"])
    assert ended.value.code == 2
    assert "unknown: starup; known: startup" in capsys.readouterr().err


def test_every_benchmark_says_what_it_is() -> None:
    listed = {path.stem for path in (TOP / "benchmarks").glob("*.py")}
    helpers = {"__init__", "__main__", "common", "measure", "generated"}
    assert listed - helpers == set(NAMES)


def test_no_schedule_is_below_the_bound() -> None:
    for seed in range(20):
        dag = Dag.random(seed)
        assert dag.in_waves() >= dag.bound() * (1 - 1e-9)
        assert all(up < n for n, above in enumerate(dag.above) for up in above)


def test_simulated_time_is_that_of_the_cells() -> None:
    from threading import Thread

    dag = Dag(((), (), (0,)), (5.0, 3.0, 4.0), 2)
    clock = Clock(dag)
    first = [Thread(target=clock.work, args=(n,)) for n in (0, 1)]
    random.Random(0).shuffle(first)
    for thread in first:
        thread.start()
    first[0].join(20), first[1].join(20)
    assert clock.now == 5.0
    clock.work(2)
    assert (clock.now, clock.stalls) == (9.0, 0)


def test_met_and_short() -> None:
    assert [Figure("", v, "s", 1.0).met for v in (0.9, 1.0, 1.1)] == ["yes", "yes", "NO"]
    assert [common.short(v) for v in (0.1234, 12.345, 1234.5, 3, "x")] == [
        "0.123",
        "12.3",
        "1234",
        "3",
        "x",
    ]
