"""The token for a Forgejo or Gitea: from the environment, or from the logins of the client `tea`.

It is read when the first request needs it, lives in this process only, and is never shown:
agents get an environment without it (`orchestr.agents.environment`), the settings of tea are
hidden from them (`orchestr.sandbox.places`), and what is printed hides it.

A token goes to one host. ``FORGEJO_TOKEN`` and ``GITEA_TOKEN`` are meant for the host that
``FORGEJO_URL`` or ``GITEA_URL`` names, else for that of `[forge] url`, else for codeberg.org (of
kind `gitea`: gitea.com): the URL of a clone's remote, which anybody may have written, never decides
where a token is sent, nor that it is sent unencrypted (``clear``: the address must say `http`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchestr.forges.base import ForgeError
from orchestr.forges.remote_urls import USUAL_HOSTS, read_host

VARIABLES = ("FORGEJO_TOKEN", "GITEA_TOKEN")
HOST_VARIABLES = ("FORGEJO_URL", "GITEA_URL", "GITEA_SERVER_URL")
_HOSTS = {kind: host for host, kind in USUAL_HOSTS.items()}


@dataclass(frozen=True, slots=True)
class ForgejoLogin:
    """A token, and where it is from."""

    token: str
    source: str

    def __repr__(self) -> str:
        return f"ForgejoLogin(source={self.source!r})"


@dataclass(frozen=True, slots=True)
class LoginPlaces:
    """Where logins are looked for: the kind of the forge, `[forge] url`, the environment."""

    kind: str
    root: str | None
    environ: Mapping[str, str]

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables with a token: that of the kind first."""
        return VARIABLES[::-1] if self.kind == "gitea" else VARIABLES

    @property
    def token_url(self) -> str:
        """The address that the token of the environment is meant for."""
        for name in HOST_VARIABLES:
            value = self.environ.get(name, "")
            if value:
                return value if "://" in value else f"https://{value}"
        return self.root or f"https://{_HOSTS[self.kind]}"

    @property
    def token_host(self) -> str:
        """The host in it."""
        return read_host(self.token_url)


def find_login(host: str, places: LoginPlaces, *, clear: bool = False) -> ForgejoLogin | None:
    """The login for a host (`codeberg.org`, `localhost:3000`); None when there is none. ``clear``:
    it would be sent unencrypted.

    Raises ForgeError when the settings of tea cannot be read.
    """
    if host == places.token_host and (not clear or _is_http(places.token_url)):
        for name in places.variables:
            if places.environ.get(name):
                return ForgejoLogin(places.environ[name], f"${name}")
    path = find_tea_config(places.environ)
    for row in _read_tea_logins(path):
        token = row.get("token")
        url = str(row.get("url"))
        if read_host(url) != host or (clear and not _is_http(url)):
            continue
        if isinstance(token, str) and token:
            return ForgejoLogin(token, str(path))
    return None


def explain_login(host: str, places: LoginPlaces, *, clear: bool = False) -> str:
    """What to do for a login."""
    names = places.variables
    if clear and find_login(host, places) is not None:
        return (
            f"http:// is unencrypted: let the address of the remote begin with https://, or export"
            f" FORGEJO_URL=http://{host} if the token may go there so"
        )
    if places.token_host == host:
        return (
            f"export {names[0]}=... (scopes write:repository, write:issue, read:user), or"
            f" tea login add --url https://{host}"
        )
    held = next((name for name in names if places.environ.get(name)), None)
    if held is not None:
        return (
            f"${held} is for {places.token_host}: export FORGEJO_URL=https://{host} if it is for"
            f" {host}"
        )
    return f"tea login add --url https://{host}, or FORGEJO_URL=https://{host} with {names[0]}"


def _is_http(url: str) -> bool:
    return urlsplit(url).scheme == "http"


def find_tea_config(environ: Mapping[str, str]) -> Path:
    """The settings of tea."""
    home = Path(environ.get("HOME") or "~").expanduser()
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "tea" / "config.yml"


def _read_tea_logins(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise ForgeError(
            f"cannot read the settings of tea, {path}: {error}", hint="export FORGEJO_TOKEN=..."
        ) from None
    import yaml  # most workspaces have no Forgejo

    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ForgeError(
            f"the settings of tea, {path}, are no YAML", hint="export FORGEJO_TOKEN=..."
        ) from None
    logins = value.get("logins") if isinstance(value, dict) else None
    return [row for row in logins or () if isinstance(row, dict)]
