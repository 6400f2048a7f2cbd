"""Which remotes of a clone are meant: the one declaration of where is fetched from and pushed to.

Usually both are `origin`. `[repos.X] remote` names another one; with `[repos.X] upstream` that one
is a fork: branches are pushed there, and bases, landings and pull requests are at the upstream.
`Repo.remotes` and `RepoRef` carry the answer to whoever talks to a remote.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestr.settings.records import Settings

ORIGIN = "origin"


@dataclass(frozen=True, slots=True)
class Remotes:
    """``push``: where the branches of cells are; ``base``: where the bases and targets are."""

    push: str = ORIGIN
    base: str = ORIGIN

    @property
    def is_fork(self) -> bool:
        """Whether branches are pushed to another repository than the one that is merged into."""
        return self.push != self.base


def read_remotes(settings: Settings, name: str) -> Remotes:
    """The remotes of a repository's clone, by the settings."""
    repo = settings.repo_settings(name)
    return Remotes(repo.remote, repo.upstream or repo.remote)
