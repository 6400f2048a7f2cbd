"""Which repository at which Forgejo or Gitea a clone's remote means.

The address of the forge is that of the remote, its port included; `[forge] url` names it where the
remote does not show it: another port or name for ssh than for https, a forge below a path
(`https://git.example.org/forge`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from orchestr.forges.base import RepoRef
from orchestr.forges.remote_urls import (
    USUAL_HOSTS,
    ForgeAddress,
    locate_remote,
    read_remote_address,
)

_PART = re.compile(r"[A-Za-z0-9_.-]+")
_KINDS = ("forgejo", "gitea")


@dataclass(frozen=True, slots=True)
class RepoPath(ForgeAddress):
    """A repository: ``root`` is the address of its forge: ``https://codeberg.org``, ``my-org``,
    ``platform``."""

    owner: str
    name: str

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def api(self) -> str:
        """Its path in the REST API."""
        return f"/repos/{quote(self.owner)}/{quote(self.name)}"


def parse_repo_url(url: str, root: str | None = None) -> RepoPath | None:
    """The repository that a remote's URL names; None for what cannot be one. Pure.

    ``root`` is the address of the forge, where it is set: that of every remote that may be there.
    """
    found = locate_remote(url, root)
    if found is None:
        return None
    scheme, host, path = found
    if host and USUAL_HOSTS.get(host, "forgejo") not in _KINDS:
        return None
    if host or root is None:
        root = f"{'http' if scheme == 'http' else 'https'}://{host}"
    parts = path.split("/")
    if len(parts) != 2 or any(_PART.fullmatch(each) is None for each in parts):
        return None
    if any(each in (".", "..") for each in parts):
        return None
    return RepoPath(root.rstrip("/"), *parts)


def read_repo_path(ref: RepoRef, root: str | None = None) -> RepoPath:
    """The repository behind a clone's remote.

    Raises ForgeAway without a clone, ForgeError when the remote is no repository at a forge.
    """
    return read_remote_address(
        ref, root, parse_repo_url,
        what="OWNER/NAME at a Forgejo or Gitea", example="https://codeberg.org/OWNER/NAME.git",
    )  # fmt: skip
