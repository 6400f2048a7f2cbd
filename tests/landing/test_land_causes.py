"""A red check goes to the cell that its output names: that is repaired, lands first, and who was
red because of it is tried again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.landing.house import FEATURE, Yard, both

pytestmark = pytest.mark.slow
CELLS = {"e": {"owned_paths": ["e.txt"]}, "g": {"owned_paths": ["g.txt"]}}
# Green alone; together only when e.txt says so.
TOGETHER = "if [ -e e.txt ] && [ -e g.txt ] && ! grep -q right e.txt; then echo NAMED; exit 1; fi"
E = "if [ -e e.txt ]; then echo right > e.txt; else echo first > e.txt; fi\n"


def make_yard(root: Path, named: str = "wrong in e.txt", **more: object) -> Yard:
    yard = Yard.ready(root / "w", CELLS, repos=("app",), build=False, scripts={"e": E})
    text = (yard.root / "orchestr.toml").read_text()
    check = TOGETHER.replace("NAMED", named)
    yard.root.joinpath("before.sh").write_text(f"{check}\n")
    del text
    yard.run("run", FEATURE, code=0)
    return yard


def test_the_cell_that_is_named_is_repaired_and_lands_first(tmp_path: Path) -> None:
    yard = make_yard(tmp_path)
    done = yard.run("land", FEATURE, code=0)
    print(both(done))
    print((yard.root / ".orchestr/journal/demo.jsonl").read_text())
    print(yard.run("status", FEATURE).stdout)
    print(yard.history(), yard.starts())
    yard.end()
    assert 0
