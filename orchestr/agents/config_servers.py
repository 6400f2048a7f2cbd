"""The servers that an agent's own settings name: a sandbox has to let them through.

Its files are in TOML, JSON or JSON with comments; what is looked for are values of keys such as
`base_url` and `baseURL`, so no file has to be read as its agent reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from orchestr.sandbox.config_copies import ConfigFolder
from orchestr.sandbox.hosts import read_url_rule

MOST = 1 << 20  # bytes of a file that are looked at
KINDS = (".toml", ".json", ".jsonc")
_SERVER = re.compile(
    # base_url (codex), baseURL (opencode), endpoint, ..._host
    r"""\b(?:\w*base_?url|\w*endpoint|\w*_host)["']?\s*[:=]\s*["'](https?://[^"'\s]+)""",
    re.IGNORECASE,
)


def list_config_servers(folders: Iterable[ConfigFolder]) -> tuple[str, ...]:
    """Rules for the servers that the files in settings folders name, each once."""
    found: dict[str, None] = {}
    for folder in folders:
        for source, _ in folder.copies:
            if source.suffix in KINDS and source.is_file():
                for url in _SERVER.findall(_read_text(source)):
                    rule = read_url_rule(url)
                    if rule is not None:
                        found[rule] = None
    return tuple(found)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(MOST).decode("utf-8", "replace")
    except OSError:
        return ""
