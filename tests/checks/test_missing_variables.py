"""A variable that a check needs and does not get: named, not evaluated, never a paid repair."""

from __future__ import annotations

import json

import pytest

from orchestr.agents.environment import agent_env
from orchestr.process.missing_variable import find_missing_variables
from tests.checks.conftest import Ask, py, sh

USER = {"ACME_TOKEN": "t0k3n", "AWS_PROFILE": "dev", "DATABASE_URL": "x", "PWD": "/", "LANG": "C"}


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("ACME_TOKEN is not set", ["ACME_TOKEN"]),
        ("sh: 1: ACME_TOKEN: parameter not set", ["ACME_TOKEN"]),
        ("x.sh: line 3: ACME_TOKEN: unbound variable", ["ACME_TOKEN"]),
        ("    raise KeyError(key)\nKeyError: 'ACME_TOKEN'", ["ACME_TOKEN"]),
        ("Error: Missing required environment variable: ACME_TOKEN", ["ACME_TOKEN"]),
        ('{"path": ["ACME_TOKEN"],\n "message": "Required"}', ["ACME_TOKEN"]),
        ("key not found: \"ACME_TOKEN\" (KeyError)", ["ACME_TOKEN"]),
        ("panic: DATABASE_URL must be set: NotPresent", ["DATABASE_URL"]),
        ("process.env.ACME_TOKEN is undefined; set AWS_PROFILE, too: it is empty",
         ["ACME_TOKEN", "AWS_PROFILE"]),
        ("NEW_VAR is not set", ["NEW_VAR"]),
        ("The environment variable NEW_VAR is required", ["NEW_VAR"]),
        ("KeyError: 'NEW_VAR'", ["NEW_VAR"]),
        ("The JAVA_HOME environment variable is not defined correctly", ["JAVA_HOME"]),
        ("MY_ACME_TOKEN_2 was read", []),
        ("sent ACME_TOKEN to the server", []),
        ("MAX_SIZE expected 3, got 4", []),
        ("PWD is not set", []),
        ("KeyError: 'name'", []),
        ("assert RED_GREEN == 1", []),
    ],
)  # fmt: skip
def test_what_an_output_misses(said: str, names: list[str]) -> None:
    found = find_missing_variables(f"begin\n{said}\nend", {"PATH", "LANG"}, USER)
    assert [one.name for one in found] == names


def test_what_a_program_was_given_is_not_missing() -> None:
    assert find_missing_variables("ACME_TOKEN is not set", {"ACME_TOKEN"}, USER) == ()


def test_places_of_tools_pass_and_tokens_do_not() -> None:
    tools = {"JAVA_HOME": "/jdk", "NVM_DIR": "/n", "GOPATH": "/go", "ASDF_DATA_DIR": "/a",
             "CARGO_HOME": "/c", "PYENV_ROOT": "/p", "JAVA_HOME_21_X64": "/j"}  # fmt: skip
    assert agent_env({**tools, **USER, "GOPROXY": "https://me:pw@x"}, ()) == {**tools, "LANG": "C"}


FAILS = sh('echo "${ACME_TOKEN:?}"')


def test_a_dropped_variable_is_not_evaluated(ask: Ask) -> None:
    found = ask(kind="command", run=FAILS, user=USER)
    assert found.unavailable and not found.is_red
    assert "it needs ACME_TOKEN, set here and not passed on: add pass_env: [ACME_TOKEN]" in (
        found.detail
    )
    assert "t0k3n" not in found.detail


def test_what_the_check_itself_names_is_not_evaluated_without_it(ask: Ask) -> None:
    found = ask(kind="command", run=FAILS, pass_env=["ACME_TOKEN"])
    assert found.unavailable and "ACME_TOKEN is not set: set it, then run again" in found.detail


def test_a_tool_that_is_nowhere_is_not_evaluated(ask: Ask) -> None:
    found = ask(kind="command", run=sh('echo "JAVA_HOME is not set"; exit 1'))
    assert found.unavailable and "JAVA_HOME is not set: set it" in found.detail


def test_a_variable_of_the_change_stays_red(ask: Ask) -> None:
    """Nobody has set it: the code may have invented it. It is named all the same."""
    found = ask(kind="command", run=py("import os; os.environ['NEW_VAR']"), user=USER)
    assert found.is_red
    assert "NEW_VAR is not set: set it, and add pass_env: [NEW_VAR] to check" in found.detail


def test_every_kind_is_read(ask: Ask) -> None:
    """Also one that knows its tests by name."""
    rows = [{"test_name": "a", "passed": False, "error": "no ACME_TOKEN: not set"}]
    found = ask(kind="tests", run=py(f"print({json.dumps(json.dumps(rows))})"), user=USER)
    assert found.unavailable and "ACME_TOKEN" in found.detail


def test_a_green_check_may_say_what_it_likes(ask: Ask) -> None:
    found = ask(kind="command", run=sh("echo ACME_TOKEN is not set"), user=USER)
    assert found.passed and "ACME_TOKEN" not in found.detail
