"""Checks, ports and the pool of checks in the settings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestr.checks.kinds.command import CommandCheck
from orchestr.checks.kinds.pytest import PytestCheck
from orchestr.errors import SpecError
from orchestr.settings.loader import load_settings
from orchestr.settings.records import CheckSettings, PortSettings

GOOD = """\
[repos.platform]
detect = true
checks = [{kind = "pytest"}]

[[repos.web.checks]]
kind = "command"
run = ["npm", "test"]

[[repos.web.checks]]
kind = "pytest"
selector = "unit"

[checks]
jobs = 5
[ports]
base = 12000
slots = 3
"""


def workspace(root: Path, text: str) -> Path:
    (root / "orchestr.toml").write_text(text)
    return root


def problems(root: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_settings(workspace(root, text), environ)
    return [str(problem) for problem in caught.value.problems]


def test_what_is_set(tmp_path: Path) -> None:
    settings = load_settings(workspace(tmp_path, GOOD), {})

    assert settings.repo_settings("platform").checks == (PytestCheck(name="pytest", timeout=300.0),)
    assert settings.repo_settings("platform").detect
    assert settings.repo_settings("web").checks == (
        CommandCheck(name="command", timeout=600.0, run=("npm", "test")),
        PytestCheck(name="pytest", timeout=300.0, selector="unit"),
    )
    assert (settings.checks, settings.ports) == (CheckSettings(5), PortSettings(12000, 3))


def test_what_is_usual(tmp_path: Path) -> None:
    settings = load_settings(workspace(tmp_path, ""), {})

    assert (settings.checks.jobs, settings.ports) == (2, PortSettings(9000, 20))
    assert (settings.repo_settings("x").checks, settings.repo_settings("x").detect) == ((), False)


def test_the_environment_goes_over_it(tmp_path: Path) -> None:
    environ = {
        "ORCHESTR_SET_REPOS_PLATFORM_CHECKS": '[{kind = "tests", run = ["x"]}]',
        "ORCHESTR_SET_CHECKS_JOBS": "7",
    }

    settings = load_settings(workspace(tmp_path, GOOD), environ)

    assert [check.kind for check in settings.repo_settings("platform").checks] == ["tests"]
    assert settings.checks.jobs == 7


def test_a_second_start_needs_no_pydantic(tmp_path: Path) -> None:
    first = load_settings(workspace(tmp_path, GOOD), {})
    program = (
        "import sys; from pathlib import Path; from orchestr.settings.loader import load_settings\n"
        "settings = load_settings(Path(sys.argv[1]), {})\n"
        "assert settings.repo_settings('web').checks[0].run == ('npm', 'test')\n"
        "assert 'pydantic' not in sys.modules and 'yaml' not in sys.modules\n"
    )

    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)

    for file in (tmp_path / ".orchestr" / "cache").iterdir():
        file.write_text("torn")
    assert load_settings(tmp_path, {}).repos == first.repos


def test_every_problem_with_its_place(tmp_path: Path) -> None:
    text = """\
[repos.a]
checks = "pytest"
[repos.b]
checks = [{kind = "pytset"}, {kind = "command", run = []}]
[[repos.c.checks]]
kind = "command"
run = ["make"]
[[repos.c.checks]]
kind = "command"
run = ["make"]
exit = 2026-01-01
[[repos.c.checks]]
kind = "api_probe"
path = "/"
json = {day = 2026-01-01, nan = nan}
[checks]
jobs = 0
[ports]
base = 80
"""

    assert problems(tmp_path, text) == [
        "orchestr.toml:2:10: error: repos.a.checks: must be a list of checks, got a text\n"
        "  hint: write [[...checks]]",
        "orchestr.toml:4:1: error: repos.b.checks.0: there is no kind of check `pytset`\n"
        "  hint: did you mean `pytest`?",
        "orchestr.toml:4:1: error: repos.b.checks.1.run: is empty\n"
        "  hint: name a program, like [make, test]",
        "orchestr.toml:11:8: error: repos.c.checks.1.exit: must be a whole number, got a date",
        "orchestr.toml:15:8: error: repos.c.checks.2.json: cannot be JSON, it holds a mapping\n"
        "  hint: put it in quotes",
        "orchestr.toml:17:8: error: checks.jobs: must be between 1 and 1,000, got 0",
        "orchestr.toml:19:8: error: ports.base: must be between 1024 and 65,000, got 80",
    ]


def test_ports_must_fit(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "[ports]\nbase = 65000\nslots = 100\n")

    assert "100 slots of 10 ports from 65000 on end after 65535" in problem


def test_what_a_test_is_is_said_in_the_patterns_of_owned_paths(tmp_path: Path) -> None:
    text = '[repos.a]\ntest_paths = ["/spec/", "*_test.go"]\n'
    settings = load_settings(workspace(tmp_path, text), {})
    assert settings.repo_settings("a").test_paths == ("/spec/", "*_test.go")
    with pytest.raises(SpecError) as caught:
        load_settings(workspace(tmp_path, text.replace("/spec/", "./spec")), {})
    assert str(caught.value.problems[0]) == (
        "orchestr.toml:2:14: error: repos.a.test_paths: `./spec` matches nothing, as git reads it\n"
        "  hint: write `spec`"
    )
