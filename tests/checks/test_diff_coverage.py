"""Kind `diff_coverage`: reports of coverage against the lines that a change adds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr.checks.base import CheckResult
from orchestr.checks.cache import ResultCache
from orchestr.checks.coverage_report import locate_files, parse_coverage
from orchestr.checks.kinds.diff_coverage import compare_lines, describe_coverage
from orchestr.checks.suite import SuiteRequest, run_suite
from orchestr.checks.untrusted_xml import BadReport
from tests.checks.conftest import define, sh
from tests.conftest import git, write

COBERTURA = """\
<?xml version="1.0" ?>
<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">
<coverage line-rate="0.5"><sources><source>{source}</source></sources><packages><package>
<classes><class name="a" filename="a.py"><methods><method><lines><line number="1" hits="0"/>
</lines></method></methods><lines>{lines}</lines></class></classes></package></packages></coverage>
"""
Run = Callable[..., CheckResult]


def lcov(hits: dict[int, int], name: str = "src/a.py") -> str:
    rows = "".join(f"DA:{line},{times}\n" for line, times in hits.items())
    return f"TN:\nSF:{name}\nFN:1,f\n{rows}LF:2\nend_of_record\n"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the check on a change that adds lines 2 to 5 of `src/a.py`; ``script`` is its program."""
    tree = tmp_path / "tree"
    write(
        tree, {"src/a.py": "one\nlast\n", "README.md": "text\n", ".gitattributes": "*.py -diff\n"}
    )
    git(tree, "init", "--quiet")
    commits = []
    for files in (
        {},
        {"src/a.py": "one\n2\n3\n4\n5\nlast\n", "src/new.py": "x\n", "README.md": "b\n"},
    ):
        write(tree, files)
        git(tree, "add", "-A")
        git(tree, "commit", "--quiet", "-m", "step")
        commits.append(git(tree, "rev-parse", "HEAD").strip())

    def play(report: str | None, script: str = "", **changes: object) -> CheckResult:
        copies = "cp ../report out.info" if report is not None else "true"
        (tmp_path / "report").write_text(report or "")
        check = define(
            kind="diff_coverage", run=sh(f"{copies}; {script or 'true'}"), reports=["out.info"]
        )
        request = SuiteRequest(
            worktree=tree, head=commits[1], tree="t", folder=tmp_path / "round",
            marker=f"cover/{tmp_path.name}", env={"PATH": "/usr/bin:/bin"}, base=commits[0],
        )  # fmt: skip
        cache = ResultCache(tmp_path / "cache")
        (result,) = run_suite([check], replace(request, **changes), cache=cache)  # type: ignore[arg-type]
        return result

    return play


def test_lines_that_no_test_runs_are_named(run: Run) -> None:
    result = run(lcov({1: 1, 2: 1, 3: 0, 4: 0, 6: 0}))
    assert (result.passed, result.detail) == (
        False, "33% of the added lines run (1 of 3; 80% wanted); not in the report: src/new.py"
    )  # fmt: skip
    assert [(f.name, f.file) for f in result.failures] == [("src/a.py:3-4", "src/a.py")]
    assert result.artefacts == ("out.info",)


@pytest.mark.parametrize("source", ["src", "{tree}/src"])
def test_cobertura_of_a_folder(run: Run, tmp_path: Path, source: str) -> None:
    lines = "".join(f'<line number="{n}" hits="{int(n < 6)}"/>' for n in range(1, 7))
    source = source.format(tree=tmp_path / "tree")
    result = run(COBERTURA.format(source=source, lines=lines))
    assert result.passed
    assert result.detail.startswith("100% of the added lines run (4 of 4; 80% wanted)")


def test_a_report_that_knows_no_added_line_measures_nothing(run: Run) -> None:
    result = run(lcov({1: 0, 6: 0}))
    assert (result.passed, result.detail.partition(";")[0]) == (
        True, "nothing was measured: the report knows no line that the change adds"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("report", "script", "detail"),
    [
        (None, "", "no report was written: out.info"),
        (lcov({2: 1}), "exit 3", "exit 3, not 0"),
        ("prose", "", "the report out.info names no file, as lcov or Cobertura XML has them"),
        ("SF:src/a.py\nDA:2,many\n", "", "the report out.info has a line '2' with 'many' hits"),
        ("<testsuites/>", "",
         "the report out.info is no Cobertura XML, it starts with <testsuites>"),
    ],
)  # fmt: skip
def test_what_is_no_report_is_red(run: Run, report: str | None, script: str, detail: str) -> None:
    result = run(report, script)
    assert (result.is_red, result.detail) == (True, detail)


def test_a_report_of_an_earlier_run_is_red(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "tree", {"out.info": lcov({2: 1, 3: 1})})
    assert run(None).detail == (
        "no report was written: out.info (1 of an earlier run do not count)"
    )


def test_a_result_is_kept_for_its_base_alone(run: Run) -> None:
    good = lcov({2: 1})
    assert run(good).passed
    assert run(good).cached
    other = run(good, base="")
    assert (other.cached, other.unavailable) == (False, True)


def test_entities_are_refused() -> None:
    bomb = b'<!DOCTYPE coverage [<!ENTITY a "b">]><coverage>&a;</coverage>'
    with pytest.raises(BadReport, match="declares entities"):
        parse_coverage(bomb)


def test_files_outside_of_the_worktree_count_for_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"tree/a.py": "", "b.py": ""})
    report = parse_coverage((lcov({1: 1}, "../b.py") + lcov({1: 1}, "a.py")).encode())
    assert locate_files(report, tmp_path / "tree", tmp_path / "tree") == {"a.py": {1: 1}}


numbers = st.dictionaries(st.sampled_from(["a.py", "b.py"]), st.frozensets(st.integers(1, 9)))
counts = st.dictionaries(
    st.sampled_from(["a.py", "b.py"]), st.dictionaries(st.integers(1, 9), st.integers(0, 2))
)


@given(numbers, counts)
def test_every_line_that_both_know_is_counted_once(
    added: dict[str, frozenset[int]], lines: dict[str, dict[int, int]]
) -> None:
    measured = compare_lines(added, lines)
    both = {(p, n) for p, some in added.items() for n in some if n in lines.get(p, {})}
    missed = {(p, n) for p, some in measured.uncovered.items() for n in some}
    assert measured.known == len(both)
    assert missed == {(p, n) for p, n in both if lines[p][n] == 0}
    assert describe_coverage(measured, 80)
