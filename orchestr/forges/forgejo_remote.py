"""Which repository at which Forgejo or Gitea a clone's remote means.

The address of the forge is that of the remote, its port included; `[forge] url` names it where the
remote does not show it: another port or name for ssh than for https, a forge below a path
(`https://git.example.org/forge`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from orchestr.forges.base import ForgeError, RepoRef
from orchestr.forges.github_remote import (
    read_remote_urls,
    resolve_ssh_host,
    split_remote_url,
)
from orchestr.process.run import redact

_PART = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class RepoPath:
    """A repository: ``root`` is the address of its forge without a slash at the end:
    ``https://codeberg.org``, ``my-org``, ``platform``."""

    root: str
    owner: str
    name: str

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def host(self) -> str:
        """Host, and port where it has one of its own: what rate limits are kept by."""
        return urlsplit(self.root).netloc

    @property
    def url(self) -> str:
        """Where people see it."""
        return f"{self.root}/{self}"

    @property
    def api(self) -> str:
        """Its path in the REST API."""
        return f"/repos/{quote(self.owner)}/{quote(self.name)}"


def parse_repo_url(url: str, root: str | None = None) -> RepoPath | None:
    """The repository that a remote's URL names; None for what cannot be one. Pure.

    ``root`` is the address of the forge, where it is set.
    """
    found = split_remote_url(url)
    if found is None:
        return None
    scheme, host, path = found
    if root is None:
        root = f"{'http' if scheme == 'http' else 'https'}://{host}"
    else:
        root = root.rstrip("/")
        below = urlsplit(root).path.strip("/")
        if below and scheme in ("http", "https"):
            if not path.startswith(f"{below}/"):
                return None
            path = path.removeprefix(f"{below}/")
    parts = path.split("/")
    if len(parts) != 2 or any(_PART.fullmatch(each) is None for each in parts):
        return None
    if any(each in (".", "..") for each in parts):
        return None
    return RepoPath(root, *parts)


def read_repo_path(ref: RepoRef, root: str | None = None) -> RepoPath:
    """The repository behind a clone's remote.

    Raises ForgeAway without a clone, ForgeError when the remote is no repository at a forge.
    """
    urls = read_remote_urls(ref)
    for url in urls:
        found = parse_repo_url(url, root)
        if found is not None:
            return found if root else _resolve_alias(found, url)
    raise ForgeError(
        f"repository {ref.name}: its remote {ref.remote!r} ({redact(urls[0], ())}) is not"
        " OWNER/NAME at a Forgejo or Gitea",
        hint=f"git -C {ref.path} remote set-url {ref.remote} https://codeberg.org/OWNER/NAME.git,"
        f" or set [repos.{ref.name}] forge_url in orchestr.toml to where the forge is",
    )


def _resolve_alias(repo: RepoPath, url: str) -> RepoPath:
    """The real host of one that ``~/.ssh/config`` gives another name."""
    if url.startswith("http"):
        return repo
    return RepoPath(f"https://{resolve_ssh_host(repo.host)}", repo.owner, repo.name)
