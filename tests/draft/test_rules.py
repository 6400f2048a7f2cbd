"""What a draft must hold beyond being a valid spec, each with the line of its fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.draft.repo_map import RepoFacts
from orchestr.draft.rules import DraftRules, read_drafted_spec
from orchestr.errors import SpecError
from orchestr.spec.reader import compile_spec

FACTS = {
    "api": RepoFacts("api", "1" * 40, contracts=("proto/a.proto",), packages=("acme.api",)),
    "web": RepoFacts("web", "2" * 40, uses={"api": "its acme.api"}),
    "docs": RepoFacts("docs", "3" * 40, has_checks=True),
}
TESTS = {**FACTS, "tests": RepoFacts("tests", "4" * 40)}
GOOD = """\
apiVersion: orchestr/v1
kind: Feature
metadata: {name: keys, title: Keys}
cells:
  api:
    repo: api
    owned_paths: [proto/**, src/**]
    checks: [{kind: command, name: t, run: [make, test]}]
    todo: [Add it]
  web:
    repo: web
    depends_on: [api]
    owned_paths: [src/**]
    checks: [{kind: command, name: t, run: [make, test]}]
    todo: [Use it]
"""


def judge(text: str, facts: dict[str, RepoFacts] = FACTS) -> list[str]:
    """What is wrong with a draft, without hints."""
    rules = DraftRules("keys", Path("/nowhere"), "draft", ("sh",), facts)
    try:
        read_drafted_spec(text, rules)
    except SpecError as error:
        return [str(problem).splitlines()[0] for problem in error.problems]
    return []


def test_a_good_draft_is_taken() -> None:
    assert judge(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: keys", "name: other", "draft:3:18: error: metadata.name: the feature is called"),
        ("repo: web", "repo: wbe", "draft:11:11: error: cells.web.repo: no repository 'wbe'"),
        ("    todo: [Use it]\n", "", "draft:10:3: error: cells.web: has no todo"),
        (
            "[src/**]\n    checks: [{kind: command, name: t, run: [make, test]}]\n    todo: [Use",
            "[src/**]\n    todo: [Use",
            "draft:10:3: error: cells.web: has no checks",
        ),
        (
            "  web:\n    repo: web\n    depends_on: [api]\n    owned_paths: [src/**]\n"
            "    checks: [{kind: command, name: t, run: [make, test]}]\n    todo: [Use it]\n",
            "",
            "draft:4:1: error: cells: 1 cell: a draft has 2 to 8",
        ),
        (
            "{kind: command, name: t, run: [make, test]}]\n    todo: [Use",
            "{kind: api_probe, url: 'http://127.0.0.1:80/'}]\n    todo: [Use",
            "draft:14:14: error: cells.web.checks[0]: `api_probe` without a server",
        ),
        ("repo: web\n", "repo: docs\n", "nothing shows that 'docs' uses code of 'api'"),
        ("todo: [Use it]", "todo: [Use it]\n    phases: [implement]", "its checks never run"),
        ("todo: [Use it]", "tood: [Use it]", "draft:15:5: error: cells.web.tood: unknown field"),
        ("    repo: api\n", "    repo: api\n    depends_on: [web]\n", "wait for each other"),
        ("  web:\n", "  ../web:\n", "draft:10:3: error"),
    ],
)
def test_each_fault_has_its_line(old: str, new: str, said: str) -> None:
    assert old in GOOD
    found = judge(GOOD.replace(old, new, 1) if "Use" not in old else new.join(GOOD.rsplit(old, 1)))
    assert any(said in line for line in found), found


def test_no_checks_needs_a_reason() -> None:
    checks = "    checks: [{kind: command, name: t, run: [make, test]}]\n    todo: [Use"
    without = GOOD.replace(checks, "    checks: none\n    todo: [Use")
    assert judge(without) == ["draft:14:13: error: cells.web.checks: `none` without a reason"]
    assert judge(without.replace("none", "none # words only")) == []


def test_checks_of_the_settings_count() -> None:
    text = GOOD.replace("repo: web\n    depends_on: [api]\n", "repo: docs\n")
    assert judge("\n".join(line for n, line in enumerate(text.splitlines()) if n != 12)) == []


def cell(name: str, owned: str = "go.mod", **more: str) -> str:
    extra = "".join(f"    {key}: {value}\n" for key, value in more.items())
    return (
        f"  {name}:\n    repo: api\n    owned_paths: [{owned}]\n{extra}"
        "    checks: [{kind: command, name: t, run: [make]}]\n    todo: [x]\n"
    )


HEAD = GOOD.partition("  api:")[0]


def test_a_path_of_three_cells_is_shared() -> None:
    found = judge(HEAD + cell("a") + cell("b") + cell("c"))
    assert [line for line in found if "is owned by 3 cells" in line] == [
        f"draft:{line}:19: error: cells.{name}.owned_paths[0]: 'go.mod' is owned by 3 cells"
        for name, line in (("a", 7), ("b", 12), ("c", 17))
    ]
    assert judge(HEAD + cell("a") + cell("b", "x.mod")) == []


def test_nine_cells_are_too_many() -> None:
    found = judge(HEAD + "".join(cell(f"c{n}", f"d{n}/**") for n in range(9)))
    assert found == ["draft:4:1: error: cells: 9 cells: a draft has 2 to 8"]


def test_a_contract_that_several_could_change_has_an_owner() -> None:
    text = HEAD + cell("a", "proto/**") + cell("b", '"*.proto"')
    assert judge(text) == [
        "draft:1:1: error: contracts: a, b may all change the contract proto/a.proto of api"
    ]
    owned = text.replace("cells:", "contracts: [{path: proto/**, owner: a}]\ncells:")
    assert judge(owned) == []


def test_the_owner_of_a_contract_may_be_waited_for() -> None:
    text = GOOD.replace("repo: web\n", "repo: docs\n")
    owned = text.replace("cells:", "contracts: [{path: proto/**, owner: api}]\ncells:", 1)
    assert judge(owned) == []


def test_tests_come_first_where_there_is_a_repository_of_tests() -> None:
    assert any("must be the first" in line for line in judge(GOOD, TESTS))
    first = cell("tests", "x/**").replace("repo: api", "repo: tests")
    with_tests = GOOD.replace("cells:\n", f"cells:\n{first}")
    assert judge(with_tests, TESTS) == []
    waits = with_tests.replace("depends_on: [api]", "depends_on: [tests, api]")
    assert any("whose tests it does not need" in line for line in judge(waits, TESTS))


def test_what_an_existing_spec_has_stays_allowed() -> None:
    odd = GOOD.replace("repo: web\n", "repo: docs\n")
    assert judge(odd) != []
    alone = GOOD.partition("  web:")[0]
    for text in (odd, alone):
        existing = compile_spec(text.encode(), "draft", "", ("sh",), None)[0]
        rules = DraftRules("keys", Path("/nowhere"), "draft", ("sh",), FACTS, existing)
        assert read_drafted_spec(text, rules).cells == existing.cells
