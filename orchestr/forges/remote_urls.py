"""Remotes and addresses as every forge reads them: URLs of a clone, hosts, and what is whose.

Pure but for `read_remote_urls`, which asks git for the remote's URL, and `resolve_ssh_host`, which
asks ssh for the name behind an alias of ``~/.ssh/config``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from orchestr.errors import OrchestrError
from orchestr.forges.base import ForgeAway, ForgeError, RepoRef
from orchestr.git.repo import Repo
from orchestr.git.runner import YES_OR_NO, YES_OR_NO_REMOTE
from orchestr.process.run import redact, run_command

USUAL_HOSTS: Mapping[str, str] = {
    "github.com": "github",
    "gitlab.com": "gitlab",
    "codeberg.org": "forgejo",
    "gitea.com": "gitea",
    "bitbucket.org": "",  # of no kind that we know
}
OTHER_NAMES: Mapping[str, str] = {
    "ssh.github.com": "github.com",
    "www.github.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "www.gitlab.com": "gitlab.com",
}
_URL = re.compile(
    r"(?P<scheme>https?|ssh|git|git\+ssh)://(?:[^@/]*@)?(?P<host>[^/:@]+)(?P<port>:\d+)?/+(?P<path>.+)",
    re.IGNORECASE,
)
_SCP = re.compile(r"(?:[^@/:]+@)?(?P<host>[^/:@\[\]]+):(?!:)/*(?P<path>.+)")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d+)?")


@dataclass(frozen=True, slots=True)
class ForgeAddress:
    """What is at a forge: ``root`` is the forge's address without a slash at the end."""

    root: str

    @property
    def host(self) -> str:
        """Host, and port where it has one of its own: what rate limits are kept by."""
        return read_host(self.root)

    @property
    def url(self) -> str:
        """Where people see it."""
        return f"{self.root}/{self}"


A = TypeVar("A", bound=ForgeAddress)


def find_main_name(host: str) -> str:
    """The name by which a host is known that has others for the same (`altssh.gitlab.com`)."""
    return OTHER_NAMES.get(host, host)


def read_host(address: str) -> str:
    """The host of an address (`https://GIT.example.org:443/x`, or without a scheme), with its port
    where it is not the usual one. Pure."""
    parts = urlsplit(address if "://" in address else f"https://{address}")
    host = parts.netloc.rpartition("@")[2].lower()
    usual = {"https": ":443", "http": ":80"}.get(parts.scheme, "")
    return host.removesuffix(usual)


def split_remote_url(url: str) -> tuple[str, str, str] | None:
    """Scheme, host and path of a remote's URL (https, ssh, scp form, with or without ``.git``).

    None for a folder. A port is part of the host for http only; ssh has its own.
    """
    match = _URL.fullmatch(url.strip())
    if match is None:
        match = _SCP.fullmatch(url.strip())
        if match is None or "/" in url.partition(":")[0]:
            return None
        scheme, port = "ssh", ""
    else:
        scheme, port = match["scheme"].lower(), match["port"] or ""
    host = match["host"].lower()
    if scheme in ("http", "https") and port not in ("", ":80", ":443"):
        host += port
    if _HOST.fullmatch(host) is None:
        return None
    return scheme, host, match["path"].rstrip("/").removesuffix(".git").rstrip("/")


def locate_remote(url: str, root: str | None) -> tuple[str, str, str] | None:
    """Scheme and host of a remote's URL, the host empty where it is at the forge of ``root``, and
    its path there. None for a folder, or what is beside the path of that forge. Pure.
    """
    found = split_remote_url(url)
    if found is None:
        return None
    scheme, host, path = found
    if root is None or _is_elsewhere(scheme, host, root):
        return scheme, find_main_name(host), path
    below = urlsplit(root).path.strip("/")
    if below and scheme in ("http", "https"):
        if not path.startswith(f"{below}/"):
            return None
        path = path.removeprefix(f"{below}/")
    return scheme, "", path


def _is_elsewhere(scheme: str, host: str, root: str) -> bool:
    """Whether a remote cannot be at the forge of ``root``: https names another host (ssh may have
    a name of its own for the same), or it is a host that everybody knows."""
    theirs = read_host(root)
    if scheme in ("http", "https"):
        return host.partition(":")[0] != theirs.partition(":")[0]
    known = find_main_name(host)
    return known != theirs and known in USUAL_HOSTS


def read_remote_urls(ref: RepoRef) -> list[str]:
    """The URLs of a clone's remote: as git uses it (``url.*.insteadOf`` applied), as it is written;
    of one that is not cloned yet, where it will be cloned from.

    Raises ForgeAway without a clone, ForgeError without the remote.
    """
    if not ref.path.is_dir():
        if ref.url and split_remote_url(ref.url) is not None:
            return [ref.url]
        raise ForgeAway(
            f"repository {ref.name}: there is no clone at {ref.path}",
            hint=f"clone it there, or set [repos.{ref.name}] path or url in orchestr.toml",
        )
    repo = Repo(ref.path)
    used = repo.run_readonly("remote", "get-url", "--", ref.remote, answers=YES_OR_NO_REMOTE)
    if used.code != 0:
        raise ForgeError(
            f"repository {ref.name}: {ref.path} has no remote {ref.remote!r}",
            hint=f"git -C {ref.path} remote add {ref.remote} URL",
        )
    written = repo.run_readonly("config", "--get", f"remote.{ref.remote}.url", answers=YES_OR_NO)
    return [done.text.strip() for done in (used, written)]


def read_remote_address(
    ref: RepoRef,
    root: str | None,
    parse: Callable[[str, str | None], A | None],
    *,
    what: str,
    example: str,
) -> A:
    """What ``parse`` makes of the first URL of a clone's remote that it knows, with the real host
    of one that ``~/.ssh/config`` gives another name.

    Raises ForgeAway without a clone, ForgeError (the remote is not ``what``, but could be
    ``example``).
    """
    urls = read_remote_urls(ref)
    for url in urls:
        found = parse(url, root)
        if found is None:
            continue
        if url.startswith("http") or (root is not None and found.host == read_host(root)):
            return found
        return replace(found, root=f"https://{find_main_name(resolve_ssh_host(found.host))}")
    raise ForgeError(
        f"repository {ref.name}: its remote {ref.remote!r} ({redact(urls[0], ())}) is not {what}",
        hint=f"git -C {ref.path} remote set-url {ref.remote} {example}, or set [repos.{ref.name}]"
        " forge_url in orchestr.toml to where the forge is",
    )


def resolve_ssh_host(host: str) -> str:
    """``git@work:o/r`` with ``Host work`` in the ssh config: the real host's name; also of an alias
    like ``github.com-work``, which no host can be called."""
    last = host.rpartition(".")[2]
    is_alias = "." not in host or ("-" in last and not last.startswith("xn--"))
    if ":" in host or not is_alias:
        return host
    try:
        done = run_command(
            ("ssh", "-G", "--", host), cwd=Path("/"), env=os.environ, timeout=10, check=False
        )
    except OrchestrError:
        return host
    for line in done.text.splitlines():
        key, _, value = line.partition(" ")
        if key == "hostname" and _HOST.fullmatch(value.lower()):
            return value.lower()
    return host
