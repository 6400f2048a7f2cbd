"""Which project at which GitLab a clone's remote means.

A project's path has a group, any number of sub-groups and a name. The address of the GitLab is that
of the remote; `[forge] url` names it where the remote does not show it: another port for ssh than
for https, another name for ssh, a GitLab below a path (`https://git.example.org/gitlab`).
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

GITLAB = "gitlab.com"
_SAME = {"altssh.gitlab.com": GITLAB, "www.gitlab.com": GITLAB}
_PART = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*")  # of a path: also what GitLab made of a name


@dataclass(frozen=True, slots=True)
class ProjectPath:
    """A project: ``root`` is its GitLab's address without a slash at the end, ``path`` its groups
    and name: ``https://gitlab.com``, ``my-org/sdk/platform``."""

    root: str
    path: str

    def __str__(self) -> str:
        return self.path

    @property
    def host(self) -> str:
        """Host, and port where it has one of its own: what rate limits are kept by."""
        return urlsplit(self.root).netloc

    @property
    def url(self) -> str:
        """Where people see it."""
        return f"{self.root}/{self.path}"

    @property
    def api(self) -> str:
        """Its path in the REST API."""
        return f"/projects/{quote(self.path, safe='')}"


def parse_project_url(url: str, root: str | None = None) -> ProjectPath | None:
    """The project that a remote's URL names; None for what cannot be one. Pure.

    ``root`` is the address of the GitLab, where it is set.
    """
    found = split_remote_url(url)
    if found is None:
        return None
    scheme, host, path = found
    if root is None:
        host = _SAME.get(host, host)
        root = f"{'http' if scheme == 'http' else 'https'}://{host}"
    else:
        root = root.rstrip("/")
        below = urlsplit(root).path.strip("/")
        if below and scheme in ("http", "https"):
            if not path.startswith(f"{below}/"):
                return None
            path = path.removeprefix(f"{below}/")
    parts = path.split("/")
    if len(parts) < 2 or any(_PART.fullmatch(part) is None for part in parts):
        return None
    if any(part in (".", "..") for part in parts):
        return None
    return ProjectPath(root, "/".join(parts))


def read_project(ref: RepoRef, root: str | None = None) -> ProjectPath:
    """The project behind a clone's remote.

    Raises ForgeAway without a clone, ForgeError when the remote is no project at a GitLab.
    """
    urls = read_remote_urls(ref)
    for url in urls:
        found = parse_project_url(url, root)
        if found is not None:
            return found if root else _resolve_alias(found, url)
    raise ForgeError(
        f"repository {ref.name}: its remote {ref.remote!r} ({redact(urls[0], ())}) is not a project"
        " at a GitLab",
        hint=f"git -C {ref.path} remote set-url {ref.remote} https://gitlab.com/GROUP/NAME.git",
    )


def _resolve_alias(project: ProjectPath, url: str) -> ProjectPath:
    """The real host of one that ``~/.ssh/config`` gives another name."""
    if url.startswith("http"):
        return project
    host = resolve_ssh_host(project.host)
    return ProjectPath(f"https://{_SAME.get(host, host)}", project.path)
