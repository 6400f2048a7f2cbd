"""The Forgejo forge keeps the contracts, through httpx against the stub."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.testing.follow_contract import FollowContract
from orchestr.testing.forge_contract import ForgeContract
from tests.forges.forgejo_stub import Forgejo
from tests.forges.forgejo_world import ForgejoWorld


@pytest.fixture
def world(tmp_path: Path, forgejo: Forgejo) -> ForgejoWorld:
    return ForgejoWorld(tmp_path, forgejo)


class TestForgejoForge(ForgeContract):
    """The whole contract."""


class TestForgejoFollowing(FollowContract):
    """The whole contract."""
