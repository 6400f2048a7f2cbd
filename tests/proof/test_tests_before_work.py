"""`test_first: true`: the tests of a change are red on its base and green on its head."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from orchestr.checks.test_files import find_failing_lines, holds_tests
from orchestr.git.mixed_tree import take_paths
from orchestr.git.repo import CommitId, Repo
from tests.conftest import MakeRepo, Sandbox, git
from tests.e2e.workspace import FEATURE, Workspace, both, nothing_to_do
from tests.proof.test_reviewers import begin

Make = Callable[..., Workspace]

SUITE: dict[str, Any] = {"kind": "command", "name": "unit", "run": ["sh", "run-tests.sh"]}
FIRST: dict[str, Any] = {"test_first": True, "repair": {"checks": 0}, "checks": [SUITE]}
# Every `tests/*.test` is a script that must end with 0; what failed is named.
RUN_TESTS = """\
bad=0
for one in tests/*.test; do [ -e "$one" ] || { echo "no tests found"; exit 5; }
  sh "$one" || { echo "FAIL $one"; bad=1; }; done
exit $bad
"""


def make(workspace: Make, *cells: str, **more: Any) -> Workspace:
    ws = workspace(cells={name: {**FIRST, **more} for name in cells})
    Sandbox(ws.repos / "app", ws.repos / "app.git").commit(
        {"run-tests.sh": RUN_TESTS, "tests/old.test": "test -e run-tests.sh\n"}, "tests", push=True
    )
    return ws


def test_tests_that_were_not_red_are_no_evidence(workspace: Make) -> None:
    ws = make(workspace, "none", "vain", "only", "well")
    ws.script("none", "echo half > half.txt")
    ws.script("vain", "echo half > half.txt; echo true > tests/vain.test")
    ws.script("only", "echo true > tests/only.test")
    ws.script("well", "echo half > half.txt; echo 'grep -q half half.txt' > tests/half.test")
    said = both(ws.run("run", FEATURE, code=1))
    assert list(ws.heads()) == ["T-1-well", "main"]
    assert "the change adds and changes no test" in said
    assert "tests/vain.test: green on the base" in said
    assert "the change holds nothing but tests" in said
    base = git(ws.repos / "app.git", "rev-parse", "main")[:12]
    shown = f"tests/half.test: red on the base {base} (unit: exit 1, not 0), green on the head"
    assert ws.status()["well"]["test_first"] == shown
    assert shown in ws.pr("well")["body"]
    assert "test first" in json.dumps(json.loads(ws.result("well", "checks.json"))["items"])
    assert not list((ws.root / ".orchestr" / "test-first").glob("*/*/.git"))


def test_the_author_is_asked_for_a_test_once_it_is_missing(workspace: Make) -> None:
    ws = make(workspace, "one", repair={"checks": 1})
    ws.script("one", 'if [ -z "$ORCHESTR_ROUND" ]; then echo half > half.txt; else\n'
                     'cp "$ORCHESTR_REPAIR_FILE" "$AGENT_DIR/told.md"\n'
                     "echo 'grep -q half half.txt' > tests/half.test; fi")  # fmt: skip
    ws.run("run", FEATURE, code=0)
    assert "fail without your change" in (ws.agents / "told.md").read_text()


def test_a_base_that_is_red_already(workspace: Make) -> None:
    """What fails there has to name the tests of the change."""
    ws = make(workspace, "vain", "well")
    app = Sandbox(ws.repos / "app", ws.repos / "app.git")
    app.commit({"tests/old.test": "test -e mended.txt\n"}, "red", push=True)
    ws.script("vain", "touch mended.txt; echo true > tests/vain.test")
    ws.script("well", "touch mended.txt; echo half > half.txt\n"
                      "echo 'grep -q half half.txt' > tests/half.test")  # fmt: skip
    said = both(ws.run("run", FEATURE, code=1))
    assert list(ws.heads()) == ["T-1-well", "main"]
    assert "but so it is without the tests" in said


def test_the_first_test_of_a_repository(workspace: Make) -> None:
    ws = make(workspace, "one")
    git(ws.repos / "app", "rm", "-q", "tests/old.test")
    git(ws.repos / "app", "commit", "-qm", "no tests")
    git(ws.repos / "app", "push", "-q", "origin", "HEAD:main")
    ws.script("one", "mkdir tests; echo half > half.txt\n"
                     "echo 'grep -q half half.txt' > tests/half.test")  # fmt: skip
    ws.run("run", FEATURE, code=0)
    assert "T-1-one" in ws.heads()


def test_tests_elsewhere_are_named_in_the_settings(workspace: Make) -> None:
    ws = make(workspace, "one")
    ws.settings(repos={"app": {"test_paths": ["proofs/*.sh"]}})
    suite = {**SUITE, "run": ["sh", "-c", "[ ! -d proofs ] || sh proofs/half.sh"]}
    ws.spec({"one": {**FIRST, "checks": [suite]}})
    proof = "echo 'grep -q half half.txt' > proofs/half.sh; : > proofs/notes.md"
    ws.script("one", f"mkdir proofs; echo half > half.txt; {proof}")
    ws.run("run", FEATURE, code=0)
    assert ws.status()["one"]["test_first"].startswith("proofs/half.sh: red on the base ")


