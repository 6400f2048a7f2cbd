"""Which programs must be there for a command to begin: only those are asked for on PATH."""

from __future__ import annotations

import pytest

from orchestr.checks.missing_program import list_first_programs


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("make test", ["make"]),
        ("cd web && npm test", ["npm"]),
        ("CI=1 npm test 2>&1 | tee log", ["npm"]),
        ("set -e; env A=1 node x.js", ["env", "node"]),
        ("exec sh run.sh", ["sh"]),
        ("A=1 exec -a name make test", ["make"]),
        ("command -v make && time npm test", ["make"]),
        # The shell does these itself.
        ("exit 3", []),
        ("read line; test -z $line", []),
        ("kill -9 $$", []),
        ("echo hi", []),
        ("exec 2>&1; make", []),
        ("command echo hi", []),
        ("check() { grep -q x f; }; check", []),
        ("2>&1 make", []),
        ("(cd web && npm test)", []),
    ],
)
def test_the_first_programs_of_a_script(script: str, wanted: list[str]) -> None:
    assert list_first_programs(["sh", "-c", script]) == ("sh", *wanted)
