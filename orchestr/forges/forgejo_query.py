"""Pull requests as Forgejo and Gitea give them. Pure.

A draft is one whose title begins with a prefix that the host knows (`WIP:` and `[WIP]`, where it
is not set otherwise). The prefix is taken off here and put back by what writes a title.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from orchestr.forges.base import PRState, PullRequest
from orchestr.forges.forgejo_remote import RepoPath

DRAFTS = ("WIP: ", "[WIP] ", "Draft: ", "[Draft] ")  # tried in this order
_DRAFT = re.compile(r"\A(?:\s*(?:wip:|\[wip\]|draft:|\[draft\]|\(draft\)))+\s*", re.IGNORECASE)


def read_pull_request(row: Mapping[str, Any]) -> PullRequest:
    """A pull request of an answer. Raises KeyError, TypeError, ValueError."""
    title, draft = str(row["title"]), is_draft(row)
    return PullRequest(
        number=int(row["number"]),
        url=str(row["html_url"]),
        title=strip_draft(title) if draft else title,
        body=str(row["body"] or ""),
        head=str(row["head"]["label"]).rpartition(":")[2],
        base=str(row["base"]["ref"]),
        head_sha=str(row["head"]["sha"] or ""),
        draft=draft,
        state=read_state(row),
        created_at=read_time(str(row["created_at"])),
        updated_at=read_time(str(row["updated_at"])),
        merged_as=row.get("merge_commit_sha") if row["merged"] else None,
    )


def read_state(row: Mapping[str, Any]) -> PRState:
    """Open, merged or closed."""
    if row["merged"]:
        return PRState.MERGED
    return PRState.OPEN if row["state"] == "open" else PRState.CLOSED


def is_draft(row: Mapping[str, Any]) -> bool:
    """Whether it is a draft: the host's word, or the title's where the host has none."""
    said = row.get("draft")
    return bool(said) if said is not None else _DRAFT.match(str(row["title"])) is not None


def is_from(row: Mapping[str, Any], fork: str | None) -> bool:
    """Whether its branch is in the repository itself, or in the ``fork`` (`OWNER/NAME`) that is
    asked about: a branch of another one is another branch, whatever its name."""
    head, base = row["head"], row["base"]
    if fork is None or head.get("repo_id") == base.get("repo_id"):
        return fork is None and head.get("repo_id") == base.get("repo_id")
    return str((head.get("repo") or {}).get("full_name")).lower() == fork.lower()


def strip_draft(title: str) -> str:
    """A title without the words that make a draft."""
    return _DRAFT.sub("", title)


def write_title(title: str, *, draft: bool, prefix: str = DRAFTS[0]) -> str:
    """A title with or without the words that make a draft."""
    return f"{prefix}{strip_draft(title)}" if draft else strip_draft(title)


def find_prefix(title: str) -> str:
    """The words of a title that make it a draft, to be kept; the usual ones if it has none."""
    found = _DRAFT.match(title)
    return found[0] if found else DRAFTS[0]


def read_author(row: Mapping[str, Any]) -> str:
    """The login of who wrote a comment or a review."""
    return str((row.get("user") or {}).get("login") or "ghost")


def read_time(text: str) -> str:
    """A time with its offset."""
    return datetime.fromisoformat(text).isoformat()


def describe_url(repo: RepoPath, number: int) -> str:
    """The address of a pull request."""
    return f"{repo.url}/pulls/{number}"
