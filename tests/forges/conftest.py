"""What tests of forges share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestr.forges import rate_limit

from .forgejo_stub import Forgejo
from .github_stub import GitHub
from .gitlab_stub import GitLab


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    """The stub, and a `gh` that speaks with it alone; without what other tests waited for."""
    with GitHub(tmp_path) as stub:
        for name, value in stub.env().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(rate_limit, "_LANES", {})
        yield stub


@pytest.fixture
def forgejo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forgejo]:
    """The stub, and an environment with its token; without what other tests waited for."""
    folder = tmp_path / "forgejo"
    folder.mkdir()
    with Forgejo(folder) as stub:
        for name, value in stub.env().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(rate_limit, "_LANES", {})
        yield stub


@pytest.fixture
def gitlab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitLab]:
    """The stub, and an environment with its token; without what other tests waited for."""
    folder = tmp_path / "gitlab"
    folder.mkdir()
    with GitLab(folder) as stub:
        for name, value in stub.env().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(rate_limit, "_LANES", {})
        yield stub
