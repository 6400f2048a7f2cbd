"""Somebody took a commit out of the target by a force push: landing does not bring it back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.landing.house import FEATURE, Yard, git

pytestmark = pytest.mark.slow
ONE = {"low": {"repo": "app"}}


def test_what_was_taken_out_of_the_target_stays_out(tmp_path: Path) -> None:
    yard = Yard.ready(tmp_path / "w", ONE, build=False, repos=("app",))
    first = yard.main()
    secret = yard.somebody_pushes({"secret.txt": "s\n"})
    yard.run("run", FEATURE, code=0)
    origin = yard.repos / "app.git"
    git(origin, "update-ref", "refs/heads/main", first)
    newer = yard.somebody_pushes({"other.txt": "o\n"})
    done = yard.run("land", FEATURE, code=1)
    assert "main was rewritten at the origin" in done.stderr and secret[:7] in done.stderr
    assert yard.main() == newer
    # The person does what the hint says: no agent starts, the work lands without the secret.
    place = yard.worktree("low")
    git(place, "fetch", "--quiet", "origin")
    git(place, "rebase", "--quiet", "--onto", "origin/main", secret[:12])
    yard.run("run", FEATURE, code=0)
    yard.run("land", FEATURE, code=0)
    assert yard.files() == ["README.md", "low.txt", "other.txt"]
    assert secret not in git(origin, "rev-list", "main")
    assert yard.starts() == ["start low 1", "end low 1"]
