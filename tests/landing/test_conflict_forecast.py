"""Conflicts are shown before anything lands: between cells, features and targets, by real git."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestr.run.workspace import Session
from tests.conftest import git, write
from tests.e2e.workspace import Workspace
from tests.faults.broken_git import BrokenGit

HINT = "orchestr land demo pay --dry-run shows what the second meets when the first has landed"
# Cells that add their line to notes.txt, at the same place, or have a file of their own.
NOTES = 'echo "$ORCHESTR_CELL" >> notes.txt\n'

FUNCTION = 'printf "def $ORCHESTR_CELL():\\n    return 1\\n" > both.py\n'


class Street(Workspace):
    """Three features in one repository; the cells named in ``noting`` change the same file."""

    @classmethod
    def build(cls, root: Path, features: dict[str, dict[str, Any]], *noting: str) -> Street:
        made = cls.make(root)
        assert isinstance(made, Street)
        for feature, cells in features.items():
            made.spec(cells, feature=feature)
        for cell in noting:
            made.script(cell, NOTES)
        made.run("run", *features, code=0)
        return made

    def conflicts(self, *args: str) -> list[dict[str, Any]]:
        """`status --json`: every conflict once."""
        value = json.loads(self.run("status", *args, "--json", code=0).stdout)
        found = [row for feature in value["features"] for row in feature["conflicts"]]
        return [row for at, row in enumerate(found) if row not in found[:at]]

    def objects(self) -> set[str]:
        """Every object file of the clone."""
        folder = self.repos / "app" / ".git" / "objects"
        return {str(path) for path in folder.rglob("*") if path.is_file()}


THREE = {"demo": {"api": {}}, "pay": {"card": {}}, "docs": {"text": {}}}


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    made = Street.build(tmp_path_factory.mktemp("street"), THREE, "api", "card")
    yield made
    made.end()


def test_two_of_three_features_conflict(street: Street) -> None:
    before = street.objects()
    assert street.conflicts() == [
        {
            "repo": "app",
            "target": "main",
            "first": "demo:api",
            "first_kind": "cell",
            "second": "pay:card",
            "second_kind": "cell",
            "paths": ["notes.txt"],
            "unresolved": ["notes.txt"],
            "rung": None,
            "outcome": "its agent will be asked",
            "hint": HINT,
        }
    ]
    words = "card will conflict with demo:api in notes.txt: its agent will be asked"
    shown = street.run("status", code=0).stdout
    assert f"\n  ≠ {words}\n    hint: {HINT}\n" in shown
    assert "\n  ≠ pay:card will conflict with api in notes.txt: its agent will be asked\n" in shown
    assert shown.count("will conflict") == 2  # once at each of the two, not at docs
    assert f"\n≠ {words}\n  hint: {HINT}\n" in street.run("plan", "pay", code=0).stdout
    value = json.loads(street.run("plan", "docs", "--json", code=0).stdout)
    assert value["conflicts"] == []
    assert street.objects() == before  # a view leaves nothing in a clone


def test_a_second_look_starts_no_git_for_it(street: Street, tmp_path: Path) -> None:
    cache = street.root / ".orchestr" / "cache" / "forecast" / "app.json"
    cache.unlink(missing_ok=True)
    program = BrokenGit(tmp_path / "git")  # it counts, and breaks nothing before the 999th call

    def count_calls(words: str) -> int:
        street.run("status", env=program.env(words=words, at=999), code=0)
        return program.calls()

    assert count_calls(" merge-tree ") == 1
    stamp = cache.stat()
    assert count_calls("") == 0
    again = cache.stat()
    assert (again.st_ino, again.st_mtime_ns) == (stamp.st_ino, stamp.st_mtime_ns)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"paths": 3}', '{"merges": {"a": {"left": 1}}}'])
def test_a_broken_cache_is_made_again(street: Street, text: str) -> None:
    cache = street.root / ".orchestr" / "cache" / "forecast" / "app.json"
    whole = street.conflicts()
    good = cache.read_bytes()
    cache.write_text(text)
    assert street.conflicts() == whole
    assert json.loads(cache.read_bytes()) == json.loads(good)
    assert [path.name for path in cache.parent.iterdir()] == ["app.json"]


def test_cells_of_a_feature_and_their_target(tmp_path: Path) -> None:
    cells = {"api": {}, "ui": {}, "far": {"depends_on": ["ui"]}, "one": {}, "two": {}}
    street = Street.make(tmp_path / "w", cells=cells)
    assert isinstance(street, Street)
    scripts = {"api": NOTES, "ui": NOTES, "one": FUNCTION, "two": FUNCTION}
    for cell, text in scripts.items():
        street.script(cell, text)
    street.run("run", "demo", code=0)
    try:
        row, other = street.conflicts("demo")
        assert (other["first"], other["second"]) == ("demo:one", "demo:two")
        assert (other["paths"], other["unresolved"]) == (["both.py"], [])
        assert (other["rung"], other["hint"]) == ("structure", None)
        # What far has from ui is shown at ui only.
        assert (row["first"], row["second"]) == ("demo:api", "demo:ui")
        edge = "write `depends_on: [api]` in ui (specs/demo.yaml:14), then: orchestr run demo:ui"
        assert row["hint"] == edge
        assert edge in street.run("plan", "demo", code=0).stdout
        clone = street.repos / "app"
        write(clone, {"api.txt": "no conflict\n", "notes.txt": "somebody\n"})
        git(clone, "add", "notes.txt")
        git(clone, "commit", "--quiet", "-m", "somebody else's")
        git(clone, "push", "--quiet", "origin", "HEAD:main")
        git(clone, "update-ref", "refs/orchestr/base/origin/main", "HEAD")  # as a fetch of ours
        found = {(row["first"], row["second"]): row for row in street.conflicts("demo")}
        assert set(found) == {
            ("main", "demo:api"),
            ("main", "demo:ui"),
            ("demo:api", "demo:ui"),
            ("demo:one", "demo:two"),
        }
        target = found["main", "demo:ui"]
        tip = git(clone, "rev-parse", "HEAD")[:12]
        words = f"git -C {street.worktree('ui')} merge {tip}, resolve and commit, then: "
        assert (target["first_kind"], target["hint"]) == ("target", f"{words}orchestr run demo:ui")
    finally:
        street.end()


def test_other_peoples_pull_requests_count_where_the_forge_is_asked(street: Street) -> None:
    elsewhere = street.root / "elsewhere"
    git(street.root, "clone", "--quiet", str(street.repos / "app.git"), str(elsewhere))
    write(elsewhere, {"notes.txt": "theirs\n"})
    git(elsewhere, "checkout", "--quiet", "-b", "theirs")
    git(elsewhere, "add", "-A")
    git(elsewhere, "commit", "--quiet", "-m", "theirs")
    git(elsewhere, "push", "--quiet", "origin", "theirs")
    run = Session(street.root).load_run("pay")
    made = run.forge.open_pull_request(
        run.cell_context("card").repo_ref,
        head="theirs",
        base="main",
        title="t",
        body="",
        draft=False,
    )
    refs = git(street.repos / "app", "for-each-ref")
    words = (
        f"card will conflict with {made.url} in notes.txt: its agent will be asked if that lands"
    )
    for args in (("status", "pay", "--fetch"), ("land", "pay", "--dry-run")):
        assert words in street.run(*args).stdout
    assert words in street.run("plan", "pay", "--land", code=0).stdout
    assert git(street.repos / "app", "for-each-ref") == refs
    assert made.url not in street.run("status", "pay", code=0).stdout
    assert made.url not in street.run("status", "docs", "--fetch", code=0).stdout


def test_explain_and_report_have_it(street: Street) -> None:
    words = "card will conflict with demo:api in notes.txt: its agent will be asked"
    assert f"\nlanding\n  ≠ {words}\n" in street.run("explain", "pay:card", code=0).stdout
    assert "conflict" not in street.run("explain", "docs:text", code=0).stdout
    page = street.run("report", "pay", "-o", "-", code=0).stdout
    assert "Expected conflicts" in page and "demo:api" in page and HINT in page
    assert "Expected conflicts" not in street.run("report", "docs", "-o", "-", code=0).stdout
