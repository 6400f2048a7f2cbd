"""Real agent programs in a workspace of their own, talking to a model that plays a script.

Where a program comes from: `ORCHESTR_TEST_AGENTS` (a folder with `claude`, `codex`, ...), else
PATH. Fake keys, an empty HOME; the only network is 127.0.0.1 (a proxy that refuses is set).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests.agents.house import AgentHouse
from tests.e2e.conftest import workspace

__all__ = ["house", "workspace"]

PROGRAMS = "ORCHESTR_TEST_AGENTS"


def program(name: str) -> str:
    """The program, or the test is skipped with the way to get it."""
    folder = os.environ.get(PROGRAMS)
    found = shutil.which(name, path=folder) if folder else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (npm install, then {PROGRAMS}=node_modules/.bin)")
    return str(Path(found).absolute())


@pytest.fixture(params=["claude", "codex"])
def cli(request: pytest.FixtureRequest) -> str:
    """Each of the agents that CI installs, by kind."""
    name: str = request.param
    program(name)
    return name


MakeHouse = Callable[..., AgentHouse]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[MakeHouse]:
    """``house("claude", script, also=["codex"])``: see `AgentHouse.build`; ended afterwards."""
    made: list[AgentHouse] = []

    def make(kind: str, *args: object, also: Iterable[str] = (), **wanted: object) -> AgentHouse:
        root = tmp_path / f"h{len(made)}"
        wanted["also"] = {name: program(name) for name in also}
        made.append(AgentHouse.build(root, kind, program(kind), *args, **wanted))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()
