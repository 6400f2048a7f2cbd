"""An attempt for each test; whatever it leaves is ended."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from attempts import Attempt, make


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Attempt]:
    yield from make(tmp_path)
