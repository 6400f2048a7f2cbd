"""Our words in a conversation at GitHub, so that no answer is sent twice. Pure: queries, reading.

Pages are read from the newest comment backwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestr.forges.github_query import unreadable_error

_PAGE = "nodes { body createdAt viewerDidAuthor } pageInfo { hasPreviousPage startCursor }"
GENERAL = f"""\
query($owner: String!, $name: String!, $number: Int!, $before: String) {{
  repository(owner: $owner, name: $name) {{
    pullRequest(number: $number) {{ comments(last: 100, before: $before) {{ {_PAGE} }} }}
  }}
  rateLimit {{ cost remaining }}
}}
"""
IN_THREAD = f"""\
query($thread: ID!, $before: String) {{
  node(id: $thread) {{
    ... on PullRequestReviewThread {{
      comments(last: 100, before: $before) {{ {_PAGE} }}
      first: comments(first: 1) {{ nodes {{ url }} }}
    }}
  }}
  rateLimit {{ cost remaining }}
}}
"""


@dataclass(frozen=True, slots=True)
class SaidPage:
    """A page of a conversation: what this login said in it, the time of its oldest comment, where
    older ones are (None: nowhere). ``first_url`` is the address of a thread's first comment."""

    ours: tuple[str, ...]
    oldest: str
    before: str | None
    first_url: str = ""


def read_general_page(data: Mapping[str, Any]) -> SaidPage:
    """A page of the general conversation. Raises ForgeError when it cannot be read."""
    try:
        return _read_page(data["repository"]["pullRequest"]["comments"])
    except (KeyError, TypeError) as error:
        raise unreadable_error(error) from error


def read_thread_page(data: Mapping[str, Any]) -> SaidPage | None:
    """A page of a thread, None when the thread is gone. Raises ForgeError."""
    try:
        if not data["node"]:
            return None
        first = data["node"]["first"]["nodes"]
        return _read_page(data["node"]["comments"], str(first[0]["url"]) if first else "")
    except (KeyError, TypeError) as error:
        raise unreadable_error(error) from error


def _read_page(comments: Mapping[str, Any], first_url: str = "") -> SaidPage:
    nodes, info = comments["nodes"], comments["pageInfo"]
    return SaidPage(
        ours=tuple(str(node["body"]) for node in nodes if node["viewerDidAuthor"]),
        oldest=str(nodes[0]["createdAt"]) if nodes else "",
        before=str(info["startCursor"]) if info["hasPreviousPage"] else None,
        first_url=first_url,
    )
