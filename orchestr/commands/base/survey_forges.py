"""At which forge the remotes around a new workspace are, and whether it can be used now.

Asks no network: see `orchestr.forges.usual_hosts`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestr.forges.base import Forge, RepoRef
from orchestr.forges.usual_hosts import guess_forge_kind, read_forge_host


@dataclass(frozen=True, slots=True)
class FoundForges:
    """``kind`` is that of most repositories whose forge can be used, empty without one; ``of_repo``
    the kind of each repository at a hosted forge, ``why_not`` what lacks there, by repository,
    ``unknown`` the hosts of which the kind cannot be known."""

    kind: str
    of_repo: Mapping[str, str]
    why_not: Mapping[str, str]
    unknown: tuple[str, ...] = ()

    def is_usable(self, repo: str) -> bool:
        """Whether pull requests of a repository can be opened now."""
        return repo in self.of_repo and repo not in self.why_not

    def explain(self) -> dict[str, str]:
        """What lacks, by kind."""
        found: dict[str, dict[str, None]] = {}
        for repo, why in self.why_not.items():
            found.setdefault(self.of_repo[repo], {})[why] = None
        return {kind: "; ".join(whys) for kind, whys in found.items()}

    def explain_unknown(self) -> str:
        """What to do about hosts of which the kind is not known; empty without one."""
        return f"what is at {', '.join(self.unknown)}? see docs/forges.md" if self.unknown else ""


def find_forges(clones: Mapping[str, tuple[Path, str, str]]) -> FoundForges:
    """The forges of clones: name -> its path, the remote's name, its URL (empty: none)."""
    hosts = {name: read_forge_host(url) for name, (_, _, url) in clones.items() if url}
    kinds = {name: guess_forge_kind(host, os.environ) for name, host in hosts.items()}
    of_repo = {name: kind for name, kind in kinds.items() if kind}
    why_not, asked = {}, dict[tuple[str, str], str]()
    for name, kind in of_repo.items():
        path, remote, _ = clones[name]
        key = (kind, hosts[name])  # a login is one of a host
        if key not in asked:
            ref = RepoRef(name, path, remote)
            asked[key] = _make_forge(kind).explain_unusable([ref]) or ""
        if asked[key]:
            why_not[name] = asked[key]
    most = Counter(kind for name, kind in of_repo.items() if name not in why_not).most_common(1)
    unknown = tuple(dict.fromkeys(host for name, host in hosts.items() if host and not kinds[name]))
    return FoundForges(most[0][0] if most else "", of_repo, why_not, unknown)


def _make_forge(kind: str) -> Forge:
    """A forge to ask whether it can be used; only `init` needs one without settings."""
    if kind == "github":
        from orchestr.forges.github import GitHubForge

        return GitHubForge("gh")
    if kind == "gitlab":
        from orchestr.forges.gitlab import GitLabForge

        return GitLabForge()
    from orchestr.forges.forgejo import ForgejoForge

    return ForgejoForge(kind=kind)
