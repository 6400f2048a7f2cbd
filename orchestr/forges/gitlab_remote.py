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
from orchestr.forges.rate_limit import is_this_machine
from orchestr.process.run import redact

GITLAB = "gitlab.com"
_OTHERS = ("github.com", "ssh.github.com", "bitbucket.org", "codeberg.org", "gitea.com")
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
        return read_host(self.root)

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

    ``root`` is the address of the GitLab, where it is set: that of every remote that may be there.
    Over https (a remote may say http, by which a token would be sent for all to read) but on this
    machine, or where ``root`` says so.
    """
    found = split_remote_url(url)
    if found is None:
        return None
    scheme, host, path = found
    if root is None or _is_elsewhere(scheme, host, root):
        host = _SAME.get(host, host)
        if host in _OTHERS:
            return None
        plain = scheme == "http" and is_this_machine(host)
        root = f"{'http' if plain else 'https'}://{host}"
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


def read_host(address: str) -> str:
    """The host of an address (`https://GIT.example.org:443/x`, or without a scheme), with its port
    where it is not the usual one. Pure."""
    parts = urlsplit(address if "://" in address else f"https://{address}")
    host = parts.netloc.rpartition("@")[2].lower()
    usual = {"https": ":443", "http": ":80"}.get(parts.scheme, "")
    return host.removesuffix(usual)


def _is_elsewhere(scheme: str, host: str, root: str) -> bool:
    """Whether a remote cannot be at the GitLab of ``root``: https names another host (ssh may have
    a name of its own for the same), or it is a host that everybody knows."""
    theirs = read_host(root)
    if scheme in ("http", "https"):
        return host.partition(":")[0] != theirs.partition(":")[0]
    known = _SAME.get(host, host)
    return known != theirs and (known == GITLAB or known in _OTHERS)


def read_project(ref: RepoRef, root: str | None = None) -> ProjectPath:
    """The project behind a clone's remote.

    Raises ForgeAway without a clone, ForgeError when the remote is no project at a GitLab.
    """
    urls = read_remote_urls(ref)
    for url in urls:
        found = parse_project_url(url, root)
        if found is not None:
            is_set = root is not None and found.host == read_host(root)
            return found if is_set else _resolve_alias(found, url)
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
