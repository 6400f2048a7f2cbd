"""Which kind of forge a remote's host is, as far as that can be known without asking the host.

A few hosts are known to everybody; of others the user has said it, by a login or by a variable that
names the host. Nothing is asked over the network: what a remote is called was written by others.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestr.forges.base import ForgeError
from orchestr.forges.forgejo_login import HOST_VARIABLES as FORGEJO_VARIABLES
from orchestr.forges.forgejo_login import LoginPlaces
from orchestr.forges.forgejo_login import find_login as find_forgejo_login
from orchestr.forges.gitlab_login import HOST_VARIABLES as GITLAB_VARIABLES
from orchestr.forges.gitlab_login import find_login as find_gitlab_login
from orchestr.forges.remote_urls import (
    USUAL_HOSTS,
    find_main_name,
    read_host,
    resolve_ssh_host,
    split_remote_url,
)


def read_forge_host(url: str) -> str:
    """The host of a remote's URL, also behind an alias of ssh; empty for a folder."""
    found = split_remote_url(url)
    if found is None:
        return ""
    return resolve_ssh_host(found[1]) if found[0] not in ("http", "https") else found[1]


def guess_forge_kind(host: str, environ: Mapping[str, str]) -> str:
    """The kind of the forge at this host; empty: it cannot be known."""
    usual = USUAL_HOSTS.get(find_main_name(host))
    if usual is not None or not host:
        return usual or ""
    for kind, variables in (("forgejo", FORGEJO_VARIABLES), ("gitlab", GITLAB_VARIABLES)):
        for name in variables:
            value = environ.get(name, "")
            if value and read_host(value) == host:
                return "gitea" if name.startswith("GITEA_") else kind
    try:
        if find_forgejo_login(host, LoginPlaces("forgejo", None, environ)) is not None:
            return "forgejo"
        if find_gitlab_login(host, None, environ) is not None:
            return "gitlab"
    except ForgeError:
        return ""  # a file of logins that cannot be read; whoever needs it hears of it
    return ""
