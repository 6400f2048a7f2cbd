"""A cell that has landed is built again, or a person adds to it: the new work lands as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.landing.house import FEATURE, Yard, git

pytestmark = pytest.mark.slow

ONE = {"low": {"repo": "app"}}
AGAIN = "cat low.txt > was.txt 2>/dev/null; date +%N > low.txt\n"


def read_main(yard: Yard) -> str:
    return git(yard.repos / "app.git", "show", "main:low.txt")


@pytest.mark.parametrize("strategy", ["merge", "squash", "rebase"])
def test_what_is_built_again_after_a_landing_lands_too(tmp_path: Path, strategy: str) -> None:
    yard = Yard.ready(
        tmp_path / "w",
        ONE,
        repos=("app",),
        landing={"strategy": strategy},
        scripts={"low": AGAIN},
    )
    yard.run("land", FEATURE, code=0)
    first = read_main(yard)
    yard.run("run", FEATURE, "--force", code=0)
    assert yard.run("land", FEATURE, code=0).stdout.endswith("1 landed, 0 not\n")
    second = read_main(yard)
    assert second != first
    assert yard.run("land", FEATURE, code=0).stdout.startswith("nothing to land")
    # Both landings are taken back, and land again as they were last.
    yard.run("rollback", FEATURE, code=0)
    assert yard.files() == ["README.md"]
    yard.run("land", FEATURE, "--again", code=0)
    assert read_main(yard) == second
