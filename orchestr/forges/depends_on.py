"""`Depends-On: URL` lines: which other pull requests CI has to take for this one.

Zuul's convention, one address a line. Written at the end of our part of a body, read from a whole
body, so that a person may add some. Pure; whoever can write a body decides what is read here, so
an address counts only in the exact form of a pull request's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from orchestr.forges.base import PRState
from orchestr.forges.body import PRLink
from orchestr.spec.records import Cell, Feature

# Of CI of the local forge: a JSON file with the origins of what the body names, by repository.
ORIGINS_FILE = "ORCHESTR_CI_ORIGINS_FILE"
MOST = 100  # lines that are read of one body
_LINE = re.compile(
    r"^[ \t]*Depends-On:[ \t]*<?([^\s<>]+?)>?[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)
_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_HOSTED = re.compile(
    rf"https?://(?P<host>[A-Za-z0-9.-]+(?::\d+)?)/(?P<repository>{_NAME}/{_NAME})"
    r"/pull/(?P<number>[1-9]\d{0,9})/?"
)
_GITLAB = re.compile(
    rf"https?://(?P<host>[A-Za-z0-9.-]+(?::\d+)?)/(?P<repository>{_NAME}(?:/{_NAME})+)"
    r"/-/merge_requests/(?P<number>[1-9]\d{0,9})/?"
)
_FORGEJO = re.compile(  # the forge may be below a path: it counts as a part of the host
    rf"https?://(?P<host>[A-Za-z0-9.-]+(?::\d+)?(?:/{_NAME})*)/(?P<repository>{_NAME}/{_NAME})"
    r"/pulls/(?P<number>[1-9]\d{0,9})/?"
)
_LOCAL = re.compile(rf"local://(?P<repository>{_NAME})/pull/(?P<number>[1-9]\d{{0,9}})")


@dataclass(frozen=True, slots=True)
class PullRequestAddress:
    """What an address says. ``repository`` is `OWNER/NAME`, at a GitLab with sub-groups, of the
    local forge `NAME`; ``host`` is empty there."""

    url: str
    host: str
    repository: str
    number: int

    @property
    def ref(self) -> str:
        """The ref at the origin that its forge keeps of its head."""
        folder = "merge-requests" if "/-/merge_requests/" in self.url else "pull"
        return f"refs/{folder}/{self.number}/head"


def parse_address(url: str) -> PullRequestAddress | None:
    """The parts of a pull request's address; None for any other text."""
    forms = (_HOSTED, _GITLAB, _FORGEJO, _LOCAL)
    match = next((found for form in forms if (found := form.fullmatch(url))), None)
    if match is None:
        return None
    named = match.groupdict()
    host = str(named.get("host") or "").lower()
    return PullRequestAddress(url.rstrip("/"), host, named["repository"], int(named["number"]))


def read_depends_on(body: str) -> tuple[list[PullRequestAddress], list[str]]:
    """The addresses of a body's lines in their order, each once; and what is not one."""
    found: dict[PullRequestAddress, None] = {}
    others: dict[str, None] = {}
    for match in _LINE.finditer(body):
        address = parse_address(match[1])
        if address is None:
            others[match[1]] = None
        else:
            found[address] = None
    return list(found)[:MOST], list(others)[:MOST]


def list_depends_on(feature: Feature, cell: Cell, links: Mapping[str, PRLink]) -> list[str]:
    """The addresses that the body of a cell names: of its direct upstreams in other repositories,
    with `siblings_in_ci` of every other cell there. What is merged is in the base already.
    """
    named = [
        other for other in feature.cells
        if other.repo != cell.repo and (feature.siblings_in_ci or other.name in cell.depends_on)
    ]  # fmt: skip
    known = (links.get(other.name) for other in named)
    return [
        link.url for link in known
        if link is not None and link.url is not None and link.state is not PRState.MERGED
        and parse_address(link.url) is not None
    ]  # fmt: skip


def render_depends_on(addresses: list[str]) -> str:
    """The lines; empty without any."""
    return "\n".join(f"Depends-On: {url}" for url in addresses)
