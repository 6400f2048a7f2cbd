"""Kinds `pytest`, `junit` and `tests`: results are read, never scraped, and never guessed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestr.checks import junit_xml
from orchestr.checks.kinds.pytest import selection_args
from tests.checks.conftest import Ask, py, sh

GOOD = '<testsuite><testcase classname="a.B" name="one" file="a.py"/></testsuite>'
BAD = (
    '<testsuites><testsuite file="x_test.go"><testcase classname="pkg" name="TestX">'
    '<failure message="want 1">x_test.go:3: got 2</failure></testcase>'
    '<testcase name="TestY"><skipped/></testcase></testsuite></testsuites>'
)
BOMB = (
    '<!DOCTYPE t [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;">]>'
    '<testsuite><testcase name="&b;"/></testsuite>'
)
FILE_READER = (
    '<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    '<testsuite><testcase name="x">&x;</testcase></testsuite>'
)


# --- pytest --------------------------------------------------------------------------------


def test_pytest_passes_and_leaves_nothing_in_the_worktree(ask: Ask, tmp_path: Path) -> None:
    result = ask({"test_a.py": "def test_one(): pass\n"}, kind="pytest")

    assert (result.passed, result.detail, result.tests) == (True, "1 passed", 1)
    assert result.artefacts == ("junit.xml",)
    assert sorted(p.name for p in (tmp_path / "tree").rglob("*")) == ["test_a.py"]


def test_a_failing_test_comes_with_file_message_and_command(ask: Ask) -> None:
    files = {
        "tests/test_a.py": "class TestIt:\n    def test_one(self):\n        assert 1 == 2, 'no'\n"
        "def test_two():\n    pass\n"
    }

    result = ask(files, kind="pytest")

    assert (result.passed, result.exit, result.detail) == (False, 1, "1 passed, 1 failed")
    (failure,) = result.failures
    assert failure.file == "tests/test_a.py"
    assert failure.command == "pytest tests/test_a.py::TestIt::test_one"
    assert "assert 1 == 2" in failure.message


def test_no_tests_is_no_proof(ask: Ask) -> None:
    result = ask({"a.py": ""}, kind="pytest")

    assert (result.passed, result.exit) == (False, 5)
    assert result.detail == "exit 5, not 0: no tests were collected: nothing was proved"


def test_only_skipped_tests_are_no_proof(ask: Ask) -> None:
    files = {"test_a.py": "import pytest\n@pytest.mark.skip\ndef test_one(): pass\n"}

    result = ask(files, kind="pytest")

    assert (result.passed, result.skipped) == (False, 1)
    assert result.detail == "all 1 tests were skipped: nothing was proved"


def test_a_file_that_cannot_be_imported_is_a_failure(ask: Ask) -> None:
    result = ask({"test_a.py": "import nowhere\n"}, kind="pytest")

    assert not result.passed
    assert "nowhere" in result.failures[0].message


def test_without_pytest_it_says_where_it_looked(ask: Ask, tmp_path: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()

    result = ask({"test_a.py": ""}, kind="pytest", environ={"PATH": str(empty)})

    assert result.detail == f"pytest is not installed: looked in PATH ({empty})"


def test_the_projects_own_pytest_comes_first(ask: Ask) -> None:
    files = {".venv/pyvenv.cfg": "home = x\n", ".venv/bin/pytest": "#!/bin/sh\necho mine; exit 3\n"}
    ask(files, kind="command", run=["chmod", "+x", ".venv/bin/pytest"])

    result = ask({}, kind="pytest")

    assert result.detail == "exit 3, not 0: pytest itself failed"
    assert "mine" in result.failures[0].message


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ("tests/test_a.py", ["tests/test_a.py"]),
        ("tests/test_a.py::test_one[a or b]", ["tests/test_a.py::test_one[a or b]"]),
        ("rewrap or unwrap", ["-k", "rewrap or unwrap"]),
        ("not slow", ["-k", "not slow"]),
        ("rewrap", ["-k", "rewrap"]),
        ("tests", ["tests"]),
        ("tests/test_a.py tests/test_b.py", ["tests/test_a.py", "tests/test_b.py"]),
        (None, []),
    ],
)
def test_selectors(tmp_path: Path, selector: str | None, words: list[str]) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("")

    assert selection_args(selector, tmp_path) == words


def test_a_selector_chooses(ask: Ask) -> None:
    files = {"test_a.py": "def test_good(): pass\ndef test_bad(): assert 0\n"}

    assert ask(files, kind="pytest", selector="good or fine").detail == "1 passed"
    assert ask(files, kind="pytest", selector="test_a.py::test_bad").detail == "1 failed"


# --- junit ---------------------------------------------------------------------------------


def report(xml: str, exit: int = 0) -> list[str]:
    return sh(f"mkdir -p out && cat > out/r.xml <<'EOF'\n{xml}\nEOF\nexit {exit}")


def test_junit_good(ask: Ask) -> None:
    result = ask(kind="junit", run=report(GOOD), reports=["out/*.xml"])

    assert (result.passed, result.detail, result.artefacts) == (True, "1 passed", ("out/r.xml",))


def test_junit_bad(ask: Ask) -> None:
    result = ask(kind="junit", run=report(BAD, 1), reports=["out/*.xml"])

    assert (result.passed, result.detail, result.skipped) == (False, "1 failed, 1 skipped", 1)
    (failure,) = result.failures
    assert (failure.name, failure.file) == ("pkg.TestX", "x_test.go")
    assert failure.message == "want 1\nx_test.go:3: got 2"


def test_failures_in_the_report_count_although_the_exit_is_0(ask: Ask) -> None:
    assert not ask(kind="junit", run=report(BAD, 0), reports=["out/*.xml"]).passed


def test_the_exit_counts_although_the_report_is_good(ask: Ask) -> None:
    result = ask(kind="junit", run=report(GOOD, 2), reports=["out/*.xml"])

    assert (result.passed, result.detail) == (
        False, "exit 2, not 0, although the report has 1 passed",
    )  # fmt: skip


def test_an_old_report_is_no_evidence(ask: Ask) -> None:
    """What an earlier run left must not pass for this one's."""
    result = ask({"out/r.xml": GOOD}, kind="junit", run=["true"], reports=["out/*.xml"])

    assert not result.passed
    assert "1 of an earlier run do not count" in result.detail


