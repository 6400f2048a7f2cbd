"""The token for a GitLab: from the environment, or from the settings of GitLab's client `glab`.

It is read when the first request needs it, lives in this process only, and is not shown:
agents get an environment without it (`orchestr.agents.environment`), the settings of glab are
hidden from them (`orchestr.sandbox.places`), and what is printed hides it.

A token goes to one host. ``GITLAB_TOKEN`` is meant for the host that ``GITLAB_HOST`` names, else
for that of `[forge] url`, else for gitlab.com: the URL of a clone's remote, which anybody may have
written, never decides where a token is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestr.forges.base import ForgeError
from orchestr.forges.gitlab_remote import GITLAB
from orchestr.forges.remote_urls import read_host

VARIABLES = ("GITLAB_TOKEN", "GITLAB_ACCESS_TOKEN", "OAUTH_TOKEN")  # in glab's order
HOST_VARIABLES = ("GITLAB_HOST", "GL_HOST", "GITLAB_URI")


@dataclass(frozen=True, slots=True)
class GitLabLogin:
    """A token; ``is_oauth`` says that it goes into an Authorization header. ``source`` names where
    it is from."""

    token: str
    is_oauth: bool
    source: str

    def __repr__(self) -> str:
        return f"GitLabLogin(source={self.source!r})"


def find_login(host: str, root: str | None, environ: Mapping[str, str]) -> GitLabLogin | None:
    """The login for a host (`gitlab.com`, `localhost:8080`); None when there is none.

    Raises ForgeError when the settings of glab cannot be read.
    """
    if host == find_token_host(root, environ):
        for name in VARIABLES:
            if environ.get(name):
                return GitLabLogin(environ[name], name == "OAUTH_TOKEN", f"${name}")
    path = find_glab_config(environ)
    hosts = _read_hosts(path)
    table = hosts.get(host) or hosts.get(host.partition(":")[0]) or {}
    token = table.get("token")
    if not isinstance(token, str) or not token:
        return None
    is_oauth = str(table.get("is_oauth2", "")).lower() == "true"
    return GitLabLogin(token, is_oauth, str(path))


def find_token_host(root: str | None, environ: Mapping[str, str]) -> str:
    """The host that the token of the environment is meant for."""
    for name in HOST_VARIABLES:
        value = environ.get(name, "")
        if value:
            return read_host(value)
    return read_host(root) if root else GITLAB


def find_glab_config(environ: Mapping[str, str]) -> Path:
    """The settings of glab."""
    if environ.get("GLAB_CONFIG_DIR"):
        return Path(environ["GLAB_CONFIG_DIR"]) / "config.yml"
    home = Path(environ.get("HOME") or "~").expanduser()
    base = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    return base / "glab-cli" / "config.yml"


def explain_login(host: str, root: str | None, environ: Mapping[str, str]) -> str:
    """What to do for a login."""
    meant = find_token_host(root, environ)
    if meant == host:
        return f"export GITLAB_TOKEN=... (scope api), or glab auth login --hostname {host}"
    held = next((name for name in VARIABLES if environ.get(name)), None)
    if held is not None:
        return f"${held} is for {meant}: export GITLAB_HOST={host} if it is for {host}"
    return f"glab auth login --hostname {host}, or GITLAB_HOST={host} with GITLAB_TOKEN"


def _read_hosts(path: Path) -> dict[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ForgeError(
            f"cannot read the settings of glab, {path}: {error}", hint="export GITLAB_TOKEN=..."
        ) from None
    import yaml  # most workspaces have no GitLab

    class Loader(yaml.SafeLoader):
        """glab marks keys that may be in a keyring with `!!null`, also those with a value."""

    def read_null(loader: Any, node: Any) -> Any:
        value = loader.construct_scalar(node)
        return None if value in ("", "null", "~") else value

    Loader.add_constructor("tag:yaml.org,2002:null", read_null)
    try:
        value = yaml.load(text, Loader)  # a safe loader
    except yaml.YAMLError:
        raise ForgeError(
            f"the settings of glab, {path}, are no YAML", hint="export GITLAB_TOKEN=..."
        ) from None
    hosts = value.get("hosts") if isinstance(value, dict) else None
    if not isinstance(hosts, dict):
        return {}
    return {str(name): table for name, table in hosts.items() if isinstance(table, dict)}
