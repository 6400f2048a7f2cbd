"""Repositories of the workspace as forges are asked about them, and the addresses of forges."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from orchestr.forges.base import RepoRef
from orchestr.forges.rate_limit import is_this_machine
from orchestr.settings.records import Settings
from orchestr.settings.remotes import read_remotes
from orchestr.settings.repo_paths import repo_path


def make_repo_ref(settings: Settings, name: str) -> RepoRef:
    """The repository of that name, with the remotes and the forge that the settings name."""
    remotes = read_remotes(settings, name)
    upstream = remotes.base if remotes.is_fork else None
    repo = settings.repo_settings(name)
    return RepoRef(
        name, repo_path(settings, name), remotes.push, repo.url, upstream, repo.forge_url
    )


def list_forge_urls(settings: Settings, kind: str) -> tuple[str, ...]:
    """The addresses that repositories name for their forge, of those that may be of ``kind``."""
    urls = (r.forge_url for r in settings.repos.values() if r.forge in (None, kind))
    return tuple(dict.fromkeys(url for url in urls if url))


def find_forge_url(address: str, known: Iterable[str | None]) -> str | None:
    """Which of the ``known`` forges something with this address is at; None: another one. Pure."""
    return next((url for url in known if url and address.startswith(url.rstrip("/") + "/")), None)


def is_in_the_clear(root: str) -> bool:
    """Whether what is sent to this address can be read on its way: `http`, and not this machine.

    A remote of a clone may be written so by anybody; a token goes there only where the user names
    the host with `http://`, too. Pure.
    """
    parts = urlsplit(root)
    return parts.scheme == "http" and not is_this_machine(parts.netloc)