def test_what_cannot_be_evaluated_is_told(workspace: Make) -> None:
    """Before an agent starts, in status and in the pull request; it is no evidence."""
    ws = workspace(cells={"bare": {"test_first": True, "checks": "none"}})
    said = both(ws.run("validate"))
    assert "test_first cannot be shown for bare" in said
    ws.run("run", FEATURE, code=0)
    told = "not evaluated: its spec says `checks: none`"
    assert ws.status()["bare"]["test_first"] == told
    assert f"**Tests first**: {told}" in ws.pr("bare")["body"]


def test_a_change_of_the_spec_asks_for_it(workspace: Make) -> None:
    ws = make(workspace, "one", test_first=False)
    ws.script("one", "echo half > half.txt")
    ws.run("run", FEATURE, code=0)
    ws.edit_spec("test_first: false", "test_first: true")
    assert "the change adds and changes no test" in both(ws.run("run", FEATURE, code=1))
    assert ws.starts("one") == ["one 1"]


def test_what_an_earlier_version_built_stays(workspace: Make) -> None:
    """It asked its agent for tests first and could not show them; status says so."""
    ws = make(workspace, "one", test_first=False)
    ws.script("one", "echo half > half.txt")
    ws.run("run", FEATURE, code=0)
    inputs = ws.cell_dir("one") / "inputs.json"
    known = json.loads(inputs.read_text())
    del known["phases"]["check"]["test_first"]  # it did not know it
    inputs.write_text(json.dumps(known))
    ws.edit_spec("test_first: false", "test_first: true")
    nothing_to_do(ws)
    assert ws.status()["one"]["test_first"].startswith(
        "not evaluated: orchestr run --force demo:one"
    )
    ws.run("run", f"{FEATURE}:one", "--force", code=1)
    assert ws.starts("one")[:2] == ["one 1", "one 2"]


def test_a_run_killed_on_the_base(workspace: Make) -> None:
    """The next one ends the test that was left at work, and proves it again."""
    ws = make(workspace, "one")
    wait = (f'grep -q half half.txt || {{ [ -e "{ws.agents}/go" ] || '
            f'{{ touch "{ws.agents}/works"; sleep 60; }}; false; }}')  # fmt: skip
    ws.script("one", f"echo half > half.txt; cat > tests/half.test <<'T'\n{wait}\nT")
    child = begin(ws)
    child.kill()
    child.wait()
    assert ws.processes() != []
    (ws.agents / "go").touch()
    ws.run("run", FEATURE, code=0)
    assert ws.processes() == [] and ws.starts("one") == ["one 1"]
    assert "red on the base" in ws.status()["one"]["test_first"]
    assert not list((ws.root / ".orchestr" / "test-first").glob("*/*/.git"))


@pytest.mark.parametrize(
    ("path", "holds"),
    [("tests/test_shop.py", True), ("shop_test.go", True), ("src/test/java/ShopTest.java", True),
     ("web/cart.test.tsx", True), ("web/__tests__/cart.js", True), ("spec/cart_spec.rb", True),
     ("Shop.Tests/CartTests.cs", True), ("tests/cart.rs", True), ("CartTests.swift", True),
     ("lib/cart_test.exs", True), ("test/cart.bats", True), ("CartTest.php", True),
     ("pkg/testdata/one.json", True), ("shop.py", False), ("src/main/java/Shop.java", False),
     ("contest.py", False), ("latest.go", False), ("web/cart.tsx", False), ("src/cart.rs", False),
     ("README.md", False), ("src/protest.php", False), ("attest.cs", False)],
)  # fmt: skip
def test_files_of_tests(path: str, holds: bool) -> None:
    assert holds_tests(path) is holds


@pytest.mark.parametrize(
    ("line", "found"),
    [("FAILED tests/test_half.py::test_one - assert 1 == 2", True),
     ("ERROR: test_half (unittest.loader._FailedTest)", True),
     ("    half_test.go:12: expected 2", True), ("--- FAIL: TestOther (0.00s)", False),
     ("tests/test_half.py ..   [100%]", False), ("FAILED tests/test_halfway.py::test_x", False)],
)  # fmt: skip
def test_lines_that_say_that_a_test_failed(line: str, found: bool) -> None:
    files = ["tests/test_half.py", "half_test.go"]
    assert bool(find_failing_lines(line, files)) is found


def test_a_base_with_the_tests_of_a_head(make_repo: MakeRepo) -> None:
    """Changed, added and removed files, also one that becomes a folder; the rest is the base's."""
    sandbox = make_repo()
    first = {"a.py": "1\n", "tests/t": "1\n", "tests/gone": "1\n", "tests/deep": "1\n"}
    sandbox.commit(first, "base")
    repo = Repo(sandbox.path)
    base = repo.require_head()
    git(sandbox.path, "rm", "-q", "tests/gone", "tests/deep")
    sandbox.commit({"a.py": "2\n", "tests/t": "2\n", "tests/deep/new": "1\n"}, "head")
    head = CommitId(git(sandbox.path, "rev-parse", "HEAD"))
    paths = ["tests/t", "tests/gone", "tests/deep", "tests/deep/new"]
    tree = take_paths(repo, base, head, paths)
    lines = git(sandbox.path, "ls-tree", "-r", "--name-only", tree).splitlines()
    assert "tests/gone" not in lines and "tests/deep/new" in lines and "tests/deep" not in lines
    assert git(sandbox.path, "show", f"{tree}:a.py") == "1"
    assert git(sandbox.path, "show", f"{tree}:tests/t") == "2"
    assert repo.dirty_paths() == []
