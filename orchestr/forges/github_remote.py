"""Which repository at which GitHub host a clone's remote means.

The answer comes from the clone, never from a setting: so the repository that is pushed to is the
one that is asked for pull requests. How its URL is read says `.remote_urls`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchestr.forges.base import ForgeError, RepoRef
from orchestr.forges.remote_urls import (
    find_main_name,
    read_remote_urls,
    resolve_ssh_host,
    split_remote_url,
)
from orchestr.process.run import redact

_NAME = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class RepoSlug:
    """A repository at a host: ``github.com``, ``opentdf``, ``platform``."""

    host: str
    owner: str
    name: str

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def url(self) -> str:
        """Where people see it."""
        return f"https://{self.host}/{self}"


def parse_remote_url(url: str) -> RepoSlug | None:
    """The repository that a URL names; None for what cannot be one at a GitHub host: a folder, a
    path of other than two parts.
    """
    found = split_remote_url(url)
    if found is None:
        return None
    _, host, path = found
    parts = path.split("/")
    if len(parts) != 2:
        return None
    if any(_NAME.fullmatch(part) is None or part in (".", "..") for part in parts):
        return None
    return RepoSlug(find_main_name(host), *parts)


def read_repo_slug(ref: RepoRef) -> RepoSlug:
    """The repository behind a clone's remote: the first of its URLs that is at a GitHub host.

    Raises ForgeAway without a clone, ForgeError when the remote is not at a GitHub host.
    """
    urls = read_remote_urls(ref)
    for url in urls:
        found = parse_remote_url(url)
        if found is not None:
            host = resolve_ssh_host(found.host)
            return RepoSlug(find_main_name(host), found.owner, found.name)
    raise ForgeError(
        f"repository {ref.name}: its remote {ref.remote!r} ({redact(urls[0], ())}) is not a"
        " repository at a GitHub host",
        hint=f"git -C {ref.path} remote set-url {ref.remote} https://github.com/OWNER/NAME.git",
    )
