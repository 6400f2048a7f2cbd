"""Which repository at which GitHub host a clone's remote means.

Pure but for `read_repo_slug`, which asks git for the remote's URL (and, for a host without a dot,
ssh for the name behind an alias of ``~/.ssh/config``). The answer comes from the clone, never from
a setting: so the repository that is pushed to is the one that is asked for pull requests.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from orchestr.errors import OrchestrError
from orchestr.forges.base import ForgeAway, ForgeError, RepoRef
from orchestr.git.repo import Repo
from orchestr.git.runner import YES_OR_NO, YES_OR_NO_REMOTE
from orchestr.process.run import redact, run_command

_URL = re.compile(
    r"(?P<scheme>https?|ssh|git|git\+ssh)://(?:[^@/]*@)?(?P<host>[^/:@]+)(?P<port>:\d+)?/+(?P<path>.+)",
    re.IGNORECASE,
)
_SCP = re.compile(r"(?:[^@/:]+@)?(?P<host>[^/:@\[\]]+):(?!:)/*(?P<path>.+)")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d+)?")
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_SAME = {"ssh.github.com": "github.com", "www.github.com": "github.com"}


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
    return RepoSlug(_SAME.get(host, host), *parts)


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


def read_repo_slug(ref: RepoRef) -> RepoSlug:
    """The repository behind a clone's remote: the first of its URLs that is at a GitHub host.

    Raises ForgeAway without a clone, ForgeError when the remote is not at a GitHub host.
    """
    urls = read_remote_urls(ref)
    for url in urls:
        found = parse_remote_url(url)
        if found is not None:
            host = resolve_ssh_host(found.host)
            return RepoSlug(_SAME.get(host, host), found.owner, found.name)
    raise ForgeError(
        f"repository {ref.name}: its remote {ref.remote!r} ({redact(urls[0], ())}) is not a"
        " repository at a GitHub host",
        hint=f"git -C {ref.path} remote set-url {ref.remote} https://github.com/OWNER/NAME.git",
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
