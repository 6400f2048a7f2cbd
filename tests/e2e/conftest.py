"""The fixture of the tests from the outside."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace

MakeWorkspace = Callable[..., Workspace]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[MakeWorkspace]:
    """``workspace(repos=..., cells=...)``: see `Workspace.make`; ended after the test."""
    made: list[Workspace] = []

    def make(**wanted: object) -> Workspace:
        root = tmp_path / ("ws" if not made else f"ws{len(made)}")
        made.append(Workspace.make(root, **wanted))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.end()


CHAIN: dict[str, dict[str, object]] = {"a": {}, "b": {"depends_on": ["a"]}, "c": {}}


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder in which `built` lives, and a copy of it made after its one real run."""
    folder = tmp_path_factory.mktemp("built")
    ws = Workspace.make(folder / "ws", cells=CHAIN)
    for cell in CHAIN:
        ws.say(cell, f"the work of {cell}\n")
    ws.run("run", "demo", code=0)
    assert sorted(ws.starts()) == ["a 1", "b 1", "c 1"]
    shutil.copytree(ws.root, folder / "copy", symlinks=True)
    return ws.root, folder / "copy"


@pytest.fixture
def built(pristine: tuple[Path, Path]) -> Iterator[Workspace]:
    """`a`, its dependent `b` in the same repository, and `c`; all done.

    Put back for every test at the same place with the same times: git and the database know
    absolute paths, and a run for each test would take most of the suite's time.
    """
    place, copy = pristine
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(copy, place, symlinks=True)
    ws = Workspace(place)
    yield ws
    ws.end()