def test_a_report_that_is_missing_fails_on_exit_0(ask: Ask) -> None:
    result = ask(kind="junit", run=["true"], reports=["out/*.xml"])

    assert (result.passed, result.detail) == (False, "exit 0; no report was written (out/*.xml)")


@pytest.mark.parametrize(
    ("xml", "why"),
    [
        ("", "is not XML"),
        ("<testsuite><testcase", "is not XML"),
        ("<html/>", "is not JUnit XML"),
        (BOMB, "declares entities"),
        (FILE_READER, "declares entities"),
        ("<testsuite>" + "<a>" * 200 + "</a>" * 200 + "</testsuite>", "nested too deeply"),
        ("<testsuite/>", "nothing was proved"),
    ],
    ids=["empty", "torn", "html", "bomb", "external", "deep", "no tests"],
)
def test_a_report_that_cannot_be_trusted_fails(ask: Ask, xml: str, why: str) -> None:
    result = ask(kind="junit", run=report(xml), reports=["out/*.xml"])

    assert not result.passed
    assert why in result.detail


def test_a_report_behind_a_link_is_not_read(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "secret.xml").write_text(GOOD)
    script = sh(f"mkdir -p out && ln -s {tmp_path}/secret.xml out/r.xml")

    assert not ask(kind="junit", run=script, reports=["out/*.xml"]).passed


def test_a_huge_report_is_refused() -> None:
    with pytest.raises(junit_xml.BadReport, match="larger than 64 MiB"):
        junit_xml.parse_report(b" " * (65 << 20))


# --- tests ---------------------------------------------------------------------------------


def answer(value: object, exit: int = 0) -> list[str]:
    return py(f"import sys; print({json.dumps(value)!r}); sys.exit({exit})")


def test_tests_good(ask: Ask) -> None:
    items = [{"test_name": "a", "test_file": "a.py", "passed": True}]

    result = ask(kind="tests", run=answer(items))

    assert (result.passed, result.detail, result.tests) == (True, "1 passed", 1)


def test_tests_bad(ask: Ask) -> None:
    item = {
        "test_name": "a", "test_file": "a.py", "passed": False, "error": "boom",
        "execution_command": "run a", "purpose": "guards a",
    }  # fmt: skip

    result = ask(kind="tests", run=answer([item, {"test_name": "b", "passed": True}], 1))

    assert (result.passed, result.detail) == (False, "1 passed, 1 failed")
    (failure,) = result.failures
    assert (failure.name, failure.file, failure.command) == ("a", "a.py", "run a")
    assert failure.message == "boom\n(what it is for: guards a)"


@pytest.mark.parametrize(
    "value",
    [{}, "x", None, [1], [{}], [{"test_name": "a"}], [{"test_name": "a", "passed": "yes"}],
     [{"test_name": "a", "passed": 1}], [{"test_name": "", "passed": True}], []],
)  # fmt: skip
def test_an_answer_that_is_no_list_of_tests_fails(ask: Ask, value: object) -> None:
    """Zero failures found is not the same as all passed."""
    assert not ask(kind="tests", run=answer(value)).passed


def test_text_around_the_answer_fails(ask: Ask) -> None:
    result = ask(kind="tests", run=sh("echo 'All tests passed!'"))

    assert not result.passed
    assert "not JSON" in result.detail


def test_all_passed_but_the_program_failed(ask: Ask) -> None:
    result = ask(kind="tests", run=answer([{"test_name": "a", "passed": True}], 2))

    assert (result.passed, result.detail) == (False, "exit 2, not 0, although 1 passed")
