"""A clone whose origin is a repository at the stub of Forgejo, and what people do there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestr.forges.forgejo import ForgejoForge
from tests.forges.forgejo_stub import Forgejo
from tests.forges.stub_world import PATIENCE, StubWorld

SLUG = "my-org/platform"


class ForgejoWorld(StubWorld):
    """A world at the stub. Logins there cannot end with `[bot]`; who is called so is one."""

    slug = SLUG
    forge: ForgejoForge
    checks_name_places = False
    questions_each = 4

    def __init__(self, folder: Path, forgejo: Forgejo, **more: Any) -> None:
        super().__init__(folder, forgejo)
        self.forgejo = forgejo
        self.forge = ForgejoForge(patience=PATIENCE, **more)
        path = self.forge.path_for(self.repo)
        self.forge.api.read_own_name(path)
        self.forge.api.read_page_size(path)

    def find_thread(self, thread: str) -> str:
        return str(self.forgejo.thread_of(int(thread.split("/")[1]))["id"])
