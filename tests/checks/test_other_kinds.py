"""Kinds `browser_journey`, `import_check` and `type_check`, and that each kind can run."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.checks import make_check
from orchestr.checks.base import FILE_LIMIT
from orchestr.checks.kinds.import_check import version_satisfies
from orchestr.checks.runner import CheckRunner
from orchestr.spec.check_kinds import find_kind, list_kinds
from tests.checks.conftest import Ask, define, sh


def test_every_kind_has_a_record_and_a_class() -> None:
    assert list_kinds() == (
        "api_probe", "browser_journey", "command", "diff_coverage", "exports", "import_check",
        "junit", "pytest", "state_invariant", "tests", "type_check",
    )  # fmt: skip
    for kind in list_kinds():
        record = find_kind(kind)
        assert record.kind == kind
        assert "run_and_judge" in vars(record)
        assert record.__module__ == f"orchestr.checks.kinds.{kind}"
    assert isinstance(make_check(define(kind="pytest")), CheckRunner)


# --- browser_journey -----------------------------------------------------------------------


def test_evidence_is_kept(ask: Ask, tmp_path: Path) -> None:
    script = sh("mkdir shots; echo png > shots/a.png; echo png > $ORCHESTR_ARTEFACTS/b.png")

    result = ask(kind="browser_journey", run=script, evidence=["shots/*.png", "b.png"])

    assert (result.passed, result.artefacts) == (True, ("shots/a.png", "b.png"))
    assert (tmp_path / "out" / "artefacts" / "shots" / "a.png").read_text() == "png\n"


@pytest.mark.parametrize("script", ["true", "mkdir shots", "mkdir shots; : > shots/a.png"])
def test_missing_or_empty_evidence_fails_on_exit_0(ask: Ask, script: str) -> None:
    result = ask(kind="browser_journey", run=sh(script), evidence=["shots/*.png"])

    assert (result.passed, result.exit) == (False, 0)
    assert result.detail == "exit 0; no evidence was written: shots/*.png"


def test_old_evidence_does_not_count(ask: Ask) -> None:
    result = ask(
        {"shots/a.png": "old"}, kind="browser_journey", run=["true"], evidence=["shots/*.png"]
    )

    assert result.detail.endswith("shots/*.png (1 of an earlier run do not count)")


def test_a_failed_journey_keeps_what_it_saw(ask: Ask) -> None:
    script = sh("echo png > a.png; exit 1")

    result = ask(kind="browser_journey", run=script, evidence=["*.png"])

    assert (result.passed, result.artefacts) == (False, ("a.png",))


def test_files_whose_names_are_printed_are_kept(ask: Ask) -> None:
    script = sh("echo x > a.png; echo trace > t.zip; echo 'saved t.zip and /etc/hosts.txt'")

    result = ask(kind="browser_journey", run=script, evidence=["a.png"])

    assert result.artefacts == ("a.png", "t.zip")


def test_a_link_is_no_evidence(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "private.png").write_text("secret")
    script = sh(f"ln -s {tmp_path}/private.png a.png")

    result = ask(kind="browser_journey", run=script, evidence=["a.png"])

    assert (result.passed, result.artefacts) == (False, ())


def test_what_is_too_large_is_named_and_not_copied(ask: Ask) -> None:
    script = sh(f"truncate -s {FILE_LIMIT + 1} a.webm")

    result = ask(kind="browser_journey", run=script, evidence=["a.webm"])

    assert (result.passed, result.artefacts) == (True, ())
    assert result.detail.endswith("a.webm (52428801 bytes) is too much to keep")


# --- import_check --------------------------------------------------------------------------


def test_a_module_of_the_project(ask: Ask) -> None:
    files = {"pkg/__init__.py": "print('noise')\n__version__ = '1.4.2'\n"}

    assert ask(files, kind="import_check", module="pkg").detail == "pkg 1.4.2"
    assert ask(files, kind="import_check", module="pkg", version=">=1.4,<2").passed
    wrong = ask(files, kind="import_check", module="pkg", version="2")
    assert (wrong.passed, wrong.detail) == (False, "pkg 1.4.2, not 2")


@pytest.mark.parametrize(
    "source", ["import nowhere\n", "raise SystemExit(0)\n", "import os; os._exit(0)\n", "1 +\n"]
)
def test_a_module_that_cannot_be_imported(ask: Ask, source: str) -> None:
    assert not ask({"pkg.py": source}, kind="import_check", module="pkg").passed


def test_a_module_without_a_version(ask: Ask) -> None:
    result = ask({"pkg.py": ""}, kind="import_check", module="pkg", version="1")

    assert result.detail == "pkg has no version, 1 is wanted"


@pytest.mark.parametrize(
    ("version", "wanted", "good"),
    [("1.2", "1.2.0", True), ("1.2", "==1.3", False), ("1.10", ">=1.9", True), ("2", "!=2", False),
     ("1.2rc1", "1.2", True), ("1.2+local", "<=1.2", True), ("1.2", ">1.1,<1.2", False)],
)  # fmt: skip
def test_versions(version: str, wanted: str, good: bool) -> None:
    assert version_satisfies(version, wanted) is good


# --- type_check ----------------------------------------------------------------------------


@pytest.mark.slow
def test_mypy_names_its_errors_and_leaves_nothing(ask: Ask, tmp_path: Path) -> None:
    files = {"a.py": "x: int = 'text'\n", "b.py": "y: int = 1\n"}

    result = ask(files, kind="type_check", tool="mypy", paths=["a.py", "b.py"])

    assert (result.passed, result.detail) == (False, "mypy: 1 error")
    (failure,) = result.failures
    assert (failure.name, failure.file) == ("a.py:1", "a.py")
    assert failure.command == "mypy a.py b.py"
    assert "Incompatible types in assignment" in failure.message
    assert sorted(p.name for p in (tmp_path / "tree").iterdir()) == ["a.py", "b.py"]
    assert ask(files, kind="type_check", tool="mypy", paths=["b.py"]).passed


def test_a_tool_that_is_missing_fails(ask: Ask) -> None:
    result = ask(kind="type_check", tool="basedpyright")

    assert not result.passed
    assert result.detail.startswith("basedpyright is not installed: looked in PATH (")


def test_a_tool_that_breaks_is_a_failure(ask: Ask) -> None:
    files = {".venv/pyvenv.cfg": "", ".venv/bin/pyright": "#!/bin/sh\necho broken; exit 3\n"}
    ask(files, kind="command", run=["chmod", "+x", ".venv/bin/pyright"])

    result = ask(kind="type_check", tool="pyright")

    assert result.detail == "pyright: exit 3, not 0"
    assert "broken" in result.failures[0].message


@pytest.mark.parametrize(
    ("files", "detail"),
    [
        ({"api/a.proto": b"message Search {}\xff", "api/b.proto": "Day\n"}, None),
        ({"api/a.proto": "Searching Day_"}, "missing in api/*.proto: Search, Day"),
        ({"api/a.proto": "Search", "lib/b.proto": "Day"}, "missing in api/*.proto: Day"),
        ({"b.proto": "Search Day"}, "no file matches api/*.proto"),
    ],
)
def test_exports_are_whole_words_in_the_files(
    ask: Ask, files: dict[str, str | bytes], detail: str | None
) -> None:
    result = ask(files, kind="exports", paths=["api/*.proto"], names=["Search", "Day"])
    assert (result.passed, result.detail) == (detail is None, detail or "2 in api/*.proto")


def test_a_link_out_of_the_worktree_exports_nothing(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("Search\n")
    for place in (tmp_path / "outside", Path("/dev/zero")):
        link = tmp_path / "tree" / "api.txt"
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(place)
        result = ask(kind="exports", paths=["api.txt"], names=["Search"])
        assert (result.passed, result.detail) == (False, "missing in api.txt: Search")
