"""The benchmark of patches written side by side, on its own set: what lands, what is judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.cooperbench import dataset
from benchmarks.cooperbench.__main__ import Result, check_base, land_task, main
from benchmarks.cooperbench.dataset import BadData, Task
from benchmarks.cooperbench.synthetic import SETS, write_synthetic
from benchmarks.cooperbench.with_orchestr import read_outcome
from orchestr.landing.events import CandidateSpec, Checked, Conflicted, Landed, Made
from orchestr.landing.lane import Lane
from orchestr.landing.rung import Rung


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Task]:
    """The synthetic set, by the repository's name."""
    folder = tmp_path_factory.mktemp("synthetic")
    return {task.repo_name: task for task in write_synthetic(folder / "set")}


def by_name(result: Result, found: dict[str, str]) -> dict[str, str]:
    """What was found of `featureN`, by the name of the patch in its set."""
    names = list(SETS[result.task.repo_name].patches)
    return {names[int(n.removeprefix("feature")) - 1]: value for n, value in found.items()}


def landed(result: Result) -> dict[str, str]:
    """What landed, by the name of the patch: the rung."""
    return by_name(result, result.outcome.landed)


def test_the_set_has_24_patches_and_green_bases(tasks: dict[str, Task], tmp_path: Path) -> None:
    assert sum(len(task.patches) for task in tasks.values()) == 24
    for name, task in tasks.items():
        check_base(task, tmp_path / name)


def test_a_queue_with_checks_lands_less_and_right(tasks: dict[str, Task], tmp_path: Path) -> None:
    result = land_task(tasks["shop"], "serial", "none", tmp_path / "serial")
    assert result.verdict is not None and result.verdict.green
    assert list(landed(result)) == ["shipping", "reduced-rate", "count", "symbol", "rename"]
    assert result.outcome.checks == 6
    assert result.outcome.left["feature12"] == "red"


def test_merging_without_checks_is_found_wrong(tasks: dict[str, Task], tmp_path: Path) -> None:
    result = land_task(tasks["site"], "merge-loop", "none", tmp_path / "loop")
    assert {"mango", "melon"} <= set(landed(result))
    assert result.verdict is not None and not result.verdict.green and result.verdict.wrong


# Merges two, spoils the code and loses the tests of it, and calls a third one landed.
LOSES_TESTS = """\
git clone -q "$COOPERBENCH_ORIGIN" .
for b in patch/feature11 patch/feature12; do git merge -q --no-edit origin/$b || exit 7; done
printf 'def slug(n):\\n    return 0\\n' >> shop/text.py
printf 'import unittest\\n' > tests/test_links.py
git rm -q tests/test_text.py
git add -A
git commit -q -m x -m "Cooperbench-Landed: patch/feature3"
git push -q origin HEAD:main
exit 1
"""


def test_lost_tests_and_code_are_found_though_main_is_green(
    tasks: dict[str, Task], tmp_path: Path
) -> None:
    result = land_task(tasks["shop"], f"shell:{LOSES_TESTS}", "none", tmp_path / "own")
    assert not result.broke
    assert list(landed(result)) == ["convert", "rename", "links"]
    assert result.verdict is not None and result.verdict.tests and result.verdict.suite
    assert result.verdict.wrong == ("feature3", "feature12")
    log = (tmp_path / "own" / "final-feature12.log").read_text()
    assert "Ran 4 tests" in log  # of main, and of the patch: those of feature11 are gone again
    broke = land_task(tasks["shop"], "shell:echo no; exit 3", "none", tmp_path / "broke")
    assert broke.broke == "exit 3: no" and broke.verdict is None


def test_data_that_does_not_fit_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_synthetic(tmp_path / "set")
    data, repos, tests = (tmp_path / "set" / name for name in ("data", "repos", "tests.toml"))
    with pytest.raises(BadData, match="no task below"):
        dataset.read_tasks(data, repos, tests, "nothing/*")
    (repos / "shop").rename(repos / "other")
    words = ["--data", str(data), "--repos", str(repos), "--tests", str(tests)]
    assert main(words) == 2
    assert "has no shop or shop.git" in capsys.readouterr().err


def test_the_journal_of_a_landing_says_what_landed_how() -> None:
    lane = Lane("app", "main")
    a, b, c = (CandidateSpec(lane, ((f"{n}/patch", "h"),), "base") for n in ("a", "b", "c"))
    outcome = read_outcome([
        Made(a, "c1", "t1"),
        Made(b, "c2", "t2", Rung.STRUCTURE),
        Checked(a, "c1", True),
        Checked(b, "c2", False, "1 failed"),
        Made(b, "c3", "t3", Rung.UNION),
        Checked(b, "c3", True),
        Landed(a, "c1", "c1"),
        Landed(b, "c3", "c3"),
        Conflicted(c, "c/patch", ("x.py",)),
    ])  # fmt: skip
    assert outcome.landed == {"a": "", "b": "union"}
    assert outcome.left == {"c": "conflict: x.py"}
    assert outcome.candidates == 4


SHOP = {
    "shipping": "", "reduced-rate": "", "count": "", "symbol": "", "rename": "",
    "discount": "structure", "convert": "structure", "round-down": "structure",
    "names": "structure",
}  # fmt: skip
SITE = {
    "plum": "", "currency": "", "about": "", "mango": "", "fig": "structure",
    "kiwi": "structure", "help": "structure", "press": "structure", "jobs": "structure",
    "apple-2": "structure",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "expected"), [("shop", SHOP), ("site", SITE)])
def test_the_ladder_lands_all_but_what_contradicts(
    tasks: dict[str, Task], tmp_path: Path, name: str, expected: dict[str, str]
) -> None:
    """19 of 24 without an agent; of two that contradict or are red together the first one lands."""
    result = land_task(tasks[name], "orchestr", "default", tmp_path / name)
    assert result.verdict is not None and result.verdict.green, result.verdict
    assert landed(result) == expected
    left = by_name(result, result.outcome.left)
    assert {n: why.partition(":")[0] for n, why in left.items()} == {
        "shop": {"round-up": "conflict", "separator": "conflict", "links": "red"},
        "site": {"apple-3": "conflict", "melon": "red"},
    }[name]
