"""`[forge] kind = "gitea"`: Forgejo's API; a token without an address is for gitea.com."""

from __future__ import annotations

from functools import partial

from orchestr.forges.kinds.forgejo import make_forgejo_forge
from orchestr.settings.kinds import ForgeKind

KIND = ForgeKind(partial(make_forgejo_forge, "gitea"), keys=("patience", "url"))
