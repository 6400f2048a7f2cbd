"""A suite of checks: order, cache, words for a repair; and what a repository offers."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr.cell.proof.read_inputs import make_input_reader
from orchestr.checks import cache
from orchestr.checks.base import CheckResult, Failure, clean_text
from orchestr.checks.cache import ResultCache, cache_key
from orchestr.checks.detect import detect_checks, proposal_as_yaml
from orchestr.checks.suite import (
    ONLY_THIS,
    SuiteRequest,
    all_passed,
    evidence_text,
    failure_key,
    list_failures,
    run_suite,
    summarize_results,
)
from orchestr.git.repo import Repo
from orchestr.spec.check_kinds import list_kinds
from orchestr.spec.checks import CheckDef, check_from_row, check_to_row
from tests.checks.conftest import define, sh
from tests.conftest import git, write

Make = Callable[..., SuiteRequest]


@pytest.fixture
def request_for(tmp_path: Path) -> Make:
    (tmp_path / "tree").mkdir()

    def make(**changes: object) -> SuiteRequest:
        base = SuiteRequest(
            worktree=tmp_path / "tree",
            head="1" * 40,
            tree="2" * 40,
            folder=tmp_path / "round-1",
            marker=f"suite/{tmp_path.name}",
            env={"PATH": "/usr/bin:/bin"},
        )
        return replace(base, **changes)  # type: ignore[arg-type]

    return make


def checks(*scripts: str) -> list[CheckDef]:
    return [
        define(kind="command", name=f"c{i}", run=sh(script), pass_env=["MODE"])
        for i, script in enumerate(scripts, start=1)
    ]


def test_all_are_run_in_order_also_after_a_red_one(request_for: Make, tmp_path: Path) -> None:
    seen: list[str] = []

    results = run_suite(
        checks("exit 1", "true", "exit 2"), request_for(), listener=lambda r: seen.append(r.name)
    )

    assert [(r.name, r.passed) for r in results] == [("c1", False), ("c2", True), ("c3", False)]
    assert seen == ["c1", "c2", "c3"]
    assert (
        summarize_results(results)
        == "1 of 3 checks passed; red: c1 (exit 1, not 0), c3 (exit 2, not 0)"
    )
    assert not all_passed(results)
    assert sorted(p.name for p in (tmp_path / "round-1").iterdir()) == [
        "001-c1", "001-c1.log", "002-c2", "002-c2.log", "003-c3", "003-c3.log",
    ]  # fmt: skip


def test_a_stopped_suite_ends_with_the_stopped_check(request_for: Make) -> None:
    stop = threading.Event()

    def stop_soon(result: CheckResult) -> None:
        if not result.stopped:  # the first has ended, so the second is about to run
            threading.Timer(1.0, stop.set).start()

    todo = checks("true", "sleep 60", "true")
    results = run_suite(todo, request_for(stop=stop), listener=stop_soon)

    assert [r.stopped for r in results] == [False, True]


def test_what_passed_on_the_same_tree_is_not_run_again(request_for: Make, tmp_path: Path) -> None:
    kept = ResultCache(tmp_path / "cache" / "checks")
    todo = checks("echo x >> ran1", "echo x >> ran2; exit 1")
    run_suite(todo, request_for(), cache=kept)

    again = run_suite(todo, request_for(folder=tmp_path / "round-2"), cache=kept)

    assert [(r.passed, r.cached) for r in again] == [(True, True), (False, False)]
    assert (tmp_path / "tree" / "ran1").read_text() == "x\n"
    assert (tmp_path / "tree" / "ran2").read_text() == "x\nx\n"  # red is always seen afresh


@pytest.mark.parametrize(
    ("what", "change"),
    [("tree", {"tree": "3" * 40}), ("environment", {"environ": {"MODE": "other"}})],
)
def test_what_makes_it_run_again(
    request_for: Make, tmp_path: Path, what: str, change: dict[str, object]
) -> None:
    kept = ResultCache(tmp_path / "cache")
    run_suite(checks("true"), request_for(), cache=kept)

    (result,) = run_suite(checks("true"), request_for(**change), cache=kept)

    assert not result.cached


def test_another_definition_another_key() -> None:
    one, two = checks("true", "exit 0")
    assert cache_key(one, "t", {}) != cache_key(two, "t", {})
    assert cache_key(one, "t", {"HOME": "/x"}) == cache_key(one, "t", {})
    assert cache_key(replace(one, name="other"), "t", {}) == cache_key(one, "t", {})  # type: ignore[type-var]


def test_what_a_check_reads_decides_whether_it_runs_again(
    request_for: Make, tmp_path: Path
) -> None:
    clone, kept = tmp_path / "clone", ResultCache(tmp_path / "cache")
    clone.mkdir()
    git(clone, "init", "--quiet")
    run = sh(f"echo x >> {tmp_path / 'book'}")
    check = define(kind="command", name="web", run=run, reads=["web/**"])

    def is_run(files: dict[str, str], others: str = "") -> bool:
        write(clone, files)
        git(clone, "add", "-A")
        tree = git(clone, "write-tree")
        reader = make_input_reader(Repo(clone), tree, others)
        request = request_for(tree=f"{tree}{others}", read_inputs=reader)
        (result,) = run_suite([check], request, cache=kept)
        return not result.cached

    assert is_run({"web/a.js": "1", "api/a.go": "1"})
    assert not is_run({"api/a.go": "2"}) and not is_run({"README.md": "new"})
    assert is_run({"web/a.js": "2"}) and is_run({"web/b/c.js": "1"})
    assert is_run({"api/go.sum": "1"}) and is_run({".gitattributes": "* text"})
    assert is_run({}, "another upstream")
    check = define(kind="command", name="web", run=run, reads=["wbe/**"])  # a typing error
    assert is_run({}) and is_run({"api/a.go": "3"}) and not is_run({})


def test_a_check_that_names_nothing_keeps_its_row() -> None:
    """Digests are made of rows: an update must not run every check once more."""
    (plain,) = checks("true")
    named = define(kind="command", name="c1", run=sh("true"), pass_env=["MODE"], reads=["a/", "b"])
    row = check_to_row(plain)
    assert row[:6] == ["command", "c1", plain.timeout, "", [], ["MODE"]]
    assert check_to_row(named) == [*row, ["a/", "b"]]
    assert (check_from_row(row), check_from_row([*row, ["a/", "b"]])) == (plain, named)


@pytest.mark.parametrize("damage", ["", "{}", "x" * 64, None])
def test_a_corrupt_entry_is_none(request_for: Make, tmp_path: Path, damage: str | None) -> None:
    kept = ResultCache(tmp_path / "cache")
    run_suite(checks("true"), request_for(), cache=kept)
    (entry,) = (tmp_path / "cache").iterdir()
    text = entry.read_text()
    entry.write_text(text.replace("exit 0", "exit 1") if damage is None else damage)

    (result,) = run_suite(checks("true"), request_for(), cache=kept)

    assert (result.passed, result.cached) == (True, False)


def test_without_its_evidence_a_kept_result_counts_for_nothing(
    request_for: Make, tmp_path: Path
) -> None:
    kept = ResultCache(tmp_path / "cache")
    (first,) = run_suite(checks("true"), request_for(), cache=kept)
    Path(first.log).unlink()

    (result,) = run_suite(checks("true"), request_for(), cache=kept)

    assert not result.cached


texts = st.text(max_size=8)


@given(
    st.builds(
        CheckResult,
        texts,
        st.sampled_from(list_kinds()),
        st.booleans(),
        texts,
        failures=st.lists(st.builds(Failure, texts, texts, texts, texts), max_size=2).map(tuple),
        artefacts=st.lists(texts, max_size=2).map(tuple),
        exit=st.none() | st.integers(-15, 255),
        tests=st.none() | st.integers(0, 9),
    )
)
def test_results_come_back_exactly(result: CheckResult) -> None:
    value = json.loads(json.dumps(cache.result_as_dict(result)))

    assert cache.result_from_dict(value) == result


# --- words for a repair --------------------------------------------------------------------


def red(tmp_path: Path) -> tuple[CheckResult, ...]:
    log = tmp_path / "x.log"
    log.write_text("one\ntwo\n\x1b[31mthree\x1b[0m\n")
    failures = (
        Failure("t.test_a", "t.py", "assert 1 == 2", "pytest t.py::test_a"),
        Failure("t.test_b", "t.py", "boom ```x```", "pytest t.py::test_b"),
    )
    return (
        CheckResult("unit", "pytest", False, "2 failed", failures, log=str(log)),
        CheckResult("lint", "command", True, "exit 0"),
        CheckResult("build", "command", False, "exit 2, not 0"),
    )


def test_one_failure_at_a_time(tmp_path: Path) -> None:
    results = red(tmp_path)

    assert len(list_failures(results)) == 3
    assert evidence_text(results, 0) == (
        "check unit (pytest): t.test_a\n"
        "File: t.py\n"
        "Reproduce with: pytest t.py::test_a\n"
        "\n```\nassert 1 == 2\n```\n"
        f"\n{ONLY_THIS}\n"
        "\nEnd of the output of check unit:\n"
        "\n```\none\ntwo\nthree\n```\n"
        "\n2 more fail; leave them for now:\n"
        "- check unit (pytest): t.test_b\n"
        "- check build (command): exit 2, not 0\n"
    )


def test_all_failures_in_fences_that_hold(tmp_path: Path) -> None:
    text = evidence_text(red(tmp_path))

    assert text.count("## check") == 3
    assert "````\nboom ```x```\n````" in text


def test_nothing_red_nothing_to_say() -> None:
    assert evidence_text(()) == ""
    assert (all_passed(()), summarize_results(())) == (True, "no checks")


def test_the_same_failures_have_the_same_key(tmp_path: Path) -> None:
    first = red(tmp_path)
    other = replace(first[0], failures=(replace(first[0].failures[0], message="at 0x7f"),))
    same = replace(first[0], failures=(replace(first[0].failures[0], message="at 0x80"),))

    assert failure_key((other,)) == failure_key((same,)) != failure_key(first)


def test_clean_keeps_both_ends_of_a_long_text() -> None:
    text = clean_text("a" * 10000 + "b" * 10000, 300)

    assert text.startswith("a" * 100) and text.endswith("b" * 200)
    assert clean_text("\x1b]0;title\x07x\x1b[2Jy\r\nz\x00") == "xy\nz"


# --- detection -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "proposed"),
    [
        ({"pyproject.toml": "[tool.pytest.ini_options]\n"},
         ["{kind: pytest}  # pyproject.toml has settings of pytest"]),
        ({"tests/test_a.py": ""}, ["{kind: pytest}  # there is a tests/test_a.py"]),
        ({"pyproject.toml": "[project]\n"}, []),
        ({"go.mod": "module x\n"},
         ["{kind: command, run: [go, test, ./...]}  # there is a go.mod"]),
        ({"pom.xml": "<project/>", "mvnw": ""},
         ['{kind: junit, run: [./mvnw, -B, test], reports: '
          '["**/target/surefire-reports/TEST-*.xml"]}  # there is a pom.xml']),
        ({"package.json": '{"scripts": {"test": "vitest"}}', "pnpm-lock.yaml": ""},
         ['{kind: command, run: [pnpm, test], env: {CI: "1"}}  '
          "# package.json has a script `test`"]),
        ({"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'},
         []),
        ({"package.json": "[" * 100000}, []),
        ({"Cargo.toml": ""}, ["{kind: command, run: [cargo, test]}  # there is a Cargo.toml"]),
        ({"Makefile": "test: all\n\tx\ncheck: test\n"},
         ["{kind: command, run: [make, check]}  # Makefile has a target `check`"]),
        ({"Makefile": "check := 1\ntests:\n"}, []),
        ({"Makefile": "check:\n", "go.mod": "module x\n"},
         ["{kind: command, run: [go, test, ./...]}  # there is a go.mod"]),
        ({"README.md": ""}, []),
        # Folders, where nothing is at the top.
        ({"web/package.json": '{"scripts": {"test": "vitest"}}', "api/go.mod": "module x\n",
          "packages/core/Cargo.toml": "", "docs/README.md": ""},
         ['{kind: command, run: [go, test, ./...], cwd: "api"}  # there is a go.mod in api',
          '{kind: command, run: [npm, test], env: {CI: "1"}, cwd: "web"}  '
          "# package.json has a script `test` in web",
          '{kind: command, run: [cargo, test], cwd: "packages/core"}  '
          "# there is a Cargo.toml in packages/core"]),
        ({"1/conftest.py": "", "no/pom.xml": "<project/>"},
         ['{kind: pytest, cwd: "1"}  # there is a conftest.py in 1',
          '{kind: junit, run: [mvn, -B, test], reports: '
          '["**/target/surefire-reports/TEST-*.xml"], cwd: "no"}  # there is a pom.xml in no']),
        ({"go.mod": "module x\n", "web/package.json": '{"scripts": {"test": "vitest"}}'},
         ["{kind: command, run: [go, test, ./...]}  # there is a go.mod"]),
        ({"node_modules/a/go.mod": "", "vendor/go.mod": "", ".venv/go.mod": "", "-x/go.mod": "",
          "two words/go.mod": "", "a/b/go.mod": ""}, []),
        ({f"part{n:02}/go.mod": "" for n in range(30)},
         [f'{{kind: command, run: [go, test, ./...], cwd: "part{n:02}"}}  '
          f"# there is a go.mod in part{n:02}" for n in range(8)]),
    ],
)  # fmt: skip
def test_what_a_repository_has(tmp_path: Path, files: dict[str, str], proposed: list[str]) -> None:
    write(tmp_path, files)

    assert [f"{proposal_as_yaml(p)}  # {p.reason}" for p in detect_checks(tmp_path)] == proposed


HOSTILE = {
    "no JSON": b'{"scripts": {"test": ',
    "another JSON": b'{"scripts": ["test"]}',
    "a number": b'{"scripts": {"test": 1}}',
    "deep": b'{"scripts":' * 100_000,
    "no UTF-8": b"\xff\xfe\x00" * 1000,
    "huge": b'{"name": "' + b"x" * (3 << 20) + b'", "scripts": {"test": "vitest"}}',
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_cannot_be_read_is_not_there(tmp_path: Path, what: str) -> None:
    for name in ("package.json", "web/package.json"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(HOSTILE[what])
    assert detect_checks(tmp_path) == ()


def test_links_pipes_and_folders_are_not_looked_into(tmp_path: Path) -> None:
    """A link out of the tree would make us tell of, and run, what is not the repository's."""
    outside, tree = tmp_path / "outside", tmp_path / "tree"
    write(outside, {"go.mod": "module x\n", "tests/test_a.py": "", "Makefile": "check:\n",
                    "package.json": '{"scripts": {"test": "secret"}}'})  # fmt: skip
    tree.mkdir()
    for name in ("go.mod", "Makefile", "package.json", "tests"):
        (tree / name).symlink_to(outside / name)
    (tree / "linked").symlink_to(outside)
    (tree / "loop").symlink_to(tree)
    (tree / "test_gone.py").symlink_to(tmp_path / "gone")
    os.mkfifo(tree / "pom.xml")  # reading it would wait for ever
    (tree / "Cargo.toml").mkdir()
    assert detect_checks(tree) == ()
    link = tmp_path / "link"
    link.symlink_to(outside)
    assert [p.reason for p in detect_checks(link)][:1] == [
        "there is a tests/test_a.py"
    ]  # a person's own


def test_a_folder_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    assert detect_checks(tmp_path / "none") == ()
