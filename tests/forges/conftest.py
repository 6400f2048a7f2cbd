"""What tests of GitHub share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestr.forges import rate_limit

from .github_stub import GitHub


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    """The stub, and a `gh` that speaks with it alone; without what other tests waited for."""
    with GitHub(tmp_path) as stub:
        for name, value in stub.env().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(rate_limit, "_LANES", {})
        yield stub
