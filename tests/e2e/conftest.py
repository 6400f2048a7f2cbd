"""The fixture of the tests from the outside."""

from __future__ import annotations

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
