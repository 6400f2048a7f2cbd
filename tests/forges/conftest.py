"""What tests of forges share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from orchestr.forges import rate_limit

from .forgejo_stub import Forgejo
from .github_stub import GitHub
from .github_stub.served import Served
from .gitlab_stub import GitLab

S = TypeVar("S", bound=Served)


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    """The stub, and a `gh` that speaks with it alone."""
    yield from serve_stub(GitHub(tmp_path), monkeypatch)


@pytest.fixture
def forgejo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forgejo]:
    """The stub, and an environment with its token."""
    (tmp_path / "forgejo").mkdir()
    yield from serve_stub(Forgejo(tmp_path / "forgejo"), monkeypatch)


@pytest.fixture
def gitlab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitLab]:
    """The stub, and an environment with its token."""
    (tmp_path / "gitlab").mkdir()
    yield from serve_stub(GitLab(tmp_path / "gitlab"), monkeypatch)


def serve_stub(stub: S, monkeypatch: pytest.MonkeyPatch) -> Iterator[S]:
    """A stub that is served, with its environment; without what other tests waited for."""
    with stub:
        for name, value in stub.env().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(rate_limit, "_LANES", {})
        yield stub
