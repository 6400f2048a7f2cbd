"""Which project at which GitLab a clone's remote means.

A project's path has a group, any number of sub-groups and a name. The address of the GitLab is that
of the remote; `[forge] url` names it where the remote does not show it: another port for ssh than
for https, another name for ssh, a GitLab below a path (`https://git.example.org/gitlab`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from orchestr.forges.base import RepoRef
from orchestr.forges.rate_limit import is_this_machine
from orchestr.forges.remote_urls import (
    USUAL_HOSTS,
    ForgeAddress,
    locate_remote,
    read_remote_address,
)

GITLAB = "gitlab.com"
_PART = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*")  # of a path: also what GitLab made of a name


@dataclass(frozen=True, slots=True)
class ProjectPath(ForgeAddress):
    """A project: ``root`` is its GitLab's address, ``path`` its groups and name:
    ``https://gitlab.com``, ``my-org/sdk/platform``."""

    path: str

    def __str__(self) -> str:
        return self.path

    @property
    def api(self) -> str:
        """Its path in the REST API."""
        return f"/projects/{quote(self.path, safe='')}"


def parse_project_url(url: str, root: str | None = None) -> ProjectPath | None:
    """The project that a remote's URL names; None for what cannot be one. Pure.

    ``root`` is the address of the GitLab, where it is set: that of every remote that may be there.
    Over https (a remote may say http, by which a token would be sent for all to read) but on this
    machine, or where ``root`` says so.
    """
    found = locate_remote(url, root)
    if found is None:
        return None
    scheme, host, path = found
    if host and USUAL_HOSTS.get(host, "gitlab") != "gitlab":
        return None
    if host or root is None:
        plain = scheme == "http" and is_this_machine(host)
        root = f"{'http' if plain else 'https'}://{host}"
    parts = path.split("/")
    if len(parts) < 2 or any(_PART.fullmatch(part) is None for part in parts):
        return None
    if any(part in (".", "..") for part in parts):
        return None
    return ProjectPath(root.rstrip("/"), "/".join(parts))


def read_project(ref: RepoRef, root: str | None = None) -> ProjectPath:
    """The project behind a clone's remote.

    Raises ForgeAway without a clone, ForgeError when the remote is no project at a GitLab.
    """
    return read_remote_address(
        ref, root, parse_project_url,
        what="a project at a GitLab", example=f"https://{GITLAB}/GROUP/NAME.git",
    )  # fmt: skip
