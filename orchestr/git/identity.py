"""Who works here: the user's name and address as git has them."""

from __future__ import annotations

from orchestr.git.repo import Repo
from orchestr.git.runner import YES_OR_NO


def read_identity(repo: Repo) -> tuple[str, str]:
    """Name and address as git has them in ``repo``, or outside of any; empty where it has none."""
    return _read_setting(repo, "user.name"), _read_setting(repo, "user.email")


def _read_setting(repo: Repo, key: str) -> str:
    try:
        return repo.run_git("config", "--get", key, answers=YES_OR_NO).text.strip()
    except OSError:
        return ""
