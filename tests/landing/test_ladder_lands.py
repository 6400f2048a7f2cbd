"""Conflicted cells that land without an agent: through the program, on real repositories."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.crash.github_house import GitHubHouse
from tests.forges.github_stub import GH, NO_GH
from tests.landing.house import FEATURE, Yard, both, git

pytestmark = pytest.mark.slow
NOTES = 'printf "%s\\n" "of $ORCHESTR_CELL" >> notes.txt\n'
ONE_TWO: Mapping[str, Mapping[str, Any]] = {"one": {}, "two": {}}
# The lock is the sorted list of the parts; whoever adds a part writes it again.
LOCK = "mkdir -p parts; echo $ORCHESTR_CELL > parts/$ORCHESTR_CELL; cat parts/* > lock.txt\n"


def build(
    root: Path, scripts: Mapping[str, str], cls: type[Yard] = Yard, *, repairs: int = 0, **repo: Any
) -> Yard:
    cells: dict[str, dict[str, Any]] = {name: {} for name in scripts}
    return cls.ready(root, cells, repos=("app",), scripts=scripts, repo=repo,
                     landing={"repairs": repairs})  # fmt: skip


def test_a_union_lands_and_says_so_everywhere(tmp_path: Path) -> None:
    yard = build(tmp_path / "w", {"one": NOTES, "two": NOTES}, union=["notes.txt"])
    dry = yard.run("land", FEATURE, "--dry-run", code=0)
    assert "resolved by union: notes.txt" in dry.stdout
    done = yard.run("land", FEATURE, code=0)
    assert "resolved   by union: notes.txt" in done.stderr
    assert "(resolved by union: notes.txt)" in done.stdout
    assert git(yard.repos / "app.git", "show", "main:notes.txt") == "of one\nof two"
    yard.landed(ONE_TWO, ("app",))
    resolved = [e["data"].get("resolved") for e in yard.journal(kind="land.done")]
    assert sorted(resolved, key=bool) == [[], ["union: notes.txt"]]
    assert "conflicts resolved by union: notes.txt" in yard.run("explain", f"{FEATURE}:two").stdout
    # Rolled back, it is gone again; landed again, the same merge is checked and lands.
    yard.run("rollback", FEATURE, code=0)
    assert yard.files() == ["README.md"]
    yard.run("land", FEATURE, "--again", code=0)
    assert git(yard.repos / "app.git", "show", "main:notes.txt") == "of one\nof two"
    yard.always_green(("app",))


def test_a_lock_file_is_written_again_by_its_generator(tmp_path: Path) -> None:
    write_again = ["sh", "-c", "cat parts/* > lock.txt; date > junk"]
    generated = [{"paths": ["lock.txt"], "run": write_again}]
    yard = build(tmp_path / "w", {"one": LOCK, "two": LOCK}, generated=generated)
    done = yard.run("land", FEATURE, code=0)
    assert "generate   writes lock.txt again" in done.stderr, both(done)
    assert git(yard.repos / "app.git", "show", "main:lock.txt") == "one\ntwo"
    assert yard.files() == ["README.md", "lock.txt", "parts/one", "parts/two"]
    assert "regenerate: lock.txt" in git(yard.repos / "app.git", "log", "-1", "--format=%B", "main")
    yard.landed(ONE_TWO, ("app",))


def test_a_generator_that_fails_leaves_the_conflict_with_its_words(tmp_path: Path) -> None:
    generated = [{"paths": ["lock.txt"], "run": ["sh", "-c", "echo half > lock.txt; exit 3"]}]
    yard = build(tmp_path / "w", {"one": LOCK, "two": LOCK}, generated=generated)
    before = yard.head("two")
    done = yard.run("land", FEATURE, code=1)
    assert yard.history() == ["one"]
    assert "≠ two merge conflict: conflict in lock.txt" in done.stdout
    (parked,) = yard.journal(kind="land.parked")
    assert "its generator failed" in parked["data"]["reason"]
    assert "enter.py" not in parked["data"]["reason"], "the command as the settings have it"
    assert "in lock.txt; its generator failed" in done.stderr
    assert yard.head("two") == before and yard.states()["two"] == "merge_conflict"


def test_what_an_agent_resolved_once_is_not_asked_again(tmp_path: Path) -> None:
    resolve = (
        'if grep -q "<<<<<<<" notes.txt 2>/dev/null; then printf "both\\n" > notes.txt\n'
        "git commit -qam merged; else echo first >> notes.txt; fi\n"
    )
    scripts = {"one": "echo second >> notes.txt\n", "two": resolve}
    yard = build(tmp_path / "w", scripts, repairs=1)
    yard.run("land", FEATURE, code=0)
    assert len(yard.journal(kind="land.repair")) == 1
    assert git(yard.repos / "app.git", "show", "main:notes.txt") == "both"
    # The same two changes meet again, in another feature on the commit before.
    yard.run("rollback", FEATURE, code=0)
    yard.spec({"three": {}, "four": {}}, feature="other")
    yard.script("three", "echo second >> notes.txt\n")
    yard.script("four", "echo first >> notes.txt\n")
    yard.run("run", "other", code=0)
    done = yard.run("land", "other", code=0)
    assert "by recorded" in done.stderr, both(done)
    assert git(yard.repos / "app.git", "show", "main:notes.txt") == "both"
    assert len(yard.journal(kind="land.repair")) == 1


class Hub(GitHubHouse, Yard):
    """A yard whose pull requests are at GitHub."""


@pytest.mark.skipif(GH is None, reason=NO_GH)
def test_an_agent_gets_what_the_ladder_left_and_nothing_else(tmp_path: Path) -> None:
    """Of two conflicted files it sees one; its work on that one ends the merge."""
    both_files = "printf 'def %s():\\n    return 1\\n' $ORCHESTR_CELL > parts.py\n"
    both_files += "echo $ORCHESTR_CELL > same.txt\n"
    look = (
        'if grep -q "<<<<<<<" same.txt 2>/dev/null; then\n'
        f"  cp parts.py {tmp_path}/seen.py; git status --short > {tmp_path}/status\n"
        "  printf 'one\\ntwo\\n' > same.txt; git add -A; git commit -qm merged; exit; fi\n"
    )
    yard = build(tmp_path / "w", {"one": both_files, "two": look + both_files}, repairs=1)
    done = yard.run("land", FEATURE, code=0)
    seen = (tmp_path / "seen.py").read_text()
    assert "<<<<" not in seen and seen.count("def ") == 2, both(done)
    assert (tmp_path / "status").read_text().splitlines() == ["M  parts.py", "AA same.txt"]
    assert git(yard.repos / "app.git", "show", "main:parts.py") == seen.rstrip()
    (prompt,) = (yard.cell_dir("two") / "attempts" / "2").glob("prompt*")
    text = prompt.read_text()
    assert "left conflicts in same.txt. " in text
    assert "Resolved and staged already, by a merge that keeps both sides: parts.py." in text
    assert not (yard.cell_dir("two") / "landing-resolved.toml").exists()
    yard.landed(ONE_TWO, ("app",))


def test_the_merge_button_gets_a_branch_that_has_the_merge(tmp_path: Path) -> None:
    """GitHub would refuse the conflict: the branch takes the checked merge, and is merged."""
    hub = build(tmp_path / "w", {"one": NOTES, "two": NOTES}, Hub, union=["notes.txt"])
    before = hub.head("two")
    done = hub.run("land", FEATURE, "--yes", code=0)
    assert "updated    its branch has that merge" in done.stderr, both(done)
    assert git(hub.repos / "app.git", "show", "main:notes.txt") == "of one\nof two"
    git(hub.repos / "app.git", "merge-base", "--is-ancestor", before, "main")
    hub.landed(ONE_TWO, ("app",))
    resolved = [e["data"].get("resolved") for e in hub.journal(kind="land.done")]
    assert ["union: notes.txt"] in resolved


def test_without_any_check_an_agent_is_asked_as_before(tmp_path: Path) -> None:
    """Nothing would show that the lines of both are right together."""
    scripts = {"one": NOTES, "two": NOTES}
    yard = build(tmp_path / "w", scripts, union=["notes.txt"], land_checks=[])
    done = yard.run("land", FEATURE, code=1)
    assert yard.history() == ["one"], both(done)
    assert "≠ two merge conflict: conflict in notes.txt" in done.stdout
    (parked,) = yard.journal(kind="land.parked")
    assert "no check of the cell or its repository shows" in parked["data"]["reason"]
