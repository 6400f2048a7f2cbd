"""Deleted, skipped and lost tests are found in real diffs of real repositories."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from orchestr.checks.weakened_tests import find_weakened_tests, is_test_file
from orchestr.git.unified_diff import DIFF_OPTIONS
from tests.conftest import MakeRepo, Sandbox, write

PY = (
    "import pytest\n\n\ndef test_one():\n    assert f() == 1\n\n\ndef test_two():\n    assert f()\n"
)
GO = (
    "package a\n\nfunc TestOne(t *testing.T) {\n\tif f() != 1 {\n\t\tt.Fatal()\n\t}\n}\n"
    "\nfunc TestTwo(t *testing.T) {\n\tf()\n}\n"
)
JAVA = "class AppTest {\n  @Test\n  void one() {}\n\n  @Test\n  void two() {}\n}\n"
JS = "describe('a', () => {\n  it('works', () => {});\n  it('fails', () => {});\n});\n"
RUST = "#[test]\nfn one() {}\n\n#[test]\nfn two() {}\n"

Change = dict[str, str | None]


def findings(make_repo: MakeRepo, before: dict[str, str], after: Change) -> list[str]:
    """What is found when ``before`` becomes ``after`` (None deletes a file)."""
    repo: Sandbox = make_repo("r", files=before, origin=False)
    base = repo.git("rev-parse", "HEAD")
    for name, text in after.items():
        if text is None:
            (repo.path / name).unlink()
        else:
            write(repo.path, {name: text})
    repo.commit({}, "change")
    diff = subprocess.run(
        ["git", "-C", str(repo.path), "diff", *DIFF_OPTIONS, base, "HEAD"],
        capture_output=True,
        check=True,
    ).stdout.decode()
    return [str(finding) for finding in find_weakened_tests(diff)]


@pytest.mark.parametrize(
    ("name", "before", "old", "new", "found"),
    [
        ("test_a.py", PY, "def test_two", "@pytest.mark.skip\ndef test_two",
         "test_a.py:8: test skipped: @pytest.mark.skip"),
        ("test_a.py", PY, "def test_two", '@unittest.skip("later")\ndef test_two',
         'test_a.py:8: test skipped: @unittest.skip("later")'),
        ("test_a.py", PY, "    assert f()\n", "    pytest.skip('x')\n    assert f()\n",
         "test_a.py:9: test skipped: pytest.skip('x')"),
        ("test_a.py", PY, "def test_one", "@pytest.mark.xfail\ndef test_one",
         "test_a.py:4: test skipped: @pytest.mark.xfail"),
        ("test_a.py", PY, "\n\ndef test_two():\n    assert f()\n", "",
         "test_a.py:8: test removed: test_two"),
        ("test_a.py", PY, "def test_two", "def not_test_two",
         "test_a.py:8: test removed: test_two"),
        ("test_a.py", PY, "def test_two():\n    assert f()\n",
         "# def test_two():\n#    assert f()\n", "test_a.py:8: test removed: test_two"),
        ("a_test.go", GO, "\tf()\n", '\tt.Skip("flaky")\n\tf()\n',
         'a_test.go:10: test skipped: t.Skip("flaky")'),
        ("a_test.go", GO, "func TestTwo", "func testTwo", "a_test.go:9: test removed: TestTwo"),
        ("src/test/AppTest.java", JAVA, "  @Test\n  void two", "  @Disabled\n  @Test\n  void two",
         "src/test/AppTest.java:5: test skipped: @Disabled"),
        ("src/test/AppTest.java", JAVA, "  @Test\n  void two", "  @Ignore\n  @Test\n  void two",
         "src/test/AppTest.java:5: test skipped: @Ignore"),
        ("src/test/AppTest.java", JAVA, "  @Test\n  void two", "  void two",
         "src/test/AppTest.java:5: test removed: @Test"),
        ("a.test.ts", JS, "it('fails'", "it.skip('fails'",
         "a.test.ts:3: test skipped: it.skip('fails', () => {});"),
        ("a.test.ts", JS, "it('works'", "it.only('works'",
         "a.test.ts:2: test skipped: it.only('works', () => {});"),
        ("a.test.ts", JS, "it('fails'", "xit('fails'",
         "a.test.ts:3: test skipped: xit('fails', () => {});"),
        ("a.test.ts", JS, "describe(", "describe.skip(",
         "a.test.ts:1: test skipped: describe.skip('a', () => {"),
        ("a.test.ts", JS, "  it('fails', () => {});\n", "",
         "a.test.ts:3: test removed: 'fails'"),
        ("tests/a.rs", RUST, "#[test]\nfn two", "#[test]\n#[ignore]\nfn two",
         "tests/a.rs:5: test skipped: #[ignore]"),
        ("tests/a.rs", RUST, "#[test]\nfn two", "fn two", "tests/a.rs:4: test removed: #[test]"),
        ("pytest.ini", "[pytest]\n", "[pytest]\n", "[pytest]\naddopts = --ignore=tests/hard\n",
         "pytest.ini:2: tests taken out by settings: addopts = --ignore=tests/hard"),
    ],
)  # fmt: skip
def test_each_way_to_weaken_a_test(
    make_repo: MakeRepo, name: str, before: str, old: str, new: str, found: str
) -> None:
    assert old in before

    got = findings(make_repo, {name: before}, {name: before.replace(old, new)})

    assert found in got
    assert len(got) <= 2  # `it.skip(` also takes `it(` away


def test_a_deleted_test_file(make_repo: MakeRepo) -> None:
    got = findings(make_repo, {"tests/test_a.py": PY, "b.py": ""}, {"tests/test_a.py": None})

    assert got == ["tests/test_a.py: test file deleted: test_one, test_two"]


def test_other_files_may_be_deleted(make_repo: MakeRepo) -> None:
    assert findings(make_repo, {"a.py": "x = 1\n", "b.md": "it.skip(\n"}, {"a.py": None}) == []


@pytest.mark.parametrize(
    "after",
    [
        {"test_a.py": PY + "\n\ndef test_three():\n    assert 1\n"},
        {"test_a.py": PY.replace("assert f() == 1", "assert f() == 2")},
        {"test_a.py": PY.replace("def test_two", "def test_another")},
        {"test_a.py": None, "tests/test_a.py": PY},
        {"test_a.py": None, "tests/test_b.py": PY.replace("import pytest", "x = 1\n" * 40)},
        {"test_a.py": PY.replace("def test_two():\n    assert f()\n", ""),
         "test_b.py": "def test_two():\n    assert f()\n"},
        {"test_a.py": "\n".join(reversed(PY.split("\n\n\n")))},
        {"test_a.py": "# never use pytest.mark.skip here\n" + PY},
        {"README.md": "Use `it.skip(` and @pytest.mark.skip with care.\n"},
    ],
    ids=["added", "changed", "renamed", "moved", "moved and changed", "one moved", "reordered",
         "comment", "prose"],
)  # fmt: skip
def test_honest_changes_are_no_finding(make_repo: MakeRepo, after: Change) -> None:
    assert findings(make_repo, {"test_a.py": PY}, after) == []


def test_a_skip_that_was_there_before_is_no_finding(make_repo: MakeRepo) -> None:
    old = PY.replace("def test_two", "@pytest.mark.skip\ndef test_two")

    assert findings(make_repo, {"test_a.py": old}, {"test_a.py": f"x = 1\n{old}"}) == []
    moved = {"test_a.py": None, "t/test_b.py": old.replace("import pytest", "import pytest\ny = 2")}
    assert findings_again(make_repo, old, moved) == []


def findings_again(make_repo: MakeRepo, old: str, after: Change) -> list[str]:
    repo: Sandbox = make_repo("again", files={"test_a.py": old}, origin=False)
    base = repo.git("rev-parse", "HEAD")
    for name, text in after.items():
        if text is None:
            (repo.path / name).unlink()
        else:
            write(repo.path, {name: text})
    repo.commit({}, "change")
    return [str(f) for f in find_weakened_tests(repo.git("diff", *DIFF_OPTIONS, base, "HEAD"))]


def test_names_that_git_quotes(make_repo: MakeRepo) -> None:
    name = "tests/test_ä b.py"

    assert findings(make_repo, {name: PY, "x": ""}, {name: None}) == [
        f"{name}: test file deleted: test_one, test_two"
    ]


def test_lines_that_look_like_a_diff_are_only_lines(make_repo: MakeRepo) -> None:
    text = "+++ b/test_x.py\n@@ -1,2 +1,2 @@\n-def test_gone():\ndiff --git a/x b/y\n"

    assert findings(make_repo, {"notes.txt": "a\n"}, {"notes.txt": text}) == []


@pytest.mark.parametrize(
    "path", ["test_a.py", "a/b_test.py", "x_test.go", "src/test/java/A.java", "FooTest.kt",
             "a.spec.ts", "src/__tests__/a.jsx", "tests/a.rs"],
)  # fmt: skip
def test_test_files(path: str) -> None:
    assert is_test_file(path)


@pytest.mark.parametrize("path", ["a.py", "contest.py", "a.go", "App.java", "a.ts", "src/a.rs"])
def test_other_files(path: str) -> None:
    assert not is_test_file(path)


def test_garbage_is_no_finding(tmp_path: Path) -> None:
    for text in ("", "@@ -1 +1 @@\n-def test_x():\n", "diff --git a b\n@@ -1,9 +1,9 @@\n-x"):
        assert find_weakened_tests(text) == ()
