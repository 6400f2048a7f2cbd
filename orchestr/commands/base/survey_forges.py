"""At which forge the remotes around a new workspace are, and whether it can be used now.

Asks no network: a forge is known by its host, a GitLab of one's own by the login that its client
has for it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestr.errors import OrchestrError
from orchestr.forges.base import Forge, RepoRef
from orchestr.forges.github_remote import split_remote_url

_HOSTS = {"github.com": "github", "ssh.github.com": "github", "www.github.com": "github",
          "gitlab.com": "gitlab", "altssh.gitlab.com": "gitlab", "codeberg.org": "forgejo",
          "gitea.com": "gitea"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FoundForges:
    """``kind`` is that of most repositories whose forge can be used, empty without one; ``of_repo``
    the kind of each repository at a hosted forge, ``why_not`` what lacks there, by repository."""

    kind: str
    of_repo: Mapping[str, str]
    why_not: Mapping[str, str]

    def is_usable(self, repo: str) -> bool:
        """Whether pull requests of a repository can be opened now."""
        return repo in self.of_repo and repo not in self.why_not

    def explain(self) -> dict[str, str]:
        """What lacks, by kind."""
        found: dict[str, dict[str, None]] = {}
        for repo, why in self.why_not.items():
            found.setdefault(self.of_repo[repo], {})[why] = None
        return {kind: "; ".join(whys) for kind, whys in found.items()}


def find_forges(clones: Mapping[str, tuple[Path, str, str]]) -> FoundForges:
    """The forges of clones: name -> its path, the remote's name, its URL (empty: none)."""
    of_repo = {name: kind for name, (_, _, url) in clones.items() if (kind := find_forge_kind(url))}
    why_not, asked = {}, dict[tuple[str, str], str]()
    for name, kind in of_repo.items():
        path, remote, url = clones[name]
        found = split_remote_url(url)
        key = (kind, found[1] if found else "")  # a login is one of a host
        if key not in asked:
            ref = RepoRef(name, path, remote)
            asked[key] = _make_forge(kind).explain_unusable([ref]) or ""
        if asked[key]:
            why_not[name] = asked[key]
    most = Counter(kind for name, kind in of_repo.items() if name not in why_not).most_common(1)
    return FoundForges(most[0][0] if most else "", of_repo, why_not)


def find_forge_kind(url: str) -> str:
    """The kind of the hosted forge that a remote's URL is at; empty for another place."""
    found = split_remote_url(url) if url else None
    if found is None:
        return ""
    host = found[1]
    return _HOSTS.get(host) or ("gitlab" if _has_glab_login(host) else "")


def _has_glab_login(host: str) -> bool:
    from orchestr.forges.gitlab_login import find_login

    try:
        return find_login(host, None, os.environ) is not None
    except OrchestrError:
        return False  # settings that cannot be read say nothing


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
